"""What the Action Unit model looked at, beside what FACS says it should look at."""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu
from sklearn.base import clone

from mien import prose
from mien.openface import UNITS

#: The units of each emotion's prototype that OpenFace measures (Ekman, Friesen and Hager 2002,
#: "FACS Investigator's Guide", table 10-1, the basis of EMFACS, Friesen and Ekman 1983). Where
#: the table lists variants, the units of the common ones; AU16 and AU27 are not measured.
PROTOTYPES: dict[str, tuple[str, ...]] = {
    "angry": ("AU04", "AU05", "AU07", "AU23"),
    "disgust": ("AU09", "AU10", "AU15", "AU17"),
    "fear": ("AU01", "AU02", "AU04", "AU05", "AU07", "AU20", "AU25", "AU26"),
    "happy": ("AU06", "AU12"),
    "sad": ("AU01", "AU04", "AU15", "AU17"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
}

#: The name of the row that averages over all faces, whatever their emotion.
ALL = "all"


def unit_importance(
    rows: np.ndarray,
    labels: np.ndarray,
    clips: np.ndarray,
    folds: np.ndarray,
    *,
    model,
    shuffles: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much worse held-out faces are read when one Action Unit is shuffled among them.

    Breiman's permutation importance (2001, "Random forests"), on the faces that the model was not
    fitted on. A unit's intensity and presence are exchanged together, since either tells of the
    other.

    Parameters
    ----------
    rows : array (n, 34)
        Intensities, then presences.
    labels, clips : arrays (n,) of str
    folds : int array (repeats, n)
        From :func:`mien.folds.grouped_folds`.
    model : classifier
        Unfitted; ``fit(rows, labels, groups=clips)`` and ``predict_proba``.
    shuffles : int
        How often each unit is shuffled in each fold.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    DataFrame
        One row per emotion (and ``"all"``) and unit: ``emotion``, ``unit``, ``drop`` (how much
        the accuracy on the faces of that emotion falls, 0..1, mean over the repeats), ``spread``
        (standard deviation over the repeats), ``probability_drop`` (the same for the probability
        of the true emotion, smoother) and ``prototype`` (the unit belongs to the emotion's
        EMFACS prototype).
    """
    rows, labels, clips = np.asarray(rows, np.float32), np.asarray(labels), np.asarray(clips)
    random = np.random.default_rng(seed)
    hit_drop = np.zeros((len(folds), len(UNITS), len(rows)))
    probability_drop = np.zeros_like(hit_drop)
    for repeat, fold in enumerate(folds):
        for number in np.unique(fold):
            train, test = fold != number, fold == number
            fitted = clone(model).fit(rows[train], labels[train], groups=clips[train])
            drops = _drops(fitted, rows[test], labels[test], shuffles, random)
            hit_drop[repeat][:, test], probability_drop[repeat][:, test] = drops
    emotions = list(dict.fromkeys([ALL, *PROTOTYPES, *np.unique(labels)]))
    parts = []
    for emotion in emotions:
        of_it = np.full(len(labels), True) if emotion == ALL else labels == emotion
        if of_it.any():
            parts.append(_summary(emotion, hit_drop[..., of_it], probability_drop[..., of_it]))
    return pd.concat(parts, ignore_index=True)


def agreement(importance: pd.DataFrame) -> pd.DataFrame:
    """Return, per emotion, whether the important units are those of the EMFACS prototype.

    Parameters
    ----------
    importance : DataFrame
        From :func:`unit_importance`.

    Returns
    -------
    DataFrame
        One row per emotion that has a prototype: ``emotion``, ``prototype`` (its units),
        ``top`` (as many most important units), ``hits`` (how many are in both), ``chance`` (how
        many would be by luck), ``auc`` (the chance that a unit of the prototype is more important
        than one outside it; 0.5 is no agreement) and ``p`` (one-sided Mann-Whitney test).
    """
    found = []
    for emotion, part in importance.groupby("emotion", sort=False):
        if emotion not in PROTOTYPES:
            continue
        inside = part.prototype.to_numpy()
        drops = part.probability_drop.to_numpy()
        size = int(inside.sum())
        top = part.sort_values("probability_drop", ascending=False, kind="stable").unit[:size]
        test = mannwhitneyu(drops[inside], drops[~inside], alternative="greater")
        found.append(
            {
                "emotion": emotion,
                "prototype": ", ".join(PROTOTYPES[emotion]),
                "top": ", ".join(top),
                "hits": len(set(top) & set(PROTOTYPES[emotion])),
                "size": size,
                "chance": size**2 / len(part),
                "auc": float(test.statistic / (size * (len(part) - size))),
                "p": float(test.pvalue),
            }
        )
    return pd.DataFrame(found)


def textbook_sentence(drops: pd.DataFrame) -> str:
    """Return how far the units that mattered are those of the EMFACS prototypes, in a sentence.

    Parameters
    ----------
    drops : DataFrame
        From :func:`unit_importance`.
    """
    compared = agreement(drops)
    hits, sizes = int(compared["hits"].sum()), int(compared["size"].sum())
    areas = compared["auc"].dropna()
    if areas.empty:
        return "No emotion has a prototype to compare with."
    above = int((areas > 0.5).sum())
    return (
        f"Of the {sizes} units that mattered most, as many for each emotion as its prototype has, "
        f"{hits} are the textbook's; textbook units rank above the others in {above} of "
        f"{prose.count(len(areas), 'emotion')}."
    )


def _drops(fitted, rows, labels, shuffles, random):
    """Fall of hit and of true probability, each (units, rows), mean over the shuffles."""
    orders = np.stack([random.permutation(len(rows)) for _ in range(shuffles)])
    shuffled = np.broadcast_to(rows, (len(UNITS), shuffles, *rows.shape)).copy()
    for unit in range(len(UNITS)):
        for column in (unit, unit + len(UNITS)):
            shuffled[unit, :, :, column] = rows[orders, column]
    hit, probability = _reading(fitted, rows, labels)
    everything = shuffled.reshape(-1, rows.shape[1])
    hits, probabilities = _reading(fitted, everything, np.tile(labels, len(UNITS) * shuffles))
    shape = (len(UNITS), shuffles, len(rows))
    return (
        hit - hits.reshape(shape).mean(axis=1),
        probability - probabilities.reshape(shape).mean(axis=1),
    )


def _reading(fitted, rows, labels):
    """Whether each row is read right, and the probability of its true class (0 if unknown)."""
    probabilities = fitted.predict_proba(rows)
    known = labels[:, None] == fitted.classes_
    hit = (fitted.classes_[probabilities.argmax(axis=1)] == labels).astype(float)
    return hit, (probabilities * known).sum(axis=1)


def _summary(emotion, hit_drop, probability_drop):
    per_repeat = hit_drop.mean(axis=2)
    return pd.DataFrame(
        {
            "emotion": emotion,
            "unit": UNITS,
            "drop": per_repeat.mean(axis=0),
            "spread": per_repeat.std(axis=0),
            "probability_drop": probability_drop.mean(axis=(0, 2)),
            "prototype": [unit in PROTOTYPES.get(emotion, ()) for unit in UNITS],
        }
    )
