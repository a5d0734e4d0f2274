"""Reading one person's faces: images, measured features, labels and ratings.

The folder holds ``images/<label>/*.jpg``, ``images/unknown/*.jpg``, tables of measured features
(`mien.data.measured`) anywhere below it, and perhaps ``ratings.csv`` (``file_name,rater,label``).
Whatever is not used is told with reason and remedy, and every face still serves where it can. Only
files found by listing the folder are opened, never a path that a table names.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mien import emotions
from mien.data.images import (
    CAMERA_NAME,
    IMAGE_SUFFIXES,
    SIDE,
    VIDEO_SUFFIXES,
    is_of_camera,
    open_image,
    shooting_time,
    thumbnail,
    to_grey48,
)
from mien.data.matching import Face, label_in, match, read_ratings, settle
from mien.data.measured import ACTION_UNITS, SHAPES, TABLES, Measured, Table, read_tables
from mien.errors import DataError, Finding, grouped
from mien.files import files_within
from mien.spreadsheets import name_key

_LAYOUT = (
    "a person's folder holds images/<emotion>/*.jpg, images/unknown/*.jpg and tables of measured"
    " features as the tools write them (OpenFace, py-feat, LibreFace …)"
)
#: Endings of files that may hold a table.
_TEXTS = (*TABLES, ".txt", ".dat", ".log")
#: What mien itself writes into a person's folder beside images and blendshapes.csv.
_OWN = ("ratings.csv", "labels.csv", "collected.csv", "contact.html")
#: Photos of one label that were taken within so many minutes of each other are one clip.
CLIP_MINUTES = 2


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled faces of a person that a model can read, k of n."""

    rows: np.ndarray  # int (k,), where they stand in the person's arrays and frame
    truth: np.ndarray  # str (k,), the label of each
    clips: np.ndarray  # str (k,)

    def outside(self, clips: Collection[str]) -> np.ndarray:
        """Return the mask (k,) of the faces whose clip is none of these, of two emotions, else all.

        A model that answers faces of these clips must not have learned from the others.
        """
        apart = ~np.isin(self.clips, list(clips))
        return apart if len(set(self.truth[apart])) > 1 else np.ones_like(apart)


@dataclass(frozen=True, eq=False)
class Person:
    """One person's faces, in a stable order: labelled before unknown, then by file name.

    ``faces`` has one line a face: ``file_name`` (unique; with its folders below ``images`` where
    several files have the name), ``set`` (``"labelled"`` or ``"unknown"``), ``clip`` (what stands
    before the last ``_`` of the name, else the name without its ending; photos under a camera's
    names by shooting time), ``label`` (an emotion or ``"unknown"``), ``has_image``, ``has_units``
    (a row of `action_units`), ``confidence`` (of that row, 0..1 or NaN).
    """

    faces: pd.DataFrame
    images: np.ndarray  # uint8 (n, 48, 48) as `to_grey48` gives it; zeros without an image
    measured: dict[str, Measured]  # by source: Action Units before blendshapes, most rows first
    crops: list  # RGB squares of at most 96 x 96 pixels to show, None without an image
    paths: list  # the files of the images, None where there is none
    ratings: pd.DataFrame  # ``file_name``, ``rater``, ``label``, perhaps none
    findings: list[Finding]  # what is not used, and what else is worth knowing
    fingerprint: str  # SHA-256 of all of the above but crops and paths

    @property
    def told(self) -> pd.DataFrame:
        """What is not used (``lost``) and what else is worth knowing, the worst first."""
        return pd.DataFrame(grouped(self.findings), columns=list(Finding._fields))

    @property
    def emotions(self) -> list[str]:
        """The emotions that occur among the labelled faces, in FER2013's order."""
        return emotions.in_order(self.faces["label"])

    @property
    def action_units(self) -> str | None:
        """The source of Action Units with most rows, None where there is none."""
        return next((name for name, own in self.measured.items() if own.kind == ACTION_UNITS), None)

    def features(self, designed: str) -> Measured:
        """Return what a model on measured features reads (`mien.models.DESIGNED`).

        The Action Units of `action_units` (``"openface"``), ``"blendshapes"``, or intensities of
        the former beside the latter (``"both"``). What nobody has measured has no column.
        """
        n = len(self.faces)
        nothing = Measured("", "", (), np.empty((n, 0), np.float32), np.full(n, np.nan), "")
        units, shapes = (self.measured.get(own, nothing) for own in (self.action_units, SHAPES))
        if designed == "both":
            return units.beside(shapes)
        return units if designed == "openface" else shapes

    def labelled(self, what: str | np.ndarray) -> Labelled:
        """Return the labelled faces that ``has_image``, ``has_units`` or a mask (n,) names."""
        rows = self._rows("labelled", what)
        truth, clips = (
            self.faces[column].to_numpy(dtype=str)[rows] for column in ("label", "clip")
        )
        return Labelled(rows, truth, clips)

    def unknown(self, what: str | np.ndarray) -> np.ndarray:
        """Return the rows (k,) of the unknown faces that have ``what``, as `labelled`."""
        return self._rows("unknown", what)

    def _rows(self, name: str, what: str | np.ndarray) -> np.ndarray:
        mask = self.faces[what] if isinstance(what, str) else what
        return np.flatnonzero((self.faces["set"] == name) & mask)

    def ratings_of(self, which: str) -> pd.DataFrame:
        """Return the ratings of the ``labelled`` faces, or of the ``unknown`` ones."""
        names = self.faces.loc[self.faces["set"] == which, "file_name"]
        return self.ratings[self.ratings["file_name"].isin(names)].reset_index(drop=True)

    def majority(self) -> pd.Series:
        """Return what most raters said of each face, ``""`` where they tie or nobody rated it."""
        said = majorities(self.ratings)
        winners = [said.get(name, "") for name in self.faces["file_name"]]
        return pd.Series(winners, index=self.faces.index, name="majority", dtype=object)


def load_person(
    folder: str | Path,
    *,
    min_confidence: float = 0.0,
    tables: Sequence[Path] = (),
    cut: Callable[[Path, Image.Image], Image.Image | None] | None = None,
) -> Person:
    """Load one person's faces; `DataError` if there is no such folder, or no face in it.

    Where the folder of an image and a table disagree about its label, the folder wins. Measured
    rows that are less sure than ``min_confidence`` (0..1) are left out. ``tables`` are more tables
    of measured features, from outside the folder. ``cut`` gets the path and the picture of every
    image and returns the face in it, or None where it finds none; such an image is not used.
    """
    source, folder = str(folder), Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {source}; {_LAYOUT}")
    findings: list[Finding] = []
    faces, texts = _list_folder(folder, findings)
    settle(folder, faces, findings)
    texts |= {path.name: path for path in tables}
    read: list[Table] = []
    for place, path in texts.items():
        found, told = read_tables(path, place)
        read += found
        findings += told
    measured = match(faces, read, min_confidence, findings)
    for face in faces:
        _decode(face, cut, findings)
    order = [n for n, face in enumerate(faces) if face.image is not None or face.measured]
    if not order:
        told = "".join(f"\n  {found.where}: {found.reason}" for found in findings[:5])
        raise DataError(f"{source} holds no face that can be used; {_LAYOUT}{told}")
    order.sort(key=lambda n: (faces[n].label == emotions.UNKNOWN, _natural(faces[n].file_name)))
    faces = [faces[number] for number in order]
    _name_clips(faces, findings)
    ratings = read_ratings(folder, faces, findings)
    for name, own in measured.items():
        measured[name] = replace(own, values=own.values[order], confidence=own.confidence[order])
    return _person(faces, measured, ratings, findings)


def _list_folder(folder: Path, findings: list[Finding]) -> tuple[list[Face], dict[str, Path]]:
    """Return the images in folders of labels, and the files that may hold tables, by place."""
    paths, unread = files_within(folder)
    for path, reason in unread.items():
        where = _written(path.relative_to(folder).as_posix())
        findings.append(Finding("file", where, reason, "put the file itself there, to be read"))
    files = {tuple(map(_written, path.relative_to(folder).parts)): path for path in paths}
    below = {parts[0] for parts in files if parts[0].lower() == "images" and len(parts) > 1}
    beside = {parts[:-1] for parts in files if parts[-1].endswith("_of_details.txt")}
    faces, texts, nameless, made = [], {}, Counter(), Counter()
    for parts, path in files.items():
        place, suffix = "/".join(parts), path.suffix.lower()
        inside = parts[1:] if parts[0] in below else parts if not below else ()
        label = next(filter(None, map(label_in, reversed(inside[:-1]))), None)
        if place in _OWN:
            continue
        if _is_made_by_openface(parts, beside, label):
            made["/".join(parts[:-1])] += 1
        elif suffix in IMAGE_SUFFIXES and label and path.is_file():
            faces.append(Face(inside[-1], label, path, inside[:-1]))
        elif suffix in IMAGE_SUFFIXES and len(inside) > 1 and not label:
            nameless["/".join(parts[:-1])] += 1
        elif suffix in _TEXTS and path.is_file():
            texts[place] = path
        else:
            findings.append(_unused_file(place, path))
    names = Counter(name_key(face.base) for face in faces)
    for face in faces:
        if names[name_key(face.base)] > 1:
            face.file_name = "/".join((*face.folders, face.file_name))
    for place, count in nameless.items():
        remedy = f"name it {', '.join(emotions.EMOTIONS)} or {emotions.UNKNOWN}"
        reason = f"names no emotion; {count} image{'s are' if count > 1 else ' is'} in it"
        findings.append(Finding("folder", place, reason, remedy, count=count))
    for place, count in made.items():
        reason = "are files that OpenFace writes beside its tables"
        findings.append(Finding("file", place, reason, "not needed", lost=False, count=count))
    return faces, texts


def _is_made_by_openface(parts: tuple[str, ...], beside: set, label: str | None) -> bool:
    """Whether OpenFace writes such a file, a picture with its drawing say, beside its tables."""
    if not any(parts[:depth] in beside for depth in range(1, len(parts))):
        return False
    if Path(parts[-1]).suffix.lower() in IMAGE_SUFFIXES:  # unless told to write beside pictures
        return not label or label_in(parts[-2]) is None
    return parts[-1].endswith(("_of_details.txt", ".hog", ".avi"))


def _unused_file(place: str, path: Path) -> Finding:
    suffix = path.suffix.lower()
    if not path.is_file():
        return Finding("file", place, "is no ordinary file", "put the file itself there")
    if suffix in IMAGE_SUFFIXES:
        remedy = "move it into images/<emotion>/ or images/unknown/"
        return Finding("image", place, "lies in no folder of a label", remedy)
    if suffix in VIDEO_SUFFIXES:
        return Finding("file", place, "is a video", "mien collect takes the faces out of it")
    remedy = "save pictures as JPEG or PNG, tables as csv; else nothing"
    return Finding("file", place, "is neither an image nor a table", remedy)


def _decode(face: Face, cut: Callable | None, findings: list[Finding]) -> None:
    """Read a face's image, or tell why that fails."""
    if face.path is None:
        return
    where = "/".join(("images", *face.folders, face.base))
    try:
        image = open_image(face.path)
        image = cut(face.path, image) if cut else image
        if image is None:
            findings.append(Finding("image", where, "no face was found in it", "crop it by hand"))
            return
        face.image, face.crop = to_grey48(image), thumbnail(image)
    except DataError as error:
        reason = str(error).removeprefix(f"{face.path} ")
        remedy = "save it anew" + ("; its measured row is used" if face.measured else "")
        findings.append(Finding("image", where, reason, remedy))


def _name_clips(faces: list[Face], findings: list[Finding]) -> None:
    """Tell the clips apart: by name, and photos under a camera's names by shooting time."""
    photos = []
    for face in faces:
        stem = Path(face.base).stem
        face.clip = stem.rpartition("_")[0] or stem
        taken = shooting_time(face.path, stem) if CAMERA_NAME.fullmatch(stem) else None
        if is_of_camera(stem, taken):
            photos.append((face.label, taken, face))
            face.clip = stem
    timed = [photo for photo in photos if photo[1]]
    timed.sort(key=lambda photo: photo[:2])
    for before, after in pairwise(timed):
        near = after[1] - before[1] <= timedelta(minutes=CLIP_MINUTES)
        if before[0] == after[0] and near:
            after[2].clip = before[2].clip
    if photos:
        reason = f"{len(photos)} images have names of a camera, which name no clip"
        remedy = (
            f"{len(timed)} of them are told apart by shooting time (one clip within {CLIP_MINUTES} "
            "minutes), the others stand singly"
        )
        findings.append(Finding("clip", "images", reason, remedy, lost=False, count=len(photos)))


def _person(
    faces: list[Face],
    measured: dict[str, Measured],
    ratings: pd.DataFrame,
    findings: list[Finding],
) -> Person:
    """Turn the faces into arrays and frames."""
    blank = np.zeros((SIDE, SIDE), np.uint8)
    images = np.stack([blank if face.image is None else face.image for face in faces])
    units = next((own for own in measured.values() if own.kind == ACTION_UNITS), None)
    frame = pd.DataFrame(
        {
            "file_name": [face.file_name for face in faces],
            "set": ["unknown" if face.label == emotions.UNKNOWN else "labelled" for face in faces],
            "clip": [face.clip for face in faces],
            "label": [face.label for face in faces],
            "has_image": [face.image is not None for face in faces],
            "has_units": units.has_row if units else np.zeros(len(faces), bool),
            "confidence": units.confidence if units else np.full(len(faces), np.nan),
        }
    )
    _tell_halves(frame, measured, findings)
    digest = hashlib.sha256(images.tobytes() + repr(findings).encode())
    for name, own in measured.items():
        digest.update(f"{name} {own.names} {own.scale}".encode() + own.values.tobytes())
    for table in (frame, ratings):
        digest.update(table.to_json(orient="split").encode())
    return Person(
        faces=frame,
        images=images,
        measured=measured,
        crops=[face.crop for face in faces],
        paths=[face.path for face in faces],
        ratings=ratings,
        findings=sorted(findings, key=lambda finding: finding.badness),
        fingerprint=digest.hexdigest(),
    )


def _tell_halves(
    frame: pd.DataFrame, measured: dict[str, Measured], findings: list[Finding]
) -> None:
    """Tell of faces that serve only some models: without an image, or without a measured row."""
    alone = {"without an image": (~frame["has_image"], "serves the models on measured features")}
    for name, own in measured.items():
        alone[f"without a row of {name}"] = (~own.has_row, "serves the models that look at images")
    for reason, (which, remedy) in alone.items():
        names = frame.loc[which, "file_name"]
        findings += [Finding("face", name, reason, remedy, lost=False) for name in names]
    if not measured and not any(told.what == "table" for told in findings):
        reason = "there is no table of measured features"
        remedy = "serve the models that look at images, not those on measured features"
        findings.append(Finding("table", "*.csv", reason, remedy, lost=False))


def majorities(ratings: pd.DataFrame) -> dict[str, str]:
    """Return what most raters said of each file that they do not tie about, by its name."""
    said = ratings.groupby("file_name")["label"].agg(lambda labels: labels.mode().tolist())
    return {name: labels[0] for name, labels in said.items() if len(labels) == 1}


def _written(name: str) -> str:
    """Return a file's name as text that can be written anywhere, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _natural(name: str) -> list:
    """Return a key that sorts 2_1.jpg before 10_1.jpg."""
    parts = re.split(r"([0-9]+)", name)
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0"), digits) for digits in parts[1::2]]
    return parts
