"""One run through the chapters of a study: which is next, which run, and what came of them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien import freshness, provenance, results
from mien.child import Children
from mien.errors import MienError
from mien.execute import Failure
from mien.record import Record, now, outcome
from mien.store import Store
from mien.study import ChapterPlan, Study

#: States of a chapter whose results are there as far as they can be.
FINISHED = ("done", "skipped")


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

    Parameters
    ----------
    force : bool
        Run chapters that are current, too.
    jobs : int
        Chapters that may run side by side, where none reads the other.
    minutes : float, optional
        Longest time that a chapter may take.
    threads : int, optional
        Threads of a chapter's kernel; all cores by default, whatever ``jobs`` is, for the number
        of threads decides in which order sums are taken.
    store : Path, optional
        Folder of finished chapters that studies share (`mien.store`).
    wait : bool
        Wait for another runner of the same study, instead of refusing.
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
        parts = freshness.ingredients(
            self.study, plan, self.record.data, self.missing, self.record.outcomes()
        )
        new = {"fingerprint": freshness.fingerprint(parts), "ingredients": parts}
        if plan.part in self.missing:
            self._leave_out(plan, new, following)
            return None
        known = self.record.parts.get(plan.part, {})
        same = known.get("fingerprint") == new["fingerprint"]
        if same and not self.options.force and is_current(self.study, plan, self.record):
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
        from mien.computing import leave_chapter_out

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
        from mien.computing import compute  # here, because it imports what renders notebooks

        threads = self.options.threads or provenance.cores()
        start = time.perf_counter()
        failure = compute(
            self.study,
            plan,
            self.missing,
            self.children,
            environment=provenance.thread_variables(threads),
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
        from mien.computing import failure_text

        return [failure_text(self.study.folder, plan, came)]


def _ready(waiting: Sequence[ChapterPlan], running: Iterable[ChapterPlan]) -> ChapterPlan | None:
    """Return the first chapter that reads nothing which is still to come."""
    unfinished = {plan.part for plan in (*waiting, *running)}
    return next((plan for plan in waiting if not unfinished & set(plan.reads)), None)


def is_current(study: Study, plan: ChapterPlan, record: Record) -> bool:
    """Return whether the results of a chapter are there, and of all that it reads."""
    return (
        record.parts.get(plan.part, {}).get("state") == "done"
        and (results.part_folder(study.folder, plan.part) / "metrics.json").is_file()
        and results.notebook_path(study.folder, plan.notebook).is_file()
        and all(record.parts.get(part, {}).get("state") in FINISHED for part in plan.reads)
    )
