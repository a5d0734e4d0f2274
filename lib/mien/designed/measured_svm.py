"""Support vector machines on measured features, Action Units or blendshapes; cross-validated.

Input everywhere: float32 (n, k) rows of 0..1, NaN where something was not measured, with the names
of the k columns, as `mien.data.measured.Measured` has them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.impute import SimpleImputer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from mien.designed.classifiers import Steps, decisions, described, of_measured, unknown
from mien.emotions import spread
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.cross_validation import grouped_folds, out_of_fold

#: What the inner folds choose among, every combination: of Action Units, and of anything else.
UNIT_CHOICES: Mapping[str, Sequence] = {"svm__C": (0.7, 1.0, 1.5, 2.0)}
PLAIN_CHOICES: Mapping[str, Sequence] = {
    "svm__C": (1.0, 2.0, 4.0, 8.0),
    "features__scale__with_std": (False, True),
}

#: Intensities up to these (0..1) are taken for noise, one view of the face for each.
NOISE = (0.0, 0.06, 0.12)


class UnitFeatures(TransformerMixin, BaseEstimator):
    """Action Units as an SVM should see them, with everything learned from the training fold.

    Three views of the same face, side by side: intensities of which nothing, a little or more is
    taken for noise (soft threshold), each times 1 + presence, which OpenFace tells by a classifier
    of its own. Within a view all units keep their common scale: scaling each column would lift the
    rare, noisy ones. Missing intensities take the training rows' median, missing presences count as
    absent.

    Of the ``names`` of the k columns ``AU01_r`` or ``AU01`` is an intensity, ``AU01_c`` a presence,
    used beside its intensity, or where there is no intensity at all. After the fit ``medians_``
    (units,) are those of the training rows, 0 for a unit that was never measured, and ``scales_``
    (views, 1, 1) what each view is divided by, so that the mean squared distance of two faces is
    about 2.
    """

    def __init__(self, names: Sequence[str]):
        self.names = names

    def fit(self, rows, labels=None):
        """Learn the medians of ``rows`` (n, k) and the scales of their views."""
        names = list(self.names)
        units = [name for name in names if not name.endswith("_c")] or names
        doubling = [unit.removesuffix("_r") + "_c" for unit in units]
        self.units_ = np.array([names.index(unit) for unit in units])
        self.doubling_ = np.array([names.index(c) if c in names else -1 for c in doubling])
        intensities = np.asarray(rows)[:, self.units_]
        self.medians_ = np.zeros(len(units), np.float32)
        known = ~np.isnan(intensities).all(axis=0)
        self.medians_[known] = np.nanmedian(intensities[:, known], axis=0)
        views = self._views(rows)
        width = np.sqrt(views.var(axis=(1, 2), keepdims=True) * len(units))
        self.scales_ = np.where(width > 0, width, 1).astype(np.float32)
        return self

    def transform(self, rows) -> np.ndarray:
        """Return the scaled views side by side, (n, units * views) float32."""
        check_is_fitted(self)
        return np.concatenate(list(self._views(rows) / self.scales_), axis=1)

    def _views(self, rows):
        rows = np.asarray(rows, np.float32)
        intensities = rows[:, self.units_]
        intensities = np.where(np.isnan(intensities), self.medians_, intensities)
        absent = np.zeros((len(rows), 1), np.float32)
        gain = 1 + np.hstack([np.nan_to_num(rows), absent])[:, self.doubling_]
        return np.stack([np.maximum(intensities - level, 0) * gain for level in NOISE])


def mean_rbf(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the mean (m, n) over the views of an RBF kernel, ``exp(-|x - y|^2)`` in each.

    Every view votes with its own distances (Gonen and Alpaydin 2011, "Multiple kernel learning
    algorithms": the plain mean is hard to beat). ``left`` (m, units * views), ``right`` (n, units *
    views), as many views as `NOISE` has.
    """
    views = len(NOISE)
    pairs = zip(np.split(left, views, axis=1), np.split(right, views, axis=1), strict=True)
    return sum(np.exp(-cdist(here, there, "sqeuclidean")) for here, there in pairs) / views


def of_units(names: Sequence[str]) -> bool:
    """Return whether all of these columns are Action Units."""
    return all(name.startswith("AU") for name in names)


def measured_pipeline(names: Sequence[str], *, kernel: str = "") -> Pipeline:
    """Return ``features`` and ``svm`` for such columns; by default with `mean_rbf`, or RBF."""
    known = SimpleImputer(strategy="median", keep_empty_features=True)
    plain = Steps([("missing", known), ("scale", StandardScaler(with_std=False))])
    features, usual = (UnitFeatures(names), mean_rbf) if of_units(names) else (plain, "rbf")
    # break_ties makes predict the argmax of decision_function
    return Steps([("features", features), ("svm", SVC(kernel=kernel or usual, break_ties=True))])


@dataclass(eq=False, repr=False)
class MeasuredSvm(ClassifierMixin, BaseEstimator):
    """An SVM on measured features, or another classifier: inner folds that keep clips whole choose.

    Where all columns are Action Units it sees them as `UnitFeatures`, whose constants were set with
    one real person's rows in view (``benchmarks/measured_models.py``), and chooses its penalty. Any
    other columns it takes as they are, the missing ones as the training rows' medians, and chooses
    the penalty and whether each column gets a scale of its own.

    ``names`` are those of the k columns that it reads. ``pipeline`` is an unfitted classifier of
    scikit-learn, by default `measured_pipeline`; it gets means where it takes no missing values.
    ``candidates`` are values to try by parameter of the pipeline, by default those of
    `UNIT_CHOICES` or `PLAIN_CHOICES` that it has; ``n_splits`` and ``seed`` are of the inner folds,
    of which there are fewer where there are fewer clips.

    After the fit ``model_`` is the combination ``chosen_`` (dict), fitted on all rows: that with
    the highest accuracy out of the inner folds, the first where equal (``inner_accuracy_``,
    optimistic, because it was chosen). ``temperature_``, fitted on their held-out decision values
    (Guo et al. 2017), divides decision values before the softmax.
    """

    names: Sequence[str]
    _: KW_ONLY
    pipeline: BaseEstimator | None = None
    candidates: Mapping[str, Sequence] | None = None
    n_splits: int = 5
    seed: int = 0

    def fit(self, rows, labels, groups=None):
        """Choose, calibrate and fit to rows (n, k) with labels (n,) of str.

        ``groups`` (n,) are the clips; each row is its own clip where left out. `DataError` if there
        are no such rows, or nothing in them.
        """
        rows, labels = np.asarray(rows, np.float32), np.asarray(labels)
        if not len(rows) or rows.shape != (len(labels), len(self.names)):
            raise DataError(
                f"a model of measured features needs labelled rows (n, {len(self.names)}); got "
                f"{rows.shape} and {len(labels)} labels"
            )
        if np.isnan(rows).all():
            raise DataError("none of the labelled faces was measured (OpenFace, mien measure …)")
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

    @property
    def choices(self) -> dict[str, Sequence]:
        """What the inner folds choose among; `ParameterError` if the pipeline has no such name."""
        known = self._made({}).get_params()
        tried = self.candidates or (UNIT_CHOICES if of_units(self.names) else PLAIN_CHOICES)
        for name in tried:
            if name not in known and name not in PLAIN_CHOICES:
                raise ParameterError(unknown(name, known))
        return {name: values for name, values in tried.items() if name in known}

    def reading(self, names: Sequence[str]) -> "MeasuredSvm":
        """Return the same unfitted model for other columns, an SVM's kernel kept."""
        other = clone(self).set_params(names=names)
        if isinstance(self.pipeline, Steps):
            kernel = self.pipeline["svm"].kernel
            kernel = "" if kernel in (mean_rbf, "rbf") else kernel
            other.pipeline = measured_pipeline(names, kernel=kernel)
        return other

    def describe(self) -> dict[str, Any]:
        """Return ``views`` (thresholds of noise, if any), ``choices`` and ``n_splits``."""
        seen = getattr(self._made({}), "named_steps", {}).get("features")
        views = list(NOISE) if isinstance(seen, UnitFeatures) else []
        return {"views": views, "choices": self.choices, "n_splits": self.n_splits}

    def kernel(self, rows) -> np.ndarray:
        """Return how alike rows are before anything is chosen, (n, n), 0..1, no label looked at."""
        ours = measured_pipeline(self.names)["features"]
        features = ours.fit_transform(np.asarray(rows, np.float32))
        if of_units(self.names):
            return mean_rbf(features, features)
        return rbf_kernel(features, gamma=1 / (features.shape[1] * features.var() or 1))

    def _made(self, chosen):
        given = measured_pipeline(self.names) if self.pipeline is None else clone(self.pipeline)
        model = of_measured(given)
        unset = [name for name, value in model.get_params().items() if value is None]
        seeds = {name: self.seed for name in unset if name.endswith("random_state")}
        return model.set_params(**seeds, **chosen)

    def _choose(self, rows, labels, groups):
        n_splits = min(self.n_splits, len(np.unique(groups)))
        folds = grouped_folds(labels, groups, n_splits=n_splits, seed=self.seed)
        codes = np.searchsorted(self.classes_, labels)

        def decided(chosen, rows, labels, _, others):
            seen = np.unique(labels)
            if len(seen) == 1:
                return np.tile(np.where(self.classes_ == seen, 1.0, -1.0), (len(others), 1)), chosen
            fitted = self._made(chosen).fit(rows, labels)
            return _decisions(fitted, others, self.classes_), chosen

        best, choices = None, self.choices
        for values in product(*choices.values()):
            chosen = dict(zip(choices, values, strict=True))
            (held_out,), _ = out_of_fold(partial(decided, chosen), rows, labels, groups, folds)
            accuracy = np.mean(held_out.argmax(axis=1) == codes)
            if best is None or accuracy > best[0] + 1e-9:
                best = accuracy, chosen, held_out
        self.inner_accuracy_, self.chosen_ = float(best[0]), best[1]
        self.temperature_ = fit_temperature(softmax(best[2], axis=1), codes)


def asked(model: MeasuredSvm) -> Callable:
    """Return an unfitted model's procedure for `mien.evaluation.cross_validation.out_of_fold`.

    It answers with probabilities (k, 7) and `MeasuredSvm.chosen_`; clips keep its inner folds
    apart, too.
    """

    def answer(rows, labels, clips, others):
        fitted = clone(model).fit(rows, labels, groups=clips)
        return spread(fitted.predict_proba(others), fitted.classes_), fitted.chosen_

    return answer


def nearest_faces(model: MeasuredSvm, rows: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the two labelled faces that the model sees as closest to each row, the closest first.

    By the features that its last step sees: of ``rows`` (m, k), places in ``labelled`` (n, k), int
    (m, 2).
    """
    here, there = described(model.model_, rows), described(model.model_, labelled)
    return cdist(here, there).argsort(axis=1, kind="stable")[:, :2]


def _decisions(model, rows, classes):
    """Decision values for ``classes``, the lowest for those that the model never saw."""
    values = decisions(model, rows)
    everything = np.full((len(rows), len(classes)), values.min() - 1.0)
    everything[:, np.searchsorted(classes, model.classes_)] = values
    return everything
