"""Compute one chapter of a study, or leave it out, and put its notebook where it belongs."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from mien import project
from mien.models import name_of
from mien.running import execution, pages
from mien.running.record import now, outcome
from mien.study import provenance, results
from mien.study.data_check import TAG
from mien.study.parameters import ChapterPlan, Study


def compute(
    study: Study,
    plan: ChapterPlan,
    missing: Mapping[str, str],
    *,
    threads: int,
    minutes: float | None,
    stopping: threading.Event,
) -> dict[str, Any] | execution.Failure:
    """Execute a chapter's notebook; its results appear whole or stay what they were.

    Without what is ``missing`` (`mien.study.data_check`), for at most so many ``minutes``, until
    somebody is ``stopping``. Return what its record tells, or why it failed: then the notebook
    stays as ``<name>.failed.ipynb``, and failure.html shows it.
    """
    target = results.notebook_path(study.folder, plan.notebook)
    running = target.with_name(f".{plan.notebook}.running.ipynb")
    failed = target.with_name(f"{plan.notebook}.failed.ipynb")
    job = {
        "notebook": str(running),
        "parameters": study.model_dump(include=plan.takes),
        "lock": str(study.folder / f".{plan.part}.lock"),
    }
    environment = provenance.thread_variables(threads) | {results.RUN: str(study.folder.resolve())}
    start = time.perf_counter()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(_cells_that_can_run(plan, missing), running)
        if failure := execution.in_child(job, environment, minutes, stopping):
            if failure.cell:
                running.replace(failed)
                pages.render_failure(study.folder, failed)
            return failure
        failed.unlink(missing_ok=True)
        running.replace(target)
    finally:
        running.unlink(missing_ok=True)
    told = results.load_metrics(study.folder, plan.part).get("provenance", {})
    return {
        "state": "done",
        "seconds": round(time.perf_counter() - start, 1),
        "threads": threads,
        "finished": now(),
        "outcome": outcome(study.folder, plan.part),
        **{name: told[name] for name in ("git", "hardware") if name in told},
    }


def leave_chapter_out(study: Study, plan: ChapterPlan, missing: Mapping[str, str]) -> None:
    """Write the notebook and the results of a chapter that cannot be computed."""
    target = results.notebook_path(study.folder, plan.notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(_cells_that_can_run(plan, missing), target)
    model = name_of(plan.part, study.designed or "openface")
    metrics = {"part": plan.part, "model": model, "scores": [], "seconds": {}}
    results.save(study.folder, plan.part, metrics | {"skipped": missing[plan.part]})


def failure_text(folder: Path, plan: ChapterPlan, failure: execution.Failure) -> str:
    """Return what to say at the terminal of a failed chapter."""
    title = f"chapter {plan.part} ({plan.notebook})"
    if not failure.cell:
        return f"{title} stopped: {failure.message}"
    cell = "\n".join(f"    {line}" for line in failure.source.rstrip().splitlines())
    return (
        f"{title} stopped in cell {failure.cell}:\n{cell}\n\n{failure.message}\n"
        f"the executed notebook is shown in {folder / pages.FAILURE}"
    )


def _cells_that_can_run(plan: ChapterPlan, missing: Mapping[str, str]) -> NotebookNode:
    source = nbformat.read(project.notebook_source(plan.notebook), as_version=4)
    return leave_out(source, plan.part, missing)


def leave_out(notebook: NotebookNode, part: str, missing: Mapping[str, str]) -> NotebookNode:
    """Return the notebook of a chapter without what is ``missing``, each time with the reason.

    Of a ``part`` that is itself missing its title stays.
    """
    title, *others = notebook.cells
    what = "This chapter" if part in missing else "Some of this chapter"
    cells = {title.id: title}
    for cell in others:
        tags = cell.metadata.get("tags", [])
        gaps = [part] if part in missing else [gap for gap in missing if TAG + gap in tags]
        if gaps:
            note = f"*{what} is left out: {missing[gaps[0]]}.*"
            cell = new_markdown_cell(note, id=f"without-{gaps[0]}")
        cells.setdefault(cell.id, cell)
    return NotebookNode({**notebook, "cells": list(cells.values())})
