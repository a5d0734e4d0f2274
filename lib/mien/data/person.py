"""Reading one person's faces: images, Action Units, labels and ratings.

The folder holds ``images/<label>/*.jpg``, ``images/unknown/*.jpg``, one ``*_AU.csv`` (see
`mien.data.action_units`) and perhaps ``ratings.csv`` (``file_name,rater,label``). Real data is
irregular: whatever does not fit is noted in a table with its consequence, and every face still
serves where it can. Only files found by listing the folder are opened, never a path that a csv
names.
"""

import csv
import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mien import emotions
from mien.data.action_units import LEFT_OUT, NO_UNITS, UNITS, Note, UnitRow, read_units
from mien.data.images import IMAGE_SUFFIXES, SIDE, open_image, thumbnail, to_grey48
from mien.errors import DataError
from mien.files import LITTER

NO_IMAGE = "serves the models on Action Units, not those that look at images"

_LAYOUT = (
    "a person's folder holds images/<emotion>/*.jpg, images/unknown/*.jpg and one *_AU.csv"
    " (columns file_name, AU01_r …, AU01_c …, label)"
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled faces of a person that a model can read, k of n.

    Attributes
    ----------
    rows : ndarray of int, shape (k,)
        Where they stand in the person's arrays and frame.
    truth, clips : ndarray of str, shape (k,)
        Label (an emotion) and clip of each.
    """

    rows: np.ndarray
    truth: np.ndarray
    clips: np.ndarray


@dataclass(frozen=True, eq=False)
class Person:
    """One person's faces, in a stable order: labelled before unknown, then by file name.

    Attributes
    ----------
    faces : DataFrame
        One line a face, index 0..n-1: ``file_name`` (unique; ``<label>/<name>`` where two folders
        hold files of the same name), ``set`` (``"labelled"`` or ``"unknown"``), ``clip`` (what
        stands before the last ``_`` of the name, else the name without its ending), ``label`` (an
        emotion or ``"unknown"``), ``has_image``, ``has_units``, ``confidence`` (0..1 or NaN).
    images : ndarray of uint8, shape (n, 48, 48)
        Network input as `to_grey48` gives it; zeros where ``has_image`` is False.
    intensities : ndarray of float32, shape (n, 17)
        Of `UNITS`, 0..5; NaN where ``has_units`` is False, and in a column that the csv lacks.
    presences : ndarray of float32, shape (n, 17)
        Of `UNITS`, 0 or 1; NaN likewise.
    crops : list of Image or None
        RGB squares of at most 96 x 96 pixels to show; None where ``has_image`` is False.
    ratings : DataFrame
        ``file_name``, ``rater``, ``label``; one line a rating, perhaps none.
    irregularities : DataFrame
        ``file_name``, ``problem``, ``consequence``.
    fingerprint : str
        SHA-256 (hexadecimal) of all of the above but the crops.
    """

    faces: pd.DataFrame
    images: np.ndarray
    intensities: np.ndarray
    presences: np.ndarray
    crops: list
    ratings: pd.DataFrame
    irregularities: pd.DataFrame
    fingerprint: str

    @property
    def emotions(self) -> list[str]:
        """The emotions that occur among the labelled faces, in FER2013's order."""
        return emotions.in_order(self.faces["label"])

    def labelled(self, what: str) -> Labelled:
        """Return the labelled faces that have ``what``: ``"has_image"`` or ``"has_units"``."""
        rows = self._rows("labelled", what)
        truth, clips = (
            self.faces[column].to_numpy(dtype=str)[rows] for column in ("label", "clip")
        )
        return Labelled(rows, truth, clips)

    def unknown(self, what: str) -> np.ndarray:
        """Return the rows (k,) of the unknown faces that have ``what``, as `labelled`."""
        return self._rows("unknown", what)

    def _rows(self, name: str, what: str) -> np.ndarray:
        return np.flatnonzero((self.faces["set"] == name) & self.faces[what])

    def majority(self) -> pd.Series:
        """Return what most raters said of each face; ``""`` where they tie or nobody rated it.

        Returns
        -------
        Series of str
            On the index of ``faces``.
        """
        said = defaultdict(list)
        for rating in self.ratings.itertuples():
            said[rating.file_name].append(rating.label)
        winners = [_winner(said[name]) for name in self.faces["file_name"]]
        return pd.Series(winners, index=self.faces.index, name="majority", dtype=object)


@dataclass
class _Face:
    """One face while it is put together."""

    file_name: str
    label: str
    path: Path | None = None
    image: np.ndarray | None = None
    crop: Image.Image | None = None
    row: UnitRow | None = None

    @property
    def units(self) -> np.ndarray | None:
        return self.row.units if self.row else None

    @property
    def clip(self) -> str:
        stem = Path(_base(self.file_name)).stem
        return stem.rpartition("_")[0] or stem


def load_person(folder: str | Path) -> Person:
    """Load one person's faces.

    Where the folder of an image and the csv disagree about its label, the folder wins: it is what
    whoever sorted the images saw. Of several rows for one face the first counts.

    Raises
    ------
    DataError
        If there is no such folder, or no face in it.
    """
    source, folder = str(folder), Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {source}; {_LAYOUT}")
    notes: list[Note] = []
    faces = _find_images(folder, notes)
    _join_rows(faces, folder, notes)
    for face in faces:
        _decode(face, notes)
    faces = [face for face in faces if face.image is not None or face.units is not None]
    if not faces:
        told = "".join(f"\n  {note.file_name}: {note.problem}" for note in notes[:5])
        raise DataError(f"{source} holds no face that can be used; {_LAYOUT}{told}")
    faces.sort(key=lambda face: (face.label == emotions.UNKNOWN, _natural(face.file_name)))
    return _person(faces, _read_ratings(folder, faces, notes), notes)


def _find_images(folder: Path, notes: list[Note]) -> list[_Face]:
    """List the images in the folders of labels."""
    found = []
    places = _inside(folder / "images", folder, notes) if (folder / "images").is_dir() else ()
    for place in places:
        if not place.is_dir():
            notes.append(Note(_name(place), "lies in no folder of a label", LEFT_OUT))
            continue
        label = _label(place.name)
        if label is None:
            notes.append(Note(f"images/{_name(place)}", "the folder names no emotion", LEFT_OUT))
            continue
        for path in _inside(place, folder, notes):
            if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
                found.append(_Face(_name(path), label, path))
            else:
                problem = f"is no image ({', '.join(IMAGE_SUFFIXES)})"
                notes.append(Note(f"{_name(place)}/{_name(path)}", problem, LEFT_OUT))
    for same in _by_name(found).values():
        for face in same if len(same) > 1 else ():
            face.file_name = f"{_name(face.path.parent)}/{_name(face.path)}"
            notes.append(
                Note(face.file_name, "several folders hold this name", "goes by folder and name")
            )
    if not found:
        notes.append(Note("images", "holds no image", f"every face {NO_IMAGE}"))
    return found


def _inside(place: Path, folder: Path, notes: list[Note]) -> Iterator[Path]:
    """Yield what lies in a place, sorted, without what is hidden and links that lead out."""
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        notes.append(Note(_name(place), f"cannot be listed: {error.strerror}", LEFT_OUT))
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in LITTER:
            continue
        if _leads_out(entry, folder):
            notes.append(Note(_name(entry), "is a link that leads out of the folder", LEFT_OUT))
        else:
            yield entry


def _leads_out(path: Path, folder: Path) -> bool:
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return True


def _join_rows(faces: list[_Face], folder: Path, notes: list[Note]) -> None:
    """Give the faces their rows of the csv, and add a face for each row without an image."""
    csvs = [
        path for path in _inside(folder, folder, notes) if path.name.lower().endswith("_au.csv")
    ]
    for path in csvs[1:]:
        notes.append(Note(_name(path), f"{_name(csvs[0])} comes before it", LEFT_OUT))
    if not csvs:
        notes.append(Note("*_AU.csv", "there is no such file", f"every face {NO_UNITS}"))
        return
    named = _by_name(faces)
    for row in read_units(csvs[0], notes):
        face = _face_of(row, named, notes)
        if face and face.row:
            notes.append(Note(row.file_name, "has more than one row", "the first one counts"))
        elif face:
            face.row = row
            if face.path is None:
                faces.append(face)
    for face in faces:
        if face.row is None:
            notes.append(Note(face.file_name, f"has no row in {_name(csvs[0])}", NO_UNITS))


def _face_of(row: UnitRow, named: dict[str, list[_Face]], notes: list[Note]) -> _Face | None:
    """Return the face that a row is about, a new one if it has no image, None if there is none."""
    name = _base(row.file_name)
    if name in ("", ".", ".."):
        notes.append(Note(row.file_name, "a row names no file", LEFT_OUT))
        return None
    label = _label(row.label) if row.label else None
    if row.label and label is None:
        notes.append(Note(row.file_name, f"its label {row.label[:20]!r} is no emotion", "ignored"))
    candidates = _narrowed(named[_key(name)], row.file_name, label)
    if len(candidates) > 1:
        notes.append(Note(row.file_name, "a row fits several images of this name", LEFT_OUT))
        return None
    face = candidates[0] if candidates else None
    if name != row.file_name and (face is None or face.file_name != row.file_name):
        notes.append(Note(row.file_name, "names a file by a path", f"read as {name}"))
    if face is None and label is None:
        notes.append(Note(name, "a row without image and label", LEFT_OUT))
    elif face is None:
        face = _Face(name, label)
        named[_key(name)].append(face)
        notes.append(Note(name, "a row without image", NO_IMAGE))
    elif label not in (None, face.label):
        problem = f"lies in a folder of {face.label}, its row says {label}"
        notes.append(Note(face.file_name, problem, f"counts as {face.label}"))
    return face


def _narrowed(faces: list[_Face], name: str, label: str | None) -> list[_Face]:
    """Return those of several faces that fit a row best: by folder and name, name, label."""
    for fits in (
        lambda face: face.file_name == name,
        lambda face: face.path is not None and _name(face.path) == _base(name),
        lambda face: face.label == label,
    ):
        if len(faces) > 1:
            faces = [face for face in faces if fits(face)] or faces
    return faces


def _decode(face: _Face, notes: list[Note]) -> None:
    """Read a face's image; note it if that fails, or if nothing is left of the face."""
    if face.path is not None:
        try:
            image = open_image(face.path)
            face.image, face.crop = to_grey48(image), thumbnail(image)
        except DataError as error:
            problem = str(error).removeprefix(f"{face.path} ")
            notes.append(Note(face.file_name, problem, NO_IMAGE))
    if face.image is None and face.units is None:
        notes.append(Note(face.file_name, "has neither image nor Action Units", LEFT_OUT))


def _read_ratings(folder: Path, faces: list[_Face], notes: list[Note]) -> pd.DataFrame:
    """Read ``ratings.csv``, if there is one."""
    columns = ["file_name", "rater", "label"]
    rows, path = [], folder / "ratings.csv"
    if path.is_file() and not _leads_out(path, folder):
        try:
            with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
                lines = csv.reader(stream)
                header = [name.strip() for name in next(lines, [])]
                rows = [dict(zip(header, map(str.strip, line), strict=False)) for line in lines]
        except (OSError, csv.Error) as error:
            notes.append(Note(path.name, f"cannot be read: {error}", LEFT_OUT))
    named, ratings = _by_name(faces), {}
    for row in rows:
        name, rater, label = (row.get(column, "") for column in columns)
        same = [face for face in named[_key(_base(name))] if name in (_base(name), face.file_name)]
        problem = None
        if len(same) != 1:
            problem = "a rating of a face that is not there"
        elif _label(label) in (None, emotions.UNKNOWN):
            problem = f"rated {label[:20]!r} by {rater[:20]!r}, which is no emotion"
        elif (same[0].file_name, rater) in ratings:
            problem = f"rated more than once by {rater[:20]!r}"
        if problem:
            notes.append(Note(name or path.name, problem, LEFT_OUT))
        else:
            ratings[same[0].file_name, rater] = _label(label)
    return pd.DataFrame([(*key, label) for key, label in ratings.items()], columns=columns)


def _person(faces: list[_Face], ratings: pd.DataFrame, notes: list[Note]) -> Person:
    """Turn the faces into arrays and frames."""
    blank, nothing = np.zeros((SIDE, SIDE), np.uint8), np.full(2 * len(UNITS), np.nan, np.float32)
    images = np.stack([blank if face.image is None else face.image for face in faces])
    units = np.stack([nothing if face.units is None else face.units for face in faces])
    frame = pd.DataFrame(
        {
            "file_name": [face.file_name for face in faces],
            "set": ["unknown" if face.label == emotions.UNKNOWN else "labelled" for face in faces],
            "clip": [face.clip for face in faces],
            "label": [face.label for face in faces],
            "has_image": [face.image is not None for face in faces],
            "has_units": [face.units is not None for face in faces],
            "confidence": [face.row.confidence if face.row else np.nan for face in faces],
        }
    )
    irregularities = pd.DataFrame(notes, columns=list(Note._fields))
    digest = hashlib.sha256(images.tobytes() + units.tobytes())
    for table in (frame, ratings, irregularities):
        digest.update(table.to_json(orient="split").encode())
    return Person(
        faces=frame,
        images=images,
        intensities=units[:, : len(UNITS)],
        presences=units[:, len(UNITS) :],
        crops=[face.crop for face in faces],
        ratings=ratings,
        irregularities=irregularities,
        fingerprint=digest.hexdigest(),
    )


def _winner(labels: list[str]) -> str:
    """Return the most frequent label, ``""`` if there are several such or none."""
    first = Counter(labels).most_common(2)
    alone = len(first) == 1 or (len(first) == 2 and first[0][1] > first[1][1])
    return first[0][0] if alone else ""


def _label(text: str) -> str | None:
    """Return an emotion or ``"unknown"``, None for any other text."""
    try:
        return emotions.canonical(text)
    except DataError:
        return None


def _by_name(faces: list[_Face]) -> dict[str, list[_Face]]:
    named = defaultdict(list)
    for face in faces:
        named[_key(_base(face.file_name))].append(face)
    return named


def _base(name: str) -> str:
    """Return a file name without the folders before it, of any system."""
    return re.split(r"[\\/]", name)[-1]


def _key(name: str) -> str:
    """Return the form of a name in which disk and csv are compared: case and Unicode form aside."""
    return unicodedata.normalize("NFC", name).casefold()


def _name(path: Path) -> str:
    """Return a file's name as text that can be written anywhere, whatever its bytes."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _natural(name: str) -> list:
    """Return a key that sorts 2_1.jpg before 10_1.jpg."""
    parts = re.split(r"([0-9]+)", name)
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0"), digits) for digits in parts[1::2]]
    return parts
