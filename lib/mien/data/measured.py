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

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

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

ACTION_UNITS, SHAPES = "Action Units", "blendshapes"
#: Units of OpenFace 3's one list of numbers.
_LISTED = (1, 2, 4, 6, 9, 12, 25, 26)
#: Scales other than "0 to so much": decimal logarithm of the odds; as the values themselves tell.
_EVIDENCE, _ANY = -1.0, 0.0
#: From so many values on, 0 aside and none above 1, a table of 0..5 is taken for one of 0..1.
_DOUBT = {"LibreFace": 10}
#: Below this, OpenFace's author calls a frame a failure; a surer face is preferred to it.
_SURE = 0.7
_WORDS = {"notactive": 0.0, "a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8, "e": 1.0}
_FAILURES = ("find_failed", "fit_failed")
#: Why a row cannot be used.
FAILED, NO_NUMBER = "the tool found no face", "holds no number in any measured column"


class Columns(NamedTuple):
    """A family of columns that a tool measures."""

    pattern: str  # of their names, in any case; its group is the number of the Action Unit
    suffix: str  # what mien adds to AU01: _r for an intensity, _c for a presence
    top: float  # the highest value


@dataclass(frozen=True)
class Tool:
    """A program that measures faces: what it writes."""

    name: str
    columns: tuple[Columns, ...]
    beside: str = ".*"  # columns that it writes as well and that mien has no need of
    sign: str = ""  # a column that is there where it was this tool
    kind: str = ACTION_UNITS

    def measures(self, header: Sequence[str]) -> dict[int, tuple[str, float]]:
        """Return name and highest value of every column that it measures, by place."""
        if self.sign and not any(re.fullmatch(self.sign, name, re.I) for name in header):
            return {}
        found = {}
        for place, name in enumerate(header):
            for family in self.columns:
                if match := re.fullmatch(family.pattern, name, re.I):
                    found[place] = (self._called(name, match, family.suffix), family.top)
        return found

    def _called(self, name: str, match: re.Match, suffix: str) -> str:
        if self.kind == SHAPES:
            return _SHAPES[name.lower()]
        side = re.search(r"\b(left|right)\b", name, re.I)
        number = f"AU{int(match[1]):02d}" if match.re.groups else name
        return number + (f"_{side[1].lower()}" if side else "") + suffix


_SHAPES = {name.lower(): name for name in BLENDSHAPES}
_POSE = "frame.*|pitch|roll|yaw|[xyz]|[xyz]_[0-9]+"
TOOLS: tuple[Tool, ...] = (
    Tool(
        "OpenFace 2",
        (Columns("au([0-9]+)_r", "_r", 5), Columns("au([0-9]+)_c", "_c", 1)),
        f"{_POSE}|face|face_id|timestamp|gaze_.*|eye_lmk_.*|pose_.*|p_.*",
    ),
    Tool(
        "LibreFace",
        (Columns("au_([0-9]+)_intensity", "_r", 5), Columns("au_([0-9]+)", "_c", 1)),
        f"{_POSE}|time.*|.*_path|facial_expression.*|lm_.*|face_.*",
    ),
    Tool(
        "PyAFAR",
        (Columns("int_au_([0-9]+)", "_r", 5), Columns("occ_au_([0-9]+)", "_c", 1)),
        f"{_POSE}|person_id|face_index|.*aspect ratio|.*landmark.*",
    ),
    Tool(
        "OpenFace 3",
        (Columns("action_units", "", 1),),
        "timestamp|image_path|face_id|face_detection|landmarks|emotion|gaze_.*",
    ),
    Tool("FaceReader", (Columns("(?:left |right )?action unit ([0-9]+) .*", "", 1),)),
    Tool("iMotions", (Columns("au([0-9]+) evidence", "", _EVIDENCE),)),
    Tool(
        "py-feat",
        (Columns("au([0-9]+)", "", 1),),
        f"{_POSE}|face(?:rect.*|score)|identity.*|mesh_.*|gaze_.*|approx_time|valence|arousal|"
        "anger|angry|disgust|fear|happiness|happy|sadness|sad|surprise|neutral|contempt",
        sign="facescore|facerect.*|input",
    ),
    Tool("blendshapes", (Columns("|".join(BLENDSHAPES), "", 1),), kind=SHAPES),
    Tool("Action Units", (Columns("au[ _]?([0-9]+)(?:[ _]intensity)?", "", _ANY),), "frame.*"),
)
_MEASURED = re.compile("|".join(f.pattern for tool in TOOLS for f in tool.columns), re.I)
_LOOKS_MEASURED = re.compile(r".*\b(?:\w+_)?au[ _]?[0-9]+.*|.*action unit.*", re.I)


class Row(NamedTuple):
    """One row of a table: a face, or the failure to find one."""

    number: int  # from 1, after the header
    texts: dict[str, str]  # what may name the picture, by column
    frame: int | None
    label: str  # as it is written, "" where there is none
    confidence: float  # 0..1, NaN where there is none
    size: float  # of the face, in any unit; 0 where nobody says
    failure: str  # why it cannot be used, "" where it can
    values: np.ndarray  # float64, as they are written; NaN where there is none

    @property
    def rank(self) -> tuple[bool, bool, int, float]:
        """What the row of the person has more of than rows of other faces in the picture."""
        trust = 1.0 if math.isnan(self.confidence) else self.confidence
        gaps = int(np.isnan(self.values).sum())
        return not self.failure, trust >= _SURE, -gaps, trust * (self.size or 1.0)


class Table(NamedTuple):
    """What one tool has written into one file."""

    place: str  # of the file, below the person's folder
    tool: Tool
    names: tuple[str, ...]
    tops: tuple[float, ...]
    rows: list[Row]
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
    """Read a file that may hold tables of tools, called ``place`` in the findings; perhaps none."""
    try:
        sheet = read_sheet(path, lambda names: sum(map(bool, map(_MEASURED.fullmatch, names))))
    except OSError as error:
        return [], [Finding("table", place, f"cannot be read: {error.strerror}", "mend the file")]
    if sheet is None:
        return [], []
    tables, taken, findings = [], set(), []
    for tool in TOOLS:
        measured = tool.measures(sheet.header)
        measured = {number: column for number, column in measured.items() if number not in taken}
        taken |= set(measured)
        if measured:
            tables.append(_table(sheet, tool, measured, place, findings))
    if sheet.problem:
        findings.append(Finding("row", place, sheet.problem, "save the table anew"))
    if tables:
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
        elif _LOOKS_MEASURED.fullmatch(name):
            why = f"is no column of {tools[0].name}"
            found[name] = Finding("column", where, why, "name it as the tool does, or leave it")
        elif not any(re.fullmatch(tool.beside, name, re.I) for tool in tools):
            why = "mien knows no use for it"
            found[name] = Finding("column", where, why, "nothing, if that is right")
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
    if top == 5 and (some <= 1).all() and len(some) >= _DOUBT.get(tool, 100):
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
    tops = tuple(measured[number][1] for number in first.values())
    read = _RowReader(sheet, tool, list(first.values()))
    rows, short = [], []
    for number, fields in sheet.rows():
        row = read(number, fields)
        rows.append(row) if row else short.append(number)
    if short:
        reason = f"has not the {len(sheet.header)} fields that the header names"
        remedy = "save the table anew; a decimal comma needs another delimiter"
        what, where = ("row", rows_at(place, short)) if rows else ("table", place)
        findings.append(Finding(what, where, reason, remedy, count=len(short)))
    named = re.search(r"(?im)^\W*file ?name\W+(.+?)[\s;,\"]*$", "".join(sheet.preamble))
    return Table(place, tool, tuple(first), tops, rows, named[1] if named else place, {})


def names_in(row: Row) -> list[str]:
    """Return what stands in the columns of a row that are called as if they named the picture."""
    return [text for name, text in row.texts.items() if _NAMES.fullmatch(_plain(name))]


class _RowReader:
    """Reads the rows of a sheet once it knows what its columns are."""

    def __init__(self, sheet: Sheet, tool: Tool, measured: list[int]) -> None:
        self.width, self.measured = len(sheet.header), measured
        self.words = _WORDS if tool.name == "FaceReader" else {}
        plain = [_plain(name) for name in sheet.header]
        places = {name: number for number, name in reversed(list(enumerate(plain)))}
        self.confidence = next((places[name] for name in _CONFIDENCE if name in places), None)
        self.frame = next((places[name] for name in _FRAME if name in places), None)
        self.success, self.label = places.get("success"), places.get("label")
        rate = re.search(r"(?i)frame ?rate\D+([0-9.,]+)", "".join(sheet.preamble))
        self.rate = number_in(rate[1]) if rate else math.nan
        self.listed = places.get("facedetection")
        sides = [places.get(f"facerect{side}", places.get(side)) for side in ("width", "height")]
        self.sides = None if None in sides else sides
        self.across = [number for name, number in places.items() if re.fullmatch("x[0-9]+", name)]
        texts = [number for number, name in enumerate(plain) if _NAMES.fullmatch(name)]
        known = {*texts, *measured, self.label, self.success, self.frame, self.listed}
        some = [fields for _, fields in islice(sheet.rows(), 20) if len(fields) >= self.width]
        for number in sorted(set(range(self.width)) - known):
            cells = [fields[number].strip() for fields in some]
            strange = not re.fullmatch(tool.beside, sheet.header[number], re.IGNORECASE)
            numbered = strange and all(map(str.isdecimal, cells)) and len({*cells}) == len(cells)
            if numbered or any(cell and math.isnan(number_in(cell)) for cell in cells):
                texts.append(number)
        self.texts = {sheet.header[number]: number for number in texts}

    def __call__(self, number: int, fields: list[str]) -> Row | None:
        """Return a row, or None where fields are missing or too many."""
        if len(fields) < self.width or any(map(str.strip, fields[self.width :])):
            return None
        cells = [fields[place].strip() for place in self.measured]
        values = np.array([self.words.get(c.lower(), number_in(c)) for c in cells], float)
        box = []
        if self.listed is not None:  # OpenFace 3 writes lists of numbers into one field
            box = _numbers(fields[self.listed])
            found = _numbers(cells[0])
            values = np.array(found if len(found) == len(_LISTED) else [math.nan] * len(_LISTED))
        failure = ""
        succeeded = "1" if self.success is None else fields[self.success].strip().lower()
        if succeeded in ("0", "0.0", "false", "no") or any(c.lower() in _FAILURES for c in cells):
            failure = FAILED
        elif not np.isfinite(values).any():
            failure = NO_NUMBER
        confidence = box[4] if len(box) > 4 else self._number(fields, self.confidence)
        confidence /= 100 if confidence > 1 else 1  # percent
        return Row(
            number,
            {name: fields[place].strip() for name, place in self.texts.items()},
            self._frame(fields, number),
            "" if self.label is None else fields[self.label].strip(),
            confidence if 0 <= confidence <= 1 else math.nan,
            self._size(fields, box),
            failure,
            values,
        )

    def _number(self, fields: list[str], place: int | None) -> float:
        return math.nan if place is None else number_in(fields[place])

    def _frame(self, fields: list[str], number: int) -> int | None:
        if self.frame is None:
            return None
        time = re.fullmatch(r"([0-9]+):([0-9]+):([0-9.,]+)", fields[self.frame].strip())
        if time:  # of FaceReader, which counts no frames
            seconds = 3600 * int(time[1]) + 60 * int(time[2]) + number_in(time[3])
            frame = seconds * self.rate + 1 if self.rate > 0 else float(number)
        else:
            frame = number_in(fields[self.frame])
        return round(frame) if math.isfinite(frame) else None

    def _size(self, fields: list[str], box: list[float]) -> float:
        if len(box) > 3:
            return max(0.0, box[2] - box[0])
        if self.sides:
            width, height = (number_in(fields[place]) for place in self.sides)
            return math.sqrt(max(0.0, width * height)) if math.isfinite(width * height) else 0.0
        across = [number_in(fields[place]) for place in self.across]
        across = [value for value in across if math.isfinite(value)]
        return max(across) - min(across) if across else 0.0


def _numbers(text: str) -> list[float]:
    """Return the numbers of a list that was written as text, however it is nested."""
    return [float(found) for found in re.findall(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?", text)]
