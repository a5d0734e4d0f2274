"""Which of mien's own files a piece of code needs, found by reading it, not by running it."""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent

#: Rooms that change no number by themselves. The settings of a profile are compared by value and
#: drawn faces by content (`mien.freshness`); where a result comes from is told beside it.
_SILENT = {"profiles", "demo", "provenance"}


class _File(NamedTuple):
    """What a file says: its hash, what it imports (by the function that does, "" for the rest),
    the names that it uses, its texts, and those of them that follow a ``/``, as in a path."""

    digest: str
    imports: Mapping[str, frozenset[str]]
    names: frozenset[str]
    texts: frozenset[str]
    paths: frozenset[str]


def needed(code: str) -> dict[str, str]:
    """Return the files of the package that Python code needs, directly or through other files.

    Imports are followed wherever they stand; one within a function counts where the function is
    named somewhere. A folder of the package (``weights``, ``templates``) is needed where some
    needed module joins its name to a path. An import whose name is made up while running is not
    seen.

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
    paths = frozenset().union(*(_module(name).paths for name in modules))
    for folder in sorted(path for path in PACKAGE.iterdir() if path.is_dir()):
        if folder.name in paths:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                found[path.relative_to(PACKAGE).as_posix()] = _digest(path.read_bytes())
    return found


def texts(code: str) -> frozenset[str]:
    """Return every text literal in Python code and in the modules of mien that it needs."""
    return _read(code).texts.union(*(_module(name).texts for name in _modules(code)))


def _modules(code: str) -> set[str]:
    files = {"": _read(code), "__init__": _module("__init__")}
    while True:
        used = frozenset().union(*(file.names for file in files.values())) | {""}
        needs = {
            name
            for file in files.values()
            for function, names in file.imports.items()
            if function in used
            for name in names - _SILENT
        }
        if needs <= files.keys():
            return files.keys() - {""}
        files |= {name: _module(name) for name in needs}


@cache
def _module(name: str) -> _File:
    return _read((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))


@cache
def _read(code: str) -> _File:
    lines = code.splitlines()
    try:
        tree = ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines))
    except SyntaxError:
        everything = frozenset(path.stem for path in PACKAGE.glob("*.py"))
        return _File(_digest(code.encode()), {"": everything}, *[frozenset()] * 3)
    nodes = list(ast.walk(tree))
    names = {getattr(node, "id", None) or getattr(node, "attr", None) for node in nodes}
    joined = (
        node.right for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    )
    return _File(
        _digest(code.encode()),
        _imports(tree),
        frozenset(names - {None}),
        _texts(nodes),
        _texts(joined),
    )


def _texts(nodes: Iterable[ast.AST]) -> frozenset[str]:
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    return frozenset(value for value in values if isinstance(value, str))


def _imports(tree: ast.Module) -> dict[str, frozenset[str]]:
    """Return the modules of mien that code imports, by the name of the function that does."""
    found: dict[str, set[str]] = {}
    todo: list[tuple[ast.AST, str]] = [(tree, "")]
    while todo:
        node, function = todo.pop()
        if isinstance(node, ast.FunctionDef) and not function and not node.name.startswith("__"):
            function = node.name
        dotted = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            stem = ".".join(["mien"] * bool(node.level) + [node.module] * bool(node.module))
            dotted = [f"{stem}.{alias.name}" for alias in node.names]
        parts = [name.split(".") for name in dotted]
        ours = {part[1] for part in parts if part[0] == "mien" and len(part) > 1}
        ours = {name for name in ours if (PACKAGE / f"{name}.py").is_file()}
        found.setdefault(function, set()).update(ours)
        todo += [(child, function) for child in ast.iter_child_nodes(node)]
    return {function: frozenset(names) for function, names in found.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
