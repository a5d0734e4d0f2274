"""A person's folder into which faces are collected.

``images/<label>/<clip>_<frame>.jpg`` are the faces, ``collected.csv`` says where each comes from,
and ``contact.html`` shows them, so that other people's can be struck out: one file that needs no
network. The hidden ``.collected.jsonl`` grows by a line for every picture that has been looked at.
Faces may be moved to another label's folder.
"""

import base64
import contextlib
import io
import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from mien.data.images import CAMERA_NAME, VIDEO_SUFFIXES, open_image, thumbnail, to_grey48
from mien.errors import DataError, printable
from mien.files import atomic_write, files_below

#: Begins the names of clips that are told by shooting time.
TIMED = "photos-"
#: What the page's button saves.
LIST = "struck_out.txt"
#: Two faces whose grey values on 24 x 24 pixels correlate more than this are one picture twice. Of
#: 26 pairs that a person had chosen from the same clip and labelled alike, one does; of PublicTest
#: 2.5 % with another, of which 1.6 % are its copies.
ALIKE, _SMALL = 0.95, 24
_PLACE = ("left", "top", "width", "height")
_COLUMNS = ("file_name", "label", "clip", "source", "time", *_PLACE, "presence", "sharpness")
_RECORD = ".collected.jsonl"
_PAGE = Path(__file__).with_name("contact.html.j2")


class Picture(NamedTuple):
    """A photo, or a frame of a video, that is to be looked at."""

    path: Path
    #: When a photo was taken (ISO 8601, "" where nobody knows); seconds since the video's start.
    time: str
    #: An emotion or ``"unknown"``.
    label: str
    #: What shall stand before and after the last ``_`` of its faces' names.
    clip: str
    frame: str
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


class CollectedFolder:
    """The faces that have been collected in a folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen = np.zeros((0, _SMALL**2), np.float32)
        self._boxes: dict[tuple[str, str], tuple | None] = {}
        self._rows: dict[str, dict] = {}
        self._videos: dict[str, str] = {}
        record = folder / _RECORD
        for line in record.read_text(encoding="ascii").split("\n") if record.is_file() else ():
            with contextlib.suppress(ValueError):  # a line that was cut off
                self._count(json.loads(line))
        for name, path in self._images().items():
            with contextlib.suppress(DataError):
                if name in self._rows:
                    self._is_new(open_image(path))

    def has(self, picture: Picture) -> bool:
        """Return whether a picture has been looked at."""
        return picture.key in self._boxes

    def box_of(self, picture: Picture) -> tuple[int, int, int, int] | None:
        """Return where the chosen face of a picture was, None where there was none."""
        return self._boxes[picture.key]

    def add(self, picture: Picture, cuts: Sequence[Cut]) -> int:
        """Keep the faces of a picture that are no near-duplicates, record it, return how many."""
        source, time = picture.key
        kept = [self._write(picture, cut) for cut in cuts if self._is_new(cut.image)]
        box = cuts[0].box if cuts else None
        looked = {"source": source, "time": time, "box": box, "kept": kept}
        self._count(looked)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _RECORD).open("a", encoding="ascii") as stream:
            stream.write("\n" + json.dumps(looked))
        return len(kept)

    def times(self) -> list[tuple[datetime, str]]:
        """Return when the photos were taken whose clips are told by that, and these clips."""
        rows = [row for row in self._rows.values() if row["clip"].startswith(TIMED)]
        return [(datetime.fromisoformat(row["time"]), row["clip"]) for row in rows]

    def table(self) -> pd.DataFrame:
        """Return the faces that are there, by file name.

        ``file_name`` (below the folder), ``label``, ``clip``; ``source``, ``time``, ``left, top,
        width, height``, ``presence``, ``sharpness`` as of `Picture` and `Cut`.
        """
        rows = []
        for name, path in self._images().items():
            if name in self._rows:
                place = path.relative_to(self.folder)
                told = {"file_name": place.as_posix(), "label": place.parts[1]}
                rows.append({**self._rows[name], **told})
        return pd.DataFrame(rows, columns=list(_COLUMNS))

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
        page = jinja2.Template(_PAGE.read_text(encoding="utf-8"), autoescape=True).render(
            clips=list(faces.groupby(["label", "clip"])),
            count=len(table),
            folder=printable(self.folder),
            list=LIST,
        )
        with atomic_write(self.folder / "contact.html") as part:
            part.write_text(page, encoding="utf-8")

    def _images(self) -> dict[str, Path]:
        return {path.name: path for path in files_below(self.folder / "images")}

    def _count(self, looked: dict) -> None:
        """Count a line of the record to what has been looked at."""
        source, time, box = looked["source"], looked["time"], looked["box"]
        self._boxes[source, time] = tuple(box) if box else None
        for face in looked["kept"]:
            self._rows[face["name"]] = {**face, "source": source, "time": time}
            self._videos[face["clip"]] = _video(Path(source))

    def _is_new(self, face: Image.Image) -> bool:
        """Return whether a face is no near-duplicate of one before it, and count it to them."""
        seen = _as_vector(face)
        if (self._seen @ seen).max(initial=0) > ALIKE:
            return False
        self._seen = np.vstack([self._seen, seen])
        return True

    def _write(self, picture: Picture, cut: Cut) -> dict:
        """Write a face, and return what the record says of it."""
        content = io.BytesIO()
        cut.image.save(content, "JPEG", quality=95)
        clip = self._clip(picture)
        stem = f"{clip}_{_plain(picture.frame).replace('_', '-')}"
        name, number = f"{stem}.jpg", 1
        while not self._is_free(picture.label, name, content.getvalue()):
            number += 1
            name = f"{stem}-{number}.jpg"
        with atomic_write(self.folder / "images" / picture.label / name) as part:
            part.write_bytes(content.getvalue())
        place = dict(zip(_PLACE, cut.box, strict=True))
        facts = {"presence": cut.presence, "sharpness": cut.sharpness}
        self._rows[name] = {}  # another face of the picture may not have the name
        return {"name": name, "clip": clip, **place, **facts}

    def _is_free(self, label: str, name: str, content: bytes) -> bool:
        """Return whether a name is new, but for what an interrupted call has left."""
        path = self.folder / "images" / label / name
        return name not in self._rows and not (path.exists() and path.read_bytes() != content)

    def _clip(self, picture: Picture) -> str:
        """Return the name of a picture's clip: with a number where that of another video has it."""
        wanted = _plain(picture.clip)
        if CAMERA_NAME.fullmatch(f"{wanted}_a1"):  # whose last _ may name no clip
            wanted = f"source-{wanted}"
        video = _video(picture.path.resolve())
        name, number = wanted, 1
        while self._videos.get(name, video) != video:
            number += 1
            name = f"{wanted}-{number}"
        return name


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


def _as_vector(picture: Image.Image) -> np.ndarray:
    """Return the 24 x 24 grey values of a face as a vector of mean 0 and length 1."""
    pairs = to_grey48(picture).astype(np.float32).reshape(_SMALL, 2, _SMALL, 2)
    values = pairs.mean(axis=(1, 3)).ravel()
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)
