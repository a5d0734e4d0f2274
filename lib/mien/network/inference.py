"""What the network answers: probabilities, features, views of a face, tables for image files."""

import functools
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mien.data import face_finder
from mien.data.images import open_image, to_grey48
from mien.emotions import EMOTIONS
from mien.errors import DataError, ParameterError, printable
from mien.evaluation.calibration import apply_temperature
from mien.network import architecture, pretrained
from mien.network.architecture import SIZE, prepare
from mien.network.backend import enough_memory


def predict(
    model: keras.Model,
    images: np.ndarray,
    *,
    mirror: bool = True,
    crops: Sequence[float] = (),
    batch_size: int = 256,
) -> np.ndarray:
    """Return the probabilities of the seven emotions.

    Parameters
    ----------
    images : ndarray of uint8, (n, 48, 48)
    mirror : bool
        Average the answers to the face and to its mirror image.
    crops : sequence of float
        Average also over central crops of the picture, enlarged to its size: their widths, as
        shares of its own; above 1, the border is continued.

    Returns
    -------
    ndarray of float32, (n, 7)
        Columns in the order of ``EMOTIONS``; rows sum to 1.
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
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    low, high = (margin + size * (1 - side * share) / 2 for side in (1, -1))
    faces = map(Image.fromarray, padded)
    crop = {"resample": Image.Resampling.BILINEAR, "box": (low, low, high, high)}
    return np.stack([np.asarray(face.resize((size, size), **crop)) for face in faces])


def embed(
    model: keras.Model, images: np.ndarray, *, mirror: bool = True, batch_size: int = 256
) -> np.ndarray:
    """Return the pooled features under the head, float32 (n, d), averaged over the mirror image."""
    return predict(
        keras.Model(model.input, model.get_layer("pooled").output),
        images,
        mirror=mirror,
        batch_size=batch_size,
    )


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
        full = np.pad(faces, ((0, size - len(faces)), (0, 0), (0, 0), (0, 0)))
        with enough_memory(size):
            answers.append(np.asarray(model.predict_on_batch(full))[: len(faces)])
    return np.concatenate(answers)


#: Arguments of `mien.network.inference.predict`: crops are central, their widths shares of the
#: picture's.
VIEWS: dict[str, dict[str, Any]] = {
    "the face alone": {"mirror": False},
    "the face and its mirror image": {},
    "three crops, mirrored too": {"crops": (0.92, 1.08)},
    "five crops, mirrored too": {"crops": (0.84, 0.92, 1.08, 1.16)},
}


def compare_views(
    network: keras.Model, images: np.ndarray, codes: np.ndarray
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return what a trained network answers under each of `VIEWS`, and how well.

    Parameters
    ----------
    network : keras.Model
        From `mien.network.architecture.build`, trained.
    images, codes
        uint8 (n, 48, 48) and class codes 0..6, (n,): PublicTest, which chooses.

    Returns
    -------
    DataFrame
        A row for each of `VIEWS`: ``views``, ``accuracy`` (0..1), ``log loss`` (nats).
    dict of str to float32 (n, 7)
        The probabilities under each of them.
    """
    answers = {name: predict(network, images, **how) for name, how in VIEWS.items()}
    rows = [(name, *_accuracy_and_loss(found, codes)) for name, found in answers.items()]
    return pd.DataFrame(rows, columns=["views", "accuracy", "log loss"]), answers


def best_views(compared: pd.DataFrame) -> str:
    """Return the views with the lowest log loss: steadier than accuracy, and tied less often."""
    return compared.loc[compared["log loss"].idxmin(), "views"]


def _accuracy_and_loss(probabilities, codes) -> tuple[float, float]:
    of_truth = probabilities[np.arange(len(codes)), codes]
    right = (probabilities.argmax(axis=1) == codes).mean()
    return float(right), float(-np.log(np.maximum(of_truth, 1e-7)).mean())


#: What `read_faces` says of a picture in which no face was found.
NO_FACE = "no face found"
_PLACE = ("left", "top", "width", "height")
_SHARES = tuple(f"p_{emotion}" for emotion in EMOTIONS)


@dataclass(frozen=True)
class Network:
    """A network and the temperature that makes its probabilities mean what they say."""

    model: object
    temperature: float = 1.0


@dataclass
class _Picture:
    """What one file gave: faces and where they are (None: all of it), or a problem."""

    faces: list[np.ndarray] = field(default_factory=list)
    boxes: list[tuple[int, int, int, int] | None] = field(default_factory=list)
    problem: str = ""


def load_network(path: str | Path | None = None) -> Network:
    """Return the network that comes with mien, or one from a file, in this machine's precision.

    Parameters
    ----------
    path : path, optional
        A ``.keras`` file: a study's ``models/B1.keras`` gets the temperature that its chapter
        fitted, other networks' probabilities stay as they are. Or an ``.npz`` of
        `mien.network.pretrained.export_weights`, with its temperature.

    Raises
    ------
    DataError
        If the file is missing or holds no network from 48 x 48 pixels to the seven emotions.
    ParameterError
        If it has another ending.
    """
    dtype = architecture.fast_dtype()
    if path is None:
        return Network(pretrained.shipped(dtype=dtype), pretrained.shipped_temperature())
    if Path(path).suffix == ".npz":
        return Network(
            pretrained.import_weights(path, dtype=dtype), pretrained.import_temperature(path)
        )
    if Path(path).suffix != ".keras":
        raise ParameterError(f"{path} should end in .keras or .npz")
    model, temperature = pretrained.load(path), _fitted_temperature(Path(path))
    try:
        return Network(architecture.fuse(model, dtype=dtype), temperature)
    except DataError:  # no network of ours, but one that answers the seven emotions
        return Network(model, temperature)


def _fitted_temperature(path: Path) -> float:
    """Return what chapter B1 fitted for the network that it saved at ``path``, else 1."""
    if path.name != "B1.keras":
        return 1.0
    try:
        metrics = path.resolve().parents[1] / "results" / "B1" / "metrics.json"
        return float(json.loads(metrics.read_text(encoding="utf-8"))["temperature"])
    except (OSError, ValueError, KeyError, TypeError):  # taken out of its study
        return 1.0


def read_faces(
    paths: Sequence[str | Path],
    network: Network,
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
    paths : sequence of path
    network : Network
        From `load_network`.
    find_faces : bool
        Find the faces of a picture first (`mien.data.face_finder.find`); otherwise the whole
        picture is one face, as in a person's folder.
    batch_size : int
        Faces that are answered at once.
    on_picture : callable
        Called after every picture.

    Returns
    -------
    DataFrame
        One row a face or a problem, in the order of ``paths``: ``file``; ``face`` (from 1, left
        to right; 0 where there is none); ``left, top, width, height`` (of the face in the upright
        picture, in pixels; missing where it was not searched for); ``emotion``; ``probability``;
        ``p_<emotion>`` for all seven; ``problem`` (empty where there is none).
    """
    if batch_size < 1:
        raise ParameterError(f"batch_size is {batch_size}; use 1 or more")
    rows, waiting, shares = [], [], [np.zeros((0, len(EMOTIONS)), np.float32)]

    def answer() -> None:
        faces = np.stack(waiting[:batch_size])
        del waiting[:batch_size]
        short = batch_size - len(faces) if len(shares) > 1 else 0  # one size is compiled once
        padded = np.pad(faces, ((0, short), (0, 0), (0, 0)))
        found = predict(network.model, padded, batch_size=batch_size)
        shares.append(found[: len(faces)])

    look = functools.partial(_look, find_faces=find_faces)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, picture in zip(paths, _ahead(pool, look, paths, 4 * batch_size), strict=True):
            rows += _rows(path, picture)
            waiting += picture.faces
            while len(waiting) >= batch_size:
                answer()
            on_picture()
    if waiting:
        answer()
    return _frame(rows, apply_temperature(np.concatenate(shares), network.temperature))


def _ahead(pool: Executor, work: Callable, items: Iterable, ahead: int) -> Iterator:
    """Yield ``work(item)`` in order; the pool is at most ``ahead`` items before the reader."""
    running: deque = deque()
    for item in items:
        running.append(pool.submit(work, item))
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _look(path: Path, *, find_faces: bool) -> _Picture:
    try:
        image = open_image(path)
        if not find_faces:
            return _Picture([to_grey48(image)], [None])
    except DataError as error:
        return _Picture(problem=str(error).removeprefix(f"{path} "))
    boxes = face_finder.find(image)
    faces = [face_finder.cut_out(image, box) for box in boxes]
    return _Picture(faces, boxes, "" if boxes else NO_FACE)


def _rows(path: Path, picture: _Picture) -> list[list]:
    """Return file, face, place and problem of every face of a picture, or of none."""
    name = printable(os.fsencode(path).decode("utf-8", "backslashreplace"))
    if picture.problem:
        return [[name, 0, *[None] * 4, picture.problem]]
    places = enumerate(picture.boxes, start=1)
    return [[name, number, *(box or [None] * 4), ""] for number, box in places]


def _frame(rows: list[list], shares: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["file", "face", *_PLACE, "problem"])
    frame = frame.astype(dict.fromkeys(_PLACE, "Int64"))
    read = frame["problem"] == ""
    table = np.full((len(frame), len(EMOTIONS)), np.nan)
    table[read] = shares
    emotions = np.full(len(frame), "", dtype=object)
    emotions[read] = np.array(EMOTIONS, dtype=object)[shares.argmax(axis=1)]
    problems = frame.pop("problem")
    frame["emotion"], frame["probability"] = emotions, table.max(axis=1, initial=-1)
    frame["probability"] = frame["probability"].where(read)
    frame[list(_SHARES)] = table
    return frame.assign(problem=problems)


def to_table(answers: pd.DataFrame) -> Table:
    """Return the answers of `read_faces` as a table for the terminal, shares in percent."""
    searched = bool(answers["left"].notna().any())
    folder = _common_folder(answers["file"])
    table = Table(box=SIMPLE_HEAD, padding=0, title_justify="left")
    table.title = Text(f"in {folder}") if folder else None
    table.add_column("file", overflow="fold")
    for name in (*(["face", "place"] if searched else []), "emotion"):
        table.add_column(name, no_wrap=True)
    for name in ("%", *EMOTIONS):
        table.add_column(name[:3], justify="right", no_wrap=True)
    for row in answers.to_dict("records"):
        shares = [row["probability"], *(row[share] for share in _SHARES)]
        cells = [row["emotion"], *(f"{100 * share:.0f}" for share in shares)]
        if row["problem"]:
            cells = ["no face" if row["problem"] == NO_FACE else "unreadable"]
        place = "{width}x{height}+{left}+{top}".format_map(row) if row["face"] and searched else ""
        place = [str(row["face"] or ""), place] if searched else []
        table.add_row(Text(row["file"].removeprefix(folder)), *place, *cells)
    return table


def _common_folder(files: Iterable[str]) -> str:
    """Return the folder that all files lie in, with its separator; empty where there is none."""
    folders = {file[: max(file.rfind("/"), file.rfind(os.sep)) + 1] for file in files}
    return folders.pop() if len(folders) == 1 else ""


def to_csv(answers: pd.DataFrame) -> str:
    """Return the answers of `read_faces` as csv with a header, probabilities to four places."""
    return answers.to_csv(index=False, float_format="%.4f", lineterminator="\n")


def to_json(answers: pd.DataFrame) -> str:
    """Return the answers of `read_faces` as a JSON list with one object a row.

    ``file``, ``face``, ``box`` (left, top, width, height, or null), ``emotion``, ``probability``,
    ``probabilities`` (of all seven), ``problem``; null where there is none.
    """
    found = []
    for row in answers.to_dict("records"):
        read, searched = not row["problem"], not pd.isna(row["left"])
        found.append(
            {
                "file": row["file"],
                "face": row["face"] or None,
                "box": [int(row[name]) for name in _PLACE] if searched else None,
                "emotion": row["emotion"] or None,
                "probability": round(row["probability"], 4) if read else None,
                "probabilities": {
                    emotion: round(row[share], 4)
                    for emotion, share in zip(EMOTIONS, _SHARES, strict=True)
                }
                if read
                else None,
                "problem": row["problem"] or None,
            }
        )
    return json.dumps(found, ensure_ascii=False, indent=1)
