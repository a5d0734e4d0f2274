"""Whether probabilities mean what they say: log loss, reliability, temperature, abstaining."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from mien.emotions import EMOTIONS
from mien.errors import DataError

_TINY = 1e-12
_BINS = 10  # of confidence, equally wide


def log_loss(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean of -log of the probability, at least 1e-12, given to the truth, in nats.

    Of probabilities (n, classes) and the true ``codes``, int (n,).

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([0])), 3)
    0.693
    """
    of_truth = probabilities[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(of_truth, _TINY)).mean())


def fit_temperature(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, that makes the log loss of answers smallest.

    It divides the logits, which changes no answer, only how sure it is (above 1: it was too sure).
    Fit it on images that the network did not learn from. Guo, Pleiss, Sun and Weinberger 2017, "On
    Calibration of Modern Neural Networks", arXiv:1706.04599. Arguments as of `log_loss`;
    `DataError` if the two do not fit each other.
    """
    if len(probabilities) != len(codes) or not len(codes):
        raise DataError(f"{len(probabilities)} answers and {len(codes)} true classes do not fit")

    def loss(octave):
        return log_loss(apply_temperature(probabilities, 2.0**octave), codes)

    best = minimize_scalar(loss, bounds=(np.log2(0.05), np.log2(20)), method="bounded")
    return float(2**best.x)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logits were divided by ``temperature``, (n, classes)."""
    logits = np.log(np.maximum(probabilities, _TINY)) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def risk_coverage(probability: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """Return what a model answers, and how often wrongly, that is silent where it is not sure.

    ``probability`` (n,) was given to every answer, ``right`` (n,) says whether it was true. From
    the surest answers to all, a row for every probability: ``threshold`` (the lowest that is
    answered), ``coverage`` (share of the faces that is), ``error`` (share of wrong answers among
    these). El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
    Journal of Machine Learning Research 11:1605-1641.
    """
    answers = pd.DataFrame({"threshold": probability, "wrong": ~np.asarray(right, bool)})
    counts = answers.groupby("threshold")["wrong"].agg(["size", "sum"])
    counts = counts.sort_index(ascending=False).cumsum()
    found = {"coverage": counts["size"] / len(answers), "error": counts["sum"] / counts["size"]}
    return pd.DataFrame(found).reset_index()


def answered_at(curve: pd.DataFrame, errors: Sequence[float]) -> pd.DataFrame:
    """Return the most of `risk_coverage` that a model can answer with no more errors than allowed.

    Where even its surest answers are wrong more often, it has no threshold and a coverage of 0.
    """
    silent = pd.DataFrame([{"threshold": np.nan, "coverage": 0.0, "error": np.nan}])
    curve = pd.concat([silent, curve])
    rows = [{"allowed": most, **curve[~(curve["error"] > most)].iloc[-1]} for most in errors]
    return pd.DataFrame(rows)


def reliability(
    truth: Sequence[str], probabilities: np.ndarray, *, labels: Sequence[str]
) -> tuple[pd.DataFrame, float]:
    """Compare the confidence of the answers with how often they are right.

    Of emotion names ``truth`` (n,) and ``probabilities`` (n, len(labels)), the emotions of whose
    columns are ``labels``. Returns a frame with a row for every bin that holds images (``lower``,
    ``upper``, ``n``, mean ``confidence``, ``accuracy``), and the expected calibration error: the
    mean distance of the two, weighted by n (Guo et al. 2017, equation 3).
    """
    probabilities = np.asarray(probabilities, dtype=float)
    confidence, place = _placed(probabilities)
    right = np.asarray(labels)[probabilities.argmax(axis=1)] == np.asarray(truth)
    bins = pd.DataFrame({"confidence": confidence, "accuracy": right}).groupby(place)
    frame = bins.mean()
    gap = (frame["confidence"] - frame["accuracy"]).abs()
    error = float((gap * bins.size()).sum() / len(right))
    edges = {"lower": frame.index / _BINS, "upper": (frame.index + 1) / _BINS, "n": bins.size()}
    return pd.DataFrame(edges).join(frame).reset_index(drop=True), error


def calibration_error(truth: Sequence[str], probabilities: np.ndarray) -> float:
    """Return the expected calibration error of answers (..., n, 7), a mean over the first axes."""
    every = probabilities.reshape(-1, *probabilities.shape[-2:])
    return float(np.mean([reliability(truth, given, labels=EMOTIONS)[1] for given in every]))


def noise_floor(probabilities: np.ndarray, *, draws: int = 500) -> float:
    """Return the calibration error that a perfectly calibrated model would be seen to have.

    So few images leave every bin's accuracy beside its confidence by chance (Roelofs et al. 2022,
    "Mitigating Bias in Calibration Error Estimation", AISTATS, section 4). The mean over ``draws``
    in each of which an answer is right with just the probability that it was given.
    """
    confidence, place = _placed(np.asarray(probabilities, dtype=float))
    chance = np.random.default_rng(0).random((draws, len(confidence)))
    gaps = (confidence - (chance < confidence)) @ (place[:, None] == np.arange(_BINS))
    return float(np.abs(gaps).sum(axis=1).mean() / len(confidence))


def _placed(probabilities) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of every answer and its bin."""
    confidence = probabilities.max(axis=1)
    return confidence, np.digitize(confidence, np.linspace(0, 1, _BINS + 1)[1:-1], right=True)
