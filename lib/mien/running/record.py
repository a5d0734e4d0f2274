"""study.json: how every chapter stands and why it would run again; chapters that studies share."""

import csv
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mien.errors import DataError
from mien.files import atomic_write, whole_folder
from mien.running.staleness import changes, ingredients
from mien.study import provenance, results
from mien.study.parameters import CHAPTERS, ChapterPlan, Study

if TYPE_CHECKING:
    from mien.study.data_check import StudyData

#: What differs from run to run though the numbers are the same.
_PASSING = ("seconds", "provenance")


#: Said of results on disk that are not the recorded ones.
CHANGED = "its results were changed since it ran"

#: States of a chapter whose results are there as far as they can be.
FINISHED = ("done", "skipped")


@dataclass
class Record:
    """study.json of one study.

    ``parts`` has by part: ``state`` (running, done, failed, skipped), ``fingerprint`` and
    ``ingredients`` of its results (`mien.running.staleness`), ``outcome``, ``seconds``,
    ``threads``, ``git``, ``hardware``, ``finished``, ``from_store``. ``data`` are fingerprints of
    the data. ``pages`` has ``shows``, a fingerprint of what the pages were rendered from, and
    ``open``, the name of the first one.
    """

    path: Path
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study) -> "Record":
        """Return the record of earlier runs of this study, or an empty one."""
        path = study.folder / "study.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(known["parts"]), dict(known["data"]), dict(known["pages"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def outcomes(self) -> dict[str, str | None]:
        """Return the outcome of every part that has one."""
        return {part: known.get("outcome") for part, known in self.parts.items()}

    def is_current(self, study: Study, plan: ChapterPlan) -> bool:
        """Return whether the results of a chapter are those of its run, and all that it reads."""
        return self.lacks(study, plan) is None and all(
            self.parts.get(part, {}).get("state") in FINISHED for part in plan.reads
        )

    def lacks(self, study: Study, plan: ChapterPlan) -> str | None:
        """Return in words what is wrong with a chapter's results on disk; None if nothing is."""
        known = self.parts.get(plan.part, {})
        if known.get("state") != "done":
            return "its last run did not end well"
        if not results.notebook_path(study.folder, plan.notebook).is_file():
            return "its notebook is gone"
        try:
            same = outcome(study.folder, plan.part) == known.get("outcome")
        except (DataError, OSError, ValueError):
            return "its results are gone"
        return None if same else CHANGED

    def contradictions(self, study: Study) -> list[str]:
        """Return in words which chapters do not belong together; no data are read.

        A chapter that failed, whose results were changed, or that read other results or data than
        others.
        """
        found, data = [], {}
        for plan in CHAPTERS:
            known = self.parts.get(plan.part, {})
            if known.get("state") in (None, "skipped"):
                continue
            if lacking := self.lacks(study, plan):
                found.append(f"{plan.part}: {lacking}")
                continue
            inputs = known.get("ingredients", {})
            found += [
                f"{plan.part} read other results of {part} than are there"
                for part, was in inputs.get("reads", {}).items()
                if was != self.parts.get(part, {}).get("outcome")
            ]
            for name, digest in inputs.get("data", {}).items():
                other = data.setdefault(name, (plan.part, digest))
                if other[1] != digest:
                    found.append(f"{plan.part} read another {name} than {other[0]}")
        return found

    def write(self, study: Study) -> None:
        """Write study.json, whole or not at all."""
        results.write_json(
            self.path,
            {
                "name": study.name,
                "command": study.command,
                "parameters": study.model_dump(),
                "seeds": {"seed": study.seed},
                "versions": provenance.versions(),
                "hardware": provenance.hardware(),
                "git": provenance.git_state(),
                "data": self.data,
                "written": now(),
                "parts": self.parts,
                "pages": self.pages,
            },
        )


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def outcome(study_folder: Path, part: str) -> str:
    """Return the SHA-256 (hex) of what a part has found out: equal for equal numbers.

    Of tables and metrics.json everything but `_PASSING` counts, of a stored model the arrays and,
    where it is a network, its layers.
    """
    metrics = results.load_metrics(study_folder, part)
    told: dict[str, Any] = {
        "metrics": {name: value for name, value in metrics.items() if name not in _PASSING}
    }
    for path in sorted(results.part_folder(study_folder, part).glob("*.csv")):
        told[path.name] = _table(path)
    for path in results.models_of(study_folder, part):
        told[path.name] = _model(path)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _table(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        kept = [place for place, name in enumerate(header) if name not in _PASSING]
        for row in [header, *rows]:
            digest.update(repr([row[place] for place in kept if place < len(row)]).encode())
    return digest.hexdigest()


def _model(path: Path) -> list[Any]:
    # Both formats are zip files; what they hold beside arrays and layers names times and addresses.
    if not zipfile.is_zipfile(path):
        return [hashlib.sha256(path.read_bytes()).hexdigest()]
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    return sorted(
        member.CRC
        for member in members
        if member.filename.endswith((".npy", ".h5")) or member.filename == "config.json"
    )


@dataclass(frozen=True)
class Standing:
    """How one chapter stands.

    ``state`` is current, stale (it would run again), missing (it has no results), failed, running
    or skipped; ``reasons`` say why, in words.
    """

    plan: ChapterPlan
    state: str
    reasons: tuple[str, ...] = ()
    seconds: float | None = None


def status(
    study: Study, study_data: "StudyData", chapters: Sequence[ChapterPlan] = CHAPTERS
) -> list[Standing]:
    """Return how chapters stand, in reading order; nothing is run or written."""
    data, missing = study_data.fingerprints, study_data.left_out
    record, busy = Record.read(study), is_running(study)
    found: dict[str, Standing] = {}
    for plan in chapters:
        stale = [part for part in found if part in plan.reads]
        stale = [part for part in stale if found[part].state in _COMES_FIRST]
        known = record.parts.get(plan.part, {}).get("ingredients", {}).get("reads", {})
        unsettled = {part: known[part] for part in stale if part in known}
        outcomes = record.outcomes() | unsettled  # what they will find is not known yet
        now = ingredients(study, plan, data, missing, outcomes)
        before = [f"{', '.join(stale)} will run first"] if stale else []
        if plan.part in missing:
            found[plan.part] = Standing(plan, "skipped", (missing[plan.part],))
        else:
            found[plan.part] = _standing(study, plan, record, now, busy, before)
    return list(found.values())


def is_running(study: Study) -> bool:
    """Return whether some process holds the study."""
    path = study.folder / ".lock"
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that cannot be written holds no runner
        return False


#: States of a chapter that must run before those that read it.
_COMES_FIRST = ("stale", "missing", "failed", "running")


def _standing(
    study: Study, plan: ChapterPlan, record: Record, now: dict, busy: bool, before: list[str]
) -> Standing:
    known = record.parts.get(plan.part)
    if not known:
        return Standing(plan, "missing", ("it has not been run", *before))
    changed = changes(known.get("ingredients", {}), now)
    if known["state"] == "running" and busy:
        return Standing(plan, "running")
    if known["state"] == "running":
        return Standing(plan, "stale", ("its last run was interrupted", *changed, *before))
    if known["state"] == "failed":
        return Standing(plan, "failed", ("its last run failed", *changed, *before))
    if known["state"] == "skipped":
        return Standing(plan, "missing", ("it was left out", *before))
    if changed or before:
        return Standing(plan, "stale", (*changed, *before), known["seconds"])
    if lacking := record.lacks(study, plan):
        state = "stale" if lacking == CHANGED else "missing"
        return Standing(plan, state, (lacking,), known["seconds"])
    return Standing(plan, "current", (), known["seconds"])


@dataclass(frozen=True)
class Store:
    """A folder of finished chapters, each in a folder called by its fingerprint."""

    folder: Path

    @contextmanager
    def claimed(
        self, fingerprint: str, *, waiting: Callable[[], None], stopped: Callable[[], bool]
    ) -> Iterator[None]:
        """Hold the chapter with this fingerprint for one process, waiting until it is free.

        ``waiting`` is called once if somebody else holds it; when ``stopped`` says so, the wait
        ends with KeyboardInterrupt.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / f".{fingerprint}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waiting()
            _wait_for(lock, stopped)
        try:
            yield
        finally:
            lock.release()

    def keep(self, study: Study, plan: ChapterPlan, state: dict[str, Any]) -> None:
        """Copy a finished chapter of a study into the store, if it is not there."""
        entry = self.folder / state["fingerprint"]
        if entry.is_dir():
            return
        with whole_folder(entry, replace=False) as temporary:
            copy_chapter(study.folder, temporary, plan)
            results.write_json(temporary / "entry.json", state)

    def take(self, study: Study, plan: ChapterPlan, fingerprint: str) -> dict[str, Any] | None:
        """Copy a chapter into a study, return what `keep` was told of it; None if it lacks it."""
        entry = self.folder / fingerprint
        try:
            state = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
            if outcome(entry, plan.part) != state["outcome"]:
                raise ValueError("the entry was changed")
            copy_chapter(entry, study.folder, plan)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, DataError):
            shutil.rmtree(entry, ignore_errors=True)
            return None
        _rename_run(results.notebook_path(study.folder, plan.notebook), study)
        return {**state, "from_store": True}


def copy_chapter(source: Path, target: Path, plan: ChapterPlan) -> None:
    """Copy the results, models and executed notebook of a chapter between two folders."""
    for model in results.models_of(source, plan.part):
        with atomic_write(target / model.relative_to(source)) as temporary:
            shutil.copyfile(model, temporary)
    with whole_folder(results.part_folder(target, plan.part)) as temporary:
        shutil.copytree(
            results.part_folder(source, plan.part),
            temporary,
            dirs_exist_ok=True,
            copy_function=shutil.copyfile,
        )
    with atomic_write(results.notebook_path(target, plan.notebook)) as temporary:
        shutil.copyfile(results.notebook_path(source, plan.notebook), temporary)


def _wait_for(lock: filelock.BaseFileLock, stopped: Callable[[], bool]) -> None:
    while not stopped():
        try:
            lock.acquire(timeout=0.5)
            return
        except filelock.Timeout:
            continue
    raise KeyboardInterrupt


def _rename_run(path: Path, study: Study) -> None:
    """Let the parameters that an executed notebook shows name this study and its places."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            cell["source"] = "\n".join(_named(line, study) for line in source.splitlines())
    results.write_json(path, notebook)


def _named(line: str, study: Study) -> str:
    name = line.partition(" = ")[0]
    return f"{name} = {json.dumps(getattr(study, name))}" if name in results.PLACES else line
