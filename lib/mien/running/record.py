"""study.json: how every part of a study stands; finished chapters that several studies share."""

import csv
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from mien.errors import DataError
from mien.files import atomic_write, whole_folder
from mien.running.staleness import PLACES
from mien.study import provenance, results
from mien.study.parameters import ChapterPlan, Study

#: What differs from run to run though the numbers are the same.
_PASSING = ("seconds", "provenance")


@dataclass
class Record:
    """study.json of one study.

    Attributes
    ----------
    path : Path
    parts : dict
        By part: ``state`` (running, done, failed, skipped), ``fingerprint`` and ``ingredients`` of
        its results (`mien.running.staleness`), ``outcome``, ``seconds``, ``threads``, ``git``,
        ``hardware``, ``finished``, ``from_store``.
    data : dict
        Fingerprints of the data.
    pages : dict
        ``shows``, a fingerprint of what the pages were rendered from, and ``open``, the name of
        the first one.
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
    """Return the SHA-256 (hex) of what a part has found out, times and provenance left out.

    Two runs with the same numbers have the same outcome: of the tables every column but
    ``seconds`` counts, of metrics.json everything but ``seconds`` and ``provenance``, of a stored
    model the arrays and, where it is a network, its layers.

    Parameters
    ----------
    study_folder : Path
    part : str
        Its results are there.
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
class Store:
    """A folder of finished chapters."""

    folder: Path

    def entry(self, fingerprint: str) -> Path:
        """Return where the chapter with this fingerprint lies, or would lie."""
        return self.folder / fingerprint

    @contextmanager
    def claimed(
        self, fingerprint: str, *, waiting: Callable[[], None], stopped: Callable[[], bool]
    ) -> Iterator[None]:
        """Hold the chapter with this fingerprint for one process, waiting until it is free.

        The claim of a process ends with it, however it ends. ``waiting`` is called once if
        somebody else holds it; when ``stopped`` says so, the wait ends with KeyboardInterrupt.
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
        entry = self.entry(state["fingerprint"])
        if entry.is_dir():
            return
        with whole_folder(entry, replace=False) as temporary:
            copy_chapter(study.folder, temporary, plan)
            results.write_json(temporary / "entry.json", state)

    def take(self, study: Study, plan: ChapterPlan, fingerprint: str) -> dict[str, Any] | None:
        """Copy a chapter from the store into a study.

        Returns
        -------
        dict or None
            What `keep` was told of it; None if it is not there, or is no longer what it was.
        """
        entry = self.entry(fingerprint)
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
        with atomic_write(target / "models" / model.name) as temporary:
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
    return f"{name} = {json.dumps(getattr(study, name))}" if name in PLACES else line
