"""The house: imports go downward only, folders stay small, and every folder says what it holds."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "lib" / "mien"

#: What the rooms of a folder may import, beside the root's rooms and each other.
MAY_IMPORT = {
    "data": set(),
    "photos": {"data"},
    "evaluation": set(),
    "synthetic": {"data"},
    "designed": {"data", "evaluation"},
    "network": {"data", "photos", "evaluation"},
    "report": {"evaluation"},
    "study": {"data", "photos", "evaluation", "synthetic", "designed", "network", "report"},
    "exercises": {"network"},
    "running": {"data", "network", "report", "study"},
    "labelling": {"data", "evaluation", "report", "study", "synthetic"},
    "sweep": {"evaluation", "report", "study", "running"},
}
ROOT_ROOMS = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "cli"}


def imported(room: Path) -> set[str]:
    """Return the folders of mien that a room imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mien":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "mien" and len(name) > 1}
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_go_downward_only(folder):
    allowed = MAY_IMPORT[folder] | ROOT_ROOMS | {folder}
    upward = {
        f"{room.name} imports {name}"
        for room in (PACKAGE / folder).glob("*.py")
        for name in imported(room) - allowed
    }
    assert not upward


def test_root_rooms_import_no_folder():
    for room in ROOT_ROOMS:
        assert imported(PACKAGE / f"{room}.py") <= ROOT_ROOMS, room


def test_a_folder_holds_at_most_eight_rooms_and_says_what():
    folders = {path.parent for path in PACKAGE.glob("*/*.py")}
    assert {folder.name for folder in folders} == set(MAY_IMPORT)
    for folder in folders:
        assert len(list(folder.glob("*.py"))) - 1 <= 8, folder.name
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder.name


def test_a_test_lies_in_the_folder_that_it_guards():
    tests = Path(__file__).parent
    folders = {path.parent.name for path in tests.glob("*/test_*.py")}
    assert folders <= {*MAY_IMPORT, "leaks", "mutants", "notebooks"}
