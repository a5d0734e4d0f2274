"""Finished chapters that several studies share, kept by the fingerprint of what they depend on.

An entry ``<store>/<fingerprint>/`` is laid out like a study's folder (`mien.results`) that holds
one part, and appears whole or not at all. A folder on a network serves as well, if it keeps
locks (flock).
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from mien import results
from mien.cache import atomic_write
from mien.errors import DataError
from mien.freshness import PLACES
from mien.record import outcome
from mien.study import ChapterPlan, Study


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
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new.", dir=self.folder))
        try:
            temporary.chmod(0o755)
            copy_chapter(study.folder, temporary, plan)
            results.write_json(temporary / "entry.json", state)
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():  # else somebody was faster, and the chapter is the same
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

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
    with results.whole_folder(results.part_folder(target, plan.part)) as temporary:
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
