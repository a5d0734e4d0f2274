"""What the network answers: probabilities, features, views of a face, faces in picture files."""

import functools
import inspect
import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import keras
import numpy as np
import pandas as pd
from PIL import Image

from mien.data.images import open_image, to_grey48
from mien.emotions import SHARES
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import apply_temperature, fit_temperature, log_loss
from mien.network import architecture, pretrained
from mien.network.architecture import SIZE, prepare
from mien.network.backend import enough_memory
from mien.photos import face_finder
from mien.photos.face_cache import ahead
from mien.prediction_output import NO_FACE, face_table


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
    border is continued. Columns are in the order of ``EMOTIONS``, rows sum to 1.
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
    if not architecture.own(model):
        model = architecture.fuse(model)
    return predict(keras.Model(model.input, model.get_layer("pooled").output), images)


def padded(array: np.ndarray, count: int) -> np.ndarray:
    """Return an array with zeros after its rows up to ``count``: one size is compiled once."""
    return np.pad(array, ((0, count - len(array)), *[(0, 0)] * (array.ndim - 1)))


def _answers(model, images, batch_size) -> np.ndarray:
    """Run the network over padded batches of one size, so that it is compiled once."""
    images = np.asarray(images)
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
    chooses.

    Returns
    -------
    DataFrame
        A row for each of the views: ``views``, ``accuracy`` (0..1), ``log loss`` (nats),
        ``temperature`` (`mien.evaluation.calibration.fit_temperature`): each way of looking needs
        its own, since an average over more views is less sure.
    dict of str to float32 (n, 7)
        The probabilities under each of them, as they come.
    """
    answers = {name: predict(network, images, **VIEWS[name]) for name in views}
    rows = [
        (
            name,
            (given.argmax(axis=1) == codes).mean(),
            log_loss(given, codes),
            fit_temperature(given, codes),
        )
        for name, given in answers.items()
    ]
    columns = ["views", "accuracy", "log loss", "temperature"]
    return pd.DataFrame(rows, columns=columns), answers


def best_views(compared: pd.DataFrame) -> str:
    """Return the views with the lowest log loss: steadier than accuracy, and tied less often."""
    return compared.loc[compared["log loss"].idxmin(), "views"]


def load_network(path: str | Path | None = None) -> tuple[keras.Model, float]:
    """Return a network in this machine's precision, and the temperature of its answers.

    A study's ``models/B1.keras`` (``B1-2.keras`` …) gets the temperature that its chapter fitted to
    faces and their mirror images, as `read_faces` looks at them; other networks' probabilities stay
    as they are (temperature 1). ``.npz`` files are those of
    `mien.network.pretrained.export_weights`. By default the network that comes with mien.

    Raises
    ------
    DataError
        If the file is missing or holds no network from 48 x 48 pixels to the seven emotions.
    ParameterError
        If it has another ending.
    """
    dtype = architecture.fast_dtype()
    if path is None:
        return pretrained.shipped(dtype=dtype)
    path = Path(path)
    if path.suffix == ".npz":
        return pretrained.import_weights(path, dtype=dtype)
    if path.suffix != ".keras":
        raise ParameterError(f"{path} should end in .keras or .npz")
    return architecture.fuse(pretrained.load(path), dtype=dtype), _fitted_temperature(path)


def _fitted_temperature(path: Path) -> float:
    """Return what chapter B1 fitted, for faces and mirror images, for a network of its own."""
    own = re.fullmatch(r"B1(?:-(\d+))?\.keras", path.name)
    try:
        metrics = path.resolve().parents[1] / "results" / "B1" / "metrics.json"
        fitted = json.loads(metrics.read_text(encoding="utf-8"))["temperatures"]
        return float(fitted[int(own[1] or 1) - 1][MIRRORED])
    except (OSError, ValueError, LookupError, TypeError):  # another's, or taken out of its study
        return 1.0


def read_faces(
    paths: Sequence[str | Path],
    network: keras.Model | FunctionType,
    temperature: float = 1.0,
    *,
    find_faces: bool = False,
    batch_size: int = 256,
    on_picture: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Return what the network reads in every face of every picture.

    Pictures are decoded by several threads while the network answers the faces before them. A
    picture that cannot be read, or in which no face is found, gets a row that says so.

    Parameters
    ----------
    network, temperature
        From `load_network`; or any other model, as a function from faces, uint8 (n, 48, 48), to
        probabilities (n, 7).
    find_faces : bool
        Find the faces of a picture first (`mien.photos.face_finder.find`); otherwise the whole
        picture is one face, as in a person's folder.
    batch_size : int
        Faces that are answered at once.
    on_picture : callable
        Called after every picture.

    Returns
    -------
    DataFrame
        One row a face or a problem, in the order of ``paths``: ``file``; ``face`` (from 1, left to
        right; 0 where there is none); ``left, top, width, height`` (of the face in the upright
        picture, in pixels; missing where it was not searched for); ``emotion``; ``probability``;
        ``p_<emotion>`` for all seven; ``problem`` (empty where there is none).
    """
    if batch_size < 1:
        raise ParameterError(f"batch_size is {batch_size}; use 1 or more")
    read = network
    if not inspect.isfunction(network):
        read = functools.partial(predict, network, batch_size=batch_size)
    rows, waiting, shares = [], [], [np.zeros((0, len(SHARES)), np.float32)]

    def answer() -> None:
        faces = np.stack(waiting[:batch_size])
        del waiting[:batch_size]
        full = padded(faces, batch_size) if len(shares) > 1 else faces
        shares.append(read(full)[: len(faces)])

    look = functools.partial(_look, find_faces=find_faces)
    for _, (found, faces) in ahead(look, paths, count=4 * batch_size):
        rows += found
        waiting += faces
        while len(waiting) >= batch_size:
            answer()
        on_picture()
    if waiting:
        answer()
    return face_table(rows, apply_temperature(np.concatenate(shares), temperature))


def _look(path: str | Path, *, find_faces: bool) -> tuple[list[tuple], list[np.ndarray]]:
    """Return a row for every face of a picture, or for its problem, and the faces themselves."""
    name = os.fspath(path)
    try:
        image = open_image(path)
        if not find_faces:
            return [(name, 1, *[None] * 4, "")], [to_grey48(image)]
    except DataError as error:
        return [(name, 0, *[None] * 4, str(error).removeprefix(f"{path} "))], []
    faces = face_finder.find(image)
    if not faces:
        return [(name, 0, *[None] * 4, NO_FACE)], []
    boxes = [face.box(image.size) for face in faces]
    rows = [(name, number, *box, "") for number, box in enumerate(boxes, start=1)]
    return rows, [face_finder.grey48(image, face) for face in faces]
