import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from mien.errors import DataError
from mien.evaluation.intervals import (
    accuracy_interval,
    clustered_mean,
    clustered_p,
    corrected_resampled,
    difference_interval,
    mean_of_rates,
    per_clip,
    wilson_interval,
)


def drawn(trainings: int = 1, *, n: int = 120, clips: int = 40, seed: int = 3):
    """Correctness of faces whose clips differ in how hard they are, and the clips."""
    random = np.random.default_rng(seed)
    clip = random.integers(0, clips, n)
    return (random.random((trainings, n)) < 0.4 + 0.5 * (clip % 2)).astype(float), clip


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


def test_the_error_over_clips_is_the_jackknifes():
    (correct,), clips = drawn()
    names = np.unique(clips)
    left_out = np.array([correct[clips != name].mean() for name in names])
    variance = (len(names) - 1) / len(names) * ((left_out - correct.mean()) ** 2).sum()
    found = clustered_mean(correct, clips)
    assert found.error == pytest.approx(np.sqrt(variance))
    assert found.df == len(names) - 1


def test_one_training_is_near_statsmodels_cluster_robust_intervals():
    (correct,), clips = drawn(n=400, clips=150)
    robust = {"cov_type": "cluster", "cov_kwds": {"groups": clips}, "use_t": True}
    line = sm.OLS(correct, np.ones(len(clips))).fit(**robust)
    mean = clustered_mean(correct, clips)
    assert mean.error == pytest.approx(line.bse[0], rel=0.01)
    assert difference_interval(mean) == pytest.approx(line.conf_int()[0].tolist(), abs=0.001)
    odds = sm.GLM(correct, np.ones(len(clips)), family=sm.families.Binomial()).fit(**robust)
    logit = expit(odds.conf_int()[0]).tolist()
    assert accuracy_interval(clustered_mean(correct, clips)) == pytest.approx(logit, abs=0.001)


def test_one_large_clip_does_not_make_a_difference_sure():
    difference, clips = [1] * 20 + [0] * 12, ["x"] * 20 + [f"c{number}" for number in range(12)]
    low, high = difference_interval(clustered_mean(difference, clips))
    assert low < 0 < high
    assert clustered_p(difference, clips) > 0.3


def test_obuchowskis_published_example():
    # Obuchowski 1998 (Statistics in Medicine 17:1495): PET and SPECT on the glands of 21 patients,
    # as the R package clust.bin.pair has them with its answer: chi-squared 2.8571, p = .09097.
    # Glands that both or neither, only PET, only SPECT read right:
    alike = [1, 2, 3, 1, 2, 4, 3, 2, 1, 1, 3, 2, 3, 2, 0, 3, 3, 2, 2, 1, 2]
    pet = [0] * 8 + [1] + [0] * 12
    spect = [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0]
    counts = list(zip(alike, pet, spect, strict=True))
    difference = np.concatenate([[0] * a + [1] * p + [-1] * s for a, p, s in counts])
    patients = np.repeat(np.arange(21), [sum(row) for row in counts])
    assert clustered_p(difference, patients) == pytest.approx(0.09097, abs=5e-6)


def test_images_that_are_their_own_clips_get_mcnemars_test():
    # (21 - 1) / 21 x 6^2 / 12: McNemar's chi-squared without correction, but for the factor
    p = clustered_p([1] * 9 + [-1] * 3 + [0] * 9, np.arange(21))
    assert p == pytest.approx(stats.chi2.sf(20 / 21 * (9 - 3) ** 2 / 12, 1))


def test_trainings_and_clips_by_hand():
    # leaving out face c of [1, 0, 1]: means 1/2, 1, 1/2, from 2/3: -1/6, 1/3, -1/6
    found = clustered_mean([[1, 0, 1], [1, 0, 1], [1, 0, 0]], list("abc"))
    apart = np.var([2 / 3, 2 / 3, 1 / 3], ddof=1) / 3
    away = np.array([[-1, 2, -1], [-1, 2, -1], [-2, 1, 1]]) / 6
    covariance = away @ away.T * 2 / 3
    shared = (covariance[0, 1] + 2 * covariance[0, 2]) / 3
    assert found.error == pytest.approx(np.sqrt(apart + shared))
    assert found.df == pytest.approx((apart + shared) ** 2 / (apart**2 / 2 + shared**2 / 2))
    # the p value: covariances without centring are 2, 1 and 1, times 3/2 / 9
    variance = apart + 3 / 2 / 9 * (2 + 1 + 1) / 3
    t, df = 5 / 9 / np.sqrt(variance), variance**2 * 2 / apart**2
    expected = 2 * stats.t.sf(t, df)
    assert clustered_p([[1, 0, 1], [1, 0, 1], [1, 0, 0]], list("abc")) == pytest.approx(expected)


def test_trainings_that_differ_widen_the_interval():
    (correct,), clips = drawn()
    same = accuracy_interval(clustered_mean(np.stack([correct, correct, correct]), clips))
    assert same == pytest.approx(accuracy_interval(clustered_mean(correct, clips)))
    worse = correct.copy()
    worse[np.flatnonzero(correct)[:12]] = 0
    low, high = accuracy_interval(clustered_mean(np.stack([correct, correct, worse]), clips))
    alone = accuracy_interval(clustered_mean(correct, clips))
    assert high - low > 1.1 * (alone[1] - alone[0])


def test_rates_alone_bound_what_the_images_would_say():
    random = np.random.default_rng(1)
    hard = random.random(500)
    correct = (hard < np.array([0.7, 0.75, 0.72])[:, None]).astype(float)
    exact = clustered_mean(correct, np.arange(500))
    bound = mean_of_rates(correct.mean(axis=1), 500)
    assert bound.value == exact.value
    assert exact.error < bound.error < 1.05 * exact.error
    # by hand: rates .6 and .8 of 100 images
    by_hand = mean_of_rates([0.6, 0.8], 100)
    assert by_hand.error == pytest.approx(np.sqrt(0.02 / 2 + (0.24 + 0.16) / 2 / 100))


def test_copies_within_a_clip_do_not_narrow_the_interval():
    correct = np.array([1, 0] * 20)
    once = accuracy_interval(clustered_mean(correct, np.arange(40)))
    copied = accuracy_interval(clustered_mean(np.repeat(correct, 5), np.repeat(np.arange(40), 5)))
    assert copied == pytest.approx(once)
    assert once == pytest.approx([0.345, 0.655], abs=0.01)
    assert clustered_p(np.repeat(correct, 5), np.repeat(np.arange(40), 5)) == pytest.approx(
        clustered_p(correct, np.arange(40))
    )


@pytest.mark.parametrize("clips", [["a"] * 8, list("aabbccdd")])
def test_always_right_is_not_certainly_right(clips):
    n = len(set(clips))
    assert accuracy_interval(clustered_mean([1] * 8, clips)) == pytest.approx(wilson_interval(n, n))


def test_a_difference_that_never_varies_has_an_interval_with_width():
    # Agresti and Min: half an observation in each cell; 0 +- 1.959964 x sqrt(1) / 12
    none = clustered_mean(np.zeros(30), np.repeat(np.arange(10), 3))
    assert difference_interval(none) == pytest.approx([-0.163330, 0.163330], abs=1e-6)
    assert clustered_p(np.zeros(30), np.repeat(np.arange(10), 3)) == 1
    assert difference_interval(clustered_mean(np.ones(6), list("aabbcc")))[0] < 1
    assert clustered_p(np.ones(6), list("aabbcc")) > 0.05
    assert clustered_p(np.ones(6), ["a"] * 6) == 1


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcdef")), min_size=2),
    st.randoms(use_true_random=False),
)
def test_a_mean_lies_inside_its_interval_in_any_order(rows, random):
    first, second, clips = map(np.array, zip(*rows, strict=True))
    order = list(range(len(clips)))
    random.shuffle(order)
    for correct in (first[None], np.stack([first, second])):
        low, high = accuracy_interval(clustered_mean(correct, clips))
        assert 0 <= low <= correct.mean() + 1e-9 and correct.mean() - 1e-9 <= high <= 1
        assert accuracy_interval(clustered_mean(correct[:, order], clips[order])) == [low, high]


def test_values_and_clips_must_fit():
    with pytest.raises(DataError, match="3 answers but clips of 2"):
        per_clip([1, 0, 1], ["a", "b"])


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
