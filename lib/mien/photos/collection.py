"""From photos and videos to a person's folder of faces: `mien collect`.

Every face is cut out upright, framed as FER2013 frames one (`mien.photos.face_finder`), and kept
where it is no near-duplicate (`mien.photos.collected_folder`). The clip of a photo is in its name,
else photos taken within some minutes of each other are one; the clip of a video's frame is its
shot. Labels that folders give are kept.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mien import system
from mien.data.images import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    find_images,
    is_of_camera,
    open_image,
    resized,
    shooting_time,
)
from mien.data.matching import label_in
from mien.emotions import UNKNOWN
from mien.errors import DataError, ParameterError, printable
from mien.photos import face_finder, videos
from mien.photos.collected_folder import TIMED, CollectedFolder, Cut, Picture
from mien.photos.face_cache import ahead

PICKS = ("largest", "all")
#: Seconds between two frames of a shot that are looked at.
EVERY = 0.5
#: Pixels a side of the smallest face that is kept, and of the largest picture of one.
SMALLEST, LARGEST = 40, 512
_END = "end"  # in the place of the time: the whole video has been looked at


class Video(NamedTuple):
    """A video that is to be looked at."""

    path: Path
    label: str


@dataclass
class Told:
    """What there is to say of a collection; ``alike`` counts the near-duplicates left out."""

    pictures: int = 0
    faceless: int = 0
    alike: int = 0
    problems: list[str] = field(default_factory=list)


def plan(
    sources: Iterable[str | Path], album: CollectedFolder, *, clip_minutes: float
) -> tuple[list[Picture], list[Video]]:
    """Return the photos and videos that files, folders and globs name (`find_images`).

    Photos whose names tell no clip, and that were taken within ``clip_minutes`` of each other or of
    some in the album, are one. `DataError` if a source leads to neither, or lies among the album's
    faces.
    """
    labels: dict[Path, str] = {}
    for source in sources:
        for path in find_images([source], suffixes=(*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            if path.resolve().is_relative_to((album.folder / "images").resolve()):
                raise DataError(f"{printable(path)} lies where the faces go; choose another folder")
            labels.setdefault(path, _label(path, Path(source).expanduser()))
    films = [Video(*one) for one in labels.items() if one[0].suffix.lower() in VIDEO_SUFFIXES]
    photos, timed = [], []
    for path in labels.keys() - {film.path for film in films}:
        clip, _, frame = path.stem.rpartition("_")
        taken = shooting_time(path, path.stem)
        time = taken.isoformat() if taken else ""
        if clip and not is_of_camera(path.stem, taken):
            photos.append(Picture(path, time, labels[path], clip, frame))
        elif taken:
            timed.append((taken, Picture(path, time, labels[path], "", path.stem)))
        else:
            photos.append(Picture(path, time, labels[path], path.stem.replace("_", "-"), "1"))
    photos += _by_time(timed, album, timedelta(minutes=clip_minutes))
    return sorted(photos, key=lambda photo: photo.path), films


def steps(photos: Sequence[Picture], films: Sequence[Video]) -> int:
    """Return about how many pictures there are to look at, for a progress bar."""
    found = len(photos)
    for film in films:
        with contextlib.suppress(DataError):
            found += int(videos.duration(film.path) / EVERY) + 1
    return found


def collect(
    photos: Sequence[Picture],
    films: Sequence[Video],
    album: CollectedFolder,
    *,
    pick: str = "largest",
    on_picture: Callable[[], object] = lambda: None,
) -> Told:
    """Look at photos and videos (`plan`) not looked at before, and keep their faces in an album.

    ``pick``: of several faces in a picture the ``"largest"`` is kept, in a video the one nearest to
    where the last face was; or ``"all"``. ``on_picture`` is called after every photo and every
    frame.
    """
    if pick not in PICKS:
        raise ParameterError(f"pick is {pick!r}; it must be one of {', '.join(PICKS)}")
    told = Told()

    def look(picture: Picture) -> list[Cut] | DataError:
        return [] if picture.time == _END or album.has(picture) else _look(picture)

    shot, last = None, None
    try:
        for picture, cuts in ahead(
            look, _pictures(photos, films, album, told), count=2 * system.cores()
        ):
            on_picture()
            if isinstance(cuts, DataError):
                told.problems.append(str(cuts))
                continue
            if picture.image is None or (picture.path, picture.clip) != shot:
                shot, last = (picture.path, picture.clip), None
            if not album.has(picture):
                cuts = _picked(cuts, pick, last)
                told.alike += len(cuts) - album.add(picture, cuts)
                told.pictures += picture.time != _END
                told.faceless += picture.time != _END and not cuts
            last = album.box_of(picture) or last
    finally:
        if album.folder.is_dir():
            album.write_pages()
    return told


def _pictures(photos, films, album: CollectedFolder, told: Told) -> Iterator[Picture]:
    """Yield the photos that have not been looked at, and all frames of such videos."""
    yield from (photo for photo in photos if not album.has(photo))
    for path, label in films:
        end = Picture(path, _END, label, "", "")
        if album.has(end):
            continue
        try:
            for frame in videos.frames(path, every=EVERY):
                clip, number = f"{path.stem}-{frame.shot:03d}", f"{frame.number:06d}"
                yield Picture(path, f"{frame.seconds:.3f}", label, clip, number, frame.picture)
            yield end
        except DataError as error:
            told.problems.append(str(error))


def _look(picture: Picture) -> list[Cut] | DataError:
    """Return the faces in a picture, or why it cannot be read."""
    try:
        image = picture.image or open_image(picture.path)
    except DataError as error:
        return error
    found = []
    for face in face_finder.find(image, meshed=True):
        if face.side >= SMALLEST:
            cut = face.cut_out(image)
            cut = resized(cut, LARGEST) if cut.width > LARGEST else cut
            presence = None if math.isnan(face.presence) else round(face.presence, 4)
            found.append(Cut(cut, face.box(image.size), presence, round(_sharpness(cut), 1)))
    return found


def _sharpness(cut) -> float:
    """Return the variance of the Laplacian of a face on 96 pixels (Pech-Pacheco et al. 2000)."""
    import cv2

    return float(cv2.Laplacian(np.asarray(resized(cut.convert("L"), 96)), cv2.CV_64F).var())


def _picked(cuts: list[Cut], pick: str, last: tuple[int, int, int, int] | None) -> list[Cut]:
    """Return the faces that are kept, the person's first: nearest to its last box, or largest."""
    cuts = sorted(cuts, key=lambda cut: -max(cut.box[2:]))
    if last and cuts:
        nearest = min(cuts, key=lambda cut: _apart(cut.box, last))
        if _apart(nearest.box, last) < max(last[2:]):
            cuts.sort(key=lambda cut: cut is not nearest)
    return cuts if pick == "all" else cuts[:1]


def _apart(box: tuple, other: tuple) -> float:
    """Return the distance of the middles of two boxes."""
    (left, top, width, height), (x, y, w, h) = box, other
    return math.hypot(left + width / 2 - x - w / 2, top + height / 2 - y - h / 2)


def _label(path: Path, source: Path) -> str:
    """Return the label that a folder gives: the source or one below it, the nearest to the file."""
    above = source if source.is_dir() else path.parent
    folders = [*path.relative_to(above).parts[:-1][::-1], above.resolve().name]
    return next((label for label in map(label_in, folders) if label), UNKNOWN)


def _by_time(
    timed: list[tuple[datetime, Picture]], album: CollectedFolder, gap: timedelta
) -> Iterator[Picture]:
    """Yield photos with their clips told by shooting time, going on with the album's clips."""
    moments = [(taken, "", photo) for taken, photo in timed]
    moments += [(taken, clip, None) for taken, clip in album.times()]
    moments.sort(key=lambda moment: moment[0])
    clips: list[list] = []
    for moment in moments:
        if not clips or moment[0] - clips[-1][-1][0] > gap:
            clips.append([])
        clips[-1].append(moment)
    for own in clips:
        known = next((clip for _, clip, _ in own if clip), f"{TIMED}{own[0][0]:%Y%m%d-%H%M%S}")
        yield from (photo._replace(clip=known) for _, _, photo in own if photo)
