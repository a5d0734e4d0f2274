"""Folds of the labelled images of one person.

Frames of one clip are near-copies of each other. A fold that has some of them and trains on the
rest measures memory, so `grouped_folds` keeps a clip on one side. `plain_folds` does not, and is
there to show how much that leak is worth. `out_of_fold` gives a procedure no more than it may know.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from mien.errors import DataError, ParameterError


def grouped_folds(
    labels: Sequence[str],
    clips: Sequence[str],
    *,
    n_splits: int = 5,
    n_repeats: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Return the fold of every image, with all images of a clip in the same fold.

    Emotions are spread over the folds as evenly as whole clips allow (scikit-learn's
    `StratifiedGroupKFold`, shuffled anew for every repeat). An emotion that occurs in one clip only
    is still tested, by a model that never saw it.

    Of n images with ``labels`` and ``clips`` they are ``n_splits`` folds, 2 or more, dealt
    ``n_repeats`` times; repeat r uses ``seed + r``, so fewer repeats are the first of many. Returns
    int (n_repeats, n): the number, from 0, of the fold that tests an image, whatever their order.
    `DataError` if there are fewer clips than folds, `ParameterError` if a number is out of range.
    """
    labels, clips = np.asarray(labels).astype(str), np.asarray(clips).astype(str)
    if labels.shape != clips.shape:
        raise DataError(f"there are {len(labels)} labels but {len(clips)} clips")
    return _dealt([StratifiedGroupKFold, GroupKFold], labels, clips, n_splits, n_repeats, seed)


def plain_folds(
    labels: Sequence[str], *, n_splits: int = 5, n_repeats: int = 1, seed: int = 0
) -> np.ndarray:
    """Return the fold of every image, dealt image by image: near-copies land on both sides.

    As `grouped_folds`, without clips (scikit-learn's `StratifiedKFold`; `KFold` where every emotion
    has fewer images than there are folds). Which image goes where depends on their order.
    """
    labels = np.asarray(labels).astype(str)
    return _dealt([StratifiedKFold, KFold], labels, None, n_splits, n_repeats, seed)


def out_of_fold(
    answer: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, Any]],
    rows: np.ndarray,
    labels: Sequence[str],
    clips: Sequence[str],
    folds: np.ndarray,
) -> tuple[np.ndarray, list]:
    """Return what a procedure answers to every row, when it gets that row without its label.

    ``answer(rows, labels, clips, others)`` learns, and chooses whatever it chooses, from the rows
    of all folds but one, and returns its answers (k, ...) to that fold's k rows, and what it has
    chosen. ``rows`` are (n, ...), ``labels`` and ``clips`` (n,), ``folds`` int (repeats, n).
    Returns the answers (repeats, n, ...), and a list of what every fold of every repeat has chosen.
    """
    labels, clips = np.asarray(labels), np.asarray(clips)
    repeats, chosen = [], []
    for fold in folds:
        places, answers = [], []
        for number in np.unique(fold):
            learn = fold != number
            given = rows[learn], labels[learn], clips[learn]
            said, choice = answer(*given, rows[~learn])
            places, answers = [*places, *np.flatnonzero(~learn)], [*answers, *said]
            chosen.append(choice)
        repeats.append(np.stack(answers)[np.argsort(places)])
    return np.stack(repeats), chosen


def _dealt(makers, labels, clips, n_splits, n_repeats, seed) -> np.ndarray:
    if n_splits < 2 or n_repeats < 1:
        raise ParameterError(
            f"cross-validation needs at least 2 folds and 1 repeat, not {n_splits} and {n_repeats}"
        )
    what = "labelled images" if clips is None else "clips"
    available = len(labels) if clips is None else len(np.unique(clips))
    if available < n_splits:
        raise DataError(
            f"{n_splits} folds need at least {n_splits} {what}, but there are {available}; "
            "label more images or ask for fewer folds"
        )
    every = range(n_repeats)
    return np.stack([_deal(makers, labels, clips, n_splits, seed + repeat) for repeat in every])


def _deal(makers, labels, clips, n_splits, seed) -> np.ndarray:
    """Deal the images with the first of ``makers`` that fills every fold."""
    stratified, plain = (maker(n_splits, shuffle=True, random_state=seed) for maker in makers)
    # scikit-learn refuses to stratify where every emotion is rarer than folds, and may then
    # leave a fold empty when clips are few and large
    rare = np.unique(labels, return_counts=True)[1].max() < n_splits
    for splitter in [plain] if rare else [stratified, plain]:
        fold = np.empty(len(labels), dtype=int)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
            for number, (_, test) in enumerate(splitter.split(labels, labels, clips)):
                fold[test] = number
        if len(np.unique(fold)) == n_splits:
            break
    return fold
