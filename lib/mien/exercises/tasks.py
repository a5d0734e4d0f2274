"""The chapters as exercises, or as solutions, by ``exercises.toml``, which lies beside them.

The cells carry nbgrader's metadata (schema 3), so that nbgrader can release and mark them.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from mien import project
from mien.errors import DataError


def write(folder: Path, *, solved: bool, force: bool = False) -> Path:
    """Write the chapters as exercises, or as their solutions, below a folder; return where.

    `ParameterError` if files there were changed, unless by ``force``; `DataError` if a chapter
    lacks what ``exercises.toml`` names.
    """
    table, files = project.notebook_source("exercises", ".toml"), {}
    try:
        for name, exercises in tomllib.loads(table.read_text(encoding="utf-8")).items():
            notebook = nbformat.read(project.notebook_source(name), as_version=4)
            for exercise in exercises:
                _set(notebook, exercise, name, solved=solved)
            files[Path(f"{name}.ipynb")] = nbformat.writes(notebook).encode("utf-8") + b"\n"
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{table} or a chapter that it names cannot be read: {error}") from None
    target = folder / ("solutions" if solved else "exercises")
    return project.write_copies(target, files, force=force)


def _set(notebook: NotebookNode, exercise: Mapping[str, Any], name: str, *, solved: bool) -> None:
    """Put one exercise in the place of the cell that solves it; one in words stands before it."""
    ids = [cell.id for cell in notebook.cells]
    if exercise["cell"] not in ids:
        raise DataError(f"{name}.ipynb has no cell {exercise['cell']}, which exercises.toml names")
    at = ids.index(exercise["cell"])
    cell, points = notebook.cells[at], exercise["points"]
    task = _cell("markdown", exercise["task"], f"{cell.id}-task", cell, locked=True)
    if "answer" in exercise:
        words = exercise["answer"] if solved else "YOUR ANSWER HERE"  # as nbgrader has it
        given = {"grade": True, "solution": True, "points": points}
        written = _cell("markdown", words, f"{cell.id}-answer", cell, **given)
        notebook.cells[at:at] = [task, written]
        return
    code = _solution(cell.source, exercise, solved=solved)
    given = {"grade": True, "locked": True, "points": points}
    source = f"from mien.exercises import checks\n\n{exercise['check'].strip()}"
    notebook.cells[at : at + 1] = [
        task,
        _cell("code", code, cell.id, cell, solution=True),
        _cell("code", source, f"{cell.id}-check", cell, **given),
    ]


def _solution(source: str, exercise: Mapping[str, Any], *, solved: bool) -> str:
    """Return a cell with its lines from ``from`` to before ``until`` as a solution, or a stub."""
    start, until = exercise["from"], exercise.get("until", "")
    end = rf"(?=\n *{re.escape(until)})" if until else r"\Z"
    found = re.search(rf"^( *){re.escape(start)}.*?{end}", source, re.MULTILINE | re.DOTALL)
    if not found:
        raise DataError(
            f"cell {exercise['cell']} has no lines from {start!r} until {until!r}, which "
            "exercises.toml names"
        )
    own = ["### BEGIN SOLUTION", found[0].removeprefix(found[1]), "### END SOLUTION"]
    stub = ["# YOUR CODE HERE", "raise NotImplementedError()"]  # as nbgrader has it
    written = "\n".join(found[1] + line for line in (own if solved else stub))
    return source[: found.start()] + written + source[found.end() :]


def _cell(kind: str, source: str, grade_id: str, like: NotebookNode, **flags: Any) -> NotebookNode:
    """Return a cell with nbgrader's metadata; it is left out of a study with the cell ``like``."""
    made = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    plain = {"grade": False, "solution": False, "locked": False, "task": False}
    told = {"schema_version": 3, "grade_id": grade_id, **plain, **flags}
    return made(source.strip("\n"), id=grade_id, metadata={**like.metadata, "nbgrader": told})
