import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation.intervals import accuracy_interval, clustered_mean
from mien.evaluation.scores import fold_means, private_scores, score_set

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


def test_private_images_that_training_holds_too_are_left_out_of_the_score_that_counts():
    copied = np.array([True] * 4 + [False] * 6)
    deduplicated, whole = private_scores(TRUTH, ANSWER, copied=copied)
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


def test_independent_images_get_wilsons_interval():
    result = score_set(TRUTH, ANSWER, labels=LABELS, set="PrivateTest")
    interval = stats.binomtest(7, 10).proportion_ci(method="wilson")
    assert result["accuracy_ci95"] == pytest.approx([interval.low, interval.high])
    assert result["accuracy_ci95_method"] == "Wilson"


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


def test_repeated_scores_by_hand():
    truth = np.array(["sad", "sad", "happy", "happy"])
    answers = np.array([truth, ["sad", "happy", "happy", "happy"]])
    folds = np.array([[0, 1, 0, 1], [0, 1, 1, 0]])
    result = score_set(truth, answers, folds=folds, labels=["sad", "happy"], set="target-labelled")
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


def test_repeated_scores_count_clips_of_mean_correctness():
    truth = np.array(["sad"] * 6)
    answers = np.array([["sad"] * 6, ["happy"] * 3 + ["sad"] * 3])
    folds = np.array([[0, 0, 0, 1, 1, 1]] * 2)
    clips = np.array(list("aaabbb"))
    result = score_set(truth, answers, folds=folds, labels=["sad"], set="x", clips=clips)
    assert result["accuracy_ci95"] == accuracy_interval(clustered_mean([0.5] * 3 + [1] * 3, clips))
    assert result["accuracy_ci95_method"] == "t over clips"


def test_repeated_scores_of_one_repeat_are_its_scores():
    folds = np.arange(10)[None] % 5
    one = score_set(TRUTH, ANSWER, labels=LABELS, set="x", clips=np.arange(10))
    repeated = score_set(
        TRUTH, ANSWER[None], folds=folds, labels=LABELS, set="x", clips=np.arange(10)
    )
    assert one.items() <= repeated.items()


def test_repeated_scores_refuse_folds_of_another_shape():
    with pytest.raises(DataError, match="shape"):
        score_set(TRUTH, ANSWER[None], folds=np.zeros(10), labels=LABELS, set="x")
    with pytest.raises(DataError, match="two folds"):
        score_set(TRUTH, ANSWER[None], folds=np.zeros((1, 10)), labels=LABELS, set="x")
    with pytest.raises(DataError, match="each repeat needs at least two folds"):
        score_set(TRUTH, [ANSWER] * 2, folds=np.zeros((2, 10)), labels=LABELS, set="x")


def test_trainings_are_averaged_and_told_apart():
    truth = np.array(["sad"] * 4 + ["happy"] * 4)
    wrong = np.where(truth == "sad", "happy", "sad")
    one, other = truth.copy(), np.where(np.arange(8) % 2, truth, wrong)
    clips = np.repeat(np.arange(4), 2)
    result = score_set(truth, np.stack([one, other]), labels=LABELS, set="x", clips=clips)
    assert (result["accuracy"], result["trainings"]) == (0.75, 2)
    assert result["accuracy_by_training"] == [1.0, 0.5]
    assert result["accuracy_sd"] == pytest.approx(np.sqrt(0.125))
    assert result["accuracy_ci95_method"] == "t over clips and trainings"
    expected = accuracy_interval(clustered_mean(np.stack([one == truth, other == truth]), clips))
    assert result["accuracy_ci95"] == expected
    assert json.loads(json.dumps(result)) == result
    low, high = result["f1_macro_ci95"]
    assert low <= 0.5 and high >= 0.99  # the trainings' part alone reaches so far


def test_a_single_training_says_so_and_no_network_has_none():
    one = score_set(TRUTH, ANSWER[None], labels=LABELS, set="PrivateTest")
    assert one["trainings"] == 1 and "accuracy_sd" not in one
    assert one["accuracy_ci95_method"] == "Wilson"
    assert "trainings" not in score_set(TRUTH, ANSWER, labels=LABELS, set="PrivateTest")


def test_trainings_of_repeats_are_averaged_over_both():
    truth = np.array(["sad"] * 6)
    answers = np.array([[["sad"] * 6, ["sad"] * 3 + ["happy"] * 3], [["happy"] * 6] * 2])
    folds = np.array([[0, 0, 0, 1, 1, 1]] * 2)
    result = score_set(truth, answers, folds=folds, labels=["sad"], set="x", clips=list("aabbcc"))
    assert (result["accuracy"], result["repeats"], result["trainings"]) == (0.375, 2, 2)
    assert result["accuracy_by_training"] == [0.75, 0.0]
    correct = (answers == truth).mean(axis=1)
    assert result["accuracy_ci95"] == accuracy_interval(clustered_mean(correct, list("aabbcc")))
    assert clustered_mean(correct, list("aabbcc")).df < 2


def test_log_loss_is_of_the_true_emotions():
    of_truth = np.array([0.5, 0.25, 1.0, 0.0])
    result = score_set(["sad"] * 4, ["sad"] * 4, labels=["sad"], set="x", of_truth=of_truth)
    assert result["log_loss"] == pytest.approx((np.log(2) + np.log(4) + np.log(1e7)) / 4)


def test_fold_means_by_hand():
    means, sizes = fold_means(np.array([[1, 0, 0.5]]), np.array([[0, 0, 1]]))
    assert means.tolist() == [0.5, 0.5] and sizes.tolist() == [2, 1]
