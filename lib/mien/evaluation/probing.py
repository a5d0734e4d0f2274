"""What a linear readout finds in features: the same classifier for whatever describes a face."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.emotions import spread
from mien.evaluation.cross_validation import out_of_fold

#: scikit-learn's C times the number of features, so that many weigh as much together as few. Set
#: with one real person's faces in view, on which a third of it or thrice as much changes a point.
PENALTY = 3.0


def linear_probe(features: np.ndarray, labels: Sequence[str], folds: np.ndarray) -> np.ndarray:
    """Return what logistic regression on standardised features (n, d) answers, out of fold.

    ``folds`` int (repeats, n) say which fold tests a face. Returns probabilities (repeats, n, 7) in
    the order of `mien.emotions.EMOTIONS`, 0 for what a fold does not teach.
    """
    labels = np.asarray(labels).astype(str)
    return out_of_fold(_read_out, features, labels, labels, folds)[0]  # clips are nothing to it


def _read_out(features, labels, _, others) -> tuple[np.ndarray, None]:
    classes = np.unique(labels)
    if len(classes) == 1:
        return spread(np.ones((len(others), 1)), classes), None
    regression = LogisticRegression(C=PENALTY / features.shape[1], max_iter=2000)
    probe = make_pipeline(StandardScaler(), regression).fit(features, labels)
    return spread(probe.predict_proba(others), classes), None
