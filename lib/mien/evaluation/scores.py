"""Scores with their intervals: what a model got right, and how sure that is.

A set of images that are independent of each other (FER2013) gets Wilson's interval. Frames of
one clip are near-copies of each other, so on a target person whole clips are resampled. A model
that is fitted on the person is scored out of fold, several times, and `repeated_scores` adds the
interval that Nadeau and Bengio corrected for overlapping training sets.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint

from mien.emotions import EMOTIONS, in_order
from mien.errors import DataError

_LEVEL = 0.95
_TAILS = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]


def score_set(
    truth: Sequence[str],
    predicted: Sequence[str],
    *,
    labels: Sequence[str],
    set: str,
    clips: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> dict:
    """Score one model on one set of images: the element of ``scores`` in ``metrics.json``.

    Parameters
    ----------
    truth, predicted : array-like of str, shape (n,)
        Emotion names. A model may answer an emotion that the set does not hold.
    labels : sequence of str
        The emotions that the set may hold. ``labels`` of the result is their union with what was
        answered, in FER2013's order, so that every answer has a column in the confusion matrix.
    set : str
        The set's name, such as ``"PrivateTest"``.
    clips : array-like of str, shape (n,), optional
        The clip of every image. Without it the images count as independent.
    seed, resamples : int
        Seed and number of bootstrap resamples.

    Returns
    -------
    dict
        Plain Python values, ready for JSON. Rates are in 0..1, ``confusion_matrix`` has the truth
        in rows and the answers in columns, both in the order of ``labels``. A rate without a
        denominator is 0. Macro averages run over the emotions that occur in ``truth``; an
        emotion that was only answered lowers the recall of the true ones, and has its own row
        with support 0. ``accuracy_ci95`` is Wilson's interval (Wilson 1927), or the percentile
        interval of resampled clips where ``clips`` is given (`clip_interval`);
        ``accuracy_ci95_method`` says which. ``f1_macro_ci95`` is the bootstrap's, ``None`` where
        every clip is equally right and so nothing varies. ``balanced_accuracy`` is the mean
        recall over the emotions that occur.

    Raises
    ------
    DataError
        If there is nothing to score, lengths differ, or a truth or an answer is no emotion.

    Examples
    --------
    >>> result = score_set(["sad", "sad", "happy"], ["sad", "angry", "happy"],
    ...                    labels=["happy", "sad"], set="PrivateTest")
    >>> result["labels"], result["confusion_matrix"]
    (['angry', 'happy', 'sad'], [[0, 0, 0], [0, 1, 0], [1, 0, 1]])
    >>> round(result["accuracy"], 3), round(result["recall_macro"], 3)
    (0.667, 0.75)
    """
    truth, predicted = _emotions(truth, "truth", set), _emotions(predicted, "answer", set)
    return _summary(truth, predicted[None], labels, set, clips, seed, resamples)


def private_scores(
    truth: Sequence[str], predicted: Sequence[str], *, copied: np.ndarray
) -> list[dict]:
    """Score one model on PrivateTest, whole and without the images that Training contains.

    Parameters
    ----------
    truth, predicted : array-like of str, shape (n,)
        As for `score_set`.
    copied : ndarray of bool, shape (n,)
        Whether Training holds the same picture (`mien.data.fer2013.has_copy_in`).

    Returns
    -------
    list of two dict
        Of the sets ``PrivateTest`` and ``PrivateTest-deduplicated``.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    return [
        score_set(truth, predicted, labels=EMOTIONS, set="PrivateTest"),
        score_set(
            truth[~copied], predicted[~copied], labels=EMOTIONS, set="PrivateTest-deduplicated"
        ),
    ]


def repeated_scores(
    truth: Sequence[str],
    predicted: np.ndarray,
    folds: np.ndarray,
    *,
    labels: Sequence[str],
    set: str,
    clips: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> dict:
    """Score a model that was cross-validated several times: the mean over the repeats.

    Parameters
    ----------
    truth : array-like of str, shape (n,)
        Emotion names.
    predicted : array-like of str, shape (repeats, n)
        The out-of-fold answers of every repeat.
    folds : array-like of int, shape (repeats, n)
        The fold in which every answer was given (`mien.evaluation.cross_validation`).
    labels, set, clips, seed, resamples
        As for `score_set`.

    Returns
    -------
    dict
        As `score_set`; every rate and count is the mean over the repeats, so the confusion matrix
        holds fractions. ``accuracy_ci95`` resamples clips (images, where there are no clips) and
        takes each image's mean correctness over the repeats: it covers which faces happened to
        be filmed. ``accuracy_ci95_corrected`` comes from the folds' accuracies
        (`corrected_resampled`): it covers which faces happened to be trained on. ``repeats``
        and ``n_splits`` say how often.

    Raises
    ------
    DataError
        As `score_set`, and if a repeat has fewer than two folds.
    """
    truth, predicted = _emotions(truth, "truth", set), _emotions(predicted, "answer", set)
    folds = np.asarray(folds)
    if predicted.ndim != 2 or folds.shape != predicted.shape:
        raise DataError(
            f"{set}: answers and folds must both have the shape (repeats, images), "
            f"but have {predicted.shape} and {folds.shape}"
        )
    result = _summary(truth, predicted, labels, set, clips, seed, resamples)
    accuracies, tested = _fold_accuracies(truth[None] == predicted, folds, set)
    corrected = corrected_resampled(
        accuracies, n_train=len(truth) - tested.mean(), n_test=tested.mean()
    )
    half = (corrected["ci95"][1] - corrected["ci95"][0]) / 2
    result["accuracy_ci95_corrected"] = [
        max(0.0, result["accuracy"] - half),
        min(1.0, result["accuracy"] + half),
    ]
    result["repeats"] = len(folds)
    result["n_splits"] = round(len(accuracies) / len(folds))
    return result


def corrected_resampled(values: Sequence[float], *, n_train: float, n_test: float) -> dict:
    """Mean of cross-validated values, with Nadeau and Bengio's interval and t test against 0.

    Training sets of different folds overlap, so the folds' accuracies (or two models' differences
    of accuracy) depend on each other and the naive standard error sd / sqrt(J) is too small.
    Nadeau and Bengio (2003, "Inference for the Generalization Error", Machine Learning 52,
    pp. 239-281, section 5) take sd x sqrt(1/J + n_test/n_train) with J - 1 degrees of freedom;
    Bouckaert and Frank (2004, PAKDD, pp. 3-12) carry it to repeated k-fold cross-validation.

    Parameters
    ----------
    values : array-like of float, shape (J,)
        One value for every fold of every repeat.
    n_train, n_test : float
        Size of a training and of a test fold.

    Returns
    -------
    dict
        ``mean``, ``standard_error``, ``ci95`` (lo, hi), ``t`` and two-sided ``p`` of mean = 0
        (``None`` where all values are equal).

    Examples
    --------
    >>> result = corrected_resampled([0.6, 0.7, 0.5, 0.6], n_train=80, n_test=20)
    >>> [round(value, 4) for value in (result["mean"], result["standard_error"])]
    [0.6, 0.0577]
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        raise DataError(f"an interval needs at least two folds, but there is {len(values)}")
    mean = values.mean()
    error = values.std(ddof=1) * np.sqrt(1 / len(values) + n_test / n_train)
    half = stats.t.ppf(_TAILS[1], len(values) - 1) * error
    t = float(mean / error) if error > 0 else None
    return {
        "mean": float(mean),
        "standard_error": float(error),
        "ci95": [float(mean - half), float(mean + half)],
        "t": t,
        "p": None if t is None else float(2 * stats.t.sf(abs(t), len(values) - 1)),
    }


def wilson_interval(right: float, n: float) -> list[float]:
    """Return Wilson's 95 % interval [lo, hi] for ``right`` of ``n`` (Wilson 1927, JASA 22:209).

    Examples
    --------
    >>> [round(100 * bound, 1) for bound in wilson_interval(6, 12)]
    [25.4, 74.6]
    """
    low, high = proportion_confint(right, n, alpha=1 - _LEVEL, method="wilson")
    return [float(low), float(high)]


def clip_interval(
    correct: np.ndarray, clips: Sequence[str], *, seed: int = 0, resamples: int = 2000
) -> list[float]:
    """Return the 95 % interval [lo, hi] of an accuracy when whole clips are drawn anew.

    The percentile interval of the cluster bootstrap (Davison and Hinkley 1997, "Bootstrap Methods
    and their Application", section 3.8). It says nothing where every clip is equally right, for
    instance all of them always: then Wilson's interval with the clips as n stands in.

    Parameters
    ----------
    correct : array-like, shape (n,)
        True or 1 where the answer is right; fractions where answers were repeated.
    clips : array-like of str, shape (n,)

    Examples
    --------
    >>> low, high = clip_interval([1, 1, 0, 1], ["a", "a", "b", "c"])
    >>> low <= 0.75 <= high
    True
    """
    hits, sizes = per_clip(correct, clips)
    drawn = resampled_sums(np.column_stack([hits, sizes]), seed=seed, resamples=resamples)
    if np.ptp(hits / sizes) < 1e-9:
        return wilson_interval(float(hits.sum() / sizes.sum()) * len(sizes), len(sizes))
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], _TAILS)
    return [float(low), float(high)]


def per_clip(values: np.ndarray, clips: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of ``values`` in every clip and the clips' sizes, clips in sorted order."""
    values, clips = np.asarray(values, dtype=float), np.asarray(clips).astype(str)
    if values.shape != clips.shape:
        raise DataError(f"there are {len(values)} answers but clips of {len(clips)} images")
    _, where = np.unique(clips, return_inverse=True)
    # without the rounding, the order of the images would show in the last bit
    return np.round(np.bincount(where, weights=values), 12), np.bincount(where)


def resampled_sums(rows: np.ndarray, *, seed: int = 0, resamples: int = 2000) -> np.ndarray:
    """Draw as many rows as there are, with replacement, and sum them; ``resamples`` times.

    Equal rows are interchangeable, so only how often each distinct row is drawn is simulated
    (one multinomial). That is fast, and the order of the rows cannot matter.

    Parameters
    ----------
    rows : ndarray, shape (n, m)

    Returns
    -------
    ndarray, float64, shape (resamples, m)
    """
    distinct, times = np.unique(rows, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(rows), times / len(rows), size=resamples)
    return draws @ distinct


def calibration(
    truth: Sequence[str], probabilities: np.ndarray, *, labels: Sequence[str], bins: int = 10
) -> tuple[pd.DataFrame, float]:
    """Compare the confidence of the answers with how often they are right.

    Parameters
    ----------
    truth : array-like of str, shape (n,)
        Emotion names.
    probabilities : array-like of float, shape (n, len(labels))
        Rows sum to 1; the answer is the column with the largest.
    labels : sequence of str
        The emotion of every column.
    bins : int
        Number of equally wide bins of confidence.

    Returns
    -------
    frame : DataFrame
        A row for every bin that holds images: ``lower``, ``upper``, ``n``, ``confidence`` (mean),
        ``accuracy``.
    error : float
        Expected calibration error, the mean distance of the two, weighted by n (Guo et al. 2017,
        "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3).
    """
    probabilities = np.asarray(probabilities, dtype=float)
    confidence = probabilities.max(axis=1)
    right = np.asarray(labels)[probabilities.argmax(axis=1)] == np.asarray(truth)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    frame = (
        pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": right})
        .groupby("bin")
        .agg(n=("bin", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean"))
        .reset_index()
    )
    frame.insert(0, "lower", edges[frame["bin"]])
    frame.insert(1, "upper", edges[frame["bin"] + 1])
    gap = (frame["confidence"] - frame["accuracy"]).abs()
    return frame.drop(columns="bin"), float((gap * frame["n"]).sum() / len(right))


def _emotions(names: Sequence[str], what: str, where: str) -> np.ndarray:
    names = np.asarray(names).astype(str)
    if names.size == 0:
        raise DataError(f"{where}: there is no labelled image to score")
    strange = np.unique(names[~np.isin(names, EMOTIONS)]).tolist()
    if strange:
        raise DataError(
            f"{where}: {strange[0]!r} as {what} is no emotion; leave such images out "
            f"and use the names {', '.join(EMOTIONS)}"
        )
    return names


def _summary(truth, predicted, labels, set, clips, seed, resamples) -> dict:
    """Mean of the scores over the rows of ``predicted`` (repeats, n), with their intervals."""
    if predicted.shape[1:] != truth.shape:
        raise DataError(f"{set}: {len(truth)} truths but answers of shape {predicted.shape}")
    labels = in_order([*labels, *np.unique(truth), *np.unique(predicted)])
    points = [_point(truth, answers, labels) for answers in predicted]
    mean = points[0] if len(points) == 1 else _mean(points)
    correct = (truth == predicted).mean(axis=0)
    if clips is None and len(points) == 1:
        interval, method = wilson_interval(correct.sum(), len(truth)), "Wilson"
    else:
        method = "images resampled" if clips is None else "clips resampled"
        clips = np.arange(len(truth)) if clips is None else clips
        interval = clip_interval(correct, clips, seed=seed, resamples=resamples)
    return {
        "set": set,
        "n": len(truth),
        "accuracy": float(correct.mean()),
        "accuracy_ci95": interval,
        "accuracy_ci95_method": method,
        **mean,
        "f1_macro_ci95": _f1_interval(truth, predicted, clips, labels, seed, resamples),
        "labels": labels,
    }


def _point(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    occurring = [label for label in labels if label in truth]
    result = {}
    for average in ("macro", "weighted"):
        *rates, _ = precision_recall_fscore_support(
            truth, predicted, labels=occurring, average=average, zero_division=0
        )
        for name, rate in zip(("precision", "recall", "f1"), rates, strict=True):
            result[f"{name}_{average}"] = float(rate)
    result["balanced_accuracy"] = result["recall_macro"]
    each = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    result["per_class"] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for label, p, r, f, s in zip(labels, *each, strict=True)
    }
    table = pd.crosstab(truth, predicted).reindex(index=labels, columns=labels, fill_value=0)
    result["confusion_matrix"] = table.to_numpy().tolist()
    return result


def _mean(points: list):
    """Average nested dicts and lists of numbers; what is the same everywhere stays as it is."""
    first = points[0]
    if isinstance(first, dict):
        return {key: _mean([point[key] for point in points]) for key in first}
    if isinstance(first, list):
        return [_mean(list(column)) for column in zip(*points, strict=True)]
    return first if all(point == first for point in points) else float(np.mean(points))


def _f1_interval(truth, predicted, clips, labels, seed, resamples) -> list[float] | None:
    """Bootstrap macro F1 from confusion matrices that are summed over the drawn clips."""
    clips = np.arange(len(truth)) if clips is None else np.asarray(clips).astype(str)
    names, clip = np.unique(clips, return_inverse=True)
    codes = {label: code for code, label in enumerate(labels)}
    true, answered = np.vectorize(codes.get)(truth), np.vectorize(codes.get)(predicted)
    repeats, size = len(predicted), len(labels)
    cells = np.zeros((len(names), repeats, size, size))
    np.add.at(cells, (clip, np.arange(repeats)[:, None], true, answered), 1)
    drawn = resampled_sums(cells.reshape(len(names), -1), seed=seed, resamples=resamples)
    drawn = drawn.reshape(resamples, repeats, size, size)
    support, total = drawn.sum(axis=3), drawn.sum(axis=2) + drawn.sum(axis=3)
    f1 = 2 * np.diagonal(drawn, axis1=2, axis2=3) / np.maximum(total, 1)
    macro = np.sum(f1, axis=2, where=support > 0) / (support > 0).sum(axis=2)
    low, high = np.quantile(macro.mean(axis=1), _TAILS)
    return [float(low), float(high)] if low < high else None


def _fold_accuracies(correct, folds, where) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and size of every test fold of every repeat, both of shape (J,)."""
    accuracies, sizes = [], []
    for row, fold in zip(correct, folds, strict=True):
        tests = [row[fold == number] for number in np.unique(fold)]
        if len(tests) < 2:
            raise DataError(f"{where}: a repeat needs at least two folds, but has {len(tests)}")
        accuracies += [test.mean() for test in tests]
        sizes += [len(test) for test in tests]
    return np.array(accuracies), np.array(sizes)
