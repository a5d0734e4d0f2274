"""Is the Action Unit model better than chance, and what would more labelled faces bring?"""

import numpy as np
import pandas as pd
from sklearn.base import clone

from mien import prose
from mien.errors import DataError
from mien.units import cross_validate_units


def shuffled_by_clip(labels: np.ndarray, clips: np.ndarray, random) -> np.ndarray:
    """Return the labels dealt anew with the frames of a clip kept in a row.

    The clips' blocks of labels change order and are laid over the faces clip by clip, so that
    every emotion stays as frequent as it was and neighbours in a clip still mostly agree: what
    may be exchanged if the Action Units tell nothing.

    Parameters
    ----------
    labels, clips : arrays (n,)
    random : numpy.random.Generator
    """
    order = np.argsort(clips, kind="stable")
    _, starts = np.unique(clips[order], return_index=True)
    blocks = np.split(labels[order], starts[1:])
    shuffled = np.empty_like(labels)
    shuffled[order] = np.concatenate([blocks[i] for i in random.permutation(len(blocks))])
    return shuffled


def chance_test(
    rows: np.ndarray,
    labels: np.ndarray,
    clips: np.ndarray,
    fold: np.ndarray,
    *,
    model,
    permutations: int = 100,
    seed: int = 0,
) -> dict:
    """Compare the accuracy out of fold with what the same procedure gets on shuffled labels.

    Parameters
    ----------
    rows, labels, clips
        As for :func:`mien.units.cross_validate_units`.
    fold : int array (n,)
        One repeat of the folds; the same for the true and the shuffled faces.
    model : classifier
        Unfitted; its own nested choice is repeated for every shuffle.
    permutations : int
        Number of shuffles.
    seed : int
        Seed of the shuffles.

    Returns
    -------
    dict
        ``accuracy``, ``chance`` (array of the shuffled accuracies), ``p`` (share of shuffles at
        least as good, the true labels counted among them: Ojala and Garriga 2010).
    """
    labels, clips = np.asarray(labels), np.asarray(clips)
    random = np.random.default_rng(seed)
    # The rows change places, not the labels: the folds were dealt by the labels, and would suit
    # shuffled ones less well.
    rows, own = np.asarray(rows), np.arange(len(labels))
    orders = [own] + [shuffled_by_clip(own, clips, random) for _ in range(permutations)]
    found = [_accuracy(rows[order], labels, clips, fold, model) for order in orders]
    chance = np.array(found[1:])
    as_good = int((chance >= found[0] - 1e-9).sum())
    return {"accuracy": found[0], "chance": chance, "p": (as_good + 1) / (permutations + 1)}


def learning_curve(
    rows: np.ndarray,
    labels: np.ndarray,
    clips: np.ndarray,
    folds: np.ndarray,
    *,
    model,
    shares=(0.25, 0.4, 0.55, 0.7, 0.85, 1.0),
    seed: int = 0,
) -> pd.DataFrame:
    """Return the accuracy out of fold when only a share of the training clips is used.

    Parameters
    ----------
    rows, labels, clips, folds
        As for :func:`mien.units.cross_validate_units`.
    model : classifier
        Unfitted.
    shares : sequence of float
        Shares of each fold's training clips, drawn anew for every repeat, the smaller inside the
        larger.
    seed : int
        Seed of the drawing.

    Returns
    -------
    DataFrame
        One row per share and repeat: ``share``, ``repeat``, ``faces`` (mean number of training
        faces), ``accuracy`` and ``balanced_accuracy``.

    Raises
    ------
    DataError
        If labels and folds differ in number.
    """
    rows, labels, clips = np.asarray(rows), np.asarray(labels), np.asarray(clips)
    if folds.shape[1] != len(labels):
        raise DataError(f"folds are for {folds.shape[1]} faces, but {len(labels)} are labelled")
    jobs = [(share, repeat) for share in shares for repeat in range(len(folds))]
    found = [
        _partial(rows, labels, clips, folds[repeat], model, share, seed + repeat)
        for share, repeat in jobs
    ]
    table = pd.DataFrame(found, columns=["faces", "accuracy", "balanced_accuracy"])
    table.insert(0, "repeat", [repeat for _, repeat in jobs])
    table.insert(0, "share", [share for share, _ in jobs])
    return table


def faces_needed(curve: pd.DataFrame, goal: float) -> float:
    """Extrapolate a learning curve: about how many labelled faces would reach ``goal``?

    A straight line in the logarithm of the number of faces is fitted to the mean accuracies; a
    rough guide, since real curves flatten.

    Parameters
    ----------
    curve : DataFrame
        From :func:`learning_curve`.
    goal : float
        An accuracy, 0..1.

    Returns
    -------
    float
        Number of faces; infinite where the curve does not rise.

    Examples
    --------
    >>> curve = pd.DataFrame({"share": [0.5, 1.0], "faces": [10, 100], "accuracy": [0.4, 0.5]})
    >>> round(faces_needed(curve, 0.6))
    1000
    """
    means = curve.groupby("share")[["faces", "accuracy"]].mean()
    slope, height = np.polyfit(np.log(means.faces), means.accuracy, 1)
    return float(np.exp((goal - height) / slope)) if slope > 0 else float("inf")


def curve_sentence(curve: pd.DataFrame) -> str:
    """Return what more labelled faces would bring, in two sentences.

    Parameters
    ----------
    curve : DataFrame
        From :func:`learning_curve`.
    """
    means = curve.groupby("share")[["faces", "accuracy"]].mean()
    first, last = means.iloc[0], means.iloc[-1]
    text = (
        f"From {first.faces:.0f} training faces to {last.faces:.0f}, accuracy went from "
        f"{prose.percent(first.accuracy)} to {prose.percent(last.accuracy)}."
    )
    goal = last.accuracy + 0.1
    needed = faces_needed(curve, goal)
    if goal >= 1 or not np.isfinite(needed):
        return f"{text} The curve does not rise, so more faces of this kind would not help."
    return (
        f"{text} If it went on like this, straight in the logarithm of the number, "
        f"{prose.percent(goal)} would take about {float(f'{needed:.2g}'):,.0f} labelled faces; "
        "real curves flatten."
    )


def _accuracy(rows, labels, clips, fold, model):
    predicted, _, _ = cross_validate_units(rows, labels, clips, fold[None], model=model)
    return float(np.mean(predicted[0] == labels))


def _partial(rows, labels, clips, fold, model, share, seed):
    """Mean training faces, accuracy and balanced accuracy with a share of the training clips."""
    random = np.random.default_rng(seed)
    predicted, faces = np.empty_like(labels), []
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), fold == number
        order = random.permutation(np.unique(clips[train]))
        used = train[np.isin(clips[train], order[: max(1, round(share * len(order)))])]
        fitted = clone(model).fit(rows[used], labels[used], groups=clips[used])
        predicted[test] = fitted.predict(rows[test])
        faces.append(len(used))
    right = predicted == labels
    recalls = [right[labels == emotion].mean() for emotion in np.unique(labels)]
    return np.mean(faces), right.mean(), np.mean(recalls)
