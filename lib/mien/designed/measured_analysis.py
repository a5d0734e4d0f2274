"""What a model on measured features looked at, whether it beats chance, what more labels bring."""

import numpy as np
import pandas as pd
from scipy.linalg import solve
from scipy.stats import mannwhitneyu

from mien.data.measured import unit_of
from mien.designed.measured_svm import MeasuredSvm, asked
from mien.emotions import EMOTIONS, codes
from mien.evaluation.cross_validation import out_of_fold

#: The Action Units of each emotion's prototype that OpenFace measures (Ekman, Friesen and Hager
#: 2002, "FACS Investigator's Guide", table 10-1, the basis of EMFACS, Friesen and Ekman 1983).
#: Where the table lists variants, the units of the common ones; AU16 and AU27 are not measured.
PROTOTYPES: dict[str, tuple[str, ...]] = {
    "angry": ("AU04", "AU05", "AU07", "AU23"),
    "disgust": ("AU09", "AU10", "AU15", "AU17"),
    "fear": ("AU01", "AU02", "AU04", "AU05", "AU07", "AU20", "AU25", "AU26"),
    "happy": ("AU06", "AU12"),
    "sad": ("AU01", "AU04", "AU15", "AU17"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
}


def unit_importance(
    rows: np.ndarray,
    labels: np.ndarray,
    clips: np.ndarray,
    folds: np.ndarray,
    *,
    model: MeasuredSvm,
    shuffles: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much worse held-out faces are read when one unit is shuffled among them.

    Breiman's permutation importance (2001, "Random forests"), on the faces that the model was not
    fitted on. A unit is an Action Unit or a blendshape; its intensity and presence, its left and
    right side are exchanged together (`mien.data.measured.unit_of`), ``shuffles`` times in each
    fold. ``model`` is unfitted, the rest as of `mien.evaluation.cross_validation.out_of_fold`.

    Returns one row per emotion (and ``"all"``) and unit: ``emotion``, ``unit``, ``drop`` (how much
    the accuracy on the faces of that emotion falls, 0..1, mean over the repeats),
    ``probability_drop`` (the same for the probability of the true emotion, smoother) and
    ``prototype`` (the unit is an Action Unit of the emotion's EMFACS prototype).
    """
    rows, labels, clips = np.asarray(rows, np.float32), np.asarray(labels), np.asarray(clips)
    of_column = np.array([unit_of(name) for name in model.names])
    units = list(dict.fromkeys(of_column))
    together = [of_column == unit for unit in units]
    procedure = _shuffled(asked(model), together, shuffles, np.random.default_rng(seed))
    answers, _ = out_of_fold(procedure, rows, labels, clips, folds)
    of_truth = answers[:, np.arange(len(labels)), ..., codes(labels)]  # (n, repeats, 2, 1 + units)
    drops = (of_truth[..., :1] - of_truth[..., 1:]).mean(axis=1)
    parts = []
    for emotion in dict.fromkeys(["all", *PROTOTYPES, *np.unique(labels)]):
        of_it = (labels == emotion) | (emotion == "all")
        if of_it.any():
            part = pd.DataFrame({"emotion": emotion, "unit": units})
            part["drop"], part["probability_drop"] = drops[of_it].mean(axis=0)
            part["prototype"] = part["unit"].isin(PROTOTYPES.get(emotion, ()))
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def textbook_agreement(importance: pd.DataFrame) -> pd.DataFrame:
    """Return, per emotion, whether the important units are those of the EMFACS prototype.

    Of :func:`unit_importance`, one row per emotion with a prototype that was measured: ``emotion``,
    ``prototype`` (its units), ``top`` (as many most important units), ``hits`` (how many are in
    both), ``size`` (of the prototype), ``auc`` (the chance that a unit of the prototype is more
    important than one outside it; 0.5 is no agreement) and ``p`` (one-sided Mann-Whitney test).
    """
    found = []
    for emotion, part in importance.groupby("emotion", sort=False):
        inside = part.prototype.to_numpy()
        drops = part.probability_drop.to_numpy()
        size = int(inside.sum())
        if size in (0, len(part)):
            continue
        top = part.sort_values("probability_drop", ascending=False, kind="stable").unit[:size]
        test = mannwhitneyu(drops[inside], drops[~inside], alternative="greater")
        hits = len(set(top) & set(PROTOTYPES[emotion]))
        auc = float(test.statistic / (size * (len(part) - size)))
        units = ", ".join(part.unit[inside]), ", ".join(top)
        found.append((emotion, *units, hits, size, auc, float(test.pvalue)))
    columns = ["emotion", "prototype", "top", "hits", "size", "auc", "p"]
    return pd.DataFrame(found, columns=columns)


def textbook_hits(agreement: pd.DataFrame) -> dict[str, int]:
    """Return how much of the textbook was found, over all emotions of `textbook_agreement`.

    ``units`` of all prototypes, ``hits`` among the most important, ``emotions``, ``emotions_above``
    (whose auc exceeds 0.5).
    """
    return {
        "units": int(agreement["size"].sum()),
        "hits": int(agreement["hits"].sum()),
        "emotions": len(agreement),
        "emotions_above": int((agreement["auc"] > 0.5).sum()),
    }


def _shuffled(answer, together, shuffles, random):
    """The procedure that answers rows, as they are and with each unit shuffled."""

    def answers(rows, labels, clips, others):
        orders = np.stack([random.permutation(len(others)) for _ in range(shuffles)])
        shown = np.broadcast_to(others, (1 + len(together), shuffles, *others.shape)).copy()
        for unit, columns in enumerate(together):
            shown[1 + unit][..., columns] = others[orders][..., columns]
        given, chosen = answer(rows, labels, clips, shown.reshape(-1, others.shape[1]))
        given = given.reshape(*shown.shape[:-1], len(EMOTIONS))
        said = np.eye(len(EMOTIONS))[given.argmax(axis=-1)]
        return np.stack([said, given]).mean(axis=2).transpose(2, 0, 1, 3), chosen

    return answers


def shuffled_by_clip(labels: np.ndarray, clips: np.ndarray, random) -> np.ndarray:
    """Return the labels dealt anew with the frames of a clip kept in a row.

    The clips' blocks of labels change order and are laid over the faces clip by clip: every emotion
    stays as frequent as it was, and neighbours in a clip still mostly agree.
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
    model: MeasuredSvm,
    permutations: int = 1000,
    seed: int = 0,
) -> dict:
    """Compare the accuracy out of fold with what the same procedure gets on shuffled faces.

    So that a thousand shuffles take a second, the model is simpler than the chapter's: the same
    kernel on the same features, scaled on all faces at once, and a least-squares SVM (Suykens and
    Vandewalle 1999, Neural Processing Letters 9:293) with a penalty of 1. The test stays exact:
    scaling and penalty look at no label, and true and shuffled faces are treated alike (Ojala and
    Garriga 2010, "Permutation Tests for Studying Classifier Performance", Journal of Machine
    Learning Research 11, test 1).

    ``fold`` (n,) is one repeat of the folds, the same for the true and the shuffled faces; the
    smallest p value is 1 / (permutations + 1).

    Returns ``accuracy``, ``mean`` and ``best`` (of the accuracies on shuffled faces),
    ``permutations``, ``p`` (share of shuffles at least as good, the true order counted among them).
    """
    labels, clips = np.asarray(labels), np.asarray(clips)
    random = np.random.default_rng(seed)
    kernel, own = model.kernel(rows), np.arange(len(labels))
    wanted = (labels[:, None] == np.unique(labels)).astype(float)

    def answer(rows, truth, _, others):
        """Least-squares SVM on the kernel, ``truth`` (k, classes)."""
        learned = kernel[np.ix_(rows, rows)] + np.eye(len(rows))
        weights = solve(learned, truth - truth.mean(axis=0), assume_a="pos")
        return kernel[np.ix_(others, rows)] @ weights + truth.mean(axis=0), None

    def accuracy(order):
        (decisions,), _ = out_of_fold(answer, order, wanted, clips, fold[None])
        return float(np.mean(decisions.argmax(axis=1) == wanted.argmax(axis=1)))

    # The rows change places, not the labels: the folds were dealt by the labels, and would suit
    # shuffled ones less well.
    orders = [own] + [shuffled_by_clip(own, clips, random) for _ in range(permutations)]
    found, *chance = map(accuracy, orders)
    as_good = sum(mixed >= found - 1e-9 for mixed in chance)
    told = {"accuracy": found, "mean": float(np.mean(chance)), "best": max(chance)}
    return told | {"permutations": permutations, "p": (as_good + 1) / (permutations + 1)}
