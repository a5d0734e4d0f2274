"""Run the chapters of a study in order, skip what is current, keep study.json."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import nbformat

from mien import profiles, provenance, report, results
from mien.chapter import MODELS, data_paths
from mien.errors import MienError, ParameterError
from mien.execute import Failure
from mien.fer2013 import load_fer2013
from mien.gaps import gaps, leave_out
from mien.study import CHAPTERS, ChapterPlan, Study
from mien.target import load_target

#: States of a chapter whose results are there as far as they can be.
FINISHED = ("done", "skipped")


class ChapterFailed(MienError):
    """A chapter of the study stopped with an error."""


class StudyBusy(MienError):
    """Another runner works on the same study."""


@dataclass(frozen=True)
class Event:
    """What the runner tells while it works.

    ``state`` is running, done, current, skipped (``reason`` says why) or failed.
    """

    plan: ChapterPlan
    state: str
    seconds: float = 0.0
    reason: str = ""
    following: ChapterPlan | None = None


@dataclass
class Record:
    """study.json of one study: what was asked, what it ran on, and the state of every part."""

    path: Path
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study) -> "Record":
        """Return the record of earlier runs of this study, or an empty one."""
        path = study.folder / "study.json"
        try:
            return cls(path, json.loads(path.read_text(encoding="utf-8"))["parts"])
        except (OSError, ValueError, KeyError):
            return cls(path)

    def write(self, study: Study, data: Mapping[str, str]) -> None:
        """Write study.json, whole or not at all."""
        results.write_json(
            self.path,
            {
                "name": study.name,
                "parameters": study.model_dump(),
                "command": study.command,
                "versions": provenance.versions(),
                "hardware": provenance.hardware(),
                "git": provenance.git_state(),
                "data": dict(data),
                "written": datetime.now(UTC).isoformat(timespec="seconds"),
                "parts": self.parts,
            },
        )


def check_data(study: Study) -> tuple[dict[str, str], dict[str, str]]:
    """Read the data of a study; return their fingerprints, and what is missing (`mien.gaps`).

    Raises
    ------
    DataError
        If the data cannot be read, or do not make a study.
    """
    fer2013, target = data_paths(study.fer2013, study.target, study.seed)
    found = {}
    if study.fer2013:
        crowd = load_fer2013(fer2013, skip_bad_rows=study.skip_bad_rows)
        found["fer2013"] = crowd.fingerprint
    person = load_target(target)
    return {**found, "target": person.fingerprint}, gaps(study, person)


def notebook_source(plan: ChapterPlan) -> Path:
    """Return the notebook of a chapter as it stands in the project."""
    return results.project_root() / "notebooks" / f"{plan.notebook}.ipynb"


def notebook_parameters(plan: ChapterPlan) -> list[str]:
    """Return the names in a chapter's parameters cell."""
    from papermill import inspect_notebook

    return list(inspect_notebook(str(notebook_source(plan))))


def run(
    study: Study,
    chapters: Sequence[ChapterPlan] = CHAPTERS,
    *,
    force: bool = False,
    tell: Callable[[Event], None] = lambda event: None,
    cell_seconds: int | None = None,
) -> Path:
    """Run chapters of a study in order, then render its pages.

    Parameters
    ----------
    study : Study
    chapters : sequence of ChapterPlan
        In the order in which to run them.
    force : bool
        Run chapters that are current, too.
    tell : callable
        Called with an `Event` whenever a chapter starts, ends, fails or is skipped.
    cell_seconds : int, optional
        Longest time that one cell may take.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    DataError
        If the data cannot be read; nothing has run then.
    StudyBusy
        If another runner works in the same folder.
    ChapterFailed
        If a chapter fails; the pages of earlier runs stay, failure.html shows the cell.
    """
    data, missing = check_data(study)
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(study.folder / ".lock", timeout=0)
        with lock:
            _run_chapters(study, chapters, data, missing, force, tell, cell_seconds)
            return report.render(study.folder)
    except filelock.Timeout:
        raise StudyBusy(f"another mien is running the study in {study.folder}") from None
    except PermissionError as error:
        raise ParameterError(f"results cannot be written: {error}") from None


def _run_chapters(
    study: Study,
    chapters: Sequence[ChapterPlan],
    data: Mapping[str, str],
    missing: Mapping[str, str],
    force: bool,
    tell: Callable[[Event], None],
    cell_seconds: int | None,
) -> None:
    record = Record.read(study)
    for position, plan in enumerate(chapters):
        following = chapters[position + 1] if position + 1 < len(chapters) else None
        fingerprint = chapter_fingerprint(study, plan, data, missing, record)
        if plan.part in missing:
            _skip(study, plan, missing)
            record.parts[plan.part] = {"state": "skipped", "reason": missing[plan.part]}
            record.parts[plan.part] |= {"seconds": 0.0, "fingerprint": fingerprint}
            record.write(study, data)
            tell(Event(plan, "skipped", reason=missing[plan.part], following=following))
            continue
        if not force and is_current(study, plan, fingerprint, record):
            tell(Event(plan, "current", record.parts[plan.part]["seconds"], following))
            continue
        tell(Event(plan, "running", following=following))
        record.parts[plan.part] = {"state": "running", "fingerprint": fingerprint}
        record.write(study, data)
        start = time.perf_counter()
        failure = _run_chapter(study, plan, missing, cell_seconds)
        seconds = round(time.perf_counter() - start, 1)
        state = "failed" if failure else "done"
        record.parts[plan.part] = {"state": state, "seconds": seconds, "fingerprint": fingerprint}
        record.write(study, data)
        tell(Event(plan, state, seconds, following))
        if failure:
            raise ChapterFailed(_failure_text(study, plan, failure))


def chapter_fingerprint(
    study: Study,
    plan: ChapterPlan,
    data: Mapping[str, str],
    missing: Mapping[str, str],
    record: Record,
) -> str:
    """Return the SHA-256 (hex) of everything that a chapter's results depend on."""
    source = json.loads(notebook_source(plan).read_text(encoding="utf-8"))
    parameters = study.model_dump(include=set(notebook_parameters(plan)) - {"out", "name"})
    ingredients = {
        "cells": [[cell["cell_type"], cell["source"]] for cell in source["cells"]],
        "library": provenance.library_fingerprint(),
        "parameters": parameters,
        "profile": profiles.PROFILES[study.profile],
        "data": dict(data),
        "missing": dict(missing),
        "versions": provenance.versions(),
        "reads": {part: record.parts.get(part, {}).get("fingerprint") for part in plan.reads},
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def is_current(study: Study, plan: ChapterPlan, fingerprint: str, record: Record) -> bool:
    """Return whether a chapter ran with just these ingredients and its results are there."""
    known = record.parts.get(plan.part, {})
    return (
        known.get("state") == "done"
        and known.get("fingerprint") == fingerprint
        and (results.part_folder(study.folder, plan.part) / "metrics.json").is_file()
        and results.notebook_path(study.folder, plan.notebook).is_file()
        and all(record.parts.get(part, {}).get("state") in FINISHED for part in plan.reads)
    )


def _skip(study: Study, plan: ChapterPlan, missing: Mapping[str, str]) -> None:
    target = results.notebook_path(study.folder, plan.notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(_cells_that_can_run(plan, missing), target)
    metrics = {"part": plan.part, "model": MODELS.get(plan.part), "scores": [], "seconds": {}}
    results.save(study.folder, plan.part, metrics | {"skipped": missing[plan.part]})


def _cells_that_can_run(plan: ChapterPlan, missing: Mapping[str, str]) -> nbformat.NotebookNode:
    return leave_out(nbformat.read(notebook_source(plan), as_version=4), plan.part, missing)


def _run_chapter(
    study: Study, plan: ChapterPlan, missing: Mapping[str, str], cell_seconds: int | None
) -> Failure | None:
    target = results.notebook_path(study.folder, plan.notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    running = target.with_name(f".{plan.notebook}.running.ipynb")
    nbformat.write(_cells_that_can_run(plan, missing), running)
    failed = target.with_name(f"{plan.notebook}.failed.ipynb")
    job = {
        "notebook": str(running),
        "output": str(running),
        "parameters": study.model_dump(include=set(notebook_parameters(plan))),
        "seconds": cell_seconds,
    }
    try:
        failure = _in_own_process(job)
        if failure is None:
            failed.unlink(missing_ok=True)
            running.replace(target)
        elif running.exists():
            running.replace(failed)
            if failure.cell:
                report.render_failure(study.folder, failed)
        return failure
    finally:
        running.unlink(missing_ok=True)


def _in_own_process(job: Mapping[str, Any]) -> Failure | None:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mien.execute"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    # Standard input stays open on purpose: that it closes tells the child that we are gone.
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    try:
        answer = process.stdout.readline()
        if answer:
            failure = json.loads(answer)["failure"]
            return Failure(**failure) if failure else None
        complaint = process.stderr.read().strip().splitlines()
        return Failure(0, "", "Died", complaint[-1] if complaint else "the process ended silently")
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def _failure_text(study: Study, plan: ChapterPlan, failure: Failure) -> str:
    place = f"cell {failure.cell}" if failure.cell else "before its first cell"
    cell = "\n".join(f"    {line}" for line in failure.source.rstrip().splitlines())
    page = study.folder / "failure.html"
    lines = [f"chapter {plan.part} ({plan.notebook}) stopped in {place}:"]
    lines += [cell, ""] if cell else []
    lines += [f"{failure.error}: {failure.message}"]
    lines += [f"the executed notebook is shown in {page}"] if page.exists() else []
    return "\n".join(lines)
