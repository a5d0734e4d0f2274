"""Support vector machines on images of faces: raw pixels, HOG and the strong descriptor.

The first functions return unfitted pipelines over uint8 images (n, 48, 48). Fit them on Training,
:class:`Calibrated` on PublicTest, score on PrivateTest.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import sklearn.svm
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from mien.designed.classifiers import Steps, decisions
from mien.designed.descriptors import Hog, PatchDictionary, Pixels, Reduced
from mien.designed.storage import Cached
from mien.emotions import named
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import fit_temperature

#: Rows of a kernel matrix that are computed together.
_TILE = 256
#: Columns of the kernel that the solver's preconditioner is made of, which change its time only,
#: and the relative residual at which it stops.
_LANDMARKS, _TOLERANCE = 1500, 1e-3


def solver(**parameters):
    """Return an ``SVC`` from scikit-learn-intelex where it is installed, else scikit-learn's own.

    The former finds the same solution ten times faster or more. Ties between classes are broken by
    the decision values: the largest of ``decision_function`` is what ``predict`` says.
    """
    try:
        from sklearnex.svm import SVC
    except ImportError:
        SVC = sklearn.svm.SVC
    return SVC(**{"break_ties": True, "cache_size": 1000} | parameters)


def pixel_svm() -> Pipeline:
    """Return the assignment's own baseline: standardised grey values and an RBF kernel."""
    return Steps([("pixels", Pixels()), ("scale", StandardScaler()), ("svm", solver())])


def hog_svm(*, cell: int = 6, components: int = 256, C: float = 10.0, seed: int = 0) -> Pipeline:
    """Return HOG, its principal components and an RBF kernel (after Dalal and Triggs 2005)."""
    reduced = Pipeline([("hog", Hog(cell=cell)), ("pca", Reduced(components, seed=seed))])
    return Steps([("descriptor", Cached(reduced)), ("svm", solver(C=C))])


def strong_svm(
    *,
    patches: Mapping[int, int],
    edges: Mapping[int, int] | None = None,
    even: int,
    odd: int,
    gamma: float,
    penalty: float,
    mirrors: bool = True,
    **recipe,
) -> Pipeline:
    """Return patch dictionaries of several kinds and an SVM that a mirror cannot mislead.

    What each profile takes stands in `mien.study.profiles`, as ``image_svm``. What a dictionary
    makes of the images is kept on disk, for another combination of the same dictionaries.
    ``patches`` and ``edges`` are sides of a patch in pixels, and the cells per side of its pooling
    grid: a `PatchDictionary` for each, of grey values or of edges, with ``even``, ``odd`` and what
    the ``recipe`` has. ``gamma`` and ``penalty`` are those of `MirrorSvm`, which learns from mirror
    images too unless ``mirrors`` is False.
    """
    recipe = {"even": even, "odd": odd, **recipe}
    parts = {
        f"{kind} {size}": Cached(PatchDictionary(size=size, grid=grid, edges=of_edges, **recipe))
        for kind, of_edges, sizes in (("grey", False, patches), ("edges", True, edges or {}))
        for size, grid in sizes.items()
    }
    # rows keep the length 1; an RBF kernel over them is the product of the parts' kernels
    weights = dict.fromkeys(parts, len(parts) ** -0.5)
    union = FeatureUnion(list(parts.items()), transformer_weights=weights)
    turned = np.tile(np.repeat([False, mirrors], [even, odd]), len(parts))
    svm = MirrorSvm(odd=turned, gamma=gamma, penalty=penalty)
    return Steps([("descriptor", union), ("svm", svm)])


def strong_steps(
    *, patches: Mapping[int, int], edges: Mapping[int, int] | None = None, **settings
) -> dict[str, Pipeline]:
    """Return :func:`strong_svm` as it grows, for an ablation: by name, the whole model last.

    One size of patches without mirror images, then with them, then all sizes, then edges beside
    them: fitted in this order, each step describes only what is new in it. Arguments as of
    `strong_svm`, ``mirrors`` aside.
    """
    first = next(iter(patches))
    one, name = {first: patches[first]}, f"{first}-pixel patches"
    steps = {
        f"{name}, no mirrors": strong_svm(patches=one, mirrors=False, **settings),
        name: strong_svm(patches=one, **settings),
    }
    if len(patches) > 1:
        name = f"{_sizes(patches)} patches"
        steps[name] = strong_svm(patches=patches, **settings)
    if edges:
        name = f"{name}, {_sizes(edges)} edges"
        steps[name] = strong_svm(patches=patches, edges=edges, **settings)
    return steps


def _sizes(patches: Mapping[int, int]) -> str:
    *before, last = patches
    return f"{', '.join(f'{size}-' for size in before)} and {last}-pixel".removeprefix(" and ")


def losses_compared(model: Pipeline, *, C: float) -> dict[str, Pipeline]:
    """Return what a fitted :func:`strong_svm` would be with either loss: two unfitted models.

    Both keep its descriptor, fitted, and its kernel; ``C`` is the penalty of the hinge loss.
    Nothing where another classifier has taken its place.
    """
    if not isinstance(model, Pipeline) or not isinstance(model.steps[-1][1], MirrorSvm):
        return {}
    descriptor, svm = FrozenEstimator(model["descriptor"]), model["svm"]
    kernel = partial(mirror_kernel, odd=svm.odd, gamma=svm.gamma)
    hinge = sklearn.svm.SVC(kernel=kernel, C=C, break_ties=True)
    return {
        "squared loss": Pipeline([("descriptor", descriptor), ("svm", clone(svm))]),
        "hinge loss": Pipeline([("descriptor", descriptor), ("svm", hinge)]),
    }


def check_crowd(training: np.ndarray, public: np.ndarray) -> None:
    """Refuse a crowd that no SVM can learn from, before anything is computed.

    `DataError` if of the class codes, int (n,), ``training`` has fewer than two, or ``public`` none
    of those. A class that only one of them shows does no harm.
    """
    shown = named(np.unique(training))
    if len(shown) < 2 or not np.isin(public, training).any():
        raise DataError(
            f"Training of FER2013 shows {', '.join(shown) or 'no emotion'}; an SVM needs images of "
            "at least two emotions to tell apart, and some of these in PublicTest, which chooses "
            "the model and calibrates it"
        )


class Calibrated(ClassifierMixin, BaseEstimator):
    """A fitted classifier with probabilities that mean something, and the same predictions.

    One temperature (``temperature_``), fitted to held-out images, divides the decision values
    before the softmax (Guo et al. 2017, "On calibration of modern neural networks"). scikit-learn's
    ``CalibratedClassifierCV`` finds the same number, but refuses held-out images that lack a class
    of the model, or show one fewer times than it has folds.
    """

    def __init__(self, model):
        self.model = model

    def fit(self, images, labels):
        """Fit the temperature to held-out images (n, 48, 48); `DataError` if none shows a class."""
        self.classes_ = self.model.classes_
        known = np.isin(labels, self.classes_)
        if not known.any():
            raise DataError("cannot calibrate: no held-out image shows a class of the model")
        values = decisions(self.model, images)[known]
        unit = values.std() or 1.0  # brings the temperature near 1, where it is searched
        codes = np.searchsorted(self.classes_, np.asarray(labels)[known])
        self.temperature_ = float(unit * fit_temperature(softmax(values / unit, axis=1), codes))
        return self

    def predict_proba(self, images) -> np.ndarray:
        """Return probabilities (n, classes), columns in the order of ``classes_``."""
        return softmax(decisions(self.model, images) / self.temperature_, axis=1)

    def predict(self, images) -> np.ndarray:
        """Return the class of every image, as the model itself does."""
        return self.model.predict(images)


class MirrorSvm(ClassifierMixin, BaseEstimator):
    """Least-squares SVM, one class against the rest, with a kernel that mirroring cannot change.

    The kernel is the mean of an RBF kernel over a face and its mirror image, ``k(x, y) =
    (exp(-gamma |x - y|^2) + exp(-gamma |x - my|^2)) / 2`` (Haasdonk and Burkhardt 2007, "Invariant
    kernel functions for pattern analysis and machine learning"), which equals training on every
    image and its mirror image at the cost of the images alone. With squared loss (Suykens and
    Vandewalle 1999, "Least squares support vector machine classifiers") the solution is one linear
    system, solved by conjugate gradients with a Nystrom preconditioner (Frangella, Tropp and Udell
    2023, "Randomized Nystrom preconditioning").

    Memory: 4 n^2 bytes while fitting, 3.3 GB for FER2013's Training. Cost on two cores: about 10 s
    for the kernel of 1,000 features and 15 s for the solution.

    ``odd``, bool (features,), are the columns that change their sign when the face is mirrored; all
    others stay. ``gamma`` is the kernel's width, for rows whose mean squared length is about 1;
    ``penalty`` is added to its diagonal: the larger, the smoother.
    """

    def __init__(self, *, odd: np.ndarray, gamma: float = 1.0, penalty: float = 0.1):
        self.odd = odd
        self.gamma = gamma
        self.penalty = penalty

    def fit(self, rows, labels):
        """Solve for the weights of all training rows (n, features), labels (n,).

        `DataError` if there are not two classes; `ParameterError` if a parameter is out of range.
        """
        rows = self.rows_ = np.ascontiguousarray(rows, np.float32)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("an SVM needs images of at least two classes; the labels name one")
        if self.gamma <= 0 or self.penalty <= 0:
            raise ParameterError(
                f"MirrorSvm needs a gamma and a penalty over 0, not {self.gamma} and {self.penalty}"
            )
        places = np.arange(len(self.classes_))
        targets = np.where(codes[:, None] == places, 1, -1 / places[-1]).astype(np.float32)
        kernel = mirror_kernel(rows, rows, odd=self.odd, gamma=self.gamma)
        self.weights_ = _solve(kernel, targets, self.penalty)
        return self

    def decision_function(self, rows) -> np.ndarray:
        """Return (n, classes): near 1 for the class that fits, below 0 for those that do not."""
        check_is_fitted(self)
        kernel = mirror_kernel(rows, self.rows_, odd=self.odd, gamma=self.gamma)
        return kernel @ self.weights_

    def predict(self, rows) -> np.ndarray:
        """Return the class with the largest decision value for every row."""
        return self.classes_[self.decision_function(rows).argmax(axis=1)]


def mirror_kernel(left, right, *, odd: np.ndarray, gamma: float) -> np.ndarray:
    """Return the mean RBF kernel (m, n) over right faces and their mirror images, float32.

    Of ``left`` (m, features) and ``right`` (n, features), float32; ``odd`` as of `MirrorSvm`.
    """
    symmetric = left is right  # then what lies left of a tile is known
    left, right = np.asarray(left, np.float32), np.asarray(right, np.float32)
    left_lengths = np.einsum("ij,ij->i", left, left)
    right_lengths = np.einsum("ij,ij->i", right, right)
    right_even, right_odd = right[:, ~odd], right[:, odd]
    kernel = np.empty((len(left), len(right)), np.float32)
    for start in range(0, len(left), _TILE):
        tile = slice(start, start + _TILE)
        rest = slice(start if symmetric else 0, None)
        lengths = left_lengths[tile, None] + right_lengths[rest]
        even = left[tile][:, ~odd] @ right_even[rest].T
        turned = left[tile][:, odd] @ right_odd[rest].T
        straight, mirrored = even + turned, even - turned
        kernel[tile, rest] = (_rbf(lengths, straight, gamma) + _rbf(lengths, mirrored, gamma)) / 2
        if symmetric:
            kernel[start + _TILE :, tile] = kernel[tile, start + _TILE :].T
    return kernel


def _rbf(lengths, products, gamma):
    """exp(-gamma * squared distance), from squared lengths and inner products."""
    return np.exp(np.minimum(products * np.float32(2 * gamma) - np.float32(gamma) * lengths, 0))


def _solve(kernel, targets, penalty):
    """The weights of ``(kernel + penalty I) weights = targets``, by conjugate gradients."""
    precondition = _nystrom(kernel, penalty)
    tiny = np.finfo(np.float32).tiny
    weights, residual = np.zeros_like(targets), targets.copy()
    goal = _TOLERANCE * np.linalg.norm(targets, axis=0)
    direction = step = precondition(residual)
    fit = (residual * step).sum(axis=0)
    for _ in range(300):
        image = kernel @ direction + np.float32(penalty) * direction
        length = fit / np.maximum((direction * image).sum(axis=0), tiny)
        weights += length * direction
        residual -= length * image
        if (np.linalg.norm(residual, axis=0) <= goal).all():
            break
        step = precondition(residual)
        before, fit = fit, (residual * step).sum(axis=0)
        direction = step + fit / np.maximum(before, tiny) * direction
    return weights


def _nystrom(kernel, penalty):
    """A function that nearly inverts ``kernel + penalty I``, from some of its columns."""
    chosen = np.random.default_rng(0).permutation(len(kernel))[:_LANDMARKS]
    core = kernel[np.ix_(chosen, chosen)].astype(np.float64)
    core[np.diag_indices_from(core)] += 1e-4
    triangle = cholesky(core, lower=True).astype(np.float32)
    # the columns' transpose lies in memory as LAPACK wants it, and is overwritten: no copy
    columns = kernel[:, chosen].T
    thin = solve_triangular(triangle, columns, lower=True, overwrite_b=True, check_finite=False)
    inner = (thin @ thin.T).astype(np.float64)
    inner[np.diag_indices_from(inner)] += penalty
    factor = cho_factor(inner)

    def precondition(vectors):
        inside = cho_solve(factor, (thin @ vectors).astype(np.float64)).astype(np.float32)
        return (vectors - thin.T @ inside) / np.float32(penalty)

    return precondition
