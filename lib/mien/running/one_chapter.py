"""Compute one chapter of a study, or leave it out, and put its notebook where it belongs."""

import copy
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from mien import project
from mien.models import name_of
from mien.running import pages
from mien.running.execution import Children, Failure
from mien.study import results
from mien.study.data_check import TAG
from mien.study.parameters import ChapterPlan, Study


def compute(
    study: Study,
    plan: ChapterPlan,
    missing: Mapping[str, str],
    children: Children,
    *,
    environment: Mapping[str, str],
    minutes: float | None,
) -> Failure | None:
    """Execute a chapter's notebook; its results appear whole or stay what they were.

    Without what is ``missing`` (`mien.study.data_check`), for at most so many ``minutes``. Of a
    failed one the notebook stays as ``<name>.failed.ipynb``, and failure.html shows it.
    """
    target = results.notebook_path(study.folder, plan.notebook)
    running = target.with_name(f".{plan.notebook}.running.ipynb")
    failed = target.with_name(f"{plan.notebook}.failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        nbformat.write(_cells_that_can_run(plan, missing), running)
        job = {
            "notebook": str(running),
            "parameters": study.model_dump(include=plan.takes),
            "lock": str(study.folder / f".{plan.part}.lock"),
        }
        failure = children.execute(job, environment, minutes)
        if failure is None:
            failed.unlink(missing_ok=True)
            running.replace(target)
        elif failure.cell:
            running.replace(failed)
            pages.render_failure(study.folder, failed)
        return failure
    finally:
        running.unlink(missing_ok=True)


def leave_chapter_out(study: Study, plan: ChapterPlan, missing: Mapping[str, str]) -> None:
    """Write the notebook and the results of a chapter that cannot be computed."""
    target = results.notebook_path(study.folder, plan.notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(_cells_that_can_run(plan, missing), target)
    metrics = {
        "part": plan.part,
        "model": name_of(plan.part, study.designed or "openface"),
        "scores": [],
        "seconds": {},
    }
    results.save(study.folder, plan.part, metrics | {"skipped": missing[plan.part]})


def failure_text(folder: Path, plan: ChapterPlan, failure: Failure) -> str:
    """Return what to say at the terminal of a failed chapter."""
    title = f"chapter {plan.part} ({plan.notebook})"
    if not failure.cell:
        return f"{title} stopped: {failure.message}"
    cell = "\n".join(f"    {line}" for line in failure.source.rstrip().splitlines())
    return (
        f"{title} stopped in cell {failure.cell}:\n{cell}\n\n{failure.error}: {failure.message}\n"
        f"the executed notebook is shown in {folder / pages.FAILURE}"
    )


def _cells_that_can_run(plan: ChapterPlan, missing: Mapping[str, str]) -> NotebookNode:
    source = nbformat.read(project.notebook_source(plan.notebook), as_version=4)
    return leave_out(source, plan.part, missing)


def leave_out(notebook: NotebookNode, part: str, missing: Mapping[str, str]) -> NotebookNode:
    """Return the notebook of a chapter without what is ``missing``, each time with the reason.

    Of a ``part`` that is itself missing its title stays.
    """
    kept = copy.copy(notebook)
    if part in missing:
        kept.cells = [notebook.cells[0], _note(missing[part], part, "This chapter is left out")]
        return kept
    kept.cells, told = [], set()
    for cell in notebook.cells:
        gap = next((gap for gap in missing if TAG + gap in cell.metadata.get("tags", [])), None)
        if gap is None:
            kept.cells.append(cell)
        elif gap not in told:
            told.add(gap)
            kept.cells.append(_note(missing[gap], gap, "Some of this chapter is left out"))
    return kept


def _note(reason: str, gap: str, what: str) -> NotebookNode:
    return new_markdown_cell(f"*{what}: {reason}.*", id=f"without-{gap}")
