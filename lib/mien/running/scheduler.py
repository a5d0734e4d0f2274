"""Run a study: one runner at a time, what is current is left alone, then the pages."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mien import system
from mien.errors import MienError, ParameterError
from mien.network.backend import check_backend
from mien.running import staleness
from mien.running.execution import Children, Failure
from mien.running.record import Record, Store, now, outcome
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
    following: ChapterPlan | None = None


@dataclass(frozen=True)
class Options:
    """How to run a study.

    ``force`` runs chapters that are current, too; ``jobs`` chapters may run side by side, where
    none reads the other, each for at most so many ``minutes``. ``threads`` are those of a chapter's
    kernel, all cores by default: their number decides in which order sums are taken. ``store`` is a
    folder of finished chapters that studies share (`mien.running.record.Store`); ``wait`` waits for
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

    Only `_obtain` works in threads; record and events belong to the main thread.
    """

    study: Study
    options: Options
    record: Record
    missing: Mapping[str, str]
    tell: Callable[[Event], None]
    children: Children = field(default_factory=Children)

    def go(self, chapters: Sequence[ChapterPlan]) -> None:
        """Run what is not current, up to ``jobs`` chapters at once."""
        waiting, running, failures = list(chapters), {}, []
        with ThreadPoolExecutor(self.options.jobs) as pool:
            try:
                while (waiting and not failures) or running:
                    while not failures and len(running) < self.options.jobs:
                        plan = _ready(waiting, running.values())
                        if plan is None:
                            break
                        waiting.remove(plan)
                        work = self._begin(plan, waiting[0] if waiting else None)
                        if work is not None:
                            running[pool.submit(self._obtain, plan, work)] = plan
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        plan = running.pop(future)
                        failures += self._finish(plan, future, waiting[0] if waiting else None)
            except BaseException:
                self.children.end()
                raise
        if failures:
            raise ChapterFailed("\n".join(failures))

    def _begin(self, plan: ChapterPlan, following: ChapterPlan | None) -> dict[str, Any] | None:
        """Return the new state of a chapter that must run, None for one that need not."""
        parts = staleness.ingredients(
            self.study, plan, self.record.data, self.missing, self.record.outcomes()
        )
        new = {"fingerprint": staleness.fingerprint(parts), "ingredients": parts}
        if plan.part in self.missing:
            self._leave_out(plan, new, following)
            return None
        known = self.record.parts.get(plan.part, {})
        same = known.get("fingerprint") == new["fingerprint"]
        if same and not self.options.force and self.record.is_current(self.study, plan):
            if self.options.store:
                Store(self.options.store).keep(self.study, plan, known)
            self.tell(Event(plan, "current", known["seconds"], following=following))
            return None
        if self.options.force or not same:
            for checkpoint in results.checkpoints_of(self.study.folder, plan.part):
                checkpoint.unlink()
        self._note(plan, {"state": "running", **new})
        self.tell(Event(plan, "running", following=following))
        return new

    def _leave_out(
        self, plan: ChapterPlan, new: dict[str, Any], following: ChapterPlan | None
    ) -> None:
        from mien.running.one_chapter import leave_chapter_out

        reason = self.missing[plan.part]
        leave_chapter_out(self.study, plan, self.missing)
        skipped = {"state": "skipped", "reason": reason, "seconds": 0.0, "outcome": None}
        self._note(plan, {**new, **skipped})
        self.tell(Event(plan, "skipped", reason=reason, following=following))

    def _note(self, plan: ChapterPlan, state: dict[str, Any]) -> None:
        self.record.parts[plan.part] = state
        self.record.write(self.study)

    def _obtain(self, plan: ChapterPlan, new: dict[str, Any]) -> dict[str, Any] | Failure:
        """Take a chapter from the store, or compute it; return its state, or why it failed."""
        if self.options.store is None:
            return self._compute(plan, new)
        store = Store(self.options.store)

        def waiting() -> None:
            self.tell(Event(plan, "waiting", reason="another study computes the same"))

        with store.claimed(
            new["fingerprint"], waiting=waiting, stopped=self.children.stopping.is_set
        ):
            known = store.take(self.study, plan, new["fingerprint"])
            if known and not self.options.force:
                return known
            state = self._compute(plan, new)
            if not isinstance(state, Failure):
                store.keep(self.study, plan, state)
            return state

    def _compute(self, plan: ChapterPlan, new: dict[str, Any]) -> dict[str, Any] | Failure:
        from mien.running.one_chapter import (
            compute,  # here, because it imports what renders notebooks
        )

        threads = self.options.threads or system.cores()
        start = time.perf_counter()
        failure = compute(
            self.study,
            plan,
            self.missing,
            self.children,
            environment=provenance.thread_variables(threads)
            | {results.RUN: str(self.study.folder.resolve())},
            minutes=self.options.minutes,
        )
        if failure:
            return failure
        told = results.load_metrics(self.study.folder, plan.part).get("provenance", {})
        return {
            "state": "done",
            "seconds": round(time.perf_counter() - start, 1),
            "threads": threads,
            "finished": now(),
            "outcome": outcome(self.study.folder, plan.part),
            **{name: told[name] for name in ("git", "hardware") if name in told},
            **new,
        }

    def _finish(
        self, plan: ChapterPlan, future: Future, following: ChapterPlan | None
    ) -> list[str]:
        """Note what came of a chapter; return what to say of its failure, if it failed."""
        came = future.result()
        if not isinstance(came, Failure):
            self._note(plan, came)
            state = "stored" if came.get("from_store") else "done"
            self.tell(Event(plan, state, came["seconds"], following=following))
            return []
        self._note(plan, {**self.record.parts[plan.part], "state": "failed"})
        self.tell(Event(plan, "failed", following=following))
        from mien.running.one_chapter import failure_text

        return [failure_text(self.study.folder, plan, came)]


def _ready(waiting: Sequence[ChapterPlan], running: Iterable[ChapterPlan]) -> ChapterPlan | None:
    """Return the first chapter that reads nothing which is still to come."""
    unfinished = {plan.part for plan in (*waiting, *running)}
    return next((plan for plan in waiting if not unfinished & set(plan.reads)), None)


class Stopped(MienError):
    """Somebody has stopped the run (Ctrl-C)."""

    exit_status = 130


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
    of earlier runs stay, failure.html shows the cell. `Stopped` at Ctrl-C; all kernels are gone
    then.
    """
    study_data = check_data(study)
    tell_data(study_data)
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        with locked(study, options.wait, tell):
            record = Record.read(study)
            record.data = study_data.fingerprints
            results.remove_leftovers(study.folder)
            Course(study, options, record, study_data.left_out, tell).go(chapters)
            return _pages(study, record)
    except KeyboardInterrupt:
        raise Stopped("stopped; the next run goes on where this one was") from None
    except OSError as error:
        raise _disk_trouble(study, error) from None


@contextlib.contextmanager
def locked(study: Study, patient: bool, tell: Callable[[Event], None]) -> Iterator[None]:
    """Hold the folder of a study; `MienError` if another does and we are not ``patient``."""
    lock = filelock.FileLock(study.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not patient:
            raise MienError(
                f"another mien is running the study in {study.folder}; wait for it with --wait"
            ) from None
        tell(Event(CHAPTERS[0], "waiting", reason="another mien is running this study"))
        lock.acquire()
    try:
        for path in study.folder.glob(".*.lock"):  # kernels that a killed runner has left
            with filelock.FileLock(path):
                pass
        yield
    finally:
        lock.release()


def _pages(study: Study, record: Record) -> Path:
    """Render the pages, unless they show just this, and return the one to open."""
    shows = {
        "code": staleness.library(("report", "running")),
        "nbconvert": provenance.versions().get("nbconvert"),
        "command": study.command,
        "parameters": study.model_dump(exclude={"out"}),
        "parts": {
            part: [known.get("finished"), known.get("outcome"), known.get("reason")]
            for part, known in record.parts.items()
        },
    }
    shown = staleness.fingerprint(shows)
    page = study.folder / record.pages.get("open", "index.html")
    if record.pages.get("shows") != shown or not page.is_file():
        from mien.running import pages  # here, because importing nbconvert takes seconds

        record.write(study)
        page = pages.render(study.folder)
        record.pages = {"shows": shown, "open": page.name}
        record.write(study)
    return page


def _disk_trouble(study: Study, error: OSError) -> MienError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return ParameterError(f"results cannot be written: {error}")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = f"no space is left for {study.folder}" if full else f"{study.folder} fails: {error}"
    return ChapterFailed(f"{what}; the next run goes on where this one was")
