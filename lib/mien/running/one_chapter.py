"""Compute one chapter of a study, or leave it out, and put its notebook where it belongs."""

from collections.abc import Mapping
from pathlib import Path

import nbformat

from mien.models import name_of
from mien.running import pages
from mien.running.execution import Children, Failure
from mien.running.staleness import Source
from mien.study import results
from mien.study.chapter import leave_out
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

    Parameters
    ----------
    study, plan
    missing : mapping
        What the study must do without (`mien.study.chapter`).
    children : Children
        Where its process belongs.
    environment : mapping
        Variables for its kernel.
    minutes : float or None
        Longest time that it may take.

    Returns
    -------
    Failure or None
        Of a failed one the notebook stays as ``<name>.failed.ipynb``, and failure.html shows it.
    """
    target = results.notebook_path(study.folder, plan.notebook)
    running = target.with_name(f".{plan.notebook}.running.ipynb")
    failed = target.with_name(f"{plan.notebook}.failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        nbformat.write(_cells_that_can_run(plan, missing), running)
        job = {
            "notebook": str(running),
            "parameters": study.model_dump(include=set(Source.of(plan).parameters)),
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
    metrics = {"part": plan.part, "model": name_of(plan.part), "scores": [], "seconds": {}}
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


def _cells_that_can_run(plan: ChapterPlan, missing: Mapping[str, str]) -> nbformat.NotebookNode:
    source = nbformat.read(results.notebook_source(plan.notebook), as_version=4)
    return leave_out(source, plan.part, dict(missing))
