"""Tables of measured features, Action Units and blendshapes, as the tools write them.

A table is known by its header, whatever its file is called; its values are brought to 0..1:

- OpenFace 2 (Baltrušaitis et al. 2018, "OpenFace 2.0", FG 2018; the columns are described at
  github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format): intensities 0..5, presences 0 or 1;
- LibreFace (Chang et al. 2024, WACV) and PyAFAR (Hinduja et al. 2023, ACII): the same;
- py-feat (Cheong et al. 2023, Affective Science) and OpenFace 3 (Hu et al. 2025, FG): 0..1;
- FaceReader's detailed log: ``NotActive`` and ``A`` (trace) to ``E`` (maximum), or 0..1;
- iMotions' FACET: evidence, the decimal logarithm of the odds that a unit is active;
- the 51 blendshapes of Google's face landmarker (`mien measure`): 0..1.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mien.errors import Finding
from mien.spreadsheets import Sheet, number_in, read_sheet, rows_at

#: The Action Units that OpenFace 2 gives both an intensity (0..5) and a presence (0 or 1).
UNITS: tuple[str, ...] = tuple(
    f"AU{number:02d}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)

_TWO_SIDED = """
    browDown browOuterUp cheekSquint eyeBlink eyeLookDown eyeLookIn eyeLookOut eyeLookUp
    eyeSquint eyeWide mouthDimple mouthFrown mouthLowerDown mouthPress mouthSmile mouthStretch
    mouthUpperUp noseSneer
"""
_ALONE = """
    browInnerUp cheekPuff jawForward jawLeft jawOpen jawRight mouthClose mouthFunnel
    mouthLeft mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower
    mouthShrugUpper
"""
_BOTH = [name + side for name in _TWO_SIDED.split() for side in ("Left", "Right")]
#: Google's blendshapes, in the order of its model, which is that of their names; left and right are
#: the person's own. The first of the model's 52 values, ``_neutral``, says nothing.
BLENDSHAPES: tuple[str, ...] = tuple(sorted([*_ALONE.split(), *_BOTH]))

#: Endings of files that should hold a table.
TABLES = (".csv", ".tsv", ".tab")
ACTION_UNITS, SHAPES = "Action Units", "blendshapes"
#: Units of OpenFace 3's one list of numbers.
_LISTED = (1, 2, 4, 6, 9, 12, 25, 26)
#: Scales other than "0 to so much": decimal logarithm of the odds; as the values themselves tell.
_EVIDENCE, _ANY = -1.0, 0.0
_WORDS = {"notactive": 0.0, "a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8, "e": 1.0}
_FAILURES, _NO = ("find_failed", "fit_failed"), ("0", "0.0", "false", "no")
#: Why a row cannot be used.
FAILED, NO_NUMBER = "the tool found no face", "holds no number in any measured column"


@dataclass(frozen=True)
class Tool:
    """A program that measures faces: what it writes."""

    name: str
    #: By pattern, in any case, of columns' names, whose group is the number of the Action Unit:
    #: what mien adds to AU01 (_r for an intensity, _c for a presence), and the highest value.
    columns: dict[str, tuple[str, float]]
    beside: str = ".*"  # columns that it writes as well and that mien has no need of
    sign: str = ""  # a column that is there where it was this tool
    kind: str = ACTION_UNITS

    def measures(self, header: Sequence[str]) -> dict[int, tuple[str, float]]:
        """Return name and highest value of every column that it measures, by place."""
        if self.sign and not any(re.fullmatch(self.sign, name, re.I) for name in header):
            return {}
        found = {}
        for pattern, (suffix, top) in self.columns.items():
            for place, name in enumerate(header):
                if not (match := re.fullmatch(pattern, name, re.I)):
                    continue
                side = re.search(r"\b(left|right)\b", name, re.I)
                unit = f"AU{int(match[1]):02d}" if match.re.groups else ""
                called = unit + (f"_{side[1].lower()}" if side else "") + suffix
                found[place] = (called if unit else _SHAPES.get(name.lower(), name), top)
        return dict(sorted(found.items()))


_SHAPES = {name.lower(): name for name in BLENDSHAPES}
_POSE = "frame.*|pitch|roll|yaw|[xyz]|[xyz]_[0-9]+"
TOOLS: tuple[Tool, ...] = (
    Tool(
        "OpenFace 2",
        {"au([0-9]+)_r": ("_r", 5), "au([0-9]+)_c": ("_c", 1)},
        f"{_POSE}|face|face_id|timestamp|gaze_.*|eye_lmk_.*|pose_.*|p_.*",
    ),
    Tool(
        "LibreFace",
        {"au_([0-9]+)_intensity": ("_r", 5), "au_([0-9]+)": ("_c", 1)},
        f"{_POSE}|time.*|.*_path|facial_expression.*|lm_.*|face_.*",
    ),
    Tool(
        "PyAFAR",
        {"int_au_([0-9]+)": ("_r", 5), "occ_au_([0-9]+)": ("_c", 1)},
        f"{_POSE}|person_id|face_index|.*aspect ratio|.*landmark.*",
    ),
    Tool(
        "OpenFace 3",
        {"action_units": ("", 1)},
        "timestamp|image_path|face_id|face_detection|landmarks|emotion|gaze_.*",
    ),
    Tool("FaceReader", {"(?:left |right )?action unit ([0-9]+) .*": ("", 1)}),
    Tool("iMotions", {"au([0-9]+) evidence": ("", _EVIDENCE)}),
    Tool(
        "py-feat",
        {"au([0-9]+)": ("", 1)},
        f"{_POSE}|face(?:rect.*|score)|identity.*|mesh_.*|gaze_.*|approx_time|valence|arousal|"
        "anger|angry|disgust|fear|happiness|happy|sadness|sad|surprise|neutral|contempt",
        sign="facescore|facerect.*|input",
    ),
    Tool("blendshapes", {"|".join(BLENDSHAPES): ("", 1)}, kind=SHAPES),
    Tool("Action Units", {"au[ _]?([0-9]+)(?:[ _]intensity)?": ("", _ANY)}, "frame.*"),
)
_MEASURED = re.compile("|".join(pattern for tool in TOOLS for pattern in tool.columns), re.I)
_LOOKS_MEASURED = re.compile(r".*\b(?:\w+_)?au[ _]?[0-9]+.*|.*action unit.*", re.I)


class Table(NamedTuple):
    """What one tool has written into one file, n rows; a row is a face, or a failure to find one.

    ``rows`` has ``number`` (from 1, after the header), ``frame`` (NaN where there is none),
    ``label`` (as it is written, or ``""``), ``confidence`` (0..1 or NaN), ``size`` of the face (in
    any unit, 0 where nobody says), ``failure`` (why it cannot be used, ``""`` where it can) and
    ``gaps``, the count of its values that are no numbers.
    """

    place: str  # of the file, below the person's folder
    tool: Tool
    tops: dict[str, float]  # the highest value of every measured column
    rows: pd.DataFrame
    values: pd.DataFrame  # float64, as they are written, by name of the column
    texts: dict[str, list[str]]  # of columns that may name the picture
    names: list[str]  # those of them that are called as if they did
    subject: str  # the picture or video that the file is about
    spare: dict[str, Finding]  # columns that mien has no use for, unless one names the pictures


@dataclass(frozen=True, eq=False)
class Measured:
    """What one source says of the n faces of a person."""

    source: str  # the tool's name, with a file's in brackets where it wrote several tables
    kind: str  # "Action Units" or "blendshapes"
    #: Of the k columns: ``AU01_r`` an intensity, ``AU01_c`` a presence, ``AU01`` the only value
    #: that the tool gives; blendshapes by Google's names.
    names: tuple[str, ...]
    values: np.ndarray  # float32 (n, k), 0..1; NaN where there is no row, or no number in it
    confidence: np.ndarray  # float (n,), 0..1, NaN where the source gives none
    scale: str  # what 0..1 was before: "0..5", "0..1", "evidence", or several of these

    @property
    def has_row(self) -> np.ndarray:
        """Which faces it says anything of, bool (n,)."""
        return np.isfinite(self.values).any(axis=1)

    def beside(self, other: "Measured") -> "Measured":
        """Return intensities of these Action Units and another's columns, where both are there."""
        own = [number for number, name in enumerate(self.names) if not name.endswith("_c")]
        own = own or list(range(len(self.names)))
        values = np.hstack([self.values[:, own], other.values])
        values[~(self.has_row & other.has_row)] = np.nan
        return Measured(
            f"{self.source} and {other.source}",
            f"{self.kind} and {other.kind}",
            (*(self.names[number] for number in own), *other.names),
            values,
            np.fmin(self.confidence, other.confidence),
            self.scale,
        )


def read_tables(path: Path, place: str) -> tuple[list[Table], list[Finding]]:
    """Read the tables of tools in a file, which is called ``place`` in the findings."""
    try:
        sheet = read_sheet(path, lambda names: sum(map(bool, map(_MEASURED.fullmatch, names))))
    except OSError as error:
        return [], [Finding("table", place, f"cannot be read: {error.strerror}", "mend the file")]
    if sheet is None:
        what = "table" if path.suffix.lower() in TABLES else "file"
        reason = "no line of it names columns of a tool that mien knows (AU01_r, au_1, AU1 …)"
        remedy = "export it anew with its header, or take it out of the folder"
        return [], [Finding(what, place, reason, remedy)]
    tables, taken, findings = [], set(), []
    for tool in TOOLS:
        measured = tool.measures(sheet.header)
        measured = {number: column for number, column in measured.items() if number not in taken}
        taken |= set(measured)
        if measured:
            tables.append(_table(sheet, tool, measured, place, findings))
    if sheet.problem:
        findings.append(Finding("row", place, sheet.problem, "save the table anew"))
    tools = [table.tool for table in tables]
    tables[0].spare.update(_unused_columns(sheet.header, taken, tools, place))
    return tables, findings


def _unused_columns(
    header: list[str], taken: set[int], tools: list[Tool], place: str
) -> dict[str, Finding]:
    """Tell of the columns that are neither measured nor known to stand beside what is."""
    known = {"", "label", "index", *_CONFIDENCE, *_FRAME, "success", "timestamp"}
    found = {}
    for number, name in enumerate(header):
        where = f"{name} in {place}"
        if name and name in header[:number]:
            why = "has the name of an earlier column"
            found[name] = Finding("column", where, why, "the first is read; rename the other")
        elif number in taken or _plain(name) in known or _NAMES.fullmatch(_plain(name)):
            continue
        elif _LOOKS_MEASURED.fullmatch(name) or not any(
            re.fullmatch(tool.beside, name, re.I) for tool in tools
        ):
            remedy = f"nothing, or name it as {tools[0].name} does if it is measured"
            found[name] = Finding("column", where, "mien knows no use for it", remedy)
    return found


def to_unit_range(
    values: np.ndarray, place: str, tool: Tool, tops: dict[str, float], findings: list[Finding]
) -> tuple[np.ndarray, str]:
    """Return values (n, k) as a tool writes them, brought to 0..1, and what they were before.

    ``tops`` are the columns' highest values by name; ``findings`` gets what does not fit the tool.
    """
    scaled, told = np.empty(values.shape, np.float32), []
    families = [(name[4:] if tool.kind == ACTION_UNITS else "", top) for name, top in tops.items()]
    for family in dict.fromkeys(families):
        columns = [number for number, own in enumerate(families) if own == family]
        found = values[:, columns]
        top, fits = _top(found, family[1], tool.name)
        if top == _EVIDENCE:
            scaled[:, columns] = 1 / (1 + 10.0**-found)
            told.append("evidence")
            continue
        told.append(f"0..{top:g}")
        scaled[:, columns] = np.clip(found / top, 0, 1)
        beyond = int(((found < 0) | (found > top)).sum())
        name = list(tops)[columns[0]]
        if not fits:
            reason = f"{tool.name} gives 0..{family[1]:g}, {name} and its like are 0..{top:g} here"
            findings.append(Finding("scale", place, reason, f"read as 0..{top:g}", lost=False))
        if beyond:
            reason = f"{beyond} values of {name} and its like are outside 0..{top:g}"
            findings.append(Finding("scale", place, reason, "cut to it", lost=False))
    return scaled, ", ".join(dict.fromkeys(told))


def _top(values: np.ndarray, top: float, tool: str) -> tuple[float, bool]:
    """Return the highest value of the scale that values are on, and whether it is their tool's."""
    some = values[np.isfinite(values) & (values != 0)]
    if top == _EVIDENCE or not len(some):
        return top or 1.0, True
    if top == _ANY:
        if (some < 0).mean() > 0.1:
            return _EVIDENCE, True
        return next((scale for scale in (1.0, 5.0) if (some <= scale).all()), 100.0), True
    if (some > top).mean() > 0.5:
        return (5.0 if (some <= 5).all() else 100.0), False
    doubt = 10 if tool == "LibreFace" else 100  # so many and none above 1: no scale of 0..5
    if top == 5 and (some <= 1).all() and len(some) >= doubt:
        return 1.0, False
    return top, True


def unit_of(column: str) -> str:
    """Return what a column is about: intensity and presence of one Action Unit, both sides."""
    if column.startswith("AU"):
        return column[:4]
    bare = re.sub("(Left|Right)$", "", column)
    return bare if bare in _TWO_SIDED.split() else column


def _plain(name: str) -> str:
    """Return the name of a column without case, blanks and marks."""
    return re.sub(r"[\W_]", "", name.lower())


#: What columns are called that name the picture, and those of other facts about a row.
_NAMES = re.compile(
    "(?=.)(?:input)?(?:file|image|img|picture|photo|stimulus)?(?:file)?(?:name|path|id|nr|no|number)?"
)
_CONFIDENCE = ("confidence", "facescore", "presence", "score", "faceconfidence")
_FRAME = ("frame", "frameidx", "frameindex", "frameno", "framenumber", "frameid", "videotime")
_FACTS = {*_CONFIDENCE, *_FRAME, "success", "label", "facedetection"}
#: Points of the face: columns by the hundred, of which only how wide the face is matters.
_POINTS = re.compile("(?:eye_lmk|lm|mesh|[Ii]dentity)_.*|[XYZy]_[0-9]+|p_[0-9]+")


def _table(
    sheet: Sheet,
    tool: Tool,
    measured: dict[int, tuple[str, float]],
    place: str,
    findings: list[Finding],
) -> Table:
    """Return the rows of a sheet as one tool measured them."""
    first: dict[str, int] = {}
    for number, (name, _) in measured.items():
        first.setdefault(name, number)
    if tool.name == "OpenFace 3":
        first = {f"AU{unit:02d}": next(iter(measured)) for unit in _LISTED}
    plain = list(map(_plain, sheet.header))
    kept = [n for n, name in enumerate(sheet.header) if not _POINTS.fullmatch(name)]
    cells, short = sheet.cells(kept)
    cells = cells.drop(index=short)
    if short:
        reason = f"has not the {len(sheet.header)} fields that the header names"
        remedy = "save the table anew; a decimal comma needs another delimiter"
        what, where = ("table", place) if cells.empty else ("row", rows_at(place, short))
        findings.append(Finding(what, where, reason, remedy, count=len(short)))
    rate = number_in(_said(r"(?i)frame ?rate\D+([0-9.,]+)", sheet))
    names = [n for n in kept if _NAMES.fullmatch(plain[n])]
    known = {*names, *measured}
    others = [n for n in kept if n not in known and plain[n] not in _FACTS]
    others = [n for n in others if _may_name(cells[n], sheet.header[n], tool)]
    return Table(
        place,
        tool,
        {name: measured[number][1] for name, number in first.items()},
        *_rows(cells, sheet.header, first, tool, rate),
        {sheet.header[n]: cells[n].tolist() for n in [*names, *others]},
        [sheet.header[n] for n in names],
        _said(r"(?im)^\W*file ?name\W+(.+?)[\s;,\"]*$", sheet) or place,
        {},
    )


def _rows(
    cells: pd.DataFrame, header: list[str], first: dict[str, int], tool: Tool, rate: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows and values of a table whose measured columns stand where ``first`` says."""
    places = {_plain(name): number for number, name in reversed([*enumerate(header)])}

    def texts(*names: str) -> pd.Series:
        """Return the first column that is called like this."""
        own = next((places[name] for name in names if name in places), None)
        return pd.Series("", cells.index, dtype=object) if own is None else cells[own]

    def numbers(*names: str) -> pd.Series:
        return pd.Series(_all_numbers(texts(*names)), cells.index)

    own = cells[list(first.values())].to_numpy()
    wide = [n for n in cells if re.fullmatch("x_[0-9]+", header[n])]
    confidence = numbers(*_CONFIDENCE)
    area = numbers("facerectwidth", "width") * numbers("facerectheight", "height")
    across = pd.DataFrame(_all_numbers(cells[wide]), cells.index)
    size = np.sqrt(area.clip(lower=0)).fillna(across.max(axis=1) - across.min(axis=1))
    values = _all_numbers(own)
    failed = np.isin(_lower(own), _FAILURES).any(axis=1) | np.isin(_lower(texts("success")), _NO)
    if tool.name == "FaceReader":
        values = np.vectorize(_WORDS.get, otypes=[float])(_lower(own), values)
    if tool.name == "OpenFace 3":  # writes lists of numbers into one field
        none = [np.nan] * len(_LISTED)
        lists = map(_numbers, own[:, 0])
        values = [found if len(found) == len(none) else none for found in lists]
        boxes = pd.DataFrame(texts("facedetection").map(_numbers).tolist(), cells.index)
        boxes = boxes.reindex(columns=range(5))
        size = (boxes[2] - boxes[0]).clip(lower=0)
        confidence = boxes[4].fillna(confidence)
    values = pd.DataFrame(values, cells.index, list(first), dtype=float)
    confidence = confidence.where(~(confidence > 1), confidence / 100)  # percent
    rows = pd.DataFrame(
        {
            "number": cells.index,
            "frame": _frames(texts(*_FRAME), rate),
            "label": texts("label"),
            "confidence": confidence.where(confidence.between(0, 1)),
            "size": size.fillna(0),
            "failure": np.select([failed, values.isna().all(axis=1)], [FAILED, NO_NUMBER], ""),
            "gaps": values.isna().sum(axis=1),
        }
    )
    return rows, values


_all_numbers = np.vectorize(number_in, otypes=[float])
_lower = np.vectorize(str.lower, otypes=[object])


def _frames(texts: pd.Series, rate: float) -> pd.Series:
    """Return the numbers of frames; FaceReader counts none, but tells the time of each."""
    seconds = pd.to_timedelta(
        texts.where(texts.str.contains(":")).str.replace(",", "."), errors="coerce"
    ).dt.total_seconds()
    timed = seconds * rate + 1 if rate > 0 else pd.Series(texts.index, texts.index)
    return timed.where(seconds.notna(), _all_numbers(texts)).astype(float).round()


def _may_name(texts: pd.Series, name: str, tool: Tool) -> bool:
    """Return whether a column may tell the pictures apart: by words, or numbers that differ."""
    unknown = not re.fullmatch(tool.beside, name, re.IGNORECASE)
    numbered = unknown and texts.str.isdecimal().all() and texts.is_unique
    return bool(numbered or texts[texts != ""].map(number_in).isna().any())


def _said(pattern: str, sheet: Sheet) -> str:
    """Return what the lines before the header say of something, ``""`` for nothing."""
    found = re.search(pattern, "".join(sheet.preamble))
    return found[1] if found else ""


def _numbers(text: str) -> list[float]:
    """Return the numbers of a list that was written as text, however it is nested."""
    return [float(found) for found in re.findall(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?", text)]
