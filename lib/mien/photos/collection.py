"""From photos and videos to a person's folder of faces: `mien collect`.

Every face is cut out upright, framed as FER2013 frames one (`mien.photos.face_finder`), and kept
where it is no near-duplicate, as ``images/<label>/<clip>_<frame>.jpg``. The clip of a photo is in
its name, else photos taken within some minutes of each other are one; the clip of a video's frame
is its shot. Labels that folders give are kept, and faces may be moved to another label's folder.

``collected.csv`` says where each comes from, and ``contact.html`` shows them, so that other
people's can be struck out: one file that needs no network. The hidden ``.collected.jsonl`` grows by
a line for every picture that has been looked at.
"""

import base64
import contextlib
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from mien import system
from mien.data.images import (
    CAMERA_NAME,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    find_images,
    is_of_camera,
    open_image,
    resized,
    shooting_time,
    thumbnail,
    to_grey48,
)
from mien.data.matching import label_in
from mien.emotions import UNKNOWN
from mien.errors import DataError, ParameterError, printable
from mien.files import atomic_write, files_below
from mien.photos import face_finder, videos
from mien.photos.face_cache import ahead

PICKS = ("largest", "all")
#: Seconds between two frames of a shot that are looked at.
EVERY = 0.5
#: Pixels a side of the smallest face that is kept, and of the largest picture of one.
SMALLEST, LARGEST = 40, 512
#: Two faces whose grey values on 24 x 24 pixels correlate more than this are one picture twice. Of
#: 26 pairs that a person had chosen from the same clip and labelled alike, one does; of PublicTest
#: 2.5 % with another, of which 1.6 % are its copies.
ALIKE, _SMALL = 0.95, 24
_TIMED = "photos-"  # begins the names of clips that are told by shooting time
_END = "end"  # in the place of the time: a video whole
_PLACE = ("left", "top", "width", "height")


class Picture(NamedTuple):
    """A photo, a frame of a video, or (at the time ``"end"``) a whole video to be looked at."""

    path: Path
    #: When a photo was taken (ISO 8601, "" where nobody knows); seconds since the video's start.
    time: str
    #: An emotion or ``"unknown"``.
    label: str
    #: What shall stand before and after the last ``_`` of its faces' names.
    clip: str = ""
    frame: str = ""
    #: Of a frame; a photo is opened when its turn comes.
    image: Image.Image | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Tells it from all others."""
        return str(self.path.resolve()), self.time


class Cut(NamedTuple):
    """A face that was cut out of a picture."""

    image: Image.Image
    #: Left, top, width and height, in pixels of the picture.
    box: tuple[int, int, int, int]
    #: 0.5 to 1, how sure the face mesh is of it; None where it was not asked.
    presence: float | None
    #: Variance of the Laplacian.
    sharpness: float


@dataclass
class Told:
    """What there is to say of a collection; ``alike`` counts the near-duplicates left out."""

    pictures: int = 0
    faceless: int = 0
    alike: int = 0
    problems: list[str] = field(default_factory=list)


class CollectedFolder:
    """The faces that have been collected in a folder, which need not be there yet.

    ``looked``: the pictures that have been looked at, by `Picture.key`, and where the chosen face
    was, None where there was none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looked: dict[tuple[str, str], list[int] | None] = {}
        self._record = folder / ".collected.jsonl"
        self._rows: dict[str, dict] = {}
        self._videos: dict[str, str] = {}
        self._seen = np.zeros((0, _SMALL**2), np.float32)
        lines = self._record.read_text(encoding="ascii") if self._record.is_file() else ""
        for line in lines.split("\n"):
            with contextlib.suppress(ValueError):  # a line that was cut off
                self._count(json.loads(line))
        for path in self._faces():
            with contextlib.suppress(DataError):
                self._is_new(open_image(path))

    def add(self, picture: Picture, cuts: Sequence[Cut]) -> int:
        """Keep the faces of a picture that are no near-duplicates, record it, return how many."""
        source, time = picture.key
        kept = [self._write(picture, cut) for cut in cuts if self._is_new(cut.image)]
        box = cuts[0].box if cuts else None
        looked = {"source": source, "time": time, "box": box, "kept": kept}
        self._count(looked)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._record.open("a", encoding="ascii") as stream:
            stream.write("\n" + json.dumps(looked))
        return len(kept)

    def table(self) -> pd.DataFrame:
        """Return the faces that are there, by file name.

        ``file_name`` (below the folder), ``label``, ``clip``; ``source``, ``time``, ``left, top,
        width, height``, ``presence``, ``sharpness`` as of `Picture` and `Cut`.
        """
        columns = ["file_name", "label", "clip", "source", "time", *_PLACE, "presence", "sharpness"]
        rows = []
        for path in self._faces():
            place = path.relative_to(self.folder)
            told = {"file_name": place.as_posix(), "label": place.parts[1]}
            rows.append({**self._rows[path.name], **told})
        return pd.DataFrame(rows, columns=columns)

    def strike(self, names: Collection[str]) -> int:
        """Delete collected faces for good, return how many; `DataError` if one is none."""
        known = set(self.table()["file_name"])
        if strangers := sorted(set(names) - known):
            raise DataError(f"{strangers[0]!r} is no face that was collected in {self.folder}")
        for name in set(names):
            (self.folder / name).unlink()
        return len(set(names))

    def write_pages(self) -> None:
        """Write ``collected.csv`` and ``contact.html``."""
        table = self.table()
        with atomic_write(self.folder / "collected.csv") as part:
            table.to_csv(part, index=False, lineterminator="\n", errors="backslashreplace")
        faces = table.assign(
            name=table["file_name"].map(lambda name: Path(name).stem),
            title=(table["source"] + " " + table["time"]).map(printable),
            picture=table["file_name"].map(lambda name: _embedded(self.folder / name)),
        )
        template = Path(__file__).with_name("contact.html.j2").read_text(encoding="utf-8")
        clips, folder = list(faces.groupby(["label", "clip"])), printable(self.folder)
        page = jinja2.Template(template, autoescape=True)
        with atomic_write(self.folder / "contact.html") as part:
            text = page.render(clips=clips, count=len(table), folder=folder)
            part.write_text(text, encoding="utf-8")

    def _faces(self) -> list[Path]:
        return [path for path in files_below(self.folder / "images") if path.name in self._rows]

    def _count(self, looked: dict) -> None:
        """Count a line of the record to what has been looked at."""
        source, time = looked["source"], looked["time"]
        self.looked[source, time] = looked["box"]
        for face in looked["kept"]:
            self._rows[face["name"]] = {**face, "source": source, "time": time}
            self._videos[face["clip"]] = _video(Path(source))

    def _is_new(self, face: Image.Image) -> bool:
        """Return whether a face is no near-duplicate of one before it, and count it to them."""
        pairs = to_grey48(face).astype(np.float32).reshape(_SMALL, 2, _SMALL, 2)
        values = pairs.mean(axis=(1, 3)).ravel()
        values -= values.mean()
        values /= max(float(np.linalg.norm(values)), 1e-6)  # so a product is a correlation
        if (self._seen @ values).max(initial=0) > ALIKE:
            return False
        self._seen = np.vstack([self._seen, values])
        return True

    def _write(self, picture: Picture, cut: Cut) -> dict:
        """Write a face, and return what the record says of it."""
        content = io.BytesIO()
        cut.image.save(content, "JPEG", quality=95)
        place, clip = self.folder / "images" / picture.label, self._clip(picture)

        def is_free(stem: str) -> bool:
            """Return whether a name is new, but for what an interrupted call has left."""
            path = place / f"{stem}.jpg"
            own = not path.exists() or path.read_bytes() == content.getvalue()
            return own and path.name not in self._rows

        stem = f"{clip}_{_plain(picture.frame).replace('_', '-')}"
        name = f"{next(filter(is_free, _numbered(stem)))}.jpg"
        with atomic_write(place / name) as part:
            part.write_bytes(content.getvalue())
        self._rows[name] = {}  # another face of the picture may not have the name
        box = dict(zip(_PLACE, cut.box, strict=True))
        facts = {"presence": cut.presence, "sharpness": cut.sharpness}
        return {"name": name, "clip": clip, **box, **facts}

    def _clip(self, picture: Picture) -> str:
        """Return the name of a picture's clip: with a number where that of another video has it."""
        wanted = _plain(picture.clip)
        if CAMERA_NAME.fullmatch(f"{wanted}_a1"):  # whose last _ may name no clip
            wanted = f"source-{wanted}"
        video = _video(picture.path.resolve())
        return next(n for n in _numbered(wanted) if self._videos.get(n, video) == video)


def _numbered(stem: str) -> Iterator[str]:
    """Yield a name, and the same with numbers from 2 on."""
    yield stem
    yield from (f"{stem}-{number}" for number in itertools.count(2))


def _video(path: Path) -> str:
    """Return the path of a video, "" of a photo: photos whose clips have one name are one clip."""
    return str(path) if path.suffix.lower() in VIDEO_SUFFIXES else ""


def _plain(text: str) -> str:
    """Return text as part of a file's name on any system."""
    return re.sub(r"[^\w.-]+", "-", text)[:60].strip("-. ") or "any"


def _embedded(path: Path) -> str:
    """Return a small picture of a face in Base64."""
    content = io.BytesIO()
    thumbnail(open_image(path)).save(content, "JPEG", quality=80)
    return base64.b64encode(content.getvalue()).decode()


def plan(
    sources: Iterable[str | Path], album: CollectedFolder, *, clip_minutes: float
) -> list[Picture]:
    """Return the photos, and after them the videos, that files, folders and globs name.

    As `find_images` finds them. Photos whose names tell no clip, and that were taken within
    ``clip_minutes`` of each other or of some in the album, are one. `DataError` if a source leads
    to neither, or lies among the album's faces.
    """
    labels: dict[Path, str] = {}
    for source in sources:
        for path in find_images([source], suffixes=(*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            if path.resolve().is_relative_to((album.folder / "images").resolve()):
                raise DataError(f"{printable(path)} lies where the faces go; choose another folder")
            labels.setdefault(path, _label(path, Path(source).expanduser()))
    photos, timed, films = [], [], []
    for path, label in labels.items():
        if _video(path):
            films.append(Picture(path, _END, label))
            continue
        clip, _, frame = path.stem.rpartition("_")
        taken = shooting_time(path, path.stem)
        photo = Picture(path, taken.isoformat() if taken else "", label)
        if clip and not is_of_camera(path.stem, taken):
            photos.append(photo._replace(clip=clip, frame=frame))
        elif taken:
            timed.append(photo._replace(frame=path.stem))
        else:
            photos.append(photo._replace(clip=path.stem.replace("_", "-"), frame="1"))
    photos += _by_time(timed, album, timedelta(minutes=clip_minutes))
    return sorted(photos, key=lambda photo: photo.path) + films


def _label(path: Path, source: Path) -> str:
    """Return the label that a folder gives: the source or one below it, the nearest to the file."""
    above = source if source.is_dir() else path.parent
    folders = [*path.relative_to(above).parts[:-1][::-1], above.resolve().name]
    return next((label for label in map(label_in, folders) if label), UNKNOWN)


def _by_time(timed: list[Picture], album: CollectedFolder, gap: timedelta) -> list[Picture]:
    """Return photos with their clips told by shooting time, going on with the album's clips."""
    faces = album.table()
    known = faces[faces["clip"].str.startswith(_TIMED)].itertuples()
    moments = sorted([*timed, *known], key=lambda moment: moment.time)
    taken = [datetime.fromisoformat(moment.time) for moment in moments]
    starts = [at for at in range(len(taken)) if not at or taken[at] - taken[at - 1] > gap]
    found = []
    for first, end in itertools.pairwise([*starts, len(moments)]):
        own, clip = moments[first:end], f"{_TIMED}{taken[first]:%Y%m%d-%H%M%S}"
        clip = next((moment.clip for moment in own if moment.clip), clip)
        found += [photo._replace(clip=clip) for photo in own if isinstance(photo, Picture)]
    return found


def steps(planned: Sequence[Picture]) -> int:
    """Return about how many pictures there are to look at, for a progress bar."""
    films = (film for film in planned if film.time == _END)
    return len(planned) + sum(int(videos.duration(film.path) / EVERY) for film in films)


def collect(
    planned: Sequence[Picture],
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
    told, shot, last = Told(), None, None

    def look(picture: Picture) -> list[Cut] | DataError:
        return [] if picture.time == _END or picture.key in album.looked else _look(picture)

    try:
        for picture, cuts in ahead(look, _pictures(planned, album, told), count=4 * system.cores()):
            on_picture()
            if isinstance(cuts, DataError):
                told.problems.append(str(cuts))
                continue
            if (picture.path, picture.clip) != shot:
                shot, last = (picture.path, picture.clip), None
            if picture.key not in album.looked:
                cuts = _picked(cuts, pick, last)
                told.alike += len(cuts) - album.add(picture, cuts)
                told.pictures += picture.time != _END
                told.faceless += picture.time != _END and not cuts
            last = album.looked[picture.key] or last
    finally:
        if album.folder.is_dir():
            album.write_pages()
    return told


def _pictures(planned, album: CollectedFolder, told: Told) -> Iterator[Picture]:
    """Yield what has not been looked at, before a video its frames."""
    for picture in planned:
        if picture.key in album.looked:
            continue
        path, label = picture.path, picture.label
        frames = videos.frames(path, every=EVERY) if picture.time == _END else ()
        try:
            for number, seconds, shot, image in frames:
                clip, frame = f"{path.stem}-{shot:03d}", f"{number:06d}"
                yield Picture(path, f"{seconds:.3f}", label, clip, frame, image)
            yield picture
        except DataError as error:
            told.problems.append(str(error))


def _look(picture: Picture) -> list[Cut] | DataError:
    """Return the faces in a picture, or why it cannot be read."""
    import cv2

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
            # Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
            blurred = cv2.Laplacian(np.asarray(resized(cut.convert("L"), 96)), cv2.CV_64F)
            found.append(Cut(cut, face.box(image.size), presence, round(float(blurred.var()), 1)))
    return found


def _picked(cuts: list[Cut], pick: str, last: Sequence[int] | None) -> list[Cut]:
    """Return the faces that are kept, the person's first: nearest to its last box, or largest."""
    cuts = sorted(cuts, key=lambda cut: -max(cut.box[2:]))
    if last and cuts:
        apart = [math.dist(_middle(cut.box), _middle(last)) for cut in cuts]
        nearest = apart.index(min(apart))
        if apart[nearest] < max(last[2:]):
            cuts.insert(0, cuts.pop(nearest))
    return cuts if pick == "all" else cuts[:1]


def _middle(box: Sequence[int]) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2
