"""Photos looked at once: which faces are in them, remembered by the content of the file."""

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien import system
from mien.data.images import find_images, open_image, quiet_pillow
from mien.errors import DataError, Finding
from mien.files import cache_dir, keep
from mien.photos import face_finder, landmarks
from mien.photos.face_finder import Face

#: Part of the names of cached files: raise it whenever something else is seen than before.
_VERSION = 1
# A picture of fewer pixels a side is a crop; in others a face that is less wide than so much of the
# longer side is small. So many pictures of a folder tell.
_SMALL, _FILLS, _SAMPLE = 160, 0.5, 200


class Look(NamedTuple):
    """What is in a photo: its upright size in pixels, and its faces, without landmarks.

    The largest comes first; ``shapes`` are its 51 blendshapes, none without a face or the models.
    """

    size: tuple[int, int]
    faces: list[Face]
    shapes: list[float]


def look(path: Path, image: Image.Image | None = None) -> Look:
    """Return what is in a photo (or its picture, where given); `DataError` if it is unreadable."""
    try:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return _see(open_image(path))  # which says what is wrong with it
    finder = "cascade" if landmarks.missing() else landmarks.SHA256[:8]
    memo = cache_dir() / "photos" / content[:2] / f"{content}-{finder}-{_VERSION}.json"
    try:
        size, faces, shapes = json.loads(memo.read_text())
        return Look(tuple(size), [Face(*face) for face in faces], shapes)
    except (OSError, ValueError, TypeError):
        pass
    seen = _see(image or open_image(path))
    faces = [(face.x, face.y, face.side, face.tilt, face.presence) for face in seen.faces]
    keep(memo, lambda part: part.write_text(json.dumps([seen.size, faces, seen.shapes])))
    return seen


def look_at(
    pictures: Mapping[str, Path], *, on_picture: Callable[[], object] = lambda: None
) -> dict[str, Look | None]:
    """Return what is in every picture, several looked at side by side; None where unreadable."""

    def seen(picture: tuple[str, Path]) -> Look | None:
        with contextlib.suppress(DataError):
            return look(picture[1])

    found = {}
    for (name, _), one in ahead(seen, pictures.items()):
        found[name] = one
        on_picture()
    return found


def ahead(work: Callable, items: Iterable, *, count: int = 64) -> Iterator[tuple]:
    """Yield items and what ``work`` returns of them, in order; threads are so many items ahead."""
    waiting: deque = deque()
    pool = ThreadPoolExecutor(system.cores())
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > count:
                first, answer = waiting.popleft()
                yield first, answer.result()
        for item, answer in waiting:
            yield item, answer.result()
    finally:
        pool.shutdown(cancel_futures=True)


def pictures_of(folder: Path) -> dict[str, Path]:
    """Return the pictures below ``images`` of a person's folder, else below the folder, sorted.

    By their paths from the folder, with ``/`` between; `DataError` if there is none.
    """
    images = folder / "images"
    paths = find_images([images if images.is_dir() else folder])
    names = [os.fsencode(path.relative_to(folder).as_posix()) for path in paths]
    written = [name.decode("utf-8", "backslashreplace") for name in names]
    return dict(zip(written, paths, strict=True))


def cut_largest(path: Path, image: Image.Image) -> Image.Image | None:
    """Return the largest face of a photo, upright in FER2013's frame; None without any."""
    faces = look(path, image).faces
    return faces[0].cut_out(image) if faces else None


def uncropped(folder: Path) -> list[Finding]:
    """Tell of a person's pictures, a sample, in which a face is small, or not the only one."""
    pictures = {name: path for name, path in pictures_of(folder).items() if _is_large(path)}
    sample = dict(list(pictures.items())[:: -(-len(pictures) // _SAMPLE) or 1])
    remedy = "say find_faces=true, or let mien collect cut the faces out"
    found = []
    for name, seen in look_at(sample).items():
        sides = [face.side for face in seen.faces] if seen else []
        if len(sides) > 1 and sides[1] > sides[0] / 2:
            reason = "shows several faces, and the picture counts as one"
            found.append(Finding("image", name, reason, remedy))
        elif sides and sides[0] < _FILLS * max(seen.size):
            reason = "shows a small face in a large picture, which counts as one face whole"
            found.append(Finding("image", name, reason, remedy))
    return found


def _is_large(path: Path) -> bool:
    with contextlib.suppress(Exception), quiet_pillow(), Image.open(path) as image:
        return min(image.size) >= _SMALL
    return False


def _see(image: Image.Image) -> Look:
    found = face_finder.find(image, meshed=True)
    found.sort(key=lambda face: -face.side)
    shapes = []
    if found and found[0].points is not None:
        shapes = np.round(landmarks.blendshapes(found[0].points).astype(float), 6).tolist()
    faces = [
        Face(*np.round([face.x, face.y, face.side, face.tilt, face.presence], 6).tolist())
        for face in found
    ]
    return Look(image.size, faces, shapes)
