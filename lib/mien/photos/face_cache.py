"""Photos looked at once, remembered by the content of the file: their faces, their blendshapes."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mien import system
from mien.data.images import find_images, open_image, quiet_pillow
from mien.data.measured import BLENDSHAPES
from mien.errors import DataError, Finding
from mien.files import atomic_write, cache_dir, content_hash, keep
from mien.photos import face_finder, landmarks
from mien.photos.face_finder import Face
from mien.prediction_output import NO_FACE

#: The table of blendshapes in a person's folder.
TABLE = "blendshapes.csv"
#: Part of the names of cached files: raise it whenever something else is seen than before.
_VERSION = 1
# A picture of fewer pixels a side is a crop; in others a face that is less wide than so much of the
# longer side is small. So many pictures of a folder tell.
_SMALL, _FILLS, _SAMPLE = 160, 0.5, 200
_PLACE = ("left", "top", "width", "height")

Look = tuple[tuple[int, int], list[Face], list[float]]


def look(path: Path, image: Image.Image | None = None) -> Look:
    """Return what is in a photo (or its picture, where given); `DataError` if it is unreadable.

    Its upright size in pixels; its faces, without landmarks, the largest first; the 51 blendshapes
    (0..1) of that one, none without a face or the models.
    """
    try:
        content = content_hash(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    finder = "cascade" if landmarks.missing() else landmarks.SHA256[:8]
    memo = cache_dir() / "photos" / content[:2] / f"{content}-{finder}-{_VERSION}.json"
    try:
        size, faces, shapes = json.loads(memo.read_text())
    except (OSError, ValueError):
        image = image or open_image(path)
        found = sorted(face_finder.find(image, meshed=True), key=lambda face: -face.side)
        points = found[0].points if found else None
        shapes = [] if points is None else landmarks.blendshapes(points).astype(float)
        faces = [(face.x, face.y, face.side, face.tilt, face.presence) for face in found]
        faces, shapes = (np.round(rows, 6).tolist() for rows in (faces, shapes))
        size, seen = image.size, json.dumps([image.size, faces, shapes])
        keep(memo, lambda part: part.write_text(seen))
    return tuple(size), [Face(*face) for face in faces], shapes


def look_at(
    pictures: Mapping[str, Path], *, on_picture: Callable[[], object] = lambda: None
) -> dict[str, Look | DataError]:
    """Return what is in every picture, several looked at side by side, or why it is unreadable."""

    def seen(name: str) -> Look | DataError:
        try:
            return look(pictures[name])
        except DataError as error:
            return error

    found = {}
    for name, one in ahead(seen, pictures):
        found[name] = one
        on_picture()
    return found


def ahead(work: Callable, items: Iterable, *, count: int = 64) -> Iterator[tuple]:
    """Yield items and what ``work`` returns of them, in order; threads take so many at a time."""
    left = iter(items)
    with ThreadPoolExecutor(system.cores()) as pool:
        while share := list(islice(left, count)):
            yield from zip(share, pool.map(work, share), strict=True)


def pictures_of(folder: Path) -> dict[str, Path]:
    """Return the pictures below ``images`` of a person's folder, else below the folder, sorted.

    By their paths from the folder, with ``/`` between; `DataError` if there is none.
    """
    images = folder / "images"
    paths = find_images([images if images.is_dir() else folder])
    names = [os.fsencode(path.relative_to(folder).as_posix()) for path in paths]
    written = [name.decode("utf-8", "backslashreplace") for name in names]
    return dict(zip(written, paths, strict=True))


def measure(
    pictures: Mapping[str, Path], *, on_picture: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """Return the blendshapes of the largest face in every picture, one row each.

    ``pictures`` are files by the names that they shall have in the table. ``file_name``;
    ``success`` (1, or 0 where no face was found or the file cannot be read: all that follows but
    ``model`` is then missing); ``presence`` (0.5 to 1, how sure the mesh is of the face); ``left``,
    ``top``, ``width``, ``height`` (of the face's frame, in pixels of the upright picture); the 51
    `BLENDSHAPES` (0..1); ``model`` (SHA-256 of the models' file); ``problem`` (why there is no
    success, else empty). `DataError` if the models of faces are not to be had.
    """
    if problem := landmarks.missing():
        raise DataError(problem)
    columns = ["problem", "file_name", "success", "presence", *_PLACE, *BLENDSHAPES]
    rows = []
    for name, seen in look_at(pictures, on_picture=on_picture).items():
        row = [NO_FACE, name, 0]
        if isinstance(seen, DataError):
            row = [str(seen).removeprefix(f"{pictures[name]} "), name, 0]
        elif seen[1]:
            size, (face, *_), shapes = seen
            row = ["", name, 1, face.presence, *face.box(size), *shapes]
        rows.append(dict(zip(columns, row, strict=False)))
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_PLACE, "Int64"))
    frame = frame.astype(dict.fromkeys(BLENDSHAPES, float)).assign(model=landmarks.SHA256)
    return frame.assign(problem=frame.pop("problem"))


def write_table(measured: pd.DataFrame, path: Path) -> None:
    """Write what `measure` returns, but for the problems, as csv, whole or not at all."""
    with atomic_write(path) as part:
        measured.drop(columns="problem").to_csv(part, index=False, lineterminator="\n")


def cut_largest(path: Path, image: Image.Image) -> Image.Image | None:
    """Return the largest face of a photo, upright in FER2013's frame; None without any."""
    _, faces, _ = look(path, image)
    return faces[0].cut_out(image) if faces else None


def uncropped(folder: Path) -> list[Finding]:
    """Tell of a person's pictures, a sample, in which a face is small, or not the only one."""
    pictures = {name: path for name, path in pictures_of(folder).items() if _is_large(path)}
    sample = dict(list(pictures.items())[:: -(-len(pictures) // _SAMPLE) or 1])
    remedy = "say find_faces=true, or let mien collect cut the faces out"
    found = []
    for name, seen in look_at(sample).items():
        size, faces, _ = ((0, 0), [], []) if isinstance(seen, DataError) else seen
        first, second = [*(face.side for face in faces), 0, 0][:2]
        if second > first / 2:
            reason = "shows several faces, and the picture counts as one"
            found.append(Finding("image", name, reason, remedy))
        elif 0 < first < _FILLS * max(size):
            reason = "shows a small face in a large picture, which counts as one face whole"
            found.append(Finding("image", name, reason, remedy))
    return found


def _is_large(path: Path) -> bool:
    with contextlib.suppress(Exception), quiet_pillow(), Image.open(path) as image:
        return min(image.size) >= _SMALL
    return False
