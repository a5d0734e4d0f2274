"""Blendshapes of photos, measured by mien itself."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from mien.data.measured import BLENDSHAPES
from mien.errors import DataError
from mien.files import atomic_write
from mien.photos import landmarks
from mien.photos.face_cache import look_at

#: The table in a person's folder.
FILE = "blendshapes.csv"
_PLACE = ("left", "top", "width", "height")
_COUNT = 1 + len(_PLACE) + len(BLENDSHAPES)


def measure(
    pictures: Mapping[str, Path], *, on_picture: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """Return the blendshapes of the largest face in every picture, one row each.

    ``pictures`` are files by the names that they shall have in the table. ``file_name``;
    ``success`` (1, or 0 where no face was found or the file cannot be read: all that follows but
    ``model`` is then missing); ``presence`` (0.5 to 1, how sure the mesh is of the face); ``left``,
    ``top``, ``width``, ``height`` (of the face's frame, in pixels of the upright picture); the 51
    `BLENDSHAPES` (0..1); ``model`` (SHA-256 of the models' file). `DataError` if the models of
    faces are not to be had.
    """
    if problem := landmarks.missing():
        raise DataError(problem)
    rows = []
    for name, seen in look_at(pictures, on_picture=on_picture).items():
        face = seen.faces[0] if seen and seen.faces else None
        told = [face.presence, *face.box(seen.size), *seen.shapes] if face else [None] * _COUNT
        rows.append([name, int(face is not None), *told])
    columns = ["file_name", "success", "presence", *_PLACE, *BLENDSHAPES]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_PLACE, "Int64"))
    return frame.astype(dict.fromkeys(BLENDSHAPES, float)).assign(model=landmarks.SHA256)


def write_table(measured: pd.DataFrame, path: Path) -> None:
    """Write what `measure` returns as csv, whole or not at all."""
    with atomic_write(path) as part:
        measured.to_csv(part, index=False, lineterminator="\n")
