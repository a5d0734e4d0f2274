import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q

from mien.errors import DataError
from mien.evaluation.intervals import clustered_mean, clustered_p, corrected_resampled
from mien.evaluation.paired_tests import (
    all_alike,
    compare,
    detectable_difference,
    pair,
    paired_folds,
)

LABELS = ["sad", "happy", "angry"]
FACES = st.lists(
    st.tuples(*[st.sampled_from(LABELS)] * 4, st.sampled_from("abcdefgh")), min_size=2, max_size=50
).map(lambda rows: np.array(rows).T)


def answers_with(only_a: int, only_b: int, both: int = 3, neither: int = 2):
    """Truth and two models' answers with given counts of images that only one got right."""
    truth = np.array(["sad"] * (only_a + only_b + both + neither))
    right_a = [True] * only_a + [False] * only_b + [True] * both + [False] * neither
    right_b = [False] * only_a + [True] * only_b + [True] * both + [False] * neither
    return truth, np.where(right_a, "sad", "happy"), np.where(right_b, "sad", "angry")


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    # both tails of the binomial, by hand; six one-sided disagreements are the fewest that count
    [(8, 1, 2 * (1 + 9) / 2**9), (6, 0, 2 / 2**6), (5, 0, 2 / 2**5), (4, 4, 1), (0, 0, 1),
     (2, 10, 2 * (1 + 12 + 66) / 2**12)],
)  # fmt: skip
def test_exact_mcnemar_by_hand(only_a, only_b, p):
    truth, a, b = answers_with(only_a, only_b)
    answers = {"one": a, "two": b}
    result = compare(truth, answers, np.arange(len(truth)), pairs=[("one", "two")]).iloc[0]
    assert (result["only_a"], result["only_b"]) == (only_a, only_b)
    assert result["p_mcnemar"] == pytest.approx(p)


def test_a_family_by_hand():
    truth, a, b = answers_with(8, 1)
    answers = {"one": a, "two": b, "same": a}
    pairs = [("one", "two"), ("one", "same"), ("two", "same")]
    frame = compare(truth, answers, np.arange(len(truth)), pairs=pairs)
    assert list(zip(frame["a"], frame["b"], strict=True)) == pairs
    first = frame.iloc[0]
    assert (first["n"], first["clips"]) == (14, 14)
    assert first["accuracy_a"] == pytest.approx(11 / 14)
    assert first["difference"] == pytest.approx(7 / 14)
    assert first["p_mcnemar"] == pytest.approx(0.0390625)
    # every image its own clip: Obuchowski's chi-squared, and the t interval of 1 x 8, -1, 0 x 5
    assert first["p"] == pytest.approx(stats.chi2.sf(13 / 14 * 7**2 / 9, 1))
    alone = stats.ttest_1samp([1] * 8 + [-1] + [0] * 5, 0)
    assert [first["ci_low"], first["ci_high"]] == pytest.approx(alone.confidence_interval())
    assert first["design_effect"] == pytest.approx(1)
    assert first["p_holm"] == pytest.approx(3 * first["p"])
    assert first["separated"] == (first["p_holm"] < 0.05)
    assert frame.loc[1, ["p", "p_mcnemar"]].tolist() == [1, 1]


def test_only_declared_pairs_make_the_family():
    truth, a, b = answers_with(9, 1)
    answers = {"one": a, "two": b, "three": a, "four": b}
    frame = compare(truth, answers, np.arange(len(truth)), pairs=[("four", "one")])
    assert frame["p_holm"].tolist() == frame["p"].tolist()
    assert frame.loc[0, "difference"] < 0


def test_a_clear_difference_is_separated():
    truth, a, b = answers_with(30, 2)
    pairs = [("one", "two")]
    clips = np.arange(len(truth))
    assert compare(truth, {"one": a, "two": b}, clips, pairs=pairs).loc[0, "separated"]


def test_a_difference_from_one_clip_is_not_separated():
    # McNemar takes the 20 near-copies for 20 images, the clustered test takes them for one clip
    truth, a, b = answers_with(20, 0, both=6, neither=6)
    clips = ["x"] * 20 + [f"c{number}" for number in range(12)]
    row = compare(truth, {"one": a, "two": b}, clips, pairs=[("one", "two")]).iloc[0]
    assert row["p_mcnemar"] < 0.001
    assert row["p"] > 0.05
    alone = clustered_mean([1] * 20 + [0] * 12, np.arange(32)).error
    assert row["design_effect"] == pytest.approx((row["error"] / alone) ** 2) and alone > 0
    assert row["design_effect"] > 5
    assert not row["separated"]


def test_only_images_that_both_answered_count():
    truth, a, b = answers_with(4, 1)
    a, b, truth = a.copy(), b.copy(), truth.copy()
    a[0], b[4], truth[5] = "", "", ""
    row = compare(truth, {"one": a, "two": b}, np.arange(len(truth)), pairs=[("one", "two")])
    assert row.loc[0, ["n", "only_a", "only_b"]].tolist() == [7, 3, 0]


def test_the_test_takes_the_mean_over_the_repeats_not_the_first():
    truth, a, b = answers_with(12, 0, both=4, neither=4)
    clips = np.arange(len(truth))
    repeats = np.stack([a, b, b])[None]  # the first repeat is far better than the others
    row = compare(truth, {"one": repeats, "two": b}, clips, pairs=[("one", "two")]).iloc[0]
    assert row["difference"] == pytest.approx(12 / 20 / 3)
    assert row["p"] == pytest.approx(clustered_p([1 / 3] * 12 + [0] * 8, clips))
    assert (row["only_a"], row["only_b"]) == (12, 0)


def test_another_training_that_answers_otherwise_takes_the_verdict_back():
    truth, a, b = answers_with(14, 1, both=10, neither=5)
    clips, pairs = np.arange(len(truth)), [("network", "svm")]
    one = compare(truth, {"network": a[None, None], "svm": b}, clips, pairs=pairs).iloc[0]
    assert one["separated"]
    other = np.where(np.arange(len(truth)) < 12, b, a)
    both = np.stack([a, other])[:, None]
    two = compare(truth, {"network": both, "svm": b}, clips, pairs=pairs).iloc[0]
    assert two["difference"] == pytest.approx((13 / 30 + 1 / 30) / 2)
    assert two["error"] > 1.9 * one["error"]
    assert not two["separated"]


def test_a_pair_is_seen_from_whom_one_asks():
    truth, a, b = answers_with(9, 2)
    clips, answers = np.arange(len(truth)), {"a": a, "b": b}
    pairs = compare(truth, answers, clips, pairs=[("a", "b")])
    turned = compare(truth, answers, clips, pairs=[("b", "a")]).iloc[0]
    assert pair(pairs, "a", "b") == pairs.iloc[0].to_dict()
    back = pair(pairs, "b", "a")
    assert [back[name] for name in turned.index[:2]] == ["b", "a"]
    numbers = turned.index[2:]
    assert [back[name] for name in numbers] == pytest.approx(turned[numbers].tolist())
    with pytest.raises(KeyError, match="were not compared"):
        pair(pairs, "a", "c")


def test_what_cannot_be_compared_is_refused():
    pairs = [("one", "two")]
    with pytest.raises(DataError, match="share no labelled image"):
        compare(["sad"] * 2, {"one": ["", "sad"], "two": ["sad", ""]}, ["a", "b"], pairs=pairs)
    with pytest.raises(DataError, match="2 truths but 1"):
        compare(["sad"] * 2, {"one": ["sad"], "two": ["sad"] * 2}, ["a", "b"], pairs=pairs)
    with pytest.raises(DataError, match="trainings, repeats, images"):
        compare(["sad"], {"one": [["sad"]], "two": ["sad"]}, ["a"], pairs=pairs)


@settings(deadline=None, max_examples=20)
@given(FACES, st.randoms(use_true_random=False))
def test_pairs_are_antisymmetric_and_the_order_of_the_images_changes_nothing(faces, random):
    truth, a, b, _, clips = faces
    order = list(range(len(truth)))
    random.shuffle(order)
    row = compare(truth, {"a": a, "b": b}, clips, pairs=[("a", "b")]).iloc[0]
    back = compare(
        truth[order], {"a": a[order], "b": b[order]}, clips[order], pairs=[("b", "a")]
    ).iloc[0]
    assert back["difference"] == pytest.approx(-row["difference"])
    assert [back["only_a"], back["only_b"]] == [row["only_b"], row["only_a"]]
    assert back["p"] == pytest.approx(row["p"])
    assert [back["ci_low"], back["ci_high"]] == pytest.approx([-row["ci_high"], -row["ci_low"]])
    assert row["ci_low"] - 1e-9 <= row["difference"] <= row["ci_high"] + 1e-9


def test_folds_of_two_models_are_compared_one_by_one():
    truth = np.array(["sad"] * 6)
    folds = np.array([[0, 0, 1, 1, 2, 2]] * 2)
    a = np.array([["sad"] * 6, ["sad"] * 5 + ["happy"]])[None]
    b = np.array([["happy", "sad"] * 3, ["sad"] * 6, ["sad"] * 6])[None]
    found = paired_folds(truth, a, b, folds)
    expected = corrected_resampled([0.5, 0.5, 0.5, 0, 0, -0.5], n_train=4, n_test=2)
    assert [found[key] for key in ("mean", "t", "p")] == pytest.approx(
        [expected[key] for key in ("mean", "t", "p")]
    )


def test_what_could_have_been_seen_is_near_the_normal_approximation():
    # (z of the level + z of the power) x error; t with 47 degrees of freedom asks a little more
    for alpha in (0.05, 0.05 / 6):
        for power in (0.5, 0.8):
            normal = stats.norm.ppf([1 - alpha / 2, power]).sum() * 0.06
            found = detectable_difference(0.06, 48, power=power, alpha=alpha)
            assert normal < found < 1.07 * normal


def test_a_difference_of_that_size_is_found_that_often():
    random = np.random.default_rng(0)
    size = detectable_difference(1 / np.sqrt(48), 48)
    draws = random.normal(size, 1, (4000, 48))
    found = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.02)


def test_with_so_few_clips_nothing_could_have_been_seen():
    assert detectable_difference(0.2, 3, alpha=0.05 / 6) is None
    assert detectable_difference(0.0, 48) is None
    assert detectable_difference(float("nan"), 1) is None


def test_holm_decides_what_is_separated():
    # p = .03 alone, .09 of three
    truth, a, b = answers_with(9, 2)
    answers, clips = {"one": a, "two": b, "same": a}, np.arange(len(truth))
    alone = compare(truth, answers, clips, pairs=[("one", "two")])
    family = [("one", "two"), ("one", "same"), ("same", "one")]
    together = compare(truth, answers, clips, pairs=family)
    assert alone.loc[0, "p"] == together.loc[0, "p"] < 0.05 < together.loc[0, "p_holm"]
    assert alone.loc[0, "separated"] and not together.loc[0, "separated"]
    # the smallest p times 3, the next times 2
    answers["third"] = np.where(np.arange(len(truth)) < 8, b, a)
    three = compare(truth, answers, clips, pairs=[("one", "third"), ("one", "two"), family[1]])
    assert three["p_holm"].tolist() == pytest.approx((three["p"] * [3, 2, 1]).tolist())
    assert compare(truth, answers, clips, pairs=[])["p_holm"].empty


def test_all_models_at_once_are_tested_by_cochrans_q_over_clips():
    # Three models on 24 images: right on 20, 14 and 12 of them.
    right = np.array([[number % 6 < 5, number % 12 < 7, number % 2 == 0] for number in range(24)])
    truth = np.full(24, "sad")
    given = {name: np.where(row, "sad", "happy") for name, row in zip("abc", right.T, strict=True)}
    alone = all_alike(truth, given, np.arange(24).astype(str))
    assert (alone["models"], alone["clips"]) == (3, 24)
    assert alone["p"] == pytest.approx(cochrans_q(right).pvalue, abs=0.015)
    # Frames that repeat their clip tell nothing new: p is that of one frame a clip.
    often = {name: np.repeat(row, 3) for name, row in given.items()}
    clips = np.repeat(np.arange(24), 3).astype(str)
    assert all_alike(np.repeat(truth, 3), often, clips)["p"] == alone["p"]
    assert all_alike(np.repeat(truth, 3), often, np.arange(72))["p"] < alone["p"] / 3
    assert all_alike(truth, {"a": given["a"], "b": given["a"]}, clips[:24])["p"] == 1
    # Repeats and trainings of a model count as one model that is as often right as they are.
    repeated = given | {"a": np.tile(given["a"], (2, 3, 1))}
    assert all_alike(truth, repeated, np.arange(24).astype(str)) == alone
