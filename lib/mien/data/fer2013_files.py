"""The layouts that FER2013 comes in: a csv, packed or not, and folders of images."""

import bz2
import csv
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
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
_LABELS = {str(code): code for code in range(len(emotions.EMOTIONS))}
_USAGES = {usage.lower(): code for code, usage in enumerate(USAGES)}
_PIXEL = re.compile("0*(?:[01]?[0-9]{1,2}|2[0-4][0-9]|25[0-5])")
_PACKED = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open, b"BZh": bz2.open}

_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,  # zipfile's word for a packing that it does not know
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)

#: Names of the folders of each part.
_FOLDERS = {
    "Training": ("train", "training"),
    "PublicTest": ("validation", "valid", "val", "publictest"),
    "PrivateTest": ("test", "privatetest"),
}
_EMPTY = "empty line"


class Rows(NamedTuple):
    """All rows of FER2013: the good ones as arrays, of the bad ones what is wrong."""

    images: np.ndarray  # uint8 (n, 48, 48)
    labels: np.ndarray  # int8 (n,)
    usages: np.ndarray  # int8 (n,), indices into USAGES
    bad: np.ndarray  # int (m,), numbers of the bad rows, counted from 1
    reasons: np.ndarray  # str (m,)


#: Label, usage and pixels of a row, or what is wrong with it.
_Row = tuple[int, int, np.ndarray] | str


def read_csv(path: Path) -> Rows:
    """Read every row of FER2013's csv.

    As it is, packed with gzip, xz or bzip2, or inside a tar or zip (the first member that has the
    columns); its content tells, not its name. Columns ``emotion``, ``pixels`` and ``Usage`` in any
    order. `DataError` if the file is damaged or holds no such csv.
    """
    try:
        with open_csv(path) as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", "replace")
            header = _header(text.readline(1 << 16))
            if any(header.count(name) != 1 for name in _COLUMNS):
                raise DataError(
                    f"{path} must begin with a line that names the columns emotion, pixels and"
                    f" Usage, each once; it begins with {', '.join(header)[:80]!r}"
                )
            places = [header.index(name) for name in _COLUMNS]
            return _gathered(_row(line.rstrip("\n"), len(header), places) for line in text)
    except _DAMAGE as error:
        raise DataError(
            f"{path} cannot be read, it may be damaged or cut off: {error or type(error).__name__}"
        ) from error


def read_folder(folder: Path) -> Rows:
    """Read FER2013 from folders of images: ``train/<emotion>/*.jpg``, ``test/…``, ``validation/…``.

    The folder tells the part (`_FOLDERS`); in ``test``, a file name that begins with
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
    return _gathered(_image_row(*file) for file in files)


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
            tarred = opened.enter_context(tarfile.open(fileobj=stream, mode="r:"))
            members = (tarred.extractfile(member) for member in tarred if member.isfile())
            stream = _first_csv(members, path)
        yield stream
        while whole.read(1 << 20):  # to the end of the packed file, where its checksum is
            pass


def _first_csv(
    members: Iterable[zipfile.ZipExtFile | io.BufferedReader], path: Path
) -> io.BufferedIOBase:
    """Return the first member of an archive that has FER2013's columns."""
    for member in members:
        start = member.peek(512).decode("utf-8-sig", "replace")
        if set(_COLUMNS) <= set(_header(re.split("[\r\n]", start)[0])):
            return member
    raise DataError(
        f"{path} holds no csv with the columns emotion, pixels and Usage; if it holds folders of"
        " images, unpack it and give the folder that holds train and test"
    )


def _header(line: str) -> list[str]:
    """Return the names of the columns, in lower case and without blanks around them."""
    try:
        names = next(csv.reader([line.strip()]), [])
    except csv.Error:  # no text at all, a picture say
        return []
    return [name.strip().lower() for name in names]


def _gathered(rows: Iterable[_Row]) -> Rows:
    """Return rows as arrays; empty ones at the end are none."""
    good, bad = [], {}
    for number, row in enumerate(rows, start=1):
        if isinstance(row, str):
            bad[number] = row
        else:
            good.append(row)
    while bad.get(len(good) + len(bad)) == _EMPTY:
        bad.popitem()
    labels, usages, images = zip(*good, strict=True) if good else ((), (), ())
    return Rows(
        np.array(images, np.uint8).reshape(-1, SIDE, SIDE),
        np.array(labels, np.int8),
        np.array(usages, np.int8),
        np.array(list(bad), int),
        np.array(list(bad.values()), str),
    )


def _row(line: str, width: int, places: Sequence[int]) -> _Row:
    """Read one line of the csv."""
    fields = line.split(",")
    if '"' in line:
        try:
            fields = next(csv.reader([line], strict=True))
        except csv.Error as error:
            return f"quotes that do not match: {error}"
    if len(fields) != width:
        return f"{len(fields)} fields, not {width}" if line.strip() else _EMPTY
    emotion, pixels, usage = (fields[place].strip(" \t") for place in places)
    if emotion not in _LABELS:
        return f"emotion is {emotion[:20]!r}, not one of 0 to 6"
    if usage.lower() not in _USAGES:
        return f"Usage is {usage[:20]!r}, not one of {', '.join(USAGES)}"
    if not pixels.encode().translate(None, b"0123456789 \t"):
        values = np.fromstring(pixels, np.int64, sep=" ")
        if len(values) == PIXELS and values.max() <= 255:
            return _LABELS[emotion], _USAGES[usage.lower()], values.astype(np.uint8)
    found = re.findall("[^ \t]+", pixels)
    for number, text in enumerate(found, start=1):
        if not _PIXEL.fullmatch(text):
            return f"pixel {number} is {text[:20]!r}, not a whole number of 0 to 255"
    return f"{len(found)} pixels, not {PIXELS}"


def _image_row(file: Path, inside: Path, usage: int) -> _Row:
    """Read one image, whose folder names its emotion."""
    place, folder = ascii(inside.as_posix()), inside.parent.name
    try:
        label = emotions.index(folder)
    except (DataError, ValueError):
        return f"{place}: folder {folder!r} is no emotion"
    try:
        image = open_image(file)
    except DataError:
        return f"{place}: cannot be read as an image"
    if image.size != (SIDE, SIDE):
        return f"{place}: {image.width} x {image.height} pixels, not {SIDE} x {SIDE}"
    return label, usage, np.asarray(image.convert("L"))


def _usage_of(inside: Path) -> int | None:
    """Return the code of the part that a file's place tells, None if it lies elsewhere."""
    told = inside.name.partition("_")[0].lower()
    for folder in inside.parts[:-1]:
        for usage, names in _FOLDERS.items():
            if folder.lower() in names:
                return _USAGES.get(told if usage == "PrivateTest" else "", USAGES.index(usage))
    return None
