"""Files: remembered by content, written whole or not at all, tables of any make."""

import codecs
import csv
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import platformdirs

_LITTER = re.compile(
    r"\..*|(eh)?thumbs\.db|desktop\.ini|icon\r|picasa\.ini|zbthumbnail\.info"  # files
    r"|@eadir|#recycle|\$recycle\.bin|__macosx|lost\+found|system volume information",  # folders
    re.IGNORECASE | re.DOTALL,
)

#: A file changed this recently (seconds) is hashed anew: its time stamp may be too coarse to tell
#: a second change from the first (git's "racily clean" entries, git-scm.com/docs/racy-git).
_SETTLED = 2.0


def cache_dir() -> Path:
    """Return the folder for what can be computed again: ``MIEN_CACHE_DIR``, else the user's own.

    The folder need not exist, and deleting it loses nothing but time.

    Returns
    -------
    Path
        ``$MIEN_CACHE_DIR`` where that is set, else what ``platformdirs`` names for this system.
    """
    chosen = os.environ.get("MIEN_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("mien"))


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Hands out the path of a temporary file in the same folder and with the same suffix; when the
    block ends, that file is flushed to the disk and takes the place of ``path`` in one step. When
    the block raises, it is removed and ``path`` stays what it was.

    Parameters
    ----------
    path : str or Path
        The file to write; folders above it are made.

    Yields
    ------
    Path
        Where to write; the block must create this file.

    Examples
    --------
    >>> import tempfile
    >>> whole = Path(tempfile.mkdtemp()) / "figures.json"
    >>> with atomic_write(whole) as part:
    ...     _ = part.write_text("{}")
    >>> whole.read_text()
    '{}'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(6)}{path.suffix}")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``path`` only if the block ends well.

    Unless it shall ``replace``, a folder that another process has put there meanwhile stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o755)
    old = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        if replace and path.exists():
            path.rename(old)
        if replace or not path.exists():
            temporary.rename(path)
    except OSError:
        if replace or not path.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def keep(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file of the cache atomically, or warn and go on where that is not possible.

    Parameters
    ----------
    path : Path
        The file, below `cache_dir`.
    write : callable
        Called with the path of a temporary file, which it writes.
    """
    try:
        with atomic_write(path) as part:
            write(part)
    except OSError as error:
        warnings.warn(
            f"nothing could be kept in {path.parent} ({error.strerror or error}), so the next load"
            " will take as long as this one; set MIEN_CACHE_DIR to a folder that can be written",
            stacklevel=3,
        )


def files_below(folder: Path) -> list[Path]:
    """List the files of a folder and its subfolders, sorted, without what is `hidden`.

    Links to folders are not followed, so that a loop of links does no harm.
    """
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not hidden(name)]
        found += [Path(where, name) for name in names if not hidden(name)]
    return sorted(found)


def files_within(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """List the files of a folder and its subfolders, also through links that stay inside it.

    Returns
    -------
    list of Path
        Sorted, folder by folder, without what is `hidden`.
    dict of Path to str
        What was not followed or could not be listed, and why.
    """
    found: list[Path] = []
    unread: dict[Path, str] = {}

    def walk(place: Path, above: set[Path]) -> None:
        try:
            entries = sorted(entry for entry in place.iterdir() if not hidden(entry.name))
        except OSError as error:
            unread[place] = f"cannot be listed: {error.strerror}"
            return
        for entry in entries:
            if leads_out(entry, folder):
                unread[entry] = "is a link that leads out of the folder"
            elif not entry.is_dir():
                found.append(entry)
            elif entry.resolve() not in above:
                walk(entry, {*above, entry.resolve()})

    walk(folder, {folder.resolve()})
    return found, unread


def leads_out(path: Path, folder: Path) -> bool:
    """Return whether a path is, or passes, a link to what lies outside a folder, or to itself."""
    try:
        return not path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return True


def hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or what systems leave in folders of pictures."""
    return bool(_LITTER.fullmatch(name))


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


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of the names and bytes of a folder's files.

    The hash is remembered for the path, size, inode and time stamps, so that an untouched file is
    not read again. The price: a change that keeps all of these is not seen. No editor, copy or
    download does that; nor does ``touch -r``, for the time of the inode's own change counts too.

    Parameters
    ----------
    path : Path
        A file or folder; of a folder, the files that `files_below` lists.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    path = path.resolve(strict=True)
    files = files_below(path) if path.is_dir() else [path]
    stamp, newest = _stamp(files)
    memo = cache_dir() / "hashes" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    known = _remembered(memo, stamp)
    if known:
        return known
    content = _hash_of_folder(path, files) if path.is_dir() else _hash_of_file(path)
    if newest + _SETTLED < time.time() and _stamp(files)[0] == stamp:
        keep(memo, lambda part: part.write_text(json.dumps({"stamp": stamp, "hash": content})))
    return content


def _stamp(files: list[Path]) -> tuple[str, float]:
    """Return a hash of what the disk says about files, and their newest time stamp (seconds)."""
    digest, newest = hashlib.sha256(), 0.0
    for file in files:
        facts = file.stat()
        known = (facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
        digest.update(os.fsencode(file) + repr(known).encode())
        newest = max(newest, facts.st_mtime, facts.st_ctime)
    return digest.hexdigest(), newest


def _remembered(memo: Path, stamp: str) -> str | None:
    """Return the remembered hash if it was taken of files with this stamp."""
    try:
        known = json.loads(memo.read_text())
        return known["hash"] if known["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hash_of_folder(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder)!r} {_hash_of_file(file)}\n".encode())
    return digest.hexdigest()


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
        found = self._by_name.get(name) or self._by_stem.get(name) or self._by_stem.get(stem, [])
        if not found and stem.isdecimal() and name in (stem, f"{stem}.0"):  # as Excel writes 007
            found = self._by_number.get(int(stem), [])
        if len(found) > 1:
            shared = [_common_end(self._paths[number][:-1], folders) for number in found]
            found = [n for n, common in zip(found, shared, strict=True) if common == max(shared)]
        return found

    def frames_of(self, text: str) -> dict[int, int]:
        """Return the pictures that are frames of a video, ``<video>_<frame>``, by frame."""
        name = _parts(text)[-1]
        pattern = "|".join(re.escape(stem) for stem in {name, _stem(name)} if stem)
        frame = re.compile(rf"(?:{pattern})[\W_]*(?:frame)?[\W_]*([0-9]+)")
        matches = [(frame.fullmatch(_stem(path[-1])), n) for n, path in enumerate(self._paths)]
        return {int(match[1]): number for match, number in matches if pattern and match}

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
