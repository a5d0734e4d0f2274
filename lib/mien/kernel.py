"""A support vector machine that knows that a mirrored face shows the same emotion."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from mien.errors import DataError, ParameterError

#: Rows of a kernel matrix that are computed together.
_TILE = 512


class MirrorSvm(ClassifierMixin, BaseEstimator):
    """Least-squares SVM, one class against the rest, with a kernel that mirroring cannot change.

    The kernel is the mean of an RBF kernel over a face and its mirror image,
    ``k(x, y) = (exp(-gamma |x - y|^2) + exp(-gamma |x - my|^2)) / 2`` (Haasdonk and Burkhardt
    2007, "Invariant kernel functions for pattern analysis and machine learning"). Training on it
    equals training on every image and its mirror image, at the cost of the images alone, and
    the answer for a face and for its mirror image is the same. With squared loss (Suykens and
    Vandewalle 1999, "Least squares support vector machine classifiers") the solution is one
    linear system, solved by conjugate gradients with a Nystrom preconditioner (Frangella, Tropp
    and Udell 2023, "Randomized Nystrom preconditioning").

    Parameters
    ----------
    odd : int
        How many of the last columns change their sign when the face is mirrored, while all
        others stay: what :class:`mien.symmetry.MirrorComponents` makes.
    gamma : float
        Kernel width, for rows whose mean squared length is about 1.
    penalty : float
        What is added to the kernel's diagonal: the larger, the smoother.
    landmarks : int
        Columns of the kernel matrix that the preconditioner is made of; changes the time only.
    tolerance : float
        Relative residual at which the solver stops.
    seed : int
        Seed of the choice of landmarks.

    Attributes
    ----------
    classes_ : array (classes,)
    rows_ : array (n, features), float32
        The training rows.
    weights_ : array (n, classes), float32
    steps_ : int
        Steps that the solver took.

    Notes
    -----
    Memory: 4 n^2 bytes while fitting, 3.3 GB for FER2013's Training. Cost on two cores: about 10 s
    for the kernel of 1,000 features and 15 s for the solution.
    """

    def __init__(
        self,
        *,
        odd: int = 0,
        gamma: float = 1.0,
        penalty: float = 0.1,
        landmarks: int = 1500,
        tolerance: float = 1e-3,
        seed: int = 0,
    ):
        self.odd = odd
        self.gamma = gamma
        self.penalty = penalty
        self.landmarks = landmarks
        self.tolerance = tolerance
        self.seed = seed

    def fit(self, rows, labels):
        """Solve for the weights of all training rows.

        Parameters
        ----------
        rows : array (n, features)
        labels : array (n,)

        Raises
        ------
        DataError
            If there are not at least two classes.
        ParameterError
            If a parameter is out of range.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("an SVM needs images of at least two classes; the labels name one")
        if self.gamma <= 0 or self.penalty <= 0 or not 0 <= self.odd <= rows.shape[1]:
            raise ParameterError(
                f"MirrorSvm needs gamma > 0, penalty > 0 and 0 <= odd <= {rows.shape[1]}, not "
                f"{self.gamma}, {self.penalty} and {self.odd}"
            )
        self.rows_ = rows
        others = -1 / (len(self.classes_) - 1)
        targets = np.full((len(rows), len(self.classes_)), others, np.float32)
        targets[np.arange(len(rows)), codes] = 1
        kernel = mirror_kernel(rows, rows, odd=self.odd, gamma=self.gamma)
        chosen = np.random.default_rng(self.seed).permutation(len(rows))[: self.landmarks]
        self.weights_, self.steps_ = solve(
            kernel, targets, penalty=self.penalty, chosen=chosen, tolerance=self.tolerance
        )
        return self

    def decision_function(self, rows) -> np.ndarray:
        """Return (n, classes): near 1 for the class that fits, below 0 for those that do not."""
        check_is_fitted(self)
        rows = np.asarray(rows, np.float32)
        parts = [
            mirror_kernel(rows[start : start + _TILE], self.rows_, odd=self.odd, gamma=self.gamma)
            @ self.weights_
            for start in range(0, len(rows), _TILE)
        ]
        return np.concatenate(parts)

    def predict(self, rows) -> np.ndarray:
        """Return the class with the largest decision value for every row."""
        return self.classes_[self.decision_function(rows).argmax(axis=1)]


def mirror_kernel(left, right, *, odd: int, gamma: float) -> np.ndarray:
    """Return the mean RBF kernel (m, n) over right faces and their mirror images, float32.

    Parameters
    ----------
    left : float32 array (m, features)
    right : float32 array (n, features)
    odd : int
        How many of the last columns change their sign in the mirror.
    gamma : float

    Examples
    --------
    >>> face = np.array([[0.0, 1.0]], np.float32)
    >>> bool(mirror_kernel(face, face, odd=1, gamma=1.0) == np.float32((1 + np.exp(-4.0)) / 2))
    True
    """
    split = left.shape[1] - odd
    left_lengths = np.einsum("ij,ij->i", left, left)
    right_lengths = np.einsum("ij,ij->i", right, right)
    kernel = np.empty((len(left), len(right)), np.float32)
    for start in range(0, len(left), _TILE):
        tile = slice(start, start + _TILE)
        # A kernel of faces among themselves is symmetric: what lies left of the tile is known.
        rest = slice(start if left is right else 0, None)
        lengths = left_lengths[tile, None] + right_lengths[rest]
        even = left[tile, :split] @ right[rest, :split].T
        kernel[tile, rest] = _mean_rbf(
            lengths, even, left[tile, split:], right[rest, split:], gamma
        )
        if left is right:
            kernel[start + _TILE :, tile] = kernel[tile, start + _TILE :].T
    return kernel


def _mean_rbf(lengths, even, left_odd, right_odd, gamma):
    """The mean over a face and its mirror image, from squared lengths and even products."""
    if not left_odd.shape[1]:
        return _rbf(lengths, even, gamma)
    odd = left_odd @ right_odd.T
    even += odd
    mean = _rbf(lengths, even, gamma)
    odd *= -2
    even += odd
    mean += _rbf(lengths, even, gamma)
    mean *= 0.5
    return mean


def _rbf(lengths, products, gamma):
    """exp(-gamma * squared distance), from squared lengths and inner products."""
    exponent = products * np.float32(2 * gamma)
    exponent -= np.float32(gamma) * lengths
    np.minimum(exponent, 0, out=exponent)
    return np.exp(exponent, out=exponent)


def solve(kernel, targets, *, penalty, chosen, tolerance, limit: int = 300):
    """Solve ``(kernel + penalty I) weights = targets`` by preconditioned conjugate gradients.

    Parameters
    ----------
    kernel : float32 array (n, n)
        Positive semi-definite.
    targets : float32 array (n, columns)
    penalty : float
    chosen : int array (m,)
        Landmarks of the preconditioner.
    tolerance : float
        Largest residual that counts as solved, relative to the targets, every column by itself.
    limit : int
        Most steps.

    Returns
    -------
    weights : float32 array (n, columns)
    steps : int
    """
    precondition = _nystrom(kernel, chosen, penalty)
    weights = np.zeros_like(targets)
    residual = targets.copy()
    goal = tolerance * np.linalg.norm(targets, axis=0)
    direction = step = precondition(residual)
    fit = (residual * step).sum(axis=0)
    steps = 0
    while steps < limit:
        steps += 1
        image = kernel @ direction
        image += np.float32(penalty) * direction
        length = fit / np.maximum((direction * image).sum(axis=0), np.finfo(np.float32).tiny)
        weights += length * direction
        residual -= length * image
        if (np.linalg.norm(residual, axis=0) <= goal).all():
            break
        step = precondition(residual)
        before, fit = fit, (residual * step).sum(axis=0)
        direction = step + fit / np.maximum(before, np.finfo(np.float32).tiny) * direction
    return weights, steps


def _nystrom(kernel, chosen, penalty):
    """A function that nearly inverts ``kernel + penalty I``, from its ``chosen`` columns."""
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
