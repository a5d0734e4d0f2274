"""The faces of picture files, read by any model."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.images import open_image, to_grey48
from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.photos import face_finder
from mien.photos.face_cache import ahead
from mien.prediction_output import NO_FACE, face_table


def read_faces(
    paths: Sequence[str | Path],
    answer: Callable[[np.ndarray], np.ndarray],
    *,
    find_faces: bool = False,
    batch_size: int = 256,
    on_picture: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Return what a model reads in every face of every picture.

    Pictures are decoded by several threads while the model answers the faces before them.
    ``answer`` takes faces, uint8 (n, 48, 48), ``batch_size`` at once, to probabilities (n, 7), as
    `mien.network.inference.answerer` or `mien.network.backend.by_openvino` makes it. Unless
    ``find_faces`` (`mien.photos.face_finder.find`), the whole picture is one face. ``on_picture``
    is called after every picture.

    Returns
    -------
    DataFrame
        One row a face or a problem, in the order of ``paths``: ``file``; ``face`` (from 1, left to
        right; 0 where there is none); ``left, top, width, height`` (of the face in the upright
        picture, in pixels; missing where it was not searched for); ``emotion``; ``probability``;
        ``p_<emotion>`` for all seven; ``problem`` (empty where there is none).
    """
    rows, waiting, shares = [], [], [np.zeros((0, len(EMOTIONS)), np.float32)]
    look = functools.partial(_look, find_faces=find_faces)
    for _, (found, faces) in ahead(look, paths, count=4 * batch_size):
        rows += found
        waiting += faces
        while len(waiting) >= batch_size:
            shares.append(answer(np.stack(waiting[:batch_size])))
            del waiting[:batch_size]
        on_picture()
    if waiting:
        shares.append(answer(np.stack(waiting)))
    return face_table(rows, np.concatenate(shares))


def _look(path: str | Path, *, find_faces: bool) -> tuple[list[tuple], list[np.ndarray]]:
    """Return a row for every face of a picture, or for its problem, and the faces themselves."""
    name, nowhere = os.fspath(path), [None] * 4
    try:
        image = open_image(path)
    except DataError as error:
        return [(name, 0, *nowhere, str(error).removeprefix(f"{path} "))], []
    if not find_faces:
        return [(name, 1, *nowhere, "")], [to_grey48(image)]
    faces = face_finder.find(image)
    rows = [(name, at, *face.box(image.size), "") for at, face in enumerate(faces, start=1)]
    cuts = [to_grey48(face.cut_out(image)) for face in faces]
    return rows or [(name, 0, *nowhere, NO_FACE)], cuts
