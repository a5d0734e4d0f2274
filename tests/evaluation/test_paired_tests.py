from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mien.errors import DataError, ParameterError
from mien.evaluation.paired_tests import (
    cochrans_q,
    detectable_difference,
    difference_interval,
    holm,
    mcnemar_exact,
    mcnemar_power,
    pair,
    pairwise,
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
    result = mcnemar_exact(*answers_with(only_a, only_b))
    assert (result["only_a"], result["only_b"]) == (only_a, only_b)
    assert result["p"] == pytest.approx(p)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1, and never under the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).size == 0


def test_pairwise_by_hand():
    truth, a, b = answers_with(8, 1)
    frame = pairwise(truth, {"one": a, "two": b, "same": a}, np.arange(len(truth)))
    assert frame["a"].tolist() == ["one", "one", "two"]
    assert frame["b"].tolist() == ["two", "same", "same"]
    first = frame.iloc[0]
    assert first["n"] == 14
    assert first["accuracy_a"] == pytest.approx(11 / 14)
    assert first["difference"] == pytest.approx(7 / 14)
    assert first["p_mcnemar"] == pytest.approx(0.0390625)
    assert first["p_holm"] == pytest.approx(3 * 0.0390625)
    assert first["ci_low"] > 0
    assert not first["separated"]
    assert frame.loc[1, "p_mcnemar"] == 1


def test_a_clear_difference_is_separated():
    truth, a, b = answers_with(30, 2)
    assert pairwise(truth, {"one": a, "two": b}, np.arange(len(truth))).loc[0, "separated"]


def test_a_difference_from_one_clip_is_not_separated():
    # McNemar takes the 20 near-copies for 20 images, the interval takes them for one clip
    truth, a, b = answers_with(20, 0, both=6, neither=6)
    clips = ["x"] * 20 + [f"c{number}" for number in range(12)]
    row = pairwise(truth, {"one": a, "two": b}, clips).iloc[0]
    assert row["p_holm"] < 0.001
    assert row["ci_low"] == 0
    assert not row["separated"]


def test_only_images_that_both_answered_count():
    truth, a, b = answers_with(4, 1)
    a, b, truth = a.copy(), b.copy(), truth.copy()
    a[0], b[4], truth[5] = "", "", ""
    row = pairwise(truth, {"one": a, "two": b}, np.arange(len(truth))).iloc[0]
    assert (row["n"], row["only_a"], row["only_b"]) == (7, 3, 0)


def test_repeats_are_averaged_and_the_first_is_tested():
    truth, a, b = answers_with(4, 0, both=0, neither=0)
    row = pairwise(truth, {"one": np.stack([a, b]), "two": b}, np.arange(4)).iloc[0]
    assert row["accuracy_a"] == 0.5
    assert row["difference"] == 0.5
    assert (row["only_a"], row["only_b"]) == (4, 0)


def test_pairwise_refuses_what_cannot_be_compared():
    with pytest.raises(DataError, match="share no labelled image"):
        pairwise(["sad", "sad"], {"one": ["", "sad"], "two": ["sad", ""]}, ["a", "b"])
    with pytest.raises(DataError, match="2 truths but 1"):
        pairwise(["sad", "sad"], {"one": ["sad"], "two": ["sad", "sad"]}, ["a", "b"])


@settings(deadline=None, max_examples=12)
@given(FACES)
def test_pairs_are_antisymmetric(faces):
    truth, a, b, _, clips = faces
    row = pairwise(truth, {"a": a, "b": b}, clips, resamples=200).iloc[0]
    back = pairwise(truth, {"b": b, "a": a}, clips, resamples=200).iloc[0]
    assert back["difference"] == pytest.approx(-row["difference"])
    assert [back["only_a"], back["only_b"]] == [row["only_b"], row["only_a"]]
    assert back["p_mcnemar"] == pytest.approx(row["p_mcnemar"])
    assert row["ci_low"] <= row["difference"] <= row["ci_high"]


@settings(deadline=None, max_examples=8)
@given(FACES, st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(faces, random):
    order = list(range(faces.shape[1]))
    random.shuffle(order)
    first, again = (
        pairwise(truth, {"a": a, "b": b, "c": c}, clips, resamples=200)
        for truth, a, b, c, clips in (faces, faces[:, order])
    )
    for column in ("difference", "ci_low", "ci_high", "p_holm"):
        assert again[column].to_numpy() == pytest.approx(first[column].to_numpy())


def test_models_that_never_disagree_get_an_interval_with_width():
    # Agresti and Min: half an observation in each cell; 0 +- 1.959964 x sqrt(1) / 12
    interval = difference_interval(np.zeros(30), np.repeat(np.arange(10), 3))
    assert interval == pytest.approx([-0.163330, 0.163330], abs=1e-6)


def test_difference_interval_agrees_with_scipys_bootstrap():
    random = np.random.default_rng(0)
    difference = random.choice([-1, 0, 1], 60, p=[0.1, 0.6, 0.3])
    theirs = stats.bootstrap(
        (difference,), np.mean, method="percentile", n_resamples=9999, rng=1
    ).confidence_interval
    ours = difference_interval(difference, np.arange(60), resamples=9999)
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.02)


def right_or_wrong(patterns: dict[str, int]) -> dict[str, list[str]]:
    """Answers of models a, b, … from patterns such as ``{"110": 4}`` (1 is right)."""
    rows = [pattern for pattern, times in patterns.items() for _ in range(times)]
    return {
        name: ["sad" if row[place] == "1" else "happy" for row in rows]
        for place, name in enumerate("abcd"[: len(rows[0])])
    }


@pytest.mark.parametrize(
    ("patterns", "q", "p"),
    [
        # Cochran 1950, Biometrika 37:256: 69 specimens on four media, column totals 6 10 7 10
        ({"1111": 4, "1101": 2, "0111": 3, "0101": 1, "0000": 59}, 153 / 19, 0.045),
        # Conover, Practical Nonparametric Statistics: twelve games, three forecasters 8 10 7
        ({"111": 6, "010": 2, "110": 2, "000": 1, "001": 1}, 2.8, 0.2466),
    ],
)
def test_cochrans_q_matches_worked_examples(patterns, q, p):
    answers = right_or_wrong(patterns)
    result = cochrans_q(["sad"] * sum(patterns.values()), answers)
    assert result["q"] == pytest.approx(q)
    assert result["p"] == pytest.approx(p, abs=5e-4)
    assert result["df"] == len(answers) - 1


def test_cochrans_q_of_two_models_is_mcnemars_statistic():
    truth, a, b = answers_with(9, 2)
    assert cochrans_q(truth, {"a": a, "b": b})["q"] == pytest.approx((9 - 2) ** 2 / (9 + 2))


def test_cochrans_q_takes_the_first_of_several_repeats():
    truth, a, b = answers_with(9, 2)
    repeated = {"a": np.stack([a, b]), "b": np.stack([b, a])}
    assert cochrans_q(truth, repeated) == cochrans_q(truth, {"a": a, "b": b})


def test_a_pair_is_seen_from_whom_one_asks():
    truth, a, b = answers_with(9, 2)
    pairs = pairwise(truth, {"a": a, "b": b}, np.arange(len(truth)), resamples=100)
    turned = pairwise(truth, {"b": b, "a": a}, np.arange(len(truth)), resamples=100).iloc[0]
    seen, back = pair(pairs, "a", "b"), pair(pairs, "b", "a")
    assert seen == pairs.iloc[0].to_dict()
    drawn = ["ci_low", "ci_high"]  # from other draws
    assert [back[name] for name in turned.index.drop(drawn)] == turned.drop(drawn).tolist()
    assert [back[name] for name in drawn] == [-seen["ci_high"], -seen["ci_low"]]
    with pytest.raises(KeyError, match="were not compared"):
        pair(pairs, "a", "c")


def test_cochrans_q_without_variation_is_undefined():
    result = cochrans_q(["sad"] * 3, {"a": ["sad"] * 3, "b": ["sad"] * 3})
    assert (result["q"], result["p"], result["n"], result["varied"]) == (None, None, 3, 0)


def test_cochrans_q_leaves_out_what_someone_did_not_answer():
    result = cochrans_q(
        ["sad", "sad", "", "sad"], {"a": ["sad", "", "sad", "sad"], "b": ["happy"] * 4}
    )
    assert (result["n"], result["varied"]) == (2, 2)
    with pytest.raises(DataError, match="every model"):
        cochrans_q(["sad"], {"a": [""], "b": ["sad"]})
    with pytest.raises(DataError, match="two models"):
        cochrans_q(["sad"], {"a": ["sad"]})


@pytest.mark.parametrize(("only_a", "only_b"), [(0.5, 0.1), (0.3, 0.3), (0.7, 0.0)])
def test_power_by_going_through_every_outcome(only_a, only_b):
    n, power = 9, 0.0
    for a, b in product(range(n + 1), repeat=2):
        tail = sum(comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b)
        if a + b <= n and 2 * tail <= 0.05 and a != b:
            ways = comb(n, a) * comb(n - a, b)
            power += ways * only_a**a * only_b**b * (1 - only_a - only_b) ** (n - a - b)
    assert mcnemar_power(n, only_a=only_a, only_b=only_b) == pytest.approx(power)


def test_power_is_near_connors_formula():
    # Connor (1987, Biometrics 43:207): n = (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2
    psi, difference = 0.4, 0.15
    z_a, z_b = stats.norm.ppf([0.975, 0.8])
    n = round((z_a * psi**0.5 + z_b * (psi - difference**2) ** 0.5) ** 2 / difference**2)
    assert n == 137
    power = mcnemar_power(n, only_a=0.275, only_b=0.125)
    assert 0.75 < power < 0.81
    assert detectable_difference(n, psi) == pytest.approx(difference, abs=0.01)


def test_chance_is_found_no_more_often_than_the_level():
    for n in (5, 20, 86):
        assert mcnemar_power(n, only_a=0.2, only_b=0.2) <= 0.05


def test_more_images_show_smaller_differences():
    found = [detectable_difference(n, 0.3) for n in (40, 86, 300)]
    assert found == sorted(found, reverse=True)
    assert mcnemar_power(86, only_a=(0.3 + found[1]) / 2, only_b=(0.3 - found[1]) / 2) > 0.799


def test_twelve_images_show_nothing():
    assert detectable_difference(12, 0.4) is None
    assert detectable_difference(86, 0.0) is None


def test_impossible_studies_are_refused():
    for study in ({"only_a": -0.1, "only_b": 0.2}, {"only_a": 0.7, "only_b": 0.7}):
        with pytest.raises(ParameterError):
            mcnemar_power(10, **study)
