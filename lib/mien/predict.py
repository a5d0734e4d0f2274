"""Reading the expression of any face: image files in, a table of answers out."""

import functools
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mien import cnn, face_finder, weights
from mien.calibration import apply_temperature
from mien.emotions import EMOTIONS
from mien.errors import DataError, ParameterError
from mien.faces import open_image, to_grey48
from mien.prose import printable
from mien.results import load_metrics

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
        `mien.weights.export_weights`, with its temperature.

    Raises
    ------
    DataError
        If the file is missing or holds no network from 48 x 48 pixels to the seven emotions.
    ParameterError
        If it has another ending.
    """
    dtype = cnn.fast_dtype()
    if path is None:
        return Network(weights.shipped(dtype=dtype), weights.shipped_temperature())
    if Path(path).suffix == ".npz":
        return Network(weights.import_weights(path, dtype=dtype), weights.import_temperature(path))
    if Path(path).suffix != ".keras":
        raise ParameterError(f"{path} should end in .keras or .npz")
    model, temperature = cnn.load(path), _fitted_temperature(Path(path))
    try:
        return Network(cnn.fold(model, dtype=dtype), temperature)
    except DataError:  # no network of ours, but one that answers the seven emotions
        return Network(model, temperature)


def _fitted_temperature(path: Path) -> float:
    """Return what chapter B1 fitted for the network that it saved at ``path``, else 1."""
    if path.name != "B1.keras":
        return 1.0
    try:
        return float(load_metrics(path.resolve().parent.parent, "B1")["temperature"])
    except (DataError, KeyError):  # taken out of its study
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
        Find the faces of a picture first (`mien.face_finder.find`); otherwise the whole picture
        is one face, as in a person's folder.
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
        found = cnn.predict(network.model, padded, batch_size=batch_size)
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
