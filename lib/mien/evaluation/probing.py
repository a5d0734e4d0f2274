"""What a linear readout finds in features: the same classifier for whatever describes a face."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.emotions import EMOTIONS, spread

#: scikit-learn's C times the number of features, so that many weigh as much together as few. Set
#: with one real person's faces in view, on which a third of it or thrice as much changes a point.
PENALTY = 3.0


def linear_probe(features: np.ndarray, labels: Sequence[str], folds: np.ndarray) -> np.ndarray:
    """Return what logistic regression on standardised features (n, d) answers, out of fold.

    ``folds`` int (repeats, n) say which fold tests a face. Returns probabilities (repeats, n, 7) in
    the order of `mien.emotions.EMOTIONS`, 0 for what a fold does not teach.
    """
    labels = np.asarray(labels).astype(str)
    probabilities = np.zeros((*folds.shape, len(EMOTIONS)))
    for repeat, dealt in enumerate(folds):
        for fold in np.unique(dealt):
            learn, test = dealt != fold, dealt == fold
            answered, classes = _read_out(features, labels, learn, test)
            probabilities[repeat, test] = spread(answered, classes)
    return probabilities


def _read_out(features, labels, learn, test) -> tuple[np.ndarray, np.ndarray]:
    classes = np.unique(labels[learn])
    if len(classes) == 1:
        return np.ones((test.sum(), 1)), classes
    regression = LogisticRegression(C=PENALTY / features.shape[1], max_iter=2000)
    probe = make_pipeline(StandardScaler(), regression).fit(features[learn], labels[learn])
    return probe.predict_proba(features[test]), classes
