"""Comparing models that answered the same images.

The exact McNemar test asks whether one model is right more often than another; the interval of
the difference comes from whole clips drawn anew, because frames of a clip are near-copies.
McNemar's test counts images as independent, so a difference is only called one where the test
and the interval agree (`separated` of `pairwise`).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import optimize, stats
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests

from mien.errors import DataError, ParameterError
from mien.evaluation.scores import per_clip, resampled_sums

_PAIR_COLUMNS = (
    *("a", "b", "n", "accuracy_a", "accuracy_b", "difference", "ci_low", "ci_high"),
    *("only_a", "only_b", "p_mcnemar"),
)


def mcnemar_exact(truth: Sequence[str], a: Sequence[str], b: Sequence[str]) -> dict:
    """Test whether two models are equally often right on the same images.

    Parameters
    ----------
    truth, a, b : array-like of str, shape (n,)
        Emotion names: the truth and the two models' answers.

    Returns
    -------
    dict
        ``only_a`` and ``only_b``, the images that only one of the two got right, and ``p``, the
        two-sided exact p value of McNemar's test (McNemar 1947, Psychometrika 12:153; the
        binomial distribution of the smaller count, from statsmodels). 1 without disagreement.

    Examples
    --------
    >>> truth = ["sad"] * 9
    >>> result = mcnemar_exact(truth, ["sad"] * 8 + ["happy"], ["happy"] * 8 + ["sad"])
    >>> result["only_a"], result["only_b"], round(result["p"], 4)
    (8, 1, 0.0391)
    """
    right_a, right_b = _right(truth, a), _right(truth, b)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    test = contingency_tables.mcnemar([[0, only_a], [only_b, 0]], exact=True)
    return {"only_a": only_a, "only_b": only_b, "p": float(test.pvalue)}


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p values for their number (Holm 1979, Scand. J. Statistics 6:65; statsmodels).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    if len(p_values) == 0:
        return np.array([])
    return multipletests(p_values, method="holm")[1]


def pairwise(
    truth: Sequence[str],
    predictions: Mapping[str, Sequence[str]],
    clips: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Compare every two models on the images that both answered.

    Parameters
    ----------
    truth : array-like of str, shape (n,)
        Emotion names; an image whose truth is empty (raters who tie) is left out.
    predictions : mapping of str to array-like of str, shape (n,) or (repeats, n)
        The answers of every model; an empty string where it gave none. Of a model that was
        cross-validated several times accuracy and difference are means over its repeats, and
        McNemar's test, which needs one answer an image, takes the first.
    clips : array-like of str, shape (n,)
    seed, resamples : int
        Seed and number of bootstrap resamples; every pair sees the same draws.
    alpha : float
        Significance level for ``separated``.

    Returns
    -------
    DataFrame
        A row for every pair, in the order of ``predictions``: ``a``, ``b``, ``n`` (images that
        both answered), ``accuracy_a``, ``accuracy_b``, ``difference`` (a - b), ``ci_low`` and
        ``ci_high`` (95 %, `difference_interval`), ``only_a`` and ``only_b`` (images that only
        one got right), ``p_mcnemar`` (`mcnemar_exact`), ``p_holm`` (`holm` over the rows), and
        ``separated``: whether ``p_holm`` is under ``alpha`` and the interval excludes 0.

    Raises
    ------
    DataError
        If lengths differ or two models share no image.
    """
    truth, clips = np.asarray(truth).astype(str), np.asarray(clips).astype(str)
    answers = {
        name: np.atleast_2d(np.asarray(given).astype(str)) for name, given in predictions.items()
    }
    rows = []
    for a, b in combinations(answers, 2):
        for what in (answers[a][0], answers[b][0], clips):
            if what.shape != truth.shape:
                raise DataError(
                    f"{a} and {b}: {len(truth)} truths but {len(what)} answers or clips"
                )
        both = (truth != "") & (answers[a] != "").all(axis=0) & (answers[b] != "").all(axis=0)
        if not both.any():
            raise DataError(f"{a} and {b} share no labelled image, so nothing can be compared")
        kept = [what[..., both] for what in (truth, answers[a], answers[b], clips)]
        rows.append({"a": a, "b": b, **_compare(*kept, seed, resamples)})
    frame = pd.DataFrame(rows, columns=_PAIR_COLUMNS)
    frame["p_holm"] = holm(frame["p_mcnemar"].to_numpy(dtype=float))
    frame["separated"] = (frame["p_holm"] < alpha) & (frame["ci_low"] * frame["ci_high"] > 0)
    return frame


def pair(pairs: pd.DataFrame, a: str, b: str) -> dict:
    """Return the row of two models of `pairwise`, as seen from ``a``.

    Raises
    ------
    KeyError
        If the two were not compared.
    """
    for row in pairs.to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            return row | {
                "a": a,
                "b": b,
                "accuracy_a": row["accuracy_b"],
                "accuracy_b": row["accuracy_a"],
                "difference": -row["difference"],
                "ci_low": -row["ci_high"],
                "ci_high": -row["ci_low"],
                "only_a": row["only_b"],
                "only_b": row["only_a"],
            }
    raise KeyError(f"{a} and {b} were not compared")


def difference_interval(
    difference: np.ndarray, clips: Sequence[str], *, seed: int = 0, resamples: int = 2000
) -> list[float]:
    """Return the 95 % interval [lo, hi] of a mean paired difference, whole clips drawn anew.

    The percentile interval of the cluster bootstrap, as in `mien.evaluation.scores.clip_interval`.
    It has no width where every clip differs alike (two models that never disagree). Then Agresti
    and Min's interval for matched pairs (2005, Statistics in Medicine 24:729: half an observation
    added to each cell) stands in, with the clips as n.

    Parameters
    ----------
    difference : array-like, shape (n,)
        For every image the correctness of one model minus that of the other, in -1..1.
    clips : array-like of str, shape (n,)
    """
    sums, sizes = per_clip(difference, clips)
    if np.ptp(sums / sizes) < 1e-9:
        return _agresti_min(float(sums[0] / sizes[0]), len(sizes))
    drawn = resampled_sums(np.column_stack([sums, sizes]), seed=seed, resamples=resamples)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return [float(low), float(high)]


def cochrans_q(truth: Sequence[str], predictions: Mapping[str, Sequence[str]]) -> dict:
    """Test whether several models are equally often right (Cochran 1950, Biometrika 37:256).

    Parameters
    ----------
    truth, predictions
        As for `pairwise`, of several repeats the first; only images that every model answered
        count.

    Returns
    -------
    dict
        ``q``, ``p`` (chi-squared with one degree of freedom less than models; statsmodels),
        ``df``, ``n`` (images), ``varied`` (images on which the models differ in being right: the
        approximation wants many). ``q`` and ``p`` are ``None`` where no image varies.

    Raises
    ------
    DataError
        If there are fewer than two models or no image that all answered.
    """
    truth = np.asarray(truth).astype(str)
    answers = [np.atleast_2d(np.asarray(given).astype(str))[0] for given in predictions.values()]
    if len(answers) < 2:
        raise DataError("Cochran's Q compares two models or more")
    answered = np.all([truth != "", *(given != "" for given in answers)], axis=0)
    if not answered.any():
        raise DataError("there is no labelled image that every model answered")
    right = np.column_stack([_right(truth, given) for given in answers])[answered].astype(int)
    varied = int((np.ptp(right, axis=1) > 0).sum())
    test = contingency_tables.cochrans_q(right) if varied else None
    return {
        "q": float(test.statistic) if test else None,
        "p": float(test.pvalue) if test else None,
        "df": len(answers) - 1,
        "n": len(right),
        "varied": varied,
    }


def mcnemar_power(n: int, *, only_a: float, only_b: float, alpha: float = 0.05) -> float:
    """Return how likely the exact McNemar test finds a true difference.

    Enumerates both binomials: how many of ``n`` images divide the models, and how they divide
    (Duffy 1984, "Asymptotic and exact power for the McNemar test", Biometrics 40:1005).

    Parameters
    ----------
    n : int
        Number of images, taken as independent; of a person with clips, the number of clips is
        the cautious choice.
    only_a, only_b : float
        The true shares, in 0..1, of images that only the one or only the other gets right.
    alpha : float
        Significance level, two-sided.

    Examples
    --------
    >>> mcnemar_power(6, only_a=1, only_b=0), mcnemar_power(5, only_a=1, only_b=0)
    (1.0, 0.0)
    """
    discordant = only_a + only_b
    if n < 1 or min(only_a, only_b) < 0 or discordant > 1 + 1e-12:
        raise ParameterError(f"no such study: n={n}, only_a={only_a}, only_b={only_b}")
    if discordant == 0:
        return 0.0
    divided = np.arange(n + 1)
    # the largest smaller count that rejects; under it, or over its mirror image, is significance
    critical = stats.binom.ppf(alpha / 2, divided, 0.5)
    critical -= stats.binom.cdf(critical, divided, 0.5) > alpha / 2
    share = min(only_a / discordant, 1.0)
    rejects = stats.binom.cdf(critical, divided, share)
    rejects += stats.binom.cdf(critical, divided, 1 - share)
    return float(np.sum(stats.binom.pmf(divided, n, min(discordant, 1.0)) * rejects))


def detectable_difference(
    n: int, discordant: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest true difference of accuracy that the study would likely have found.

    Parameters
    ----------
    n : int
        Number of images (`mcnemar_power`).
    discordant : float
        Share of images, in 0..1, on which exactly one of two models is right. The observed share
        is the natural choice.
    power, alpha : float
        Wanted probability of finding the difference, and significance level.

    Returns
    -------
    float or None
        Difference of accuracy in 0..``discordant``; ``None`` where even disagreements that all
        fall to one side would be found less often than ``power``.

    Examples
    --------
    >>> detectable_difference(12, 0.4) is None
    True
    >>> round(detectable_difference(86, 0.3), 3)
    0.17
    """

    def missing(difference: float) -> float:
        only_a, only_b = (discordant + difference) / 2, (discordant - difference) / 2
        return mcnemar_power(n, only_a=only_a, only_b=max(only_b, 0.0), alpha=alpha) - power

    if missing(discordant) < 0:
        return None
    return float(optimize.brentq(missing, 0, discordant, xtol=1e-6))


def _compare(truth, a, b, clips, seed, resamples) -> dict:
    right_a, right_b = (truth == a).mean(axis=0), (truth == b).mean(axis=0)
    difference = right_a - right_b
    low, high = difference_interval(difference, clips, seed=seed, resamples=resamples)
    test = mcnemar_exact(truth, a[0], b[0])
    return {
        "n": len(truth),
        "accuracy_a": float(right_a.mean()),
        "accuracy_b": float(right_b.mean()),
        "difference": float(difference.mean()),
        "ci_low": low,
        "ci_high": high,
        "only_a": test["only_a"],
        "only_b": test["only_b"],
        "p_mcnemar": test["p"],
    }


def _right(truth, predicted) -> np.ndarray:
    truth, predicted = np.asarray(truth).astype(str), np.asarray(predicted).astype(str)
    if truth.shape != predicted.shape:
        raise DataError(f"there are {len(truth)} truths but {len(predicted)} answers")
    return truth == predicted


def _agresti_min(difference: float, n: int) -> list[float]:
    only_a, only_b = max(difference, 0) * n + 0.5, max(-difference, 0) * n + 0.5
    mean = (only_a - only_b) / (n + 2)
    spread = np.sqrt((only_a + only_b) - (only_a - only_b) ** 2 / (n + 2)) / (n + 2)
    half = stats.norm.ppf(0.975) * spread
    return [float(max(mean - half, -1)), float(min(mean + half, 1))]
