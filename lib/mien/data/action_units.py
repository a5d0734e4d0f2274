"""Reading Action Units as OpenFace 2 writes them, with everything odd noted and nothing raised.

Baltrušaitis et al. 2018, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018; the columns are
described at github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: The Action Units that OpenFace 2 gives both an intensity (0..5) and a presence (0 or 1).
UNITS: tuple[str, ...] = tuple(
    f"AU{number:02d}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)

#: Below this confidence a row is noted; OpenFace's authors call such frames unreliable.
LOW_CONFIDENCE = 0.8
INTENSITIES = tuple(f"{unit}_r" for unit in UNITS)
PRESENCES = tuple(f"{unit}_c" for unit in UNITS)
_HIGHEST = {**dict.fromkeys(INTENSITIES, 5.0), **dict.fromkeys(PRESENCES, 1.0)}
LEFT_OUT = "left out"
NO_UNITS = "serves the models that look at images, not those on Action Units"


class Note(NamedTuple):
    """Something irregular in the data, and what follows from it."""

    file_name: str
    problem: str
    consequence: str


class UnitRow(NamedTuple):
    """One row: a face and its Action Units."""

    file_name: str  # as it is written
    label: str  # as it is written, "" where there is none
    confidence: float  # 0..1, NaN where there is none
    units: np.ndarray | None  # float32 (34,), intensities, presences; None if not usable


def read_units(path: Path, notes: list[Note]) -> list[UnitRow]:
    """Read a csv of Action Units: ``file_name``, ``AUxx_r``, ``AUxx_c``, perhaps ``confidence``.

    Blanks around names and values do not count. Columns ``success`` and ``label`` are optional. A
    column of an Action Unit that is missing altogether reads as NaN in every row; a row with a
    value that is no number, or with ``success`` 0, has no usable units.

    Parameters
    ----------
    path : Path
        The csv.
    notes : list of Note
        Gets what is irregular.

    Returns
    -------
    list of UnitRow
        In the order of the file.
    """
    rows: list[UnitRow] = []
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            lines = csv.reader(stream)
            header = _header(path, next(lines, []), notes)
            if "file_name" not in header:
                notes.append(Note(path.name, "has no column file_name", LEFT_OUT))
                return []
            for number, fields in enumerate(lines, start=1):
                if len(fields) == len(header):
                    values = dict(zip(reversed(header), reversed(fields), strict=True))
                    rows.append(_row({name: text.strip() for name, text in values.items()}, notes))
                elif fields:
                    problem = f"row {number} has {len(fields)} fields, not {len(header)}"
                    notes.append(Note(path.name, problem, LEFT_OUT))
    except (OSError, csv.Error) as error:
        problem = f"cannot be read beyond row {len(rows)}: {error}"
        notes.append(Note(path.name, problem, "the rows after it are left out"))
    return rows


def _header(path: Path, names: list[str], notes: list[Note]) -> list[str]:
    """Return the clean names of the columns, and note what is odd about them."""
    header = [name.strip() for name in names]
    odd = [name for name, clean in zip(names, header, strict=True) if name != clean]
    if odd:
        problem = f"blanks around the column names {', '.join(map(repr, odd))}"
        notes.append(Note(path.name, problem, "read without the blanks"))
    double = sorted({name for name in header if name and header.count(name) > 1})
    if double:
        problem = f"has the columns {', '.join(double)} more than once"
        notes.append(Note(path.name, problem, "the first of them is read"))
    missing = [name for name in _HIGHEST if name not in header]
    if len(missing) == len(_HIGHEST):
        notes.append(Note(path.name, "has no Action Units (AU01_r …)", f"no face of it {NO_UNITS}"))
    elif missing:
        problem = f"lacks the columns {', '.join(missing)}"
        notes.append(
            Note(path.name, problem, "unknown for every face; the other Action Units serve")
        )
    return header


def _row(values: Mapping[str, str], notes: list[Note]) -> UnitRow:
    """Read one row, and note what is odd about it."""
    name = values["file_name"]
    confidence = _number(values.get("confidence", ""))
    if values.get("confidence") and not 0 <= confidence <= 1:
        problem = f"confidence is {values['confidence'][:20]!r}, not a number of 0 to 1"
        notes.append(Note(name, problem, "kept, its confidence unknown"))
        confidence = math.nan
    if confidence < LOW_CONFIDENCE:
        problem = f"confidence {confidence:g} is under {LOW_CONFIDENCE}"
        notes.append(Note(name, problem, "kept; its Action Units may be wrong"))
    units = _units(name, values, notes)
    if units is not None and _number(values.get("success", "1")) == 0:
        notes.append(Note(name, "OpenFace found no face (success 0)", NO_UNITS))
        units = None
    return UnitRow(name, values.get("label", ""), confidence, units)


def _units(name: str, values: Mapping[str, str], notes: list[Note]) -> np.ndarray | None:
    """Return the 34 values of a row, None where one is no number or all columns are missing."""
    present = [column for column in _HIGHEST if column in values]
    numbers = {column: _number(values[column]) for column in present}
    wrong = [column for column in present if not math.isfinite(numbers[column])]
    if wrong:
        shown = ", ".join(f"{column} is {values[column][:20]!r}" for column in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        notes.append(Note(name, f"not a number: {shown}{more}", NO_UNITS))
    if wrong or not present:
        return None
    beyond = [column for column in present if not 0 <= numbers[column] <= _HIGHEST[column]]
    beyond += [column for column in PRESENCES if 0 < numbers.get(column, 0) < 1]
    if beyond:
        shown = ", ".join(f"{column} is {numbers[column]:g}" for column in beyond)
        consequence = "intensities are cut to 0..5, presences rounded to 0 or 1"
        notes.append(Note(name, f"out of range: {shown}", consequence))
    values = [numbers.get(column, math.nan) for column in _HIGHEST]
    values = np.clip(values, 0, list(_HIGHEST.values()))
    values[len(UNITS) :] = np.floor(values[len(UNITS) :] + 0.5)
    return values.astype(np.float32)


def _number(text: str) -> float:
    """Return the number that a text is, NaN for any other text."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
