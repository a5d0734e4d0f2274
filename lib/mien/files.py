"""Files: whole or not at all, listed without litter, known by their content."""

import hashlib
import os
import re
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import platformdirs

_LITTER = re.compile(
    r"\..*|(eh)?thumbs\.db|desktop\.ini|icon\r|picasa\.ini|zbthumbnail\.info"  # files
    r"|@eadir|#recycle|\$recycle\.bin|__macosx|lost\+found|system volume information",  # folders
    re.IGNORECASE | re.DOTALL,
)


def cache_dir() -> Path:
    """Return the folder for what can be computed again: ``MIEN_CACHE_DIR``, else the user's own."""
    chosen = os.environ.get("MIEN_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("mien"))


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file whole or not at all; folders above it are made.

    Hands out a temporary path in the same folder and with the same suffix, which the block writes;
    when it ends, the file takes the place of ``path``. When it raises, ``path`` stays what it was.
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


def write_all(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by their paths below a folder, each whole, none before all are on disk."""
    with ExitStack() as stack:
        for name, content in reversed(files.items()):  # renamed in their order
            data = content.encode() if isinstance(content, str) else content
            stack.enter_context(atomic_write(folder / name)).write_bytes(data)


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
    """Let ``write`` write a file below `cache_dir`, whole, or warn where that is not possible."""
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
    """List the files below a folder, sorted, without what is `hidden`; links are not followed."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not hidden(name)]
        found += [Path(where, name) for name in names if not hidden(name)]
    return sorted(found)


def files_within(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """List the visible files below a folder, through links inside it too, and what was not read."""
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


def content_hash(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes, or of the names and bytes of a folder's files.

    Of those that `files_below` lists; `OSError` where one cannot be read.
    """
    path = path.resolve(strict=True)
    if not path.is_dir():
        return _hash_of_file(path)
    digest = hashlib.sha256()
    for file in files_below(path):
        digest.update(f"{file.relative_to(path)!r} {_hash_of_file(file)}\n".encode())
    return digest.hexdigest()


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
