"""Which row of a table is about which picture: measured features, labels.csv, ratings.csv."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from PIL import Image

from mien import emotions
from mien.data.measured import (
    ACTION_UNITS,
    FAILED,
    NO_NUMBER,
    Measured,
    Row,
    Table,
    names_in,
    to_unit_range,
)
from mien.errors import DataError, Finding, printable
from mien.files import leads_out
from mien.spreadsheets import Pictures, name_key, read_sheet, rows_at

#: Below this confidence a row is told of; OpenFace's authors call such frames unreliable.
LOW_CONFIDENCE = 0.8

#: Rows of one picture, a face each, without a name that tells; more are of several pictures.
_MOST_FACES = 9

_MANY, _NAMELESS = "fits several pictures of this name", "names no file"
_UNTOLD = "nothing tells which picture it is about: no name, and no frame number that fits"
_OTHER_FRAME = "no picture is this frame"
_UNKNOWN = "no picture has its name, and it has no label that is an emotion"
_EMPTY = ("holds no row", "measure the picture anew, or take the file out of the folder", True)
_GOOD = ("", "", False)
_GAPS = "some of its values are no numbers"
_OTHER, _UNSURE = "another row of the same picture counts", "its confidence is under {:g}"
#: Why a row is not used, and what to do.
_REMEDIES = {
    _MANY: "write the folder before the name: happy/0001.jpg",
    _NAMELESS: "fill in the name of the picture",
    _UNTOLD: "call the table as its picture or video, or give it a column file_name",
    _OTHER_FRAME: "nothing, if you took only some frames as pictures",
    _UNKNOWN: "put the picture into images/<emotion>/, or give the row a label",
    FAILED: "crop the picture closer to the face and measure it anew",
    NO_NUMBER: "measure the picture anew",
}


@dataclass(eq=False)
class Face:
    """One face while it is put together: where its picture lies, and its rows by source."""

    file_name: str
    label: str
    path: Path | None = None
    folders: tuple[str, ...] = ()  # below images
    image: np.ndarray | None = None
    crop: Image.Image | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    clip: str = ""

    @property
    def base(self) -> str:
        """The file's name without folders."""
        return self.file_name.rpartition("/")[2]


@dataclass(eq=False)
class Source:
    """Tables of one tool that are not about the same faces, and the row of each face."""

    tables: list[Table]
    rows: dict[Face, tuple[Row, Table]]

    def measured(self, name: str, faces: Sequence[Face], findings: list[Finding]) -> Measured:
        """Return what the source says of some faces, brought to 0..1."""
        tops = {name: top for t in self.tables for name, top in zip(t.names, t.tops, strict=True)}
        places = {name: place for place, name in enumerate(tops)}
        values = np.full((len(faces), len(tops)), np.nan)
        confidence = np.full(len(faces), np.nan)
        for number, face in enumerate(faces):
            if face in self.rows:
                row, table = self.rows[face]
                values[number, [places[name] for name in table.names]] = row.values
                confidence[number] = row.confidence
        first = self.tables[0]
        scaled, scale = to_unit_range(values, first.place, first.tool, tops, findings)
        return Measured(name, first.tool.kind, tuple(tops), scaled, confidence, scale)


def match(
    faces: list[Face], tables: list[Table], min_confidence: float, findings: list[Finding]
) -> dict[str, Source]:
    """Find the row of every face in every source; add faces for labelled rows without a picture.

    Tables of one tool are one source, unless they are about the same faces: then each is its own.
    Of several rows of a source for one face the surest and largest counts; rows that are less sure
    than ``min_confidence`` (0..1) are left out. ``findings`` gets the rows that are not used, and
    why. Returns the sources by the tool's name, further ones with their first file in brackets:
    Action Units before blendshapes, most rows first.
    """
    pictures = Pictures([(*face.folders, face.base) for face in faces])
    unseen: dict[str, Face] = {}
    owners = [_owners(table, faces, pictures, unseen) for table in tables]
    sources: list[Source] = []
    for table, own in zip(tables, owners, strict=True):
        best: dict[Face, tuple[Row, Table]] = {}
        for row, face in zip(table.rows, own, strict=True):
            if isinstance(face, Face) and not row.failure and not row.confidence < min_confidence:
                _keep_better(best, face, row, table)
        if best:
            _add(sources, table, best)
    sources.sort(key=lambda source: (source.tables[0].tool.kind != ACTION_UNITS, -len(source.rows)))
    named: dict[str, Source] = {}
    for source in sources:
        name, place = source.tables[0].tool.name, source.tables[0].place
        named[f"{name} ({place})" if name in named else name] = source
    for name, source in named.items():
        for face, (row, _) in source.rows.items():
            face.rows[name] = row
    faces += [face for face in {id(face): face for face in unseen.values()}.values() if face.rows]
    _tell(tables, owners, min_confidence, findings)
    findings += [finding for table in tables for finding in table.spare.values()]
    return named


def _keep_better(best: dict[Face, tuple[Row, Table]], face: Face, row: Row, table: Table) -> None:
    if face not in best or row.rank > best[face][0].rank:
        best[face] = row, table


def _add(sources: list[Source], table: Table, best: dict[Face, tuple[Row, Table]]) -> None:
    """Add a table's rows to the first source of its tool that is not about the same faces."""
    for source in sources:
        common = len(source.rows.keys() & best.keys())
        same = source.tables[0].tool is table.tool
        if same and 2 * common <= min(len(source.rows), len(best)):
            source.tables.append(table)
            for face, (row, own) in best.items():
                _keep_better(source.rows, face, row, own)
            return
    sources.append(Source([table], best))


def _owners(
    table: Table, faces: list[Face], pictures: Pictures, unseen: dict[str, Face]
) -> list[Face | str]:
    """Return the face that every row is about, or why there is none."""
    columns = list(table.rows[0].texts) if table.rows else []
    ways = {name: [pictures.called(row.texts[name]) for row in table.rows] for name in columns}
    naming = max(ways, key=lambda name: sum(map(bool, ways[name])), default=None)
    found, nobody = ways.get(naming, []), ""
    if any(found):
        table.spare.pop(naming, None)
    elif whole := pictures.called(table.subject):
        found = [whole] * len(table.rows)
    else:
        found = _by_frame(table, pictures)
        nobody = _OTHER_FRAME if any(found) else ""
    owners: list[Face | str] = []
    for row, numbers in zip(table.rows, found, strict=True):
        label = label_in(row.label)
        fitting = [faces[number] for number in numbers]
        if len(fitting) > 1:
            fitting = [face for face in fitting if face.label == label]
        if numbers:
            owners.append(fitting[0] if len(fitting) == 1 else _MANY)
        else:
            owners.append(nobody or _without_picture(row, table, label, unseen))
    return owners


def _by_frame(table: Table, pictures: Pictures) -> list[list[int]]:
    """Return the pictures of rows that only say which frame they are."""
    texts = [[*row.texts.values(), table.subject] for row in table.rows]
    numbers = sorted({row.frame for row in table.rows if row.frame is not None})
    named = {text for row in table.rows for text in names_in(row)}
    frames = {text: pictures.frames_of(text) for own in texts for text in own}
    if not any(number in own for own in frames.values() for number in numbers):
        ordered = pictures.in_order(table.subject, len(numbers)) if len(named) < 2 else []
        videos = [text for text in frames if label_in(PurePath(text).stem) is None]
        frames = {video: pictures.numbered_in(video) for video in videos}
        if ordered:
            frames = {table.subject: dict(zip(numbers, ordered, strict=True))}
            reason = f"names no picture: its frames are the {len(ordered)} pictures by their names"
            told = Finding("order", table.place, reason, "look whether that is so", lost=False)
            table.spare["order"] = told
    found = []
    for row, own in zip(table.rows, texts, strict=True):
        fitting = (frames.get(text, {}).get(row.frame) for text in own)
        found.append([number for number in fitting if number is not None][:1])
    return found


def _without_picture(
    row: Row, table: Table, label: str | None, unseen: dict[str, Face]
) -> Face | str:
    """Return the face of a row that is about no picture, or why it has none."""
    named = names_in(row)
    if not named and _of_several_pictures(table):
        return _UNTOLD
    *folders, name = re.split(r"[\\/]+", named[0] if named else table.subject)
    if name in ("", ".", ".."):
        return _NAMELESS
    known = unseen.get(name_key(name))
    label = label or (known.label if known else None)
    label = label or next(filter(None, map(label_in, reversed(folders))), None)
    if label is None:
        return _UNKNOWN
    face = known or Face(name, label)
    unseen[name_key(name)] = unseen[name_key(PurePath(name).stem)] = face
    return face


def _of_several_pictures(table: Table) -> bool:
    """Return whether rows that name no picture are more than the faces of one."""
    kinds = {(row.frame, row.label) for row in table.rows}
    return len(kinds) > 1 or len(table.rows) > _MOST_FACES


def label_in(text: str) -> str | None:
    """Return an emotion or ``"unknown"``, None for any other text."""
    try:
        return emotions.canonical(text)
    except DataError:
        return None


def _tell(
    tables: list[Table],
    owners: list[list[Face | str]],
    min_confidence: float,
    findings: list[Finding],
) -> None:
    """Tell of the rows that are not used, and of tables of which none is."""
    known = {face for own in owners for face in own if isinstance(face, Face)}
    served = {id(row) for face in known for row in face.rows.values()}
    kinds = [(PurePath(table.place).parent, table.tool.name) for table in tables]
    alive = {kind for kind, t in zip(kinds, tables, strict=True) if served & set(map(id, t.rows))}
    useless = {finding.where for finding in findings if finding.what == "table"}
    for table, kind, own in zip(tables, kinds, owners, strict=True):
        if not table.rows and table.place in useless:
            continue
        told: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
        for row, face in zip(table.rows, own, strict=True):
            told[_fate(row, face, id(row) in served, min_confidence)].append(row)
        # One csv a picture: that one picture gives nothing does not make the table useless.
        one_of_many = kind in alive and len({row.frame for row in table.rows}) < 2
        if not one_of_many and not served & set(map(id, table.rows)):
            reason, remedy, _ = max(told, key=lambda fate: len(told[fate]), default=_EMPTY)
            findings.append(Finding("table", table.place, f"yields no row: {reason}", remedy))
            continue
        if not table.rows:
            findings.append(Finding("row", table.place, *_EMPTY))
        told.pop(_GOOD, None)
        told |= {(*odd, False): rows for odd, rows in _odd_labels(table, own).items()}
        for fate, rows in told.items():
            findings.append(Finding("row", _where(table, rows), *fate, len(rows)))


def _fate(
    row: Row, owner: Face | str, served: bool, min_confidence: float
) -> tuple[str, str, bool]:
    """Return what became of a row: why it is not used, what to do, whether something is lost."""
    if served:
        if row.confidence < LOW_CONFIDENCE:
            remedy = "used; the parameter min_confidence leaves such rows out"
            return _UNSURE.format(LOW_CONFIDENCE), remedy, False
        gaps = np.isnan(row.values).any()
        return (_GAPS, "used; these count as unknown", False) if gaps else _GOOD
    if isinstance(owner, str):
        return owner, _REMEDIES[owner], True
    lost = not owner.rows
    if row.failure:
        return row.failure, _REMEDIES[row.failure], lost
    if row.confidence < min_confidence:
        return _UNSURE.format(min_confidence), "lower min_confidence to use it", lost
    return _OTHER, "nothing: it is surer or larger", False


def _odd_labels(table: Table, owners: list[Face | str]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows whose label is not that of the picture's folder, or no emotion at all."""
    odd = defaultdict(list)
    for row, face in zip(table.rows, owners, strict=True):
        label = label_in(row.label) if row.label else None
        if row.label and label is None:
            odd["its label is no emotion", "the folder of the picture counts"].append(row)
        elif label and isinstance(face, Face) and label != face.label:
            odd["its label is not the folder of the picture", "the folder counts"].append(row)
    return odd


def _where(table: Table, rows: list[Row]) -> str:
    names = [printable(names_in(row)[0]) for row in rows if names_in(row)]
    told = f" ({', '.join(names)})" if 0 < len(names) <= 3 else ""
    return rows_at(table.place, [row.number for row in rows]) + told


def settle(folder: Path, faces: list[Face], findings: list[Finding]) -> None:
    """Give unknown faces the labels of ``labels.csv``, if there is one."""
    sheet = _own_sheet(folder, "labels.csv", ["file_name", "label", "how"], findings)
    pictures = Pictures([(*face.folders, face.base) for face in faces])
    for number, (name, label, how) in sheet:
        same, said = pictures.called(name), label_in(label)
        where = f"labels.csv, row {number}"
        if len(same) != 1 or said in (None, emotions.UNKNOWN):
            reason = f"{name!r}, {label[:20]!r}: no face of this person, or no emotion"
            findings.append(Finding("row", where, reason, "mend the row, or take it out"))
        elif faces[same[0]].label == emotions.UNKNOWN:
            faces[same[0]].label = said
            reason = f"labels a face by {how or 'hand'}, not by its folder"
            remedy = "take the row out, and the face is unknown again"
            findings.append(Finding("label", where, reason, remedy, lost=False))


def _own_sheet(
    folder: Path, name: str, columns: list[str], findings: list[Finding]
) -> list[tuple[int, list[str]]]:
    """Return numbered rows of a table that mien or a person wrote: these columns of it."""
    path = folder / name
    if not path.is_file() or leads_out(path, folder):
        return []
    sheet = read_sheet(path, lambda names: len(set(columns) & set(names)))
    if sheet is None or set(columns) - set(sheet.header):
        remedy = f"begin it with {','.join(columns)}"
        findings.append(Finding("table", name, "lacks one of its columns", remedy))
        return []
    places = [sheet.header.index(column) for column in columns]
    width = len(sheet.header)
    return [
        (number, [(fields + [""] * width)[place].strip() for place in places])
        for number, fields in sheet.rows()
    ]


def read_ratings(folder: Path, faces: list[Face], findings: list[Finding]) -> pd.DataFrame:
    """Read ``ratings.csv``, if there is one."""
    columns = ["file_name", "rater", "label"]
    ratings: dict[tuple[str, str], str] = {}
    pictures = Pictures([(*face.folders, face.base) for face in faces])
    for number, (name, rater, label) in _own_sheet(folder, "ratings.csv", columns, findings):
        same, said = pictures.called(name), label_in(label)
        problem = ""
        if len(same) != 1:
            problem = f"rates {name!r}, which is no face of this person"
        elif said is None:
            problem = f"{label[:20]!r} is no emotion"
        elif (faces[same[0]].file_name, rater) in ratings:
            findings.append(
                Finding(
                    "rating",
                    "ratings.csv",
                    "rates a face a second time",
                    "the first counts, both tell how far a rater agrees with themself",
                    lost=False,
                )
            )
        elif said != emotions.UNKNOWN:  # else: the rater could not tell
            ratings[faces[same[0]].file_name, rater] = said
        if problem:
            where = f"ratings.csv, row {number}"
            findings.append(Finding("rating", where, problem, "mend the row, or take it out"))
    return pd.DataFrame([(*key, label) for key, label in ratings.items()], columns=columns)
