import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation.scores import (
    calibration,
    clip_interval,
    corrected_resampled,
    private_scores,
    repeated_scores,
    score_set,
    wilson_interval,
)

TRUTH = np.array(["happy"] * 5 + ["sad"] * 3 + ["angry"] * 2)
ANSWER = np.array(["happy"] * 4 + ["sad"] + ["sad"] * 2 + ["happy"] + ["angry", "fear"])
LABELS = ["happy", "sad", "angry"]


def drawn_answers(minimum: int = 1):
    """Truths, answers and clips of a few images."""
    image = st.tuples(*[st.sampled_from(EMOTIONS[:4])] * 2, st.sampled_from("abcdef"))
    return st.lists(image, min_size=minimum, max_size=40).map(lambda rows: np.array(rows).T)


def test_scores_by_hand():
    result = score_set(TRUTH, ANSWER, labels=LABELS, set="PrivateTest")
    assert result["labels"] == ["angry", "fear", "happy", "sad"]
    assert result["confusion_matrix"] == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 4, 1], [0, 0, 1, 2]]
    assert result["accuracy"] == 0.7
    assert result["per_class"]["happy"] == {
        "precision": 0.8, "recall": 0.8, "f1": pytest.approx(0.8), "support": 5,
    }  # fmt: skip
    assert result["per_class"]["fear"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    # fear never occurs, so the averages run over three emotions
    assert result["recall_macro"] == pytest.approx((0.8 + 2 / 3 + 0.5) / 3)
    assert result["balanced_accuracy"] == result["recall_macro"]
    assert result["precision_macro"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    assert result["f1_macro"] == pytest.approx((0.8 + 2 / 3 + 2 / 3) / 3)
    assert result["f1_weighted"] == pytest.approx((5 * 0.8 + 3 * 2 / 3 + 2 * 2 / 3) / 10)
    assert result["recall_weighted"] == pytest.approx(0.7)


def test_private_images_that_training_holds_too_are_left_out_of_the_second_score():
    copied = np.array([True] * 4 + [False] * 6)
    whole, deduplicated = private_scores(TRUTH, ANSWER, copied=copied)
    assert (whole["set"], whole["n"], whole["accuracy"]) == ("PrivateTest", 10, 0.7)
    assert (deduplicated["set"], deduplicated["n"]) == ("PrivateTest-deduplicated", 6)
    assert deduplicated["accuracy"] == 0.5


def test_scores_survive_json_unchanged():
    result = score_set(TRUTH, ANSWER, labels=LABELS, set="PrivateTest", clips=list("aabbccddee"))
    assert json.loads(json.dumps(result)) == result
    assert {
        *("set", "n", "accuracy", "accuracy_ci95", "precision_macro", "recall_macro", "f1_macro"),
        *("precision_weighted", "recall_weighted", "f1_weighted", "per_class"),
        *("confusion_matrix", "labels"),
    } <= result.keys()


def test_an_emotion_that_is_never_answered_has_precision_zero():
    result = score_set(["sad", "happy"], ["sad", "sad"], labels=["sad", "happy"], set="PublicTest")
    assert result["per_class"]["happy"]["precision"] == 0.0
    assert result["f1_macro"] == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # 6/12 is the figure of this study; 81/263 is Newcombe's (1998, Statistics in Medicine 17,
    # table I), as are 15/148, 0/20 and 1/29
    [(6, 12, 25.4, 74.6), (81, 263, 25.53, 36.62), (15, 148, 6.24, 16.05), (0, 20, 0.0, 16.11),
     (1, 29, 0.61, 17.18)],
)  # fmt: skip
def test_wilson_interval_matches_published_figures(right, n, low, high):
    digits = 1 if n == 12 else 2
    assert [round(100 * bound, digits) for bound in wilson_interval(right, n)] == [low, high]


def test_independent_images_get_wilsons_interval():
    result = score_set(TRUTH, ANSWER, labels=LABELS, set="PrivateTest")
    interval = stats.binomtest(7, 10).proportion_ci(method="wilson")
    assert result["accuracy_ci95"] == pytest.approx([interval.low, interval.high])
    assert result["accuracy_ci95_method"] == "Wilson"


def test_clip_interval_agrees_with_scipys_bootstrap():
    random = np.random.default_rng(3)
    clips = random.integers(0, 40, 120)
    correct = random.random(120) < 0.4 + 0.5 * (clips % 2)
    names = np.unique(clips)
    hits = np.array([correct[clips == clip].sum() for clip in names])
    sizes = np.array([(clips == clip).sum() for clip in names])
    theirs = stats.bootstrap(
        (hits, sizes),
        lambda hits, sizes, axis: hits.sum(axis) / sizes.sum(axis),
        paired=True, method="percentile", n_resamples=9999, rng=1,
    ).confidence_interval  # fmt: skip
    ours = clip_interval(correct, clips, resamples=9999)
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.01)


def test_copies_within_a_clip_do_not_narrow_the_interval():
    truth = np.array(["sad"] * 40)
    answers = np.array(["sad", "happy"] * 20)
    once = score_set(truth, answers, labels=["sad"], set="x", clips=np.arange(40), seed=1)
    copied = score_set(
        np.repeat(truth, 5), np.repeat(answers, 5), labels=["sad"], set="x",
        clips=np.repeat(np.arange(40), 5), seed=1,
    )  # fmt: skip
    assert copied["accuracy_ci95"] == once["accuracy_ci95"]
    assert once["accuracy_ci95"] == pytest.approx([0.35, 0.65], abs=0.03)


@pytest.mark.parametrize("clips", [["a"] * 8, list("aabbccdd")])
def test_always_right_is_not_certainly_right(clips):
    result = score_set(["sad"] * 8, ["sad"] * 8, labels=["sad"], set="target-unknown", clips=clips)
    n = len(set(clips))
    assert result["accuracy_ci95"] == pytest.approx(wilson_interval(n, n))
    assert result["accuracy_ci95"][0] < 0.6
    assert result["f1_macro_ci95"] is None


def test_f1_interval_agrees_with_drawing_images_one_by_one():
    random = np.random.default_rng(5)
    truth = random.choice(["sad", "happy", "angry"], 80)
    answers = np.where(random.random(80) < 0.6, truth, random.choice(["sad", "happy"], 80))
    # the one face in fear is missing from a third of the draws
    truth[0] = answers[0] = "fear"
    ours = score_set(truth, answers, labels=EMOTIONS, set="x")["f1_macro_ci95"]
    draws = [random.integers(0, 80, 80) for _ in range(500)]
    theirs = [
        f1_score(truth[draw], answers[draw], labels=np.unique(truth[draw]), average="macro")
        for draw in draws
    ]
    assert ours == pytest.approx(np.quantile(theirs, [0.025, 0.975]), abs=0.025)


@settings(deadline=None, max_examples=40)
@given(drawn_answers(2))
def test_accuracy_lies_inside_its_interval(rows):
    truth, answers, clips = rows
    for given_clips in (None, clips):
        result = score_set(
            truth, answers, labels=EMOTIONS[:4], set="x", clips=given_clips, resamples=300
        )
        low, high = result["accuracy_ci95"]
        assert 0 <= low <= result["accuracy"] + 1e-12
        assert result["accuracy"] - 1e-12 <= high <= 1


@settings(deadline=None, max_examples=30)
@given(drawn_answers(2), st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(rows, random):
    order = list(range(rows.shape[1]))
    random.shuffle(order)
    truth, answers, clips = rows
    first = score_set(truth, answers, labels=EMOTIONS[:4], set="x", clips=clips, resamples=200)
    truth, answers, clips = rows[:, order]
    again = score_set(truth, answers, labels=EMOTIONS[:4], set="x", clips=clips, resamples=200)
    assert again == first


@pytest.mark.parametrize(
    ("truth", "answers", "message"),
    [([], [], "no labelled image"), (["sad"], ["sad", "sad"], "1 truths but answers"),
     (["unknown"], ["sad"], "'unknown' as truth"), (["sad"], [""], "'' as answer")],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused_in_words(truth, answers, message):
    with pytest.raises(DataError, match=message):
        score_set(truth, answers, labels=["sad"], set="target-unknown")


def test_nadeau_and_bengio_by_hand():
    # sd of .6 .7 .5 .6 is sqrt(.02/3) = .0816497; x sqrt(1/4 + 20/80) = .0577350;
    # x 3.182446 (t with 3 degrees of freedom) = .183739
    result = corrected_resampled([0.6, 0.7, 0.5, 0.6], n_train=80, n_test=20)
    assert result["standard_error"] == pytest.approx(0.0577350, abs=1e-7)
    assert result["ci95"] == pytest.approx([0.416261, 0.783739], abs=1e-6)
    assert result["t"] == pytest.approx(0.6 / 0.0577350, abs=1e-3)
    naive = stats.ttest_1samp([0.6, 0.7, 0.5, 0.6], 0)
    assert result["p"] > naive.pvalue


def test_equal_folds_have_no_t():
    assert corrected_resampled([0.5, 0.5], n_train=4, n_test=1)["t"] is None
    with pytest.raises(DataError, match="two folds"):
        corrected_resampled([0.5], n_train=4, n_test=1)


def test_repeated_scores_by_hand():
    truth = np.array(["sad", "sad", "happy", "happy"])
    answers = np.array([truth, ["sad", "happy", "happy", "happy"]])
    folds = np.array([[0, 1, 0, 1], [0, 1, 1, 0]])
    result = repeated_scores(truth, answers, folds, labels=["sad", "happy"], set="target-labelled")
    assert result["accuracy"] == pytest.approx((1 + 0.75) / 2)
    assert result["labels"] == ["happy", "sad"]
    assert result["confusion_matrix"] == [[2, 0], [0.5, 1.5]]
    assert result["per_class"]["sad"]["recall"] == pytest.approx((1 + 0.5) / 2)
    assert result["f1_macro"] == pytest.approx((1 + (0.8 + 2 / 3) / 2) / 2)
    assert (result["repeats"], result["n_splits"]) == (2, 2)
    # folds' accuracies 1, 1, 1, .5: sd .25, x sqrt(1/4 + 2/2) x 3.182446 = .889523, cut to 0..1
    half = 0.25 * np.sqrt(1.25) * stats.t.ppf(0.975, 3)
    assert result["accuracy_ci95_corrected"] == pytest.approx([max(0, 0.875 - half), 1])
    assert json.loads(json.dumps(result)) == result


def test_repeated_scores_resample_clips_of_mean_correctness():
    truth = np.array(["sad"] * 6)
    answers = np.array([["sad"] * 6, ["happy"] * 3 + ["sad"] * 3])
    folds = np.array([[0, 0, 0, 1, 1, 1]] * 2)
    clips = np.array(list("aaabbb"))
    result = repeated_scores(truth, answers, folds, labels=["sad"], set="x", clips=clips)
    assert result["accuracy_ci95"] == clip_interval([0.5] * 3 + [1] * 3, clips) == [0.5, 1.0]


def test_repeated_scores_of_one_repeat_are_its_scores():
    folds = np.arange(10)[None] % 5
    one = score_set(TRUTH, ANSWER, labels=LABELS, set="x", clips=np.arange(10))
    repeated = repeated_scores(
        TRUTH, ANSWER[None], folds, labels=LABELS, set="x", clips=np.arange(10)
    )
    assert one.items() <= repeated.items()


def test_repeated_scores_refuse_folds_of_another_shape():
    with pytest.raises(DataError, match="shape"):
        repeated_scores(TRUTH, ANSWER[None], np.zeros(10), labels=LABELS, set="x")
    with pytest.raises(DataError, match="two folds"):
        repeated_scores(TRUTH, ANSWER[None], np.zeros((1, 10)), labels=LABELS, set="x")


def test_calibration_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.45, 0.55], [1.0, 0.0]])
    frame, error = calibration(
        ["sad", "happy", "happy", "sad"], probabilities, labels=["sad", "happy"], bins=10
    )
    assert frame["n"].tolist() == [1, 3]
    assert frame[["lower", "upper"]].round(1).to_numpy().tolist() == [[0.5, 0.6], [0.9, 1.0]]
    assert frame["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert error == pytest.approx((1 * 0.45 + 3 * (2.86 / 3 - 2 / 3)) / 4)
