"""Which image files a command line names: files, folders, globs."""

import glob
from collections.abc import Iterable
from pathlib import Path

from mien.errors import DataError
from mien.prose import printable
from mien.target import IMAGE_SUFFIXES


def find_images(names: Iterable[str | Path]) -> list[Path]:
    """List the images that files, folders and globs name, each once, in the order given.

    Parameters
    ----------
    names : iterable of str or path
        A file counts whatever its ending; of a folder, and of a folder that a glob names, every
        image below it by the endings of `mien.target.IMAGE_SUFFIXES`, sorted, without what is
        hidden. In a glob, ``**`` stands for any folders.

    Raises
    ------
    DataError
        If a name leads to no image.

    Examples
    --------
    >>> find_images(["nowhere/*.jpg"])
    Traceback (most recent call last):
        ...
    mien.errors.DataError: nothing is called nowhere/*.jpg
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        matches = [path] if path.exists() else map(Path, sorted(_globbed(path)))
        matches = [match for match in matches if match.is_dir() or match == path or _shown(match)]
        if not matches:
            raise DataError(f"nothing is called {printable(name)}")
        images = [image for match in matches for image in _images_at(match)]
        if not images:
            endings = ", ".join(IMAGE_SUFFIXES)
            raise DataError(f"{printable(name)} holds no image ({endings})")
        found |= dict.fromkeys(images)
    return list(found)


def _globbed(path: Path) -> list[str]:
    return glob.glob(str(path), recursive=True)  # noqa: PTH207 - absolute patterns, too


def _images_at(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(path for path in place.rglob("*") if path.is_file() and _shown(path, place))


def _shown(path: Path, below: Path | None = None) -> bool:
    """Return whether a file is an image by its ending, and neither it nor its folder is hidden."""
    parts = path.relative_to(below).parts if below else (path.name,)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(p.startswith(".") for p in parts)
