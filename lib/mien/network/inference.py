"""What the network answers: probabilities, features, views of a face."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
from PIL import Image

from mien.data.images import prepare
from mien.errors import DataError
from mien.evaluation.calibration import apply_temperature, fit_temperature, log_loss
from mien.network import architecture
from mien.network.architecture import SIZE
from mien.network.backend import enough_memory


def predict(
    model: keras.Model,
    images: np.ndarray,
    *,
    mirror: bool = True,
    crops: Sequence[float] = (),
    batch_size: int = 256,
) -> np.ndarray:
    """Return the probabilities of the seven emotions for uint8 faces (n, 48, 48), float32 (n, 7).

    ``mirror`` averages the answers to the face and to its mirror image, ``crops`` also over central
    crops of the picture, enlarged to its size: their widths, as shares of its own; above 1, the
    border is continued.
    """
    images = np.asarray(images)
    views = [images, *(_cropped(images, share) for share in crops)]
    if mirror:
        views += [view[:, :, ::-1] for view in views]
    return np.mean([_answers(model, view, batch_size) for view in views], axis=0)


def _cropped(images: np.ndarray, share: float) -> np.ndarray:
    """Return the middle of every picture, ``share`` of its width, at the size of the picture."""
    size = images.shape[1]
    margin = max(0, int(np.ceil(size * (share - 1) / 2)))
    wider = np.pad(images, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    low, high = (margin + size * (1 - side * share) / 2 for side in (1, -1))
    faces, box = map(Image.fromarray, wider), (low, low, high, high)
    how = Image.Resampling.BILINEAR
    return np.stack([np.asarray(face.resize((size, size), how, box)) for face in faces])


def embed(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the features under the head, float32 (n, d), averaged over the mirror image."""
    if not architecture.shape(model):
        model = architecture.fuse(model)
    return predict(keras.Model(model.input, model.get_layer("pooled").output), images)


def padded(array: np.ndarray, count: int) -> np.ndarray:
    """Return an array with zeros after its rows up to ``count``: one size is compiled once."""
    return np.pad(array, ((0, count - len(array)), *[(0, 0)] * (array.ndim - 1)))


def _answers(model, images, batch_size) -> np.ndarray:
    """Run the network over padded batches of one size, so that it is compiled once."""
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
        raise DataError(
            f"the network reads uint8 faces of shape (n, {SIZE}, {SIZE}), "
            f"not {images.dtype} {images.shape}"
        )
    size = min(batch_size, max(32, len(images)))
    answers = [np.zeros((0, *model.output_shape[1:]), np.float32)]
    for start in range(0, len(images), size):
        faces = prepare(images[start : start + size])
        with enough_memory(size):
            answered = model.predict_on_batch(padded(faces, size))
        answers.append(np.asarray(answered)[: len(faces)])
    return np.concatenate(answers)


#: How a person's faces are looked at, in `VIEWS`.
MIRRORED = "the face and its mirror image"

#: Arguments of `mien.network.inference.predict`: crops are central, their widths shares of the
#: picture's.
VIEWS: dict[str, dict[str, Any]] = {
    "the face alone": {"mirror": False},
    MIRRORED: {},
    "three crops, mirrored too": {"crops": (0.92, 1.08)},
    "five crops, mirrored too": {"crops": (0.84, 0.92, 1.08, 1.16)},
}


def compare_views(
    network: keras.Model,
    images: np.ndarray,
    codes: np.ndarray,
    *,
    views: Collection[str] = tuple(VIEWS),
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return what a trained network answers under some of `VIEWS`, and how well.

    ``images`` and ``codes``, uint8 (n, 48, 48) and class codes 0..6 (n,), are PublicTest, which
    chooses. A frame with a row for each of the views: ``views``, ``accuracy`` (0..1), ``log loss``
    (nats), ``temperature`` (each needs its own: more views are less sure); and the probabilities
    under each of them, float32 (n, 7), by name.
    """
    answers = {name: predict(network, images, **VIEWS[name]) for name in views}
    rows = [
        {
            "views": name,
            "accuracy": (given.argmax(axis=1) == codes).mean(),
            "log loss": log_loss(given, codes),
            "temperature": fit_temperature(given, codes),
        }
        for name, given in answers.items()
    ]
    return pd.DataFrame(rows), answers


def best_views(compared: pd.DataFrame) -> str:
    """Return the views with the lowest log loss: steadier than accuracy, and tied less often."""
    return compared.loc[compared["log loss"].idxmin(), "views"]


def answerer(
    network: keras.Model, temperature: float, *, batch_size: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what reads faces, mirrored too: uint8 (n, 48, 48) to float (n, 7), calibrated."""
    sizes = []

    def answer(faces: np.ndarray) -> np.ndarray:
        sizes.append(len(faces))  # the last faces are padded to as many as there were before
        seen = padded(faces, max(sizes))
        shares = predict(network, seen, batch_size=batch_size)[: len(faces)]
        return apply_temperature(shares, temperature)

    return answer
