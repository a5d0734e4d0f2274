"""Support vector machines on Action Units: the A2 pipeline and its honest cross-validation.

Input everywhere: float32 (n, 34) rows, the 17 intensities (0..5) followed by the 17 presences
(0 or 1) of OpenFace, NaN where a unit was not measured, as `mien.data.person.Person` has them.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from mien.data.measured import UNITS
from mien.emotions import spread
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.cross_validation import grouped_folds, out_of_fold

#: What the inner folds choose among: every combination.
CANDIDATES: Mapping[str, Sequence] = {"svm__C": (0.7, 1.0, 1.5, 2.0)}

#: Intensities up to these are taken for noise, one view of the face for each (0 to 5 scale).
NOISE = (0.0, 0.3, 0.6)


class UnitFeatures(TransformerMixin, BaseEstimator):
    """Action Units as an SVM should see them, with everything learned from the training fold.

    Three views of the same face, side by side: intensities of which nothing, a little or more is
    taken for noise (soft threshold), each times 1 + presence, since OpenFace's presence comes
    from a classifier that is trained apart from the regressor of the intensity. Within a view
    all units keep their common scale: scaling each column would lift the rare, noisy ones.
    Missing intensities take the training rows' median, missing presences count as absent. No
    median is subtracted: what the kernel compares are differences, in which it would cancel.

    Parameters
    ----------
    noise : sequence of float
        Threshold of each view, in units of intensity (0..5).
    presence : bool
        Use the presences; the intensities alone where False.

    Attributes
    ----------
    medians_ : array (17,), float32
        Median intensities of the training rows; 0 for a unit that was never measured.
    scales_ : array (views, 1, 1), float32
        What each view is divided by: the root of its variance over rows and units, times 17.
        The mean squared distance of two faces is then 2 or a little less.
    """

    def __init__(self, *, noise: Sequence[float] = NOISE, presence: bool = True):
        self.noise = noise
        self.presence = presence

    def fit(self, rows, labels=None):
        """Learn the medians of ``rows`` (n, 34) and the scales of their views."""
        intensities, _ = _halves(rows)
        self.medians_ = np.zeros(len(UNITS), np.float32)
        known = ~np.isnan(intensities).all(axis=0)
        self.medians_[known] = np.nanmedian(intensities[:, known], axis=0)
        views = self._views(rows)
        width = np.sqrt(views.var(axis=(1, 2), keepdims=True) * len(UNITS))
        self.scales_ = np.where(width > 0, width, 1).astype(np.float32)
        return self

    def transform(self, rows) -> np.ndarray:
        """Return the scaled views side by side, (n, 17 * views) float32."""
        check_is_fitted(self)
        return np.concatenate(list(self._views(rows) / self.scales_), axis=1)

    def _views(self, rows):
        intensities, presences = _halves(rows)
        intensities = np.where(np.isnan(intensities), self.medians_, intensities)
        gain = 1 + np.nan_to_num(presences) if self.presence else np.float32(1)
        return np.stack([np.maximum(intensities - level, 0) * gain for level in self.noise])


def mean_rbf(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the mean (m, n) over the views of an RBF kernel, ``exp(-|x - y|^2)`` in each.

    A sum of kernels lets every view vote with its own distances, where one kernel on all columns
    would let the largest distance decide (Gonen and Alpaydin 2011, "Multiple kernel learning
    algorithms": the plain mean is hard to beat). ``left`` (m, 17 * views), ``right`` (n, 17 *
    views).

    Examples
    --------
    >>> mean_rbf(np.zeros((1, 34)), np.array([[0.0] * 34, [1.0] * 34])).round(3).tolist()
    [[1.0, 0.0]]
    """
    views = left.shape[1] // len(UNITS)
    pairs = zip(np.split(left, views, axis=1), np.split(right, views, axis=1), strict=True)
    return sum(np.exp(-cdist(here, there, "sqeuclidean")) for here, there in pairs) / views


class UnitSvm(ClassifierMixin, BaseEstimator):
    """An SVM on Action Units that chooses by inner folds, which keep clips whole.

    By default it chooses its penalty and nothing else: the thresholds and the presence gain of
    :class:`UnitFeatures` are constants, set with one real person's rows in view
    (``benchmarks/action_unit_models.py``).

    Parameters
    ----------
    pipeline : Pipeline, optional
        Unfitted, an ``SVC`` that breaks ties last; by default views of Action Units.
    candidates : mapping
        Parameter of the inner pipeline -> values to try.
    n_splits : int
        Inner folds; fewer where there are fewer clips.
    seed : int
        Seed of the inner folds.

    Attributes
    ----------
    classes_ : array of str
    chosen_ : dict
        The combination with the highest accuracy out of the inner folds; the first where equal.
    inner_accuracy_ : float
        That accuracy: optimistic, because it was chosen.
    temperature_ : float
        What the decision values are divided by before the softmax, fitted on the inner folds'
        held-out values (Guo et al. 2017). The largest probability is the prediction.
    model_ : Pipeline
        The chosen combination, fitted on all rows.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline | None = None,
        candidates=CANDIDATES,
        n_splits: int = 5,
        seed: int = 0,
    ):
        self.pipeline = pipeline
        self.candidates = candidates
        self.n_splits = n_splits
        self.seed = seed

    def fit(self, rows, labels, groups=None):
        """Choose, calibrate and fit to rows (n, 34) and labels (n,) of str.

        Parameters
        ----------
        rows : array (n, 34), or what the pipeline takes
        labels : array (n,) of str
        groups : array (n,) of str, optional
            The clip of every row; each row its own clip where left out.

        Raises
        ------
        DataError
            If there are no rows, or labels and rows differ in number.
        """
        rows, labels = np.asarray(rows, np.float32), np.asarray(labels)
        if not len(rows) or len(rows) != len(labels):
            raise DataError(
                f"a model of Action Units needs labelled rows; got {len(rows)} rows and "
                f"{len(labels)} labels"
            )
        if np.isnan(_halves(rows)[0] if self.pipeline is None else rows).all():
            raise DataError("none of the labelled faces has Action Units; run OpenFace on them")
        groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
        self.classes_ = np.unique(labels)
        self.chosen_, self.temperature_, self.inner_accuracy_ = {}, 1.0, np.nan
        if len(self.classes_) == 1:
            return self
        if len(np.unique(groups)) >= 2:
            self._choose(rows, labels, groups)
        self.model_ = self._made(self.chosen_).fit(rows, labels)
        return self

    def decision_function(self, rows) -> np.ndarray:
        """Return (n, classes): votes and margins of the pairwise SVMs; the largest wins."""
        check_is_fitted(self, "classes_")
        if len(self.classes_) == 1:
            return np.zeros((len(rows), 1))
        return _decisions(self.model_, rows, self.classes_)

    def predict_proba(self, rows) -> np.ndarray:
        """Return (n, classes) probabilities, each row summing to 1."""
        return softmax(self.decision_function(rows) / self.temperature_, axis=1)

    def predict(self, rows) -> np.ndarray:
        """Return the most probable class of every row."""
        return self.classes_[self.decision_function(rows).argmax(axis=1)]

    def _made(self, chosen):
        model = _of_units() if self.pipeline is None else clone(self.pipeline)
        return model.set_params(**chosen)

    def _choose(self, rows, labels, groups):
        n_splits = min(self.n_splits, len(np.unique(groups)))
        folds = grouped_folds(labels, groups, n_splits=n_splits, seed=self.seed)
        codes = np.searchsorted(self.classes_, labels)
        best = None
        for values in product(*self.candidates.values()):
            chosen = dict(zip(self.candidates, values, strict=True))
            (held_out,), _ = out_of_fold(self._decided(chosen), rows, labels, groups, folds)
            accuracy = np.mean(held_out.argmax(axis=1) == codes)
            if best is None or accuracy > best[0] + 1e-9:
                best = accuracy, chosen, held_out
        self.inner_accuracy_, self.chosen_ = float(best[0]), best[1]
        self.temperature_ = fit_temperature(softmax(best[2], axis=1), codes)

    def _decided(self, chosen):
        """Return the procedure that gives decision values (k, classes), for one combination."""

        def answer(rows, labels, _, others):
            seen = np.unique(labels)
            if len(seen) == 1:
                return np.tile(np.where(self.classes_ == seen, 1.0, -1.0), (len(others), 1)), chosen
            fitted = self._made(chosen).fit(rows, labels)
            return _decisions(fitted, others, self.classes_), chosen

        return answer


def measured_svm(*, n_splits: int = 5, seed: int = 0) -> UnitSvm:
    """Return an SVM for any measured features that share a scale of 0..1, blendshapes say.

    scikit-learn's ``SVC`` with its RBF kernel on the columns as they are; missing ones take the
    training rows' mean, and the penalty is chosen by inner folds, as in :class:`UnitSvm`.
    """
    plain = Pipeline([("missing", SimpleImputer()), ("svm", SVC(break_ties=True))])
    choices = {"svm__C": (1.0, 2.0, 4.0, 8.0)}
    return UnitSvm(pipeline=plain, candidates=choices, n_splits=n_splits, seed=seed)


def asked(model: UnitSvm) -> Callable:
    """Return the procedure of an unfitted model for `out_of_fold`: probabilities, and its choice.

    The probabilities (k, 7) are in the order of `mien.emotions.EMOTIONS`; 0 for what the rows that
    it learns from lack.
    """

    def answer(rows, labels, clips, others):
        fitted = clone(model).fit(rows, labels, groups=clips)
        return spread(fitted.predict_proba(others), fitted.classes_), fitted.chosen_

    return answer


def cross_validate_units(
    rows: np.ndarray, labels: np.ndarray, clips: np.ndarray, folds: np.ndarray, *, model: UnitSvm
) -> tuple[np.ndarray, list[dict]]:
    """Return probabilities of every labelled row by models that saw neither it nor its clip.

    ``rows`` (n, 34), ``labels`` and ``clips`` (n,) of str (clips also keep the inner folds apart),
    ``folds`` int (repeats, n) of :func:`mien.evaluation.cross_validation.grouped_folds`, or
    ``plain_folds``, to show the leak; ``model`` is unfitted.

    Returns
    -------
    probabilities : float array (repeats, n, 7)
        As `asked` has them; the largest is the answer.
    chosen : list of dict
        The combination (`UnitSvm.chosen_`) that every fold of every repeat has chosen.
    """
    return out_of_fold(asked(model), rows, labels, clips, folds)


def nearest_faces(model: UnitSvm, rows: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the two labelled faces that the model sees as closest to each row.

    Distances are Euclidean between the features of the fitted model, the ones its kernel compares.
    ``rows`` (m, 34) are the faces to explain, ``labelled`` (n, 34) those to choose from. Returns
    rows of ``labelled``, int (m, 2), the closest first.
    """
    features = model.model_["features"]
    here, there = features.transform(rows), features.transform(labelled)
    distances = np.linalg.norm(here[:, None] - there[None], axis=2)
    return distances.argsort(axis=1, kind="stable")[:, :2]


def _of_units():
    # break_ties makes predict the argmax of decision_function
    svm = SVC(kernel=mean_rbf, break_ties=True)
    return Pipeline([("features", UnitFeatures()), ("svm", svm)])


def _decisions(model, rows, classes):
    """Decision values for ``classes``, the lowest for those that the model never saw."""
    values = model.decision_function(rows)
    if values.ndim == 1:
        values = np.stack([-values, values], axis=1)
    everything = np.full((len(rows), len(classes)), values.min() - 1.0)
    everything[:, np.searchsorted(classes, model.classes_)] = values
    return everything


def _halves(rows):
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or rows.shape[1] != 2 * len(UNITS):
        raise ParameterError(
            f"Action Units must be an array (n, {2 * len(UNITS)}), intensities then presences, "
            f"not {rows.shape}"
        )
    return rows[:, : len(UNITS)], rows[:, len(UNITS) :]
