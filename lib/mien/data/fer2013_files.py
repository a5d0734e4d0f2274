"""The layouts that FER2013 comes in: a csv, packed or not, and folders of images.

The quick way turns the digits of many rows of a csv at once into numbers with NumPy and proves
that each row is exactly 2,304 numbers of one to three digits, none above 255, with one blank
between two. Other rows go, one by one, to the careful one, which reads them or says what is wrong.
"""

import bz2
import csv
import gzip
import io
import itertools
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mien import emotions
from mien.data.images import IMAGE_SUFFIXES, SIDE, open_image
from mien.errors import DataError
from mien.files import files_below

#: The three parts of FER2013, in the order of their codes.
USAGES: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
PIXELS = SIDE * SIDE
_COLUMNS = ("emotion", "pixels", "usage")
_EMOTION_CODES = {str(code).encode(): code for code in range(len(emotions.EMOTIONS))}
_USAGE_CODES = {usage.lower().encode(): code for code, usage in enumerate(USAGES)}
_BLOCK = 1 << 17  # bytes read and parsed at once: what is made of them stays in L2 cache
_LONGEST_LINE = 1 << 20  # bytes; a row of FER2013 has at most 9,230
_PACKED = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open, b"BZh": bz2.open}

_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,  # zipfile's word for a packing that it does not know
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)

_FOLDER_USAGES = {
    "train": "Training",
    "training": "Training",
    "validation": "PublicTest",
    "valid": "PublicTest",
    "val": "PublicTest",
    "publictest": "PublicTest",
    "test": "PrivateTest",
    "privatetest": "PrivateTest",
}
_EMPTY = "empty line"


class Rows(NamedTuple):
    """All rows of FER2013: the good ones as arrays, of the bad ones what is wrong."""

    images: np.ndarray  # uint8 (n, 48, 48)
    labels: np.ndarray  # int8 (n,)
    usages: np.ndarray  # int8 (n,), indices into USAGES
    bad: dict[int, str]  # row number, counted from 1, to reason


class _Row(NamedTuple):
    """A row of the csv whose pixels are still text."""

    number: int
    label: int
    usage: int
    pixels: bytes


class _BadRow(ValueError):
    """A row that cannot be read, and why."""


def read_csv(path: Path) -> Rows:
    """Read every row of FER2013's csv.

    As it is, packed with gzip, xz or bzip2, or inside a tar or zip (the first member that has the
    columns); its content tells, not its name. Columns ``emotion``, ``pixels`` and ``Usage`` in any
    order. `DataError` if the file is damaged or holds no such csv.
    """
    try:
        with open_csv(path) as stream:
            return _read_rows(stream, path)
    except _DAMAGE as error:
        raise DataError(
            f"{path} cannot be read, it may be damaged or cut off: {error or type(error).__name__}"
        ) from error


def read_folder(folder: Path) -> Rows:
    """Read FER2013 from folders of images: ``train/<emotion>/*.jpg``, ``test/…``, ``validation/…``.

    The folder tells the part (`_FOLDER_USAGES`); in ``test``, a file name that begins with
    ``PublicTest_`` or ``PrivateTest_`` wins. Folders above do not matter. Rows are counted in the
    order of the files' paths. `DataError` if nothing lies in such folders.
    """
    files = [
        (file, inside, usage)
        for file in files_below(folder)
        if (usage := _usage_of(inside := file.relative_to(folder))) is not None
    ]
    if not files:
        raise DataError(
            f"{folder} holds neither fer2013.csv nor folders train/<emotion>, test/<emotion> with"
            " images; give the path of the csv or of the folder that holds train and test"
        )
    images, labels, usages, bad = [], [], [], {}
    for number, (file, inside, usage) in enumerate(files, start=1):
        try:
            label, image = _label_of(inside), _read_image(file)
        except _BadRow as reason:
            bad[number] = f"{inside.as_posix()!a}: {reason}"
        else:
            images.append(image)
            labels.append(label)
            usages.append(usage)
    return _rows(images, labels, usages, bad)


def images_elsewhere(folder: Path) -> list[str]:
    """Return the images of such folders that lie in none for training or a test."""
    inside = (file.relative_to(folder) for file in files_below(folder))
    images = (file for file in inside if file.suffix.lower() in IMAGE_SUFFIXES)
    return [ascii(file.as_posix())[1:-1] for file in images if _usage_of(file) is None]


def csv_inside(folder: Path) -> Path | None:
    """Return the csv, packed or not, that lies in a folder under one of its usual names."""
    names = [
        f"{stem}{packing}"
        for stem in ("fer2013.csv", "icml_face_data.csv", "fer2013", "fer2013.tar")
        for packing in ("", ".gz", ".xz", ".zip")
    ]
    return next((folder / name for name in names if (folder / name).is_file()), None)


@contextmanager
def open_csv(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open the csv behind whatever it is packed in."""
    with ExitStack() as opened:
        stream = whole = opened.enter_context(path.open("rb"))
        start = stream.peek(8)
        for magic, unpack in _PACKED.items():
            if start.startswith(magic):
                stream = whole = opened.enter_context(unpack(stream))
        if start.startswith(b"PK\x03\x04"):
            zipped = opened.enter_context(zipfile.ZipFile(path))
            stream = _first_csv((zipped.open(member) for member in zipped.infolist()), path)
        elif stream.peek(512)[257:262] == b"ustar":
            tarred = opened.enter_context(tarfile.open(fileobj=stream, mode="r|"))
            members = (tarred.extractfile(member) for member in tarred if member.isfile())
            stream = _first_csv(members, path)
        yield stream
        while whole.read(_BLOCK):  # to the end of the packed file, where its checksum is
            pass


def _first_csv(
    members: Iterable[zipfile.ZipExtFile | io.BufferedReader], path: Path
) -> io.BufferedIOBase:
    """Return the first member of an archive that has FER2013's columns."""
    for member in members:
        if set(_COLUMNS) <= set(_header(re.split(b"[\r\n]", member.peek(512))[0])):
            return member
    raise DataError(
        f"{path} holds no csv with the columns emotion, pixels and Usage; if it holds folders of"
        " images, unpack it and give the folder that holds train and test"
    )


def _header(line: bytes) -> list[str]:
    """Return the names of the columns, in lower case and without blanks around them."""
    try:
        names = next(csv.reader([line.decode("utf-8-sig", "replace").strip()]), [])
    except csv.Error:  # no text at all, a picture say
        return []
    return [name.strip().lower() for name in names]


def _lines(
    stream: io.BufferedIOBase, path: Path, start: bytes, end: bytes
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the lines of a stream, some megabytes at a time, with the number of their first."""
    rest, number = b"", 1
    for block in itertools.chain([start], iter(lambda: stream.read(_BLOCK), b"")):
        *lines, rest = (rest + block).split(end)
        if len(rest) > _LONGEST_LINE:
            raise DataError(f"{path} has a line of over {_LONGEST_LINE:,} bytes: not FER2013's csv")
        yield number, lines
        number += len(lines)
    yield number, [rest]


def _read_rows(stream: io.BufferedIOBase, path: Path) -> Rows:
    """Read every row of an open csv."""
    first_line, end, rows_read = stream.readline(1 << 16), b"\n", b""
    if b"\r" in first_line and b"\n" not in first_line:  # lines end as on an old Macintosh
        first_line, end, rows_read = first_line.partition(b"\r")
    header = _header(first_line)
    if any(header.count(name) != 1 for name in _COLUMNS):
        raise DataError(
            f"{path} must begin with a line that names the columns emotion, pixels and Usage, each"
            f" once; it begins with {', '.join(header)[:80]!r}"
        )
    places = [header.index(name) for name in _COLUMNS]
    images, labels, usages, bad = [], [], [], {}
    for first, lines in _lines(stream, path, rows_read, end):
        rows = []
        for number, line in enumerate(lines, start=first):
            try:
                rows.append(_split(number, line, len(header), places))
            except _BadRow as reason:
                bad[number] = str(reason)
        pixels = _quick([row.pixels for row in rows])
        if pixels is None:
            rows, pixels = _careful(rows, bad)
        images.append(pixels)
        labels += [row.label for row in rows]
        usages += [row.usage for row in rows]
    last = first + len(lines) - 1
    while bad.get(last) == _EMPTY:  # at the end of the file an empty line is no row
        del bad[last]
        last -= 1
    return _rows(np.concatenate(images), labels, usages, dict(sorted(bad.items())))


def _split(number: int, line: bytes, width: int, places: list[int]) -> _Row:
    """Return the three fields of one line."""
    line = line.rstrip(b"\r")
    fields = line.split(b",")
    if b'"' in line:
        try:
            texts = next(csv.reader([line.decode("latin-1")], strict=True))
        except csv.Error as error:
            raise _BadRow(f"quotes that do not match: {error}") from error
        fields = [text.encode("latin-1") for text in texts]
    if len(fields) != width:
        raise _BadRow(f"{len(fields)} fields, not {width}" if line.strip() else _EMPTY)
    emotion, pixels, usage = (fields[place] for place in places)
    label = _EMOTION_CODES.get(emotion.strip(b" \t"))
    if label is None:
        raise _BadRow(f"emotion is {_shown(emotion)}, not one of 0 to 6")
    part = _USAGE_CODES.get(usage.strip(b" \t").lower())
    if part is None:
        raise _BadRow(f"Usage is {_shown(usage)}, not one of {', '.join(USAGES)}")
    return _Row(number, label, part, pixels.strip(b" \t"))


def _quick(texts: list[bytes]) -> np.ndarray | None:
    """Return the pixels of rows, uint8 (n, 2304), or None if any row is out of the ordinary."""
    if not texts:
        return np.empty((0, PIXELS), np.uint8)
    text = np.frombuffer(b"   " + b" ".join(texts) + b" ", np.uint8)
    digits = text - np.uint8(ord("0"))  # anything but a digit becomes 10 or more
    gaps = np.flatnonzero(digits[3:] > 9)
    ends_of_rows = np.cumsum([len(row) + 1 for row in texts]) - 1
    if (
        len(gaps) != len(texts) * PIXELS
        or not np.array_equal(gaps[PIXELS - 1 :: PIXELS], ends_of_rows)
        or len(gaps) != np.count_nonzero(text[3:] == ord(" "))
    ):
        return None
    # The last three characters before each gap; those that belong to the number before are 0.
    ones, tens, hundreds = digits[2:][gaps], digits[1:][gaps], digits[gaps]
    two = tens <= 9
    three = two & (hundreds <= 9)
    tens *= two
    hundreds *= three
    below = ones + tens * np.uint8(10)
    values = below + hundreds * np.uint8(100)  # wraps above 255
    count = len(gaps) + np.count_nonzero(two) + np.count_nonzero(three)
    right = (
        ones.max() <= 9  # no gap follows a gap
        and count == len(text) - 3 - len(gaps)  # no number has a fourth digit
        and hundreds.max() <= 2
        and (values >= below).all()
    )
    return values.reshape(-1, PIXELS) if right else None


def _careful(rows: list[_Row], bad: dict[int, str]) -> tuple[list[_Row], np.ndarray]:
    """Return the rows that can be read and their pixels; note in ``bad`` what the others lack."""
    good, pixels = [], []
    for row in rows:
        numbers = [text for text in row.pixels.replace(b"\t", b" ").split(b" ") if text]
        wrong = [place for place, text in enumerate(numbers) if not _is_pixel(text)]
        if wrong:
            found = f"pixel {wrong[0] + 1} is {_shown(numbers[wrong[0]])}"
            bad[row.number] = f"{found}, not a whole number of 0 to 255"
        elif len(numbers) != PIXELS:
            bad[row.number] = f"{len(numbers)} pixels, not {PIXELS}"
        else:
            good.append(row)
            pixels.append([int(text) for text in numbers])
    return good, np.array(pixels, dtype=np.uint8).reshape(-1, PIXELS)


def _is_pixel(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 3 and int(text) <= 255


def _shown(text: bytes) -> str:
    """Return a value as an error shows it: quoted, and not all of it where it is long."""
    return repr(text.decode("utf-8", "replace").strip()[:20])


def _usage_of(inside: Path) -> int | None:
    """Return the code of the part that a file's place tells, None if it lies elsewhere."""
    for folder in inside.parts[:-1]:
        usage = _FOLDER_USAGES.get(folder.lower())
        prefix = inside.name.partition("_")[0].lower().encode()
        if usage == "PrivateTest" and prefix in _USAGE_CODES:
            return _USAGE_CODES[prefix]
        if usage:
            return USAGES.index(usage)
    return None


def _label_of(inside: Path) -> int:
    """Return the class code that the folder of an image names."""
    try:
        return emotions.EMOTIONS.index(emotions.canonical(inside.parent.name))
    except (DataError, ValueError) as error:
        raise _BadRow(f"folder {inside.parent.name!r} is no emotion") from error


def _read_image(file: Path) -> np.ndarray:
    try:
        image = open_image(file)
    except DataError as error:
        raise _BadRow("cannot be read as an image") from error
    if image.size != (SIDE, SIDE):
        raise _BadRow(f"{image.width} x {image.height} pixels, not {SIDE} x {SIDE}")
    return np.asarray(image.convert("L"))


def _rows(images: list | np.ndarray, labels: list, usages: list, bad: dict[int, str]) -> Rows:
    """Return rows as arrays of the right types, also where there are none."""
    return Rows(
        np.asarray(images, dtype=np.uint8).reshape(-1, SIDE, SIDE),
        np.array(labels, dtype=np.int8),
        np.array(usages, dtype=np.int8),
        bad,
    )
