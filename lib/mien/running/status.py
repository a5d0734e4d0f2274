"""How every chapter of a study stands, and why one would run again."""

from collections.abc import Sequence
from dataclasses import dataclass

import filelock

from mien.running import scheduler, staleness
from mien.running.record import Record
from mien.running.scheduler import is_current
from mien.study.parameters import CHAPTERS, ChapterPlan, Study


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


def status(study: Study, chapters: Sequence[ChapterPlan] = CHAPTERS) -> list[Standing]:
    """Return how chapters stand, in reading order; nothing is run or written.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    material = scheduler.check_data(study)
    data, missing = material.fingerprints, material.left_out
    record, busy = Record.read(study), is_running(study)
    found: dict[str, Standing] = {}
    for plan in chapters:
        stale = [part for part in found if part in plan.reads]
        stale = [part for part in stale if found[part].state in _COMES_FIRST]
        known = record.parts.get(plan.part, {}).get("ingredients", {}).get("reads", {})
        unsettled = {part: known[part] for part in stale if part in known}
        outcomes = record.outcomes() | unsettled  # what they will find is not known yet
        now = staleness.ingredients(study, plan, data, missing, outcomes)
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
    changed = staleness.changes(known.get("ingredients", {}), now)
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
    if not is_current(study, plan, record):
        return Standing(plan, "missing", ("its results are gone",))
    return Standing(plan, "current", (), known["seconds"])
