"""Whether probabilities mean what they say: log loss, and the temperature that mends them."""

import numpy as np
from scipy.optimize import minimize_scalar

from mien.errors import DataError

_TINY = 1e-12


def log_loss(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean of -log of the probability given to the truth, in nats.

    Parameters
    ----------
    probabilities : ndarray of float, (n, classes)
        One under 1e-12 counts as 1e-12.
    codes : ndarray of int, (n,)
        True classes.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([0])), 3)
    0.693
    """
    of_truth = probabilities[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(of_truth, _TINY)).mean())


def fit_temperature(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the temperature that makes the log loss of the given answers smallest.

    Temperature scaling divides the logits by one number; it changes no answer, only how sure it
    is. Fit it on images that the network did not learn from. (Guo, Pleiss, Sun and Weinberger
    2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.)

    Parameters
    ----------
    probabilities : ndarray of float, (n, classes)
    codes : ndarray of int, (n,)
        True classes.

    Returns
    -------
    float
        Above 1: the network was too sure; below 1: not sure enough. 0.05 to 20.

    Raises
    ------
    DataError
        If the two do not fit each other.
    """
    if len(probabilities) != len(codes) or not len(codes):
        raise DataError(f"{len(probabilities)} answers and {len(codes)} true classes do not fit")

    def loss(octave):
        return log_loss(apply_temperature(probabilities, 2.0**octave), codes)

    best = minimize_scalar(loss, bounds=(np.log2(0.05), np.log2(20)), method="bounded")
    return float(2**best.x)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logits were divided by ``temperature``, (n, classes).

    Examples
    --------
    >>> apply_temperature(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    logits = np.log(np.maximum(probabilities, _TINY)) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
