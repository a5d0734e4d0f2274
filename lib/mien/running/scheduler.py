"""Run a study: one runner at a time, what is current is left alone, then the pages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mien import system
from mien.errors import MienError
from mien.network.backend import check_backend
from mien.running.execution import Failure
from mien.running.record import Record, fingerprint, ingredients, keep, library, take
from mien.study import provenance, results
from mien.study.parameters import CHAPTERS, ChapterPlan, Study

if TYPE_CHECKING:
    from mien.study.data_check import StudyData


class ChapterFailed(MienError):
    """A chapter of the study stopped with an error, or could not be written."""

    exit_status = 1


@dataclass(frozen=True)
class Event:
    """What the runner tells while it works.

    ``state`` is running, waiting (for another study that computes the same), done, stored (taken
    from the store), current, skipped (``reason`` says why) or failed.
    """

    plan: ChapterPlan
    state: str
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Options:
    """How to run a study.

    ``force`` runs chapters that are current, too; ``jobs`` chapters may run side by side, where
    none reads the other, each for at most so many ``minutes``. ``threads`` are those of a chapter's
    kernel, all cores by default: their number decides in which order sums are taken. ``store`` is a
    folder of finished chapters that studies share (`mien.running.record.keep`); ``wait`` waits for
    another runner of the same study, instead of refusing.
    """

    force: bool = False
    jobs: int = 1
    minutes: float | None = None
    threads: int | None = None
    store: Path | None = None
    wait: bool = False


@dataclass
class Course:
    """One run through chapters of a study: who is next, who runs, what came of it.

    Each chapter has a thread; what they write into ``record`` and tell is guarded by ``lock``.
    """

    study: Study
    options: Options
    record: Record
    missing: Mapping[str, str]
    tell: Callable[[Event], None]
    chapters: Sequence[ChapterPlan]
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def go(self) -> None:
        """Run what is not current, up to ``jobs`` chapters at once; after a failure begin none."""
        order: TopologicalSorter = TopologicalSorter()
        for plan in self.chapters:
            order.add(plan, *(other for other in self.chapters if other.part in plan.reads))
        order.prepare()
        running: dict[Future, ChapterPlan] = {}
        with ThreadPoolExecutor(self.options.jobs) as pool:
            try:
                while order.is_active():
                    ready = list(order.get_ready())
                    if self.options.jobs > 1:  # what most others wait for begins first
                        ready.sort(key=lambda plan: -sum(plan.part in c.reads for c in CHAPTERS))
                    for plan in ready:
                        running[pool.submit(self._chapter, plan)] = plan
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        future.result()
                        order.done(running.pop(future))
            except BaseException:
                self.stopping.set()
                raise
        if self.failures:
            raise ChapterFailed("\n".join(self.failures))

    def _chapter(self, plan: ChapterPlan) -> None:
        with self.lock:
            new = None if self.failures or self.stopping.is_set() else self._begin(plan)
        if new is None:
            return
        came = self._obtain(plan, new)
        if self.stopping.is_set():
            return
        with self.lock:
            if isinstance(came, Failure):
                from mien.running.one_chapter import failure_text

                self.failures.append(failure_text(self.study.folder, plan, came))
                self._note(plan, {**new, "state": "failed"})
            else:
                self._note(plan, came, "stored" if came.get("from_store") else "done")

    def _begin(self, plan: ChapterPlan) -> dict[str, Any] | None:
        """Return the new state of a chapter that must run, None for one that need not."""
        parts = ingredients(
            self.study, plan, self.record.data, self.missing, self.record.outcomes()
        )
        new = {"fingerprint": fingerprint(parts), "ingredients": parts}
        if reason := self.missing.get(plan.part):
            from mien.running.one_chapter import leave_chapter_out

            leave_chapter_out(self.study, plan, self.missing)
            new |= {"state": "skipped", "reason": reason, "seconds": 0.0, "outcome": None}
            self._note(plan, new)
            return None
        known = self.record.parts.get(plan.part, {})
        same = known.get("fingerprint") == new["fingerprint"]
        if same and not self.options.force and not self.record.lacks(self.study, plan):
            if self.options.store:
                keep(self.options.store, self.study, plan, known)
            self.tell(Event(plan, "current", known["seconds"]))
            return None
        if self.options.force or not same:
            for checkpoint in results.checkpoints_of(self.study.folder, plan.part):
                checkpoint.unlink()
        self._note(plan, {"state": "running", **new})
        return new

    def _note(self, plan: ChapterPlan, state: dict[str, Any], told: str = "") -> None:
        self.record.parts[plan.part] = state
        self.record.write(self.study)
        seconds, reason = state.get("seconds", 0.0), state.get("reason", "")
        self.tell(Event(plan, told or state["state"], seconds, reason))

    def _obtain(self, plan: ChapterPlan, new: dict[str, Any]) -> dict[str, Any] | Failure:
        """Take a chapter from the store, or compute it; return its state, or why it failed."""
        from mien.running.one_chapter import compute  # here, because it imports nbconvert

        store, own = self.options.store, new["fingerprint"]

        def waiting() -> None:
            self.tell(Event(plan, "waiting", reason="another study computes the same"))

        free = contextlib.nullcontext()
        with held(store / f".{own}.lock", waiting, self.stopping) if store else free:
            fresh = self.options.force or store is None
            if not fresh and (known := take(store, self.study, plan, own)):
                return known
            threads, minutes = self.options.threads or system.cores(), self.options.minutes
            how = {"threads": threads, "minutes": minutes, "stopping": self.stopping}
            came = compute(self.study, plan, self.missing, **how)
            if isinstance(came, Failure):
                return came
            if store:
                keep(store, self.study, plan, came | new)
            return came | new


@contextlib.contextmanager
def held(path: Path, waiting: Callable[[], None], stopping: threading.Event) -> Iterator[None]:
    """Hold a lock; ``waiting`` is called if another has it; the wait ends with ``stopping``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        waiting()
        while not lock.is_locked:
            if stopping.is_set():
                raise KeyboardInterrupt from None
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=0.5)
    try:
        yield
    finally:
        lock.release()


def check_data(study: Study) -> StudyData:
    """Return what a study has to work with.

    `DataError` if its data cannot be read, or do not make a study; `ParameterError` if Keras is
    told to use a backend that is not there.
    """
    from mien.study.data_check import examine  # here, because reading data takes a second to import

    check_backend()
    return examine(study)


def run(
    study: Study,
    chapters: Sequence[ChapterPlan] = CHAPTERS,
    options: Options = Options(),
    *,
    tell: Callable[[Event], None] = lambda event: None,
    tell_data: Callable[[StudyData], None] = lambda found: None,
) -> Path:
    """Run chapters of a study, then render its pages; return the page to open.

    A chapter that reads another runs after it. ``tell`` is called with an `Event` whenever a
    chapter starts, waits, ends, fails or is skipped; ``tell_data`` once, before anything runs, with
    what the study has to work with.

    `DataError` if the data cannot be read, `MienError` if another runner works in the same
    folder: nothing has run then. `ChapterFailed` if a chapter fails, or the disk is full: the pages
    of earlier runs stay, failure.html shows the cell. At Ctrl-C all kernels are ended, too.
    """
    study_data = check_data(study)
    tell_data(study_data)

    def waiting() -> None:
        if not options.wait:
            raise MienError(
                f"another mien is running the study in {study.folder}; wait for it with --wait"
            )
        tell(Event(chapters[0], "waiting", reason="another mien is running this study"))

    try:
        with held(study.folder / ".lock", waiting, threading.Event()):
            for path in study.folder.glob(".*.lock"):  # kernels that a killed runner has left
                with filelock.FileLock(path):
                    pass
            record = Record.read(study)
            record.data = study_data.fingerprints
            results.remove_leftovers(study.folder)
            Course(study, options, record, study_data.left_out, tell, chapters).go()
            return _pages(study, record)
    except OSError as error:
        raise disk_trouble(study.folder, error) from None


def disk_trouble(folder: Path, error: OSError) -> MienError:
    """Return what to say where results cannot be written into the folder of a study or sweep."""
    what = f"nothing more can be written into {folder}: {error}"
    return ChapterFailed(f"{what}; the next run goes on where this one was")


def _pages(study: Study, record: Record) -> Path:
    """Render the pages, unless they show just this, and return the one to open."""
    shown = fingerprint(
        {
            "code": library(("report", "running")),
            "nbconvert": provenance.versions().get("nbconvert"),
            "command": study.command,
            "parameters": study.model_dump(exclude={"out"}),
            "parts": record.parts,
        }
    )
    page = study.folder / record.pages.get("open", "index.html")
    if record.pages.get("shows") != shown or not page.is_file():
        from mien.running import pages  # here, because importing nbconvert takes seconds

        record.write(study)
        page = pages.render(study.folder)
        record.pages = {"shows": shown, "open": page.name}
        record.write(study)
    return page
