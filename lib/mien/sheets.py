"""Tables of any make, and which picture their words are about."""

import codecs
import csv
import io
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Sheet(NamedTuple):
    """What a text file holds as a table."""

    preamble: str  # the lines before the header
    header: list[str]  # names of the columns, without blanks around them
    rows: list[tuple[int, list[str]]]  # number (from 1 after the header) and fields; none is blank
    problem: str = ""  # why the rest of the file could not be read


#: Of the lines of a file, so many may come before the header.
_PREAMBLE = 100


def read_sheet(path: Path, score: Callable[[list[str]], int]) -> Sheet | None:
    """Read a table of any delimiter, encoding and line end.

    Parameters
    ----------
    path : Path
    score : callable
        Tells of the fields of a line how many are columns that are looked for. The first line with
        any is the header, the delimiter the one that gives most of them.

    Returns
    -------
    Sheet or None
        None where no line of the first hundred has such a column. Fields are stripped; empty lines
        and lines that repeat the header are left out; where every row has one field more than the
        header, as R writes them, the first column has no name.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    text = read_text(path)
    start = 0
    for _ in range(_PREAMBLE):
        end = text.find("\n", start)
        line = text[start:] if end < 0 else text[start:end]
        scores = {mark: score(_fields(line, mark)) for mark in ",;\t| "}
        if any(scores.values()):
            return _sheet(text[:start], text[start:], max(scores, key=scores.__getitem__))
        if end < 0:
            return None
        start = end + 1
    return None


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16, UTF-32 or a Western code page, lines by LF.

    A byte order mark tells, else every second byte being zero, else whether it is UTF-8; what is
    not is cp1252 (Windows), or Mac Roman where lines end in a bare CR.
    """
    raw = path.read_bytes()
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}  # longest first
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marks[codecs.BOM_UTF8] = "utf-8-sig"
    encoding = next((name for mark, name in marks.items() if raw.startswith(mark)), "")
    if not encoding and (zero := raw[:400].count(0)) and zero > len(raw[:400]) // 3:
        encoding = "utf-16-le" if raw[1:400:2].count(0) > raw[:400:2].count(0) else "utf-16-be"
    if not encoding:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("cp1252" if b"\n" in raw else "mac_roman", "replace")
    else:
        text = raw.decode(encoding, "replace")
    return re.sub("\r\n?", "\n", text)


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        return [field.strip() for field in next(rows, [])]
    except csv.Error:
        return []


def _sheet(preamble: str, text: str, delimiter: str) -> Sheet:
    rows, problem = [], ""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        header = [field.strip() for field in next(lines)]
        for number, line in enumerate(lines, start=1):
            fields = [field.strip() for field in line]
            if any(fields) and fields != header:
                rows.append((number, fields))
    except csv.Error as error:
        problem = f"cannot be read beyond row {len(rows)}: {error}"
    if rows and all(len(fields) == len(header) + 1 and fields[-1] for _, fields in rows):
        header = ["", *header]
    return Sheet(preamble, header, rows, problem)


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
    >>> number_in("0,5"), number_in("1e-3"), number_in("-nan(ind)")
    (0.5, 0.001, nan)
    """
    try:
        number = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and "_" not in text else math.nan


class Pictures:
    """Which of some pictures a text is about: by path, name, stem or number.

    Case, the form of Unicode's accents and the system's separator of folders do not matter.

    Parameters
    ----------
    paths : sequence of tuple of str
        Folders and name of every picture, as ``("happy", "1_01.jpg")``.
    """

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self._paths = [tuple(map(name_key, path)) for path in paths]
        self._names = [path[-1] for path in paths]
        self._by_name, self._by_stem = defaultdict(list), defaultdict(list)
        self._by_number = defaultdict(list)
        for number, path in enumerate(self._paths):
            self._by_name[path[-1]].append(number)
            self._by_stem[_stem(path[-1])].append(number)
            if _stem(path[-1]).isdecimal():
                self._by_number[int(_stem(path[-1]))].append(number)

    def called(self, text: str) -> list[int]:
        """Return the pictures that a path, name, stem or number (``7`` for ``007.jpg``) fits."""
        *folders, name = _parts(text)
        stem = _stem(name)
        found = self._by_name.get(name) or self._by_stem.get(name)
        found = found or self._by_stem.get(stem) or self._by_name.get(stem, [])  # a.csv, a.jpg.csv
        if not found and stem.isdecimal() and name in (stem, f"{stem}.0"):  # as Excel writes 007
            found = self._by_number.get(int(stem), [])
        if len(found) > 1:
            shared = [_common_end(self._paths[number][:-1], folders) for number in found]
            found = [n for n, common in zip(found, shared, strict=True) if common == max(shared)]
        return found

    def frames_of(self, text: str) -> dict[int, int]:
        """Return the pictures that are frames of a video, ``<video>_<frame>``, by frame."""
        video = _parts(text)[-1]
        begin = [name for name in {video, _stem(video)} if name]
        stems = [(number, _stem(path[-1])) for number, path in enumerate(self._paths)]
        return _by_frame(
            (n, stem[len(v) :]) for n, stem in stems for v in begin if stem.startswith(v)
        )

    def numbered_in(self, text: str) -> dict[int, int]:
        """Return the pictures in a folder that is called as a video, by the number of the frame."""
        video = _stem(_parts(text)[-1])
        inside = [(n, _stem(path[-1])) for n, path in enumerate(self._paths) if video in path[:-1]]
        return _by_frame(inside)

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
        likely += [own for folder, own in groups.items() if _ends_with(above, folder)]
        if len(set(self._names)) == len(self._names):
            likely.append(list(range(len(self._names))))
        fitting = next((group for group in likely if len(group) == count), [])
        return sorted(fitting, key=lambda number: self._names[number])


def _by_frame(stems: Iterable[tuple[int, str]]) -> dict[int, int]:
    """Return numbered pictures by the frame that the rest of their stem tells."""
    frame = re.compile(r"[\W_]*(?:frame|img|image)?[\W_]*([0-9]+)")
    return {int(match[1]): number for number, stem in stems if (match := frame.fullmatch(stem))}


def name_key(name: str) -> str:
    """Return the form of a name in which disk and tables are compared."""
    return unicodedata.normalize("NFC", name).casefold()


def _parts(text: str) -> list[str]:
    """Return the folders and the name of a path of any system; ``[""]`` where it names nothing."""
    parts = [part for part in re.split(r"[\\/]+", name_key(text.strip())) if part not in ("", ".")]
    return parts if parts and parts[-1] != ".." else [""]


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _ends_with(path: Sequence[str], folders: Sequence[str]) -> bool:
    return bool(folders) and tuple(path[-len(folders) :]) == tuple(folders)


def _common_end(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many folders two paths share, counted from their ends."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
