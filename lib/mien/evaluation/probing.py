"""What a linear readout finds in features: the same classifier for whatever describes a face."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.emotions import EMOTIONS, spread
from mien.evaluation.cross_validation import grouped_folds

#: What the inverse penalty is chosen from, times the number of features.
PENALTIES = (0.3, 3.0, 30.0)
_INNER_FOLDS = 3


def linear_probe(
    features: np.ndarray, labels: Sequence[str], clips: Sequence[str], folds: np.ndarray
) -> np.ndarray:
    """Return what logistic regression on features answers, out of fold.

    Features are standardised, so that many of them weigh as much together as few; the penalty is
    chosen inside every training fold, by folds that keep clips whole as well.

    Parameters
    ----------
    features : ndarray of float, shape (n, d)
    labels, clips : sequence of str, shape (n,)
    folds : ndarray of int, shape (repeats, n)
        The fold that tests a face (`mien.evaluation.cross_validation.grouped_folds`).

    Returns
    -------
    ndarray of float, shape (repeats, n, 7)
        Probabilities in the order of `mien.emotions.EMOTIONS`, 0 for what a fold does not teach.
    """
    labels, clips = np.asarray(labels).astype(str), np.asarray(clips).astype(str)
    probabilities = np.zeros((*folds.shape, len(EMOTIONS)))
    for repeat, dealt in enumerate(folds):
        for fold in np.unique(dealt):
            learn, test = dealt != fold, dealt == fold
            answered, classes = _read_out(features, labels, clips, learn, test)
            probabilities[repeat, test] = spread(answered, classes)
    return probabilities


def _read_out(features, labels, clips, learn, test) -> tuple[np.ndarray, np.ndarray]:
    classes = np.unique(labels[learn])
    if len(classes) == 1:
        return np.ones((test.sum(), 1)), classes
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    choices = [penalty / features.shape[1] for penalty in PENALTIES]
    parts = min(_INNER_FOLDS, len(np.unique(clips[learn])))
    inner = grouped_folds(labels[learn], clips[learn], n_splits=parts)[0]
    search = GridSearchCV(probe, {"logisticregression__C": choices}, cv=PredefinedSplit(inner))
    search.fit(features[learn], labels[learn])
    return search.predict_proba(features[test]), search.classes_
