"""Blendshapes of photos, measured by mien itself and remembered by the content of the pictures."""

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.images import find_images, open_image
from mien.data.measured import BLENDSHAPES
from mien.errors import DataError
from mien.files import atomic_write, cache_dir, keep
from mien.photos import face_finder, landmarks

#: The table in a person's folder.
FILE = "blendshapes.csv"
_PLACE = ("left", "top", "width", "height")
#: Part of the names of cached files: raise it whenever something else is measured than before.
_VERSION = 1


def measure(
    pictures: Mapping[str, Path], *, on_picture: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """Return the blendshapes of the largest face in every picture.

    A picture that was measured before is not looked at again, whatever it is called now.

    Parameters
    ----------
    pictures : mapping of str to Path
        Files by the names that they shall have in the table.
    on_picture : callable
        Called after every picture.

    Returns
    -------
    DataFrame
        One row a picture: ``file_name``; ``success`` (1, or 0 where no face was found or the file
        cannot be read: all that follows but ``model`` is then missing); ``presence`` (0.5 to 1, how
        sure the mesh is of the face); ``left, top, width, height`` (of the face's frame, in pixels
        of the upright picture); the 51 `BLENDSHAPES` (0..1); ``model`` (SHA-256 of the models'
        file).

    Raises
    ------
    DataError
        If the models of faces are not to be had.
    """
    if problem := landmarks.missing():
        raise DataError(problem)
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in zip(pictures, pool.map(_measured, pictures.values()), strict=True):
            rows.append([name, int(bool(found)), *(found or [None] * (5 + len(BLENDSHAPES)))])
            on_picture()
    columns = ["file_name", "success", "presence", *_PLACE, *BLENDSHAPES]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_PLACE, "Int64"))
    return frame.astype(dict.fromkeys(BLENDSHAPES, float)).assign(model=landmarks.SHA256)


def pictures_of(folder: Path) -> dict[str, Path]:
    """Return the pictures below ``images`` of a person's folder, else below the folder itself.

    By their paths from the folder, with ``/`` between, whatever the system; sorted.

    Raises
    ------
    DataError
        If there is none.
    """
    images = folder / "images"
    paths = find_images([images if images.is_dir() else folder])
    return {_written(path.relative_to(folder).as_posix()): path for path in paths}


def write_table(measured: pd.DataFrame, path: Path) -> None:
    """Write what `measure` returns as csv, whole or not at all."""
    with atomic_write(path) as part:
        measured.to_csv(part, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)


def _measured(path: Path) -> list | None:
    """Return presence, place and blendshapes of a picture's largest face; None without any."""
    try:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
    name = f"{content}-{landmarks.SHA256[:8]}-{_VERSION}.json"
    memo = cache_dir() / "blendshapes" / content[:2] / name
    try:
        return json.loads(memo.read_text())
    except (OSError, ValueError):
        pass
    try:
        image = open_image(path)
    except DataError:
        return None
    faces = face_finder.find(image, meshed=True)
    face = max(faces, key=lambda face: face.side, default=None)
    found = face and [
        round(face.presence, 6),
        *face.box(image.size),
        *np.round(landmarks.blendshapes(face.points).astype(float), 6).tolist(),
    ]
    keep(memo, lambda part: part.write_text(json.dumps(found)))
    return found


def _written(name: str) -> str:
    """Return a file's name as text that can be written anywhere, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
