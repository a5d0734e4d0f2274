"""Comparing models that answered the same images.

The test of a pair is Obuchowski's on the difference of correctness, averaged over repeats and
summed by clip, with the trainings' own variance where there are several (`clustered_p`). The exact
McNemar test, which takes images as independent and one answer an image, stands beside.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import permutation_test
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from mien.errors import DataError
from mien.evaluation.intervals import (
    clustered_mean,
    clustered_p,
    corrected_resampled,
    difference_interval,
)
from mien.evaluation.scores import fold_means

_COLUMNS = ["a", "b", "n", "clips", "trainings", "accuracy_a", "accuracy_b", "difference"]
_COLUMNS += ["ci_low", "ci_high", "error", "design_effect", "p", "only_a", "only_b", "p_mcnemar"]


def compare(
    truth: Sequence[str],
    predictions: Mapping[str, np.ndarray],
    clips: Sequence[str],
    *,
    pairs: Sequence[tuple[str, str]],
) -> pd.DataFrame:
    """Compare the declared ``pairs`` of models, each on the images that both answered.

    ``truth`` and ``clips`` are (n,); an image whose truth is empty (raters who tie) is left out.
    ``predictions`` by model are str (n,) or (trainings, repeats, n), empty where it gave none.
    Differences are means over the repeats; trainings of two models belong together, one by one.
    McNemar's test, which needs one answer an image, takes the first training's first repeat.

    Returns a row for every pair: ``a``, ``b``, ``n`` (images that both answered), ``clips``,
    ``trainings``, ``accuracy_a``, ``accuracy_b``, ``difference`` (a - b), ``ci_low`` and
    ``ci_high`` (95 %, of this pair alone), ``error`` (the difference's standard error),
    ``design_effect`` (its square by that of independent images), ``p`` (`clustered_p`, of this pair
    alone), ``only_a`` and ``only_b`` (images that only one of the two got right), ``p_mcnemar``
    (two-sided and exact; McNemar 1947, Psychometrika 12:153; statsmodels), ``p_holm`` (the rows'
    ``p`` adjusted for their number; Holm 1979, Scand. J. Statistics 6:65; statsmodels), and
    ``separated``: whether ``p_holm`` is under 0.05.

    `DataError` if lengths differ or two models share no image.
    """
    truth, clips = np.asarray(truth).astype(str), np.asarray(clips).astype(str)
    answers = {name: _by_training(given) for name, given in predictions.items()}
    rows = []
    for a, b in pairs:
        for what in (answers[a][0, 0], answers[b][0, 0], clips):
            if what.shape != truth.shape:
                raise DataError(
                    f"{a} and {b}: {len(truth)} truths but {len(what)} answers or clips"
                )
        both = (truth != "") & np.all([(answers[x] != "").all(axis=(0, 1)) for x in (a, b)], axis=0)
        if not both.any():
            raise DataError(f"{a} and {b} share no labelled image, so nothing can be compared")
        kept = [what[..., both] for what in (truth, answers[a], answers[b], clips)]
        rows.append({"a": a, "b": b, **_compare(*kept)})
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame["p_holm"] = multipletests(frame["p"], method="holm")[1] if rows else frame["p"]
    frame["separated"] = frame["p_holm"] < 0.05
    return frame


def all_alike(
    truth: Sequence[str],
    predictions: Mapping[str, np.ndarray],
    clips: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Test whether all models are equally often right on the images that each has answered.

    Cochran's Q (Cochran 1950, Biometrika 37:256) over clips: a clip's sums of right answers, means
    over trainings and repeats, are exchanged at random between the models
    (`scipy.stats.permutation_test`). As of `compare`, without empty answers. Returns ``models`` and
    ``clips`` (their numbers) and ``p``; 1 where no clip tells any two apart.
    """
    right = [(_by_training(given) == truth).mean(axis=(0, 1)) for given in predictions.values()]
    sums = pd.DataFrame(np.transpose(right)).groupby(np.asarray(clips)).sum().to_numpy().T

    def spread(*sums, axis):
        return np.var([each.sum(axis=axis) for each in sums], axis=0)

    found = permutation_test(
        list(sums),
        spread,
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=500,
        alternative="greater",
        rng=np.random.default_rng([seed, 3]),
    )
    return {"models": len(sums), "clips": sums.shape[1], "p": float(found.pvalue)}


def pair(pairs: pd.DataFrame, a: str, b: str) -> dict:
    """Return the row of two models of `compare`, seen from ``a``; `KeyError` if there is none."""
    other = {"a": "b", "accuracy_a": "accuracy_b", "only_a": "only_b", "ci_low": "ci_high"}
    other |= {theirs: own for own, theirs in other.items()}
    for row in pairs.to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            row = {other.get(name, name): value for name, value in row.items()}
            return row | {name: -row[name] for name in ("difference", "ci_low", "ci_high")}
    raise KeyError(f"{a} and {b} were not compared")


def paired_folds(
    truth: Sequence[str], a: np.ndarray, b: np.ndarray, folds: np.ndarray
) -> dict[str, float]:
    """Compare two models that were cross-validated in the same folds, fold by fold.

    ``a`` and ``b`` are out-of-fold answers (trainings, repeats, n), ``folds`` int (repeats, n);
    repeats beyond the fewer of the two are left out. Returns `corrected_resampled` of the folds'
    differences (a - b).
    """
    repeats = min(a.shape[1], b.shape[1], len(folds))
    right_a, right_b = ((truth == given[:, :repeats]).mean(axis=0) for given in (a, b))
    means, sizes = fold_means(right_a - right_b, folds[:repeats])
    n_test = float(sizes.mean())
    return corrected_resampled(means, n_train=len(truth) - n_test, n_test=n_test)


def detectable_difference(
    error: float, clips: int, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the true difference of accuracy (0..1) that a test would find with this ``power``.

    ``error`` is the standard error of such a difference in this study (``error`` of `compare`),
    ``alpha`` the level, two-sided: the smallest p value of a family of m pairs must pass Holm's
    alpha / m. From the power of Student's t test (statsmodels); None where not even a difference of
    1 would be found as often, or the error is unknown.
    """
    if clips < 2 or not error > 0:
        return None
    effect = TTestPower().solve_power(nobs=clips, alpha=alpha, power=power)
    difference = float(np.squeeze(effect)) * error * np.sqrt(clips)
    return float(difference) if difference <= 1 else None


def _by_training(given) -> np.ndarray:
    given = np.asarray(given).astype(str)
    if given.ndim not in (1, 3):
        raise DataError(
            f"answers have the shape (images,) or (trainings, repeats, images), not {given.shape}"
        )
    return given.reshape(-1, 1, len(given)) if given.ndim == 1 else given


def _compare(truth, a, b, clips) -> dict:
    right_a, right_b = (truth == a).mean(axis=1), (truth == b).mean(axis=1)
    difference = right_a - right_b
    mean = clustered_mean(difference, clips)
    low, high = difference_interval(mean)
    independent = clustered_mean(difference, np.arange(len(truth)))
    once_a, once_b = truth == a[0, 0], truth == b[0, 0]
    only_a, only_b = int((once_a & ~once_b).sum()), int((once_b & ~once_a).sum())
    test = contingency_tables.mcnemar([[0, only_a], [only_b, 0]], exact=True)
    return {
        "n": len(truth),
        "clips": mean.clips,
        "trainings": len(difference),
        "accuracy_a": float(right_a.mean()),
        "accuracy_b": float(right_b.mean()),
        "difference": mean.value,
        "ci_low": low,
        "ci_high": high,
        "error": mean.error,
        "design_effect": (mean.error / independent.error) ** 2 if independent.varies else np.nan,
        "p": clustered_p(difference, clips),
        "only_a": only_a,
        "only_b": only_b,
        "p_mcnemar": float(test.pvalue),
    }


def detectable(pairs: pd.DataFrame) -> dict[str, Any]:
    """Return which differences such a study could have seen (`detectable_difference`).

    With the median standard error of the declared pairs: ``alone_80``, ``alone_50``, ``holm_80``,
    ``holm_50``, the difference that is found with a probability of 80 or 50 %, by a pair tested
    alone and by the strictest test of the family; None where no difference would be. ``pairs``,
    their number; ``design_effect``, its lowest and highest value over the pairs.
    """
    error, clips = float(pairs["error"].median()), int(pairs["clips"].min())
    levels = {"alone": 0.05, "holm": 0.05 / max(len(pairs), 1)}
    found = {
        f"{name}_{power}": detectable_difference(error, clips, power=power / 100, alpha=alpha)
        for name, alpha in levels.items()
        for power in (80, 50)
    }
    effects = pairs["design_effect"].dropna()
    ends = [effects.min(), effects.max()] if len(effects) else None
    return found | {"pairs": len(pairs), "design_effect": ends}
