"""Tables of any make, and which picture their words are about."""

import codecs
import csv
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Sheet:
    """A text file as a table; its rows are read one by one, for it may hold a video's frames."""

    path: Path
    encoding: str
    delimiter: str
    preamble: list[str]  # the lines before the header
    header: list[str]  # names of the columns, without blanks around them
    problem: str = ""  # why the rest of the file could not be read; known once it was

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number (from 1) and fields of rows that are neither blank nor the header's."""
        number = 0
        with self.path.open(encoding=self.encoding, errors="replace") as stream:
            for _ in self.preamble:
                stream.readline()
            lines = csv.reader(stream, delimiter=self.delimiter, skipinitialspace=True)
            try:
                first = next(lines)
                for number, fields in enumerate(lines, start=1):
                    if any(map(str.strip, fields)) and fields != first:
                        yield number, fields
            except csv.Error as error:
                self.problem = f"cannot be read beyond row {number}: {error}"


#: So many lines may come before the header; a line has at most so many characters.
_PREAMBLE, _LONGEST = 100, 1 << 20


def read_sheet(path: Path, score: Callable[[list[str]], int]) -> Sheet | None:
    """Read a table of any delimiter, encoding and line end.

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
                sheet = Sheet(path, encoding, mark, before, _fields(line, mark))
                _, first = next(sheet.rows(), (0, [""]))
                if len(first) == len(sheet.header) + 1 and first[-1].strip():
                    sheet.header.insert(0, "")
                return sheet
            before.append(line)
    return None


def _encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8, UTF-16, UTF-32 or a Western code page."""
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}  # longest first
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marks[codecs.BOM_UTF8] = "utf-8-sig"
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), False
    with path.open("rb") as file:
        start = file.read(400)
        for mark, name in marks.items():
            if start.startswith(mark):
                return name
        if start.count(0) > len(start) // 3:
            little = start[1::2].count(0) > start[::2].count(0)
            return "utf-16-le" if little else "utf-16-be"
        file.seek(0)
        try:
            while block := file.read(_LONGEST):
                lines = lines or b"\n" in block
                decoder.decode(block)
            decoder.decode(b"", final=True)
            return "utf-8"
        except UnicodeDecodeError:
            return "cp1252" if lines else "mac_roman"


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
        for folder, own in groups.items():
            if folder and tuple(above[-len(folder) :]) == folder:
                likely.append(own)
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


def _common_end(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many folders two paths share, counted from their ends."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
