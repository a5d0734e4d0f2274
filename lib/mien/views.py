"""At test: the copies of a face that the network's answers are averaged over."""

from typing import Any

import keras
import numpy as np
import pandas as pd

from mien import cnn

#: Arguments of `mien.cnn.predict`: crops are central, their widths shares of the picture's.
VIEWS: dict[str, dict[str, Any]] = {
    "the face alone": {"mirror": False},
    "the face and its mirror image": {},
    "three crops, mirrored too": {"crops": (0.92, 1.08)},
    "five crops, mirrored too": {"crops": (0.84, 0.92, 1.08, 1.16)},
}


def compare(
    network: keras.Model, images: np.ndarray, codes: np.ndarray
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return what a trained network answers under each of `VIEWS`, and how well.

    Parameters
    ----------
    network : keras.Model
        From `mien.cnn.build`, trained.
    images, codes
        uint8 (n, 48, 48) and class codes 0..6, (n,): PublicTest, which chooses.

    Returns
    -------
    DataFrame
        A row for each of `VIEWS`: ``views``, ``accuracy`` (0..1), ``log loss`` (nats).
    dict of str to float32 (n, 7)
        The probabilities under each of them.
    """
    answers = {name: cnn.predict(network, images, **how) for name, how in VIEWS.items()}
    rows = [(name, *_accuracy_and_loss(found, codes)) for name, found in answers.items()]
    return pd.DataFrame(rows, columns=["views", "accuracy", "log loss"]), answers


def best(compared: pd.DataFrame) -> str:
    """Return the views with the lowest log loss: steadier than accuracy, and tied less often."""
    return compared.loc[compared["log loss"].idxmin(), "views"]


def _accuracy_and_loss(probabilities, codes) -> tuple[float, float]:
    of_truth = probabilities[np.arange(len(codes)), codes]
    right = (probabilities.argmax(axis=1) == codes).mean()
    return float(right), float(-np.log(np.maximum(of_truth, 1e-7)).mean())
