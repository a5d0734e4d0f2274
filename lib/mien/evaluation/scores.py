"""Scores with their intervals: what a model got right, and how sure that is.

Images that are independent of each other (FER2013) get Wilson's interval; on a person the clips
are counted, and of a network that was trained several times the trainings as well
(`mien.evaluation.intervals`). A model that is fitted on the person is scored out of fold.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from mien.emotions import EMOTIONS, in_order
from mien.errors import DataError
from mien.evaluation.intervals import (
    TAILS,
    accuracy_interval,
    clustered_mean,
    corrected_resampled,
    resampled_sums,
    wilson_interval,
)


def score_set(
    truth: Sequence[str],
    predicted: Sequence[str],
    *,
    labels: Sequence[str],
    set: str,
    folds: np.ndarray | None = None,
    clips: Sequence[str] | None = None,
    of_truth: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> dict:
    """Score one model on one ``set`` of images: the element of ``scores`` in ``metrics.json``.

    ``truth`` are emotion names (n,), ``predicted`` the answers (n,), of a network (trainings, n),
    be it a single one, ``of_truth`` in the same shape the probabilities of the true emotion, and
    ``clips`` (n,) the clip of every image: without it they count as independent. ``labels`` are the
    emotions that the set may hold, in the result with what was answered beside. Answers out of
    ``folds``, int (repeats, n), are (repeats, n) or (trainings, repeats, n).

    Returns plain Python values, ready for JSON. Rates are in 0..1, ``confusion_matrix`` has the
    truth in rows and the answers in columns, both in the order of ``labels``. A rate without a
    denominator is 0. Macro averages run over the emotions that occur in ``truth``; an emotion that
    was only answered has its own row with support 0. ``accuracy_ci95`` is Wilson's interval (Wilson
    1927), or over clips and trainings where there are such
    (`mien.evaluation.intervals.accuracy_interval`); ``accuracy_ci95_method`` says which.
    ``f1_macro_ci95`` is the percentile bootstrap's, ``None`` where every clip is equally right.
    ``balanced_accuracy`` is the mean recall over the emotions that occur; ``log_loss`` (nats) takes
    a probability of 0 as 1e-7. Of a network every rate is the mean over its ``trainings``; where
    these are several, ``accuracy_by_training`` and their standard deviation ``accuracy_sd`` tell
    them apart.

    Of folds every rate and count is the mean over the ``repeats``, so the confusion matrix holds
    fractions, and ``accuracy_ci95`` takes each image's mean correctness: it covers which faces
    happened to be filmed. ``accuracy_ci95_corrected`` comes from the folds' accuracies
    (`mien.evaluation.intervals.corrected_resampled`): it covers which faces happened to be trained
    on.

    `DataError` if there is nothing to score, shapes differ, a truth or answer is no emotion, or a
    repeat has fewer than two folds.
    """
    truth, predicted = _emotions(truth, "truth", set), _emotions(predicted, "answer", set)
    wanted = truth.shape if folds is None else (len(folds), *truth.shape)
    alone = predicted.ndim == len(wanted)
    shape = predicted.shape if alone else predicted.shape[1:]
    if shape != wanted or np.shape(folds) not in ((), wanted):
        raise DataError(
            f"{set}: {len(truth)} truths but answers of shape {predicted.shape}"
            + ("" if folds is None else f" and folds of shape {np.shape(folds)}")
        )
    every = predicted.reshape(-1, *(1, *wanted)[-2:])  # (trainings, repeats, n)
    labels = in_order([*labels, *np.unique(truth), *np.unique(every)])
    points = [_point(truth, answers, labels) for answers in every.reshape(-1, len(truth))]
    right = truth == every
    correct = right.mean(axis=1)
    over = (["images"] if clips is None else ["clips"]) + ["trainings"] * (len(every) > 1)
    clips = np.arange(len(truth)) if clips is None else clips
    if over == ["images"] and len(points) == 1:
        interval, method = wilson_interval(correct.sum(), len(truth)), "Wilson"
    else:
        interval = accuracy_interval(clustered_mean(correct, clips))
        method = "t over " + " and ".join(over)
    result = {
        "set": set,
        "n": len(truth),
        "accuracy": float(correct.mean()),
        "accuracy_ci95": interval,
        "accuracy_ci95_method": method,
        **(points[0] if len(points) == 1 else _mean(points)),
        "f1_macro_ci95": _f1_interval(truth, every, clips, labels, seed, resamples),
        "labels": labels,
    }
    if of_truth is not None:
        result["log_loss"] = float(-np.log(np.maximum(of_truth, 1e-7)).mean())
    if folds is not None:
        result |= _over_folds(result["accuracy"], right.mean(axis=0), np.asarray(folds))
    if not alone:
        result["trainings"] = len(every)
    if len(every) > 1:
        accuracies = right.mean(axis=(1, 2))
        result["accuracy_by_training"] = accuracies.tolist()
        result["accuracy_sd"] = float(accuracies.std(ddof=1))
    return result


def private_scores(
    truth: Sequence[str],
    predicted: Sequence[str],
    *,
    copied: np.ndarray,
    of_truth: np.ndarray | None = None,
) -> list[dict]:
    """Score one model on PrivateTest without the images that Training contains, and whole.

    Arguments as of `score_set`; ``copied`` (n,) says whether Training holds the same photo
    (`mien.data.fer2013.nearly_copied_in`). Of the two sets ``PrivateTest-deduplicated`` counts.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    sets = {"PrivateTest-deduplicated": ~copied, "PrivateTest": np.ones_like(copied)}
    return [
        score_set(
            truth[kept],
            predicted[..., kept],
            labels=EMOTIONS,
            set=name,
            of_truth=None if of_truth is None else of_truth[..., kept],
        )
        for name, kept in sets.items()
    ]


def fold_means(values: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of values (repeats, n) in every test fold, and the folds' sizes.

    `DataError` if a repeat has fewer than two folds.
    """
    tests = [
        row[fold == number]
        for row, fold in zip(values, folds, strict=True)
        for number in np.unique(fold)
    ]
    if len(tests) < 2 * len(folds):
        raise DataError("each repeat needs at least two folds")
    return np.array([test.mean() for test in tests]), np.array([len(test) for test in tests])


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


def _over_folds(accuracy: float, right: np.ndarray, folds: np.ndarray) -> dict:
    """What cross-validation adds to a score, of how often (repeats, n) the answers are right."""
    by_fold, tested = fold_means(right, folds)
    n_test = tested.mean()
    corrected = corrected_resampled(by_fold, n_train=right.shape[1] - n_test, n_test=n_test)
    half = (corrected["ci95"][1] - corrected["ci95"][0]) / 2
    return {
        "accuracy_ci95_corrected": [max(0.0, accuracy - half), min(1.0, accuracy + half)],
        "repeats": len(folds),
        "n_splits": round(len(by_fold) / len(folds)),
    }


def _point(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    each = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    occurs, rates = each[3] > 0, dict(zip(("precision", "recall", "f1"), each[:3], strict=True))
    result = {}
    for average, weights in (("macro", None), ("weighted", each[3][occurs])):
        for name, rate in rates.items():
            result[f"{name}_{average}"] = float(np.average(rate[occurs], weights=weights))
    result["balanced_accuracy"] = result["recall_macro"]
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


def _f1_interval(truth, every, clips, labels, seed, resamples) -> list[float] | None:
    """Bootstrap macro F1 from confusion matrices that are summed over the drawn clips."""
    names, clip = np.unique(np.asarray(clips).astype(str), return_inverse=True)
    trainings, repeats, size = len(every), every.shape[1], len(labels)
    true, rows = (pd.Index(labels).get_indexer(given.ravel()) for given in (truth, every))
    rows = rows.reshape(-1, len(truth))
    cells = np.zeros((len(names), len(rows), size, size))
    np.add.at(cells, (clip, np.arange(len(rows))[:, None], true, rows), 1)
    drawn = resampled_sums(cells.reshape(len(names), -1), seed=seed, resamples=resamples)
    drawn = drawn.reshape(resamples, trainings, repeats, size, size)
    support, total = drawn.sum(axis=4), drawn.sum(axis=3) + drawn.sum(axis=4)
    f1 = 2 * np.diagonal(drawn, axis1=3, axis2=4) / np.maximum(total, 1)
    macro = np.sum(f1, axis=3, where=support > 0) / (support > 0).sum(axis=3)
    shares = np.ones((resamples, 1))
    if trainings > 1:  # weights of trainings drawn anew, as far apart as their variance
        even, random = np.full(trainings, 1 / trainings), np.random.default_rng([seed, 1])
        times = random.multinomial(trainings, even, size=resamples)
        shares = even + (times - 1) / trainings * np.sqrt(trainings / (trainings - 1))
    low, high = np.quantile((macro.mean(axis=2) * shares).sum(axis=1), TAILS)
    return [max(0.0, float(low)), min(1.0, float(high))] if low < high else None
