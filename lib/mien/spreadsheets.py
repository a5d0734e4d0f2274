"""Tables of any make, and which picture their words are about."""

import codecs
import csv
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass
class Sheet:
    """A text file as a table."""

    path: Path
    encoding: str
    delimiter: str
    preamble: list[str]  # the lines before the header
    header: list[str]  # names of the columns, without blanks around them
    problem: str = ""  # why the rest of the file could not be read; known once it was

    def cells(self, places: Sequence[int]) -> tuple[pd.DataFrame, list[int]]:
        """Return the texts of some columns, by number of row and place, and the rows to doubt.

        Rows count from 1; what is blank or the header again is none. To doubt are those with more
        or fewer fields than the header; what they lack is ``""``.
        """
        rows, odd, width = {}, [], len(self.header)
        with self.path.open(encoding=self.encoding, errors="replace") as stream:
            for _ in self.preamble:
                stream.readline()
            lines = csv.reader(stream, delimiter=self.delimiter, skipinitialspace=True)
            try:
                first = next(lines)
                for number, fields in enumerate(lines, start=1):
                    if not any(map(str.strip, fields)) or fields == first:
                        continue
                    if len(fields) < width or any(map(str.strip, fields[width:])):
                        odd.append(number)
                        fields += [""] * width
                    rows[number] = [fields[place].strip() for place in places]
            except csv.Error as error:
                last = max(rows, default=0)
                self.problem = f"cannot be read beyond row {last}: {error}"
        cells = np.array(list(rows.values()), dtype=object).reshape(-1, len(places))
        return pd.DataFrame(cells, list(rows), list(places)), odd


#: So many lines may come before the header; a line has at most so many characters.
_PREAMBLE, _LONGEST = 100, 1 << 20


def read_sheet(path: Path, score: Callable[[list[str]], int]) -> Sheet | None:
    """Find the header of a table of any delimiter, encoding and line end.

    ``score`` tells of the fields of a line how many are columns that are looked for. The first line
    with any is the header, the delimiter the one that gives most of them. None where no line of the
    first hundred has such a column. Where rows have one field more than the header, as R writes
    them, the first column has no name. `OSError` if the file cannot be read.
    """
    encoding, before = _encoding(path), []
    with path.open(encoding=encoding, errors="replace") as stream:
        while len(before) < _PREAMBLE and (line := stream.readline(_LONGEST)):
            scores = {mark: score(_fields(line, mark)) for mark in ",;\t| "}
            if any(scores.values()):
                mark = max(scores, key=scores.__getitem__)
                header = _fields(line, mark)
                first = _fields(stream.readline(_LONGEST), mark)
                if len(first) == len(header) + 1 and first[-1]:
                    header.insert(0, "")
                return Sheet(path, encoding, mark, before, header)
            before.append(line)
    return None


#: What a text of some encodings begins with, the longest first.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def _encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8, UTF-16, UTF-32 or a Western code page."""
    with path.open("rb") as file:
        start = file.read(_LONGEST)
    if marked := next((name for mark, name in _MARKS.items() if start.startswith(mark)), ""):
        return marked
    odd, even = start[1:400:2].count(0), start[:400:2].count(0)
    if odd + even > len(start[:400]) // 3:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        with path.open(encoding="utf-8") as stream:
            while stream.read(_LONGEST):
                pass
        return "utf-8"
    except UnicodeDecodeError:
        return "cp1252" if b"\n" in start else "mac_roman"


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        return [field.strip() for field in next(rows, [])]
    except csv.Error:
        return []


def rows_at(place: str, numbers: Sequence[int]) -> str:
    """Return where rows of a table are, with runs of them drawn together.

    Examples
    --------
    >>> rows_at("a.csv", [1, 2, 3, 7]), rows_at("a.csv", [4])
    ('a.csv, rows 1-3, 7', 'a.csv, row 4')
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in runs)
    return f"{place}, row{'s' if len(numbers) > 1 else ''} {told}"


def number_in(text: str) -> float:
    """Return the number that a text is, also with a decimal comma; NaN for any other text.

    Examples
    --------
    >>> number_in(" 0,5"), number_in("1e-3"), number_in("-nan(ind)")
    (0.5, 0.001, nan)
    """
    try:
        number = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and "_" not in text else math.nan


class Pictures:
    """Which of some pictures a text is about: by path, name, stem or number, in any case.

    ``paths`` are folders and name of every picture, as ``("happy", "1_01.jpg")``.
    """

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self._paths = [tuple(map(name_key, path)) for path in paths]
        self._names = [path[-1] for path in paths]
        self._stems = [_stem(path[-1]) for path in self._paths]
        self._called = defaultdict(list)
        for number, stem in enumerate(self._stems):
            for key in {self._paths[number][-1], stem, int(stem) if stem.isdecimal() else stem}:
                self._called[key].append(number)

    def called(self, text: str) -> list[int]:
        """Return the pictures that a path, name, stem or number (``7`` for ``007.jpg``) fits."""
        *folders, name = _parts(text)
        keys = [name, _stem(name)]  # a.jpg, a; of a.jpg.csv and a.csv, too
        keys += map(int, re.findall(r"^(\d+)(?:\.0)?$", name))  # as Excel writes 007
        found = next((self._called[key] for key in keys if key in self._called), [])
        for depth, folder in enumerate(reversed(folders), start=2):
            near = [n for n in found if folder in self._paths[n][-depth : 1 - depth]]
            if len(found) < 2 or not near:
                break
            found = near
        return found

    def frames_of(self, text: str, *, inside: bool = False) -> dict[int, int]:
        """Return the pictures that are frames of a video, by frame.

        They are called ``<video>_<frame>``, or lie ``inside`` a folder that is called as the video.
        """
        video = _parts(text)[-1]
        found = {}
        for number, stem in enumerate(self._stems):
            for begin in {video, _stem(video)} - {""}:
                there = begin in self._paths[number][:-1] if inside else stem.startswith(begin)
                if there and (match := _FRAME.fullmatch(stem if inside else stem[len(begin) :])):
                    found[int(match[1])] = number
        return found

    def in_order(self, text: str, count: int) -> list[int]:
        """Return the pictures of a folder as their names sort, if there are ``count`` of them.

        The folder is the one that is called as ``text``, the one in which ``text`` lies, or, where
        all their names differ, all folders together.
        """
        *above, name = _parts(text)
        groups = defaultdict(list)
        for number, path in enumerate(self._paths):
            groups[path[:-1]].append(number)
        likely = [own for folder, own in groups.items() if folder[-1:] == (_stem(name),)]
        for folder, own in groups.items():
            if folder and tuple(above[-len(folder) :]) == folder:
                likely.append(own)
        if len(set(self._names)) == len(self._names):
            likely.append(list(range(len(self._names))))
        fitting = next((group for group in likely if len(group) == count), [])
        return sorted(fitting, key=lambda number: self._names[number])


_FRAME = re.compile(r"[\W_]*(?:frame|img|image)?[\W_]*([0-9]+)")


def name_key(name: str) -> str:
    """Return the form of a name in which disk and tables are compared."""
    return unicodedata.normalize("NFC", name).casefold()


def _parts(text: str) -> list[str]:
    """Return the folders and the name of a path of any system; ``[""]`` where it names nothing."""
    parts = [part for part in re.split(r"[\\/]+", name_key(text.strip())) if part not in ("", ".")]
    return parts if parts and parts[-1] != ".." else [""]


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
