"""Which of mien's own files a piece of code needs, found by reading it, not by running it."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent

#: Rooms that change no number by themselves. The settings of a profile are compared by value and
#: drawn faces by content (`mien.freshness`); where a result comes from is told beside it.
_SILENT = {"profiles", "demo", "provenance"}


class _File(NamedTuple):
    digest: str
    needs: frozenset[str]
    texts: frozenset[str]


def needed(code: str) -> dict[str, str]:
    """Return the files of the package that Python code needs, directly or through other files.

    Imports are followed wherever they stand, also within functions. A folder of the package
    (``weights``, ``templates``) is needed where some needed module has its name as a text. An
    import whose name is made up while running is not seen.

    Parameters
    ----------
    code : str
        Python; lines that begin with ``%`` or ``!`` are left out. Of code that cannot be read,
        every module is needed.

    Returns
    -------
    dict of str to str
        Path below the package, and 16 hexadecimal digits of the SHA-256 of the file's bytes.

    Examples
    --------
    >>> sorted(needed("from mien.calibration import fit_temperature"))
    ['__init__.py', 'calibration.py', 'errors.py']
    """
    modules = _modules(code)
    found = {f"{name}.py": _module(name).digest for name in sorted(modules)}
    texts = frozenset().union(*(_module(name).texts for name in modules))
    for folder in sorted(path for path in PACKAGE.iterdir() if path.is_dir()):
        if folder.name in texts:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                found[path.relative_to(PACKAGE).as_posix()] = _digest(path.read_bytes())
    return found


def texts(code: str) -> frozenset[str]:
    """Return every text literal in Python code and in the modules of mien that it needs."""
    return _read(code)[1].union(*(_module(name).texts for name in _modules(code)))


def _modules(code: str) -> set[str]:
    found, waiting = {"__init__"}, set(_read(code)[0]) - _SILENT
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _module(name).needs - found - _SILENT
    return found


@cache
def _module(name: str) -> _File:
    source = (PACKAGE / f"{name}.py").read_bytes()
    return _File(_digest(source), *_read(source.decode()))


@cache
def _read(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the modules of mien that code imports itself, and its text literals."""
    lines = code.splitlines()
    try:
        tree = ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines))
    except SyntaxError:
        return frozenset(path.stem for path in PACKAGE.glob("*.py")), frozenset()
    nodes = list(ast.walk(tree))
    dotted = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            stem = "mien." * bool(node.level) + (node.module or "")
            dotted |= {f"{stem}.{alias.name}".replace("..", ".") for alias in node.names}
    parts = [name.split(".") for name in dotted]
    names = {part[1] for part in parts if part[0] == "mien" and len(part) > 1}
    literals = (node.value for node in nodes if isinstance(node, ast.Constant))
    return (
        frozenset(name for name in names if (PACKAGE / f"{name}.py").is_file()),
        frozenset(value for value in literals if isinstance(value, str)),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
