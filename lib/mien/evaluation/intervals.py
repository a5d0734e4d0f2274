"""How sure a mean is: intervals over clips of near-copies, trainings of a network, folds.

The clip is what was drawn from the person's life, and not the frame; a network that is trained
again reads the same faces differently. `clustered_mean` takes both at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from mien.errors import DataError

_LEVEL = 0.95
#: The shares of a distribution under the two ends of its middle 95 %.
TAILS = ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)


@dataclass(frozen=True)
class Mean:
    """A mean over faces, and how sure it is.

    ``error`` is its standard error (0 where every clip and every training agree, NaN for a single
    clip), ``df`` the error's degrees of freedom.
    """

    value: float
    error: float
    df: float
    clips: int

    @property
    def varies(self) -> bool:
        """Whether anything varies from which the error could be known."""
        return bool(self.error > 1e-9)

    def half_width(self) -> float:
        """Return half the width of the 95 % interval on the mean's own scale."""
        return float(stats.t.ppf(TAILS[1], self.df) * self.error)


def clustered_mean(values: np.ndarray, clips: Sequence[str]) -> Mean:
    """Return the mean of values (n,) or (trainings, n) of faces that come from ``clips`` (n,).

    The error over clips is the jackknife's, each clip left out in turn, which is not fooled by one
    large clip (MacKinnon, Nielsen and Webb 2023, Journal of Applied Econometrics 38:671). Several
    trainings, which read the same faces, are crossed with them as readers and cases are in
    radiology (Obuchowski and Rockette 1995, Communications in Statistics - Simulation 24:285): the
    variance of the trainings' means, divided by their number, and the mean covariance of two
    trainings over the clips, with Satterthwaite's degrees of freedom (1946, Biometrics Bulletin
    2:110). ``benchmarks/interval_coverage.py`` simulates what this covers.
    """
    sums, sizes = per_clip(np.atleast_2d(values), clips)
    means, count = sums.sum(axis=1) / sizes.sum(), len(sizes)
    if count < 2:
        return Mean(float(means.mean()), float("nan"), 0, count)
    left_out = (sums.sum(axis=1, keepdims=True) - sums) / (sizes.sum() - sizes)
    away = left_out - means[:, None]
    return _crossed(means, (count - 1) / count * away @ away.T, count)


def mean_of_rates(rates: Sequence[float], n: int) -> Mean:
    """Return the mean of several trainings' accuracies on n images, known by these rates alone.

    As `clustered_mean`; the images, taken as independent, add what they can at most.
    """
    rates = np.asarray(rates, dtype=float)
    return _crossed(rates, np.full((len(rates),) * 2, (rates * (1 - rates)).mean() / n), n)


def _crossed(means: np.ndarray, covariance: np.ndarray, count: int) -> Mean:
    apart, shared = _parts(means, covariance)
    scale = apart**2 / max(len(means) - 1, 1) + shared**2 / (count - 1)
    df = (apart + shared) ** 2 / scale if scale > 0 else count - 1
    return Mean(float(means.mean()), float(np.sqrt(apart + shared)), float(df), count)


def clustered_p(differences: np.ndarray, clips: Sequence[str]) -> float:
    """Return the p value, two-sided, of a mean paired difference of 0 over clips and trainings.

    ``differences`` (n,) or (trainings, n) are the correctness of one model minus that of the other,
    in -1..1. For one training Obuchowski's test of correlated proportions in clusters (1998,
    Statistics in Medicine 17:1495), in the form (K - 1) / K (sum d)^2 / sum d^2 that Yang, Sun and
    Hardin gave it (2010, Biometrical Journal 52:638), d being the sum of a clip's differences. With
    several, their own variance is added as in `clustered_mean`, and Student's t has the degrees of
    freedom of Hillis (2007, Statistics in Medicine 26:596).
    """
    sums, sizes = per_clip(np.atleast_2d(differences), clips)
    means, count = sums.sum(axis=1) / sizes.sum(), len(sizes)
    if count < 2:
        return 1.0
    covariance = count / (count - 1) * sums @ sums.T / sizes.sum() ** 2
    apart, shared = _parts(means, covariance)
    if apart + shared < 1e-18:
        return 1.0
    t = abs(means.mean()) / np.sqrt(apart + shared)
    df = (apart + shared) ** 2 * (len(means) - 1) / apart**2 if apart > 0 else np.inf
    return float(2 * stats.t.sf(t, df))


def _parts(means: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Variance of the mean over trainings: by their differences, and by what they share."""
    trainings = len(means)
    if trainings == 1:
        return 0.0, float(covariance[0, 0])
    between = covariance[~np.eye(trainings, dtype=bool)]
    return float(means.var(ddof=1) / trainings), max(float(between.mean()), 0.0)


def accuracy_interval(mean: Mean) -> list[float]:
    """Return the 95 % interval [lo, hi] of an accuracy over clips, and trainings where several.

    Student's t on the log odds, as surveys do for proportions (Korn and Graubard 1999, "Analysis
    of Health Surveys", section 2.8): it stays between 0 and 1 and does not fall short near them, as
    the bootstrap does. Where every clip is equally right, Wilson's with the clips as n stands in.
    """
    slope = mean.value * (1 - mean.value)
    if not mean.varies or slope < 1e-9:
        return wilson_interval(mean.value * mean.clips, mean.clips)
    half = mean.half_width() / slope
    return [float(bound) for bound in expit(logit(mean.value) + np.array([-half, half]))]


def difference_interval(mean: Mean) -> list[float]:
    """Return the 95 % interval [lo, hi] of a mean paired difference of correctness, in -1..1.

    Student's t. Where every clip differs alike (two models that never disagree), Agresti and Min's
    interval for matched pairs (2005, Statistics in Medicine 24:729: half an observation added to
    each cell) stands in, with the clips as n.
    """
    if mean.varies:
        half = mean.half_width()
        return [max(mean.value - half, -1.0), min(mean.value + half, 1.0)]
    only_a = max(mean.value, 0) * mean.clips + 0.5
    only_b = max(-mean.value, 0) * mean.clips + 0.5
    middle, n = (only_a - only_b) / (mean.clips + 2), mean.clips + 2
    spread = np.sqrt((only_a + only_b) - (only_a - only_b) ** 2 / n) / n
    half = stats.norm.ppf(TAILS[1]) * spread
    return [float(max(middle - half, -1)), float(min(middle + half, 1))]


def wilson_interval(right: float, n: float) -> list[float]:
    """Return Wilson's 95 % interval [lo, hi] for ``right`` of ``n`` (Wilson 1927, JASA 22:209)."""
    low, high = proportion_confint(right, n, alpha=1 - _LEVEL, method="wilson")
    return [float(low), float(high)]


def corrected_resampled(values: Sequence[float], *, n_train: float, n_test: float) -> dict:
    """Mean of cross-validated values, with Nadeau and Bengio's interval and t test against 0.

    Training sets of different folds overlap, so the folds' ``values`` (J,) depend on each other.
    Nadeau and Bengio (2003, "Inference for the Generalization Error", Machine Learning 52, pp.
    239-281, section 5) take sd x sqrt(1/J + n_test/n_train), of the sizes of a training and of a
    test fold, with J - 1 degrees of freedom; Bouckaert and Frank (2004, PAKDD, pp. 3-12) carry it
    to repeated k-fold cross-validation.

    Returns ``mean``, ``standard_error``, ``ci95`` (lo, hi), ``t`` and two-sided ``p`` of mean = 0
    (``None`` where all values are equal).
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        raise DataError(f"an interval needs at least two folds, but there is {len(values)}")
    mean = values.mean()
    error = values.std(ddof=1) * np.sqrt(1 / len(values) + n_test / n_train)
    half = stats.t.ppf(TAILS[1], len(values) - 1) * error
    t = float(mean / error) if error > 0 else None
    return {
        "mean": float(mean),
        "standard_error": float(error),
        "ci95": [float(mean - half), float(mean + half)],
        "t": t,
        "p": None if t is None else float(2 * stats.t.sf(abs(t), len(values) - 1)),
    }


def per_clip(values: np.ndarray, clips: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums (..., clips) of ``values`` (..., n) in every sorted clip, and their sizes."""
    values, clips = np.asarray(values, dtype=float), np.asarray(clips).astype(str)
    if values.shape[-1:] != clips.shape:
        raise DataError(f"there are {values.shape[-1]} answers but clips of {len(clips)} images")
    _, where, sizes = np.unique(clips, return_inverse=True, return_counts=True)
    sums = np.apply_along_axis(lambda row: np.bincount(where, weights=row), -1, values)
    return np.round(sums, 12), sizes  # else the order of the images would show in the last bit


def resampled_sums(rows: np.ndarray, *, seed: int = 0, resamples: int = 2000) -> np.ndarray:
    """Return sums, float64 (resamples, m), of as many rows (n, m), drawn with replacement."""
    distinct, times = np.unique(rows, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(rows), times / len(rows), size=resamples)
    return draws @ distinct
