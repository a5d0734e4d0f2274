"""Which row of a table is about which picture: measured features, labels.csv, ratings.csv."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from PIL import Image

from mien import emotions
from mien.data.measured import ACTION_UNITS, FAILED, NO_NUMBER, Measured, Table, to_unit_range
from mien.errors import DataError, Finding, printable
from mien.files import leads_out
from mien.spreadsheets import Pictures, name_key, read_sheet, rows_at

#: Below this confidence a row is told of; OpenFace's authors call such frames unreliable.
LOW_CONFIDENCE = 0.8
#: Below this, OpenFace's author calls a frame a failure; a surer face is preferred to it.
_SURE = 0.7

_MANY = "fits several pictures of this name"
_UNTOLD = "nothing tells which picture it is about: no name, and no frame number that fits"
_OTHER_FRAME = "no picture is this frame"
_UNKNOWN = "no picture has its name, and it has no label that is an emotion"
_EMPTY = ("holds no row", "measure the picture anew, or take the file out of the folder")
_GAPS = "some of its values are no numbers"
_OTHER, _UNSURE = "another row of the same picture counts", "its confidence is under {:g}"
_NO_LABEL = "its label is no emotion"
_OTHER_LABEL = "its label is not the folder of the picture"
#: Why a row is not used, or worth knowing, and what to do.
_REMEDIES = {
    "": "",
    _GAPS: "used; these count as unknown",
    _OTHER: "nothing: it is surer or larger",
    _NO_LABEL: "the folder of the picture counts",
    _OTHER_LABEL: "the folder counts",
    _MANY: "write the folder before the name: happy/0001.jpg",
    _UNTOLD: "call the table as its picture or video, or fill in a column file_name",
    _OTHER_FRAME: "nothing, if you took only some frames as pictures",
    _UNKNOWN: "put the picture into images/<emotion>/, or give the row a label",
    FAILED: "crop the picture closer to the face and measure it anew",
    NO_NUMBER: "measure the picture anew",
}


@dataclass(eq=False)
class Face:
    """One face while it is put together."""

    file_name: str
    label: str
    path: Path | None = None
    folders: tuple[str, ...] = ()  # below images
    image: np.ndarray | None = None
    crop: Image.Image | None = None
    measured: bool = False  # whether a row of a table is about it
    clip: str = ""

    @property
    def base(self) -> str:
        """The file's name without folders."""
        return self.file_name.rpartition("/")[2]


def match(
    faces: list[Face], tables: list[Table], min_confidence: float, findings: list[Finding]
) -> dict[str, Measured]:
    """Find the row of every face in every source; add faces for labelled rows without a picture.

    Tables of one tool are one source, unless they are about the same faces: then each is its own.
    Of several rows of a source for one face the surest and largest counts; rows that are less sure
    than ``min_confidence`` (0..1) are left out. ``findings`` gets the rows that are not used, and
    why. Returns what they say of the faces by the tool's name, further ones with their first file
    in brackets: Action Units before blendshapes, most rows first.
    """
    if not tables:
        return {}
    pictures, unseen = _pictures(faces), {}
    owners = [owner for table in tables for owner in _owners(table, faces, pictures, unseen)]
    rows = pd.concat([table.rows.assign(table=n) for n, table in enumerate(tables)])
    rows = rows.reset_index(drop=True).assign(
        face=[-1 if isinstance(owner, str) else owner for owner in owners],
        nobody=[owner if isinstance(owner, str) else "" for owner in owners],
        served=False,
    )
    values = pd.concat([table.values for table in tables], ignore_index=True)
    unsure = rows["confidence"] < min_confidence
    usable = rows[(rows["face"] >= 0) & (rows["failure"] == "") & ~unsure]
    trust = usable["confidence"].fillna(1.0)
    ranks = {"sure": trust < _SURE, "trust": -trust * usable["size"].replace(0, 1)}
    ranked = usable.assign(**ranks).sort_values(["sure", "gaps", "trust"], kind="stable")
    named: dict[str, Measured] = {}
    odd: list[Finding] = []
    for own in _sources(tables, ranked):
        best = ranked[ranked["table"].isin(own)].drop_duplicates("face")
        first = tables[own[0]]
        name = f"{first.tool.name} ({first.place})" if first.tool.name in named else first.tool.name
        tops = {column: top for n in own for column, top in tables[n].tops.items()}
        said = values.loc[best.index, list(tops)].set_axis(best["face"])
        said = said.reindex(range(len(faces))).to_numpy()
        scaled, scale = to_unit_range(said, first.place, first.tool, tops, odd)
        sure = best.set_index("face")["confidence"].reindex(range(len(faces))).to_numpy()
        named[name] = Measured(name, first.tool.kind, tuple(tops), scaled, sure, scale)
        rows.loc[best.index, "served"] = True
    for number in rows.loc[rows["served"], "face"]:
        faces[number].measured = True
    _tell(tables, _fates(rows, faces, min_confidence), findings)
    findings += [finding for table in tables for finding in table.spare.values()]
    findings += odd
    return named


def _sources(tables: list[Table], ranked: pd.DataFrame) -> list[list[int]]:
    """Return the numbers of the tables that make up every source."""
    sources: dict[tuple[int, ...], set[int]] = {}
    for number, rows in ranked.groupby("table"):
        own, joined = set(rows["face"]), (number,)
        for source, known in sorted(sources.items()):
            same = tables[source[0]].tool is tables[number].tool
            if same and 2 * len(known & own) <= min(len(known), len(own)):
                own, joined = own | sources.pop(source), (*source, number)
                break
        sources[joined] = own
    kinds = {source: tables[source[0]].tool.kind != ACTION_UNITS for source in sources}
    return sorted(sources, key=lambda source: (kinds[source], -len(sources[source]), source))


def _owners(
    table: Table, faces: list[Face], pictures: Pictures, unseen: dict[str, int]
) -> list[int | str]:
    """Return the number of the face that every row is about, or why there is none."""
    rows = table.rows
    ways = {name: list(map(pictures.called, texts)) for name, texts in table.texts.items()}
    naming = max(ways, key=lambda name: sum(map(bool, ways[name])), default=None)
    found, nobody = ways.get(naming, []), ""
    if any(found):
        table.spare.pop(naming, None)
    elif whole := pictures.called(table.subject):
        found = [whole] * len(rows)
    else:
        found = _by_frame(table, pictures)
        nobody = _OTHER_FRAME if any(found) else ""
    # Without a name that tells, nine rows may be a face each of one picture; more are of several.
    several = rows[["frame", "label"]].drop_duplicates().shape[0] > 1 or len(rows) > 9
    names = table.texts[table.names[0]] if table.names else [table.subject] * len(rows)
    owners: list[int | str] = []
    for numbers, name, said in zip(found, names, rows["label"], strict=True):
        label = label_in(said)
        fitting = numbers
        if len(fitting) > 1:
            fitting = [number for number in fitting if faces[number].label == label]
        if numbers:
            owners.append(fitting[0] if len(fitting) == 1 else _MANY)
        elif nobody or (several and not table.names):
            owners.append(nobody or _UNTOLD)
        else:
            owners.append(_without_picture(name, label, faces, unseen))
    return owners


def _by_frame(table: Table, pictures: Pictures) -> list[list[int]]:
    """Return the pictures of rows that only say which frame they are."""
    rows = table.rows
    texts = [(*own, table.subject) for own in zip(*table.texts.values(), strict=True)]
    texts = texts or [(table.subject,)] * len(rows)
    numbers = sorted(rows["frame"].dropna().unique())
    named = {text for name in table.names for text in table.texts[name]}
    frames = {text: pictures.frames_of(text) for own in texts for text in own}
    if not any(number in own for own in frames.values() for number in numbers):
        ordered = pictures.in_order(table.subject, len(numbers)) if len(named) < 2 else []
        videos = [text for text in frames if label_in(PurePath(text).stem) is None]
        frames = {video: pictures.frames_of(video, inside=True) for video in videos}
        if ordered:
            frames = {table.subject: dict(zip(numbers, ordered, strict=True))}
            reason = f"names no picture: its frames are the {len(ordered)} pictures by their names"
            told = Finding("order", table.place, reason, "look whether that is so", lost=False)
            table.spare["order"] = told
    found = []
    for frame, own in zip(rows["frame"], texts, strict=True):
        fitting = (frames.get(text, {}).get(frame) for text in own)
        found.append([number for number in fitting if number is not None][:1])
    return found


def _without_picture(
    name: str, label: str | None, faces: list[Face], unseen: dict[str, int]
) -> int | str:
    """Return the face, perhaps a new one, of a row that is about no picture, or why it has none."""
    *folders, name = re.split(r"[\\/]+", name)
    if name in ("", ".", ".."):
        return _UNTOLD
    known = unseen.get(name_key(name))
    label = label or (None if known is None else faces[known].label)
    label = label or next(filter(None, map(label_in, reversed(folders))), None)
    if label is None:
        return _UNKNOWN
    if known is None:
        known = len(faces)
        faces.append(Face(name, label))
    unseen[name_key(name)] = unseen[name_key(PurePath(name).stem)] = known
    return known


def _pictures(faces: list[Face]) -> Pictures:
    return Pictures([(*face.folders, face.base) for face in faces])


def label_in(text: str) -> str | None:
    """Return an emotion or ``"unknown"``, None for any other text."""
    try:
        return emotions.canonical(text)
    except DataError:
        return None


def _fates(rows: pd.DataFrame, faces: list[Face], min_confidence: float) -> pd.DataFrame:
    """Return rows with why they are not used, or odd, what to do, and whether something is lost."""
    served, low, under = rows["served"], *map(_UNSURE.format, (LOW_CONFIDENCE, min_confidence))
    remedies = _REMEDIES | {
        low: "used; the parameter min_confidence leaves such rows out",
        under: "lower min_confidence to use it",
    }
    reasons = {
        low: served & (rows["confidence"] < LOW_CONFIDENCE),
        _GAPS: served & (rows["gaps"] > 0),
        "": served,
    }
    reasons |= {nobody: rows["nobody"] == nobody for nobody in rows["nobody"].unique() if nobody}
    reasons |= {failure: rows["failure"] == failure for failure in (FAILED, NO_NUMBER)}
    if under not in reasons:
        reasons[under] = rows["confidence"] < min_confidence
    reason = np.select(list(reasons.values()), list(reasons), _OTHER)
    folders = ["" if face < 0 else faces[face].label for face in rows["face"]]
    labels = rows["label"].map(label_in)
    unlabelled = labels.isna() & (rows["label"] != "")
    differing = labels.notna() & (rows["face"] >= 0) & (labels != folders)
    odd = np.select([unlabelled, differing], [_NO_LABEL, _OTHER_LABEL], "")
    lost = ~served & ~rows["face"].isin(rows.loc[served, "face"])
    return rows.assign(reason=reason, remedy=[remedies[own] for own in reason], odd=odd, lost=lost)


def _tell(tables: list[Table], rows: pd.DataFrame, findings: list[Finding]) -> None:
    """Tell of the rows that are not used, and of tables of which none is."""
    kinds = [(PurePath(table.place).parent, table.tool.name) for table in tables]
    alive = {kinds[number] for number in rows.loc[rows["served"], "table"]}
    useless = {finding.where for finding in findings if finding.what == "table"}
    for number, table in enumerate(tables):
        own = rows[rows["table"] == number]
        if own.empty and table.place in useless:
            continue
        # One csv a picture: that one picture gives nothing does not make the table useless.
        one_of_many = kinds[number] in alive and own["frame"].nunique(dropna=False) < 2
        if not one_of_many and not own["served"].any():
            counts = own.groupby(["reason", "remedy"], sort=False).size()
            reason, remedy = counts.idxmax() if len(counts) else _EMPTY
            findings.append(Finding("table", table.place, f"yields no row: {reason}", remedy))
            continue
        if own.empty:
            findings.append(Finding("row", table.place, *_EMPTY))
        told = [*own.groupby(["reason", "remedy", "lost"], sort=False)]
        by_oddity = own.groupby("odd", sort=False)
        told += [((odd, _REMEDIES[odd], False), some) for odd, some in by_oddity]
        for (reason, remedy, lost), some in told:
            if reason:
                where = _where(table, some["number"])
                findings.append(Finding("row", where, reason, remedy, bool(lost), len(some)))


def _where(table: Table, numbers: pd.Series) -> str:
    first = table.texts[table.names[0]] if table.names else []
    own = dict(zip(table.rows["number"], first, strict=False))
    names = [printable(own[number]) for number in numbers if number in own]
    told = f" ({', '.join(names)})" if 0 < len(names) <= 3 else ""
    return rows_at(table.place, numbers.tolist()) + told


def settle(folder: Path, faces: list[Face], findings: list[Finding]) -> None:
    """Give unknown faces the labels of ``labels.csv``, if there is one."""
    columns = ["file_name", "label", "how"]
    for face, label, row in _own_rows(folder / "labels.csv", columns, "row", faces, findings):
        if face.label == emotions.UNKNOWN != label:
            face.label = label
            reason = f"labels a face by {row['how'] or 'hand'}, not by its folder"
            remedy = "take the row out, and the face is unknown again"
            findings.append(Finding("label", row["where"], reason, remedy, lost=False))


def read_ratings(folder: Path, faces: list[Face], findings: list[Finding]) -> pd.DataFrame:
    """Read ``ratings.csv``, if there is one."""
    ratings: dict[tuple[str, str], str] = {}
    columns = ["file_name", "rater", "label"]
    for face, label, row in _own_rows(folder / "ratings.csv", columns, "rating", faces, findings):
        if (face.file_name, row["rater"]) in ratings:
            reason = "rates a face a second time"
            remedy = "the first counts, both tell how far a rater agrees with themself"
            findings.append(Finding("rating", "ratings.csv", reason, remedy, lost=False))
        elif label != emotions.UNKNOWN:  # else: the rater could not tell
            ratings[face.file_name, row["rater"]] = label
    return pd.DataFrame([(*key, label) for key, label in ratings.items()], columns=columns)


def _own_rows(
    path: Path, columns: list[str], what: str, faces: list[Face], findings: list[Finding]
) -> Iterator[tuple[Face, str, dict[str, str]]]:
    """Yield face, label and fields of the rows, called ``what``, of a table in the folder."""
    if not path.is_file() or leads_out(path, path.parent):
        return
    sheet = read_sheet(path, lambda names: len(set(columns) & set(names)))
    if sheet is None or set(columns) - set(sheet.header):
        remedy = f"begin it with {','.join(columns)}"
        findings.append(Finding("table", path.name, "lacks one of its columns", remedy))
        return
    cells, _ = sheet.cells([sheet.header.index(name) for name in columns])
    pictures = _pictures(faces)
    for number, fields in cells.set_axis(columns, axis=1).iterrows():
        same, label = pictures.called(fields["file_name"]), label_in(fields["label"])
        where = f"{path.name}, row {number}"
        if len(same) == 1 and label:
            yield faces[same[0]], label, {**fields, "where": where}
            continue
        problem = f"{fields['label'][:20]!r} is no emotion"
        if len(same) != 1:
            problem = f"names {fields['file_name']!r}, which is no face of this person"
        findings.append(Finding(what, where, problem, "mend the row, or take it out"))
