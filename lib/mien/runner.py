"""Run a study: one runner at a time, what is current is left alone, then the pages."""

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from mien import freshness, library, provenance, results
from mien.backend import check_backend
from mien.course import ChapterFailed, Course, Event, Options
from mien.errors import MienError, ParameterError
from mien.record import Record
from mien.study import CHAPTERS, ChapterPlan, Study, data_paths

__all__ = [
    "ChapterFailed",
    "Event",
    "Options",
    "Stopped",
    "StudyBusy",
    "check_data",
    "locked",
    "run",
]


class StudyBusy(MienError):
    """Another runner works on the same study."""


class Stopped(MienError):
    """Somebody has stopped the run (Ctrl-C)."""

    exit_status = 130


def check_data(study: Study) -> tuple[dict[str, str], dict[str, str]]:
    """Read the data of a study; return their fingerprints, and what is missing (`mien.gaps`).

    Raises
    ------
    DataError
        If the data cannot be read, or do not make a study.
    ParameterError
        If Keras is told to use a backend that is not there.
    """
    from mien.fer2013 import load_fer2013
    from mien.gaps import gaps
    from mien.target import load_target

    check_backend()
    fer2013, target = data_paths(study.fer2013, study.target, study.seed)
    found = {}
    if study.fer2013:
        crowd = load_fer2013(fer2013, skip_bad_rows=study.skip_bad_rows)
        found["fer2013"] = crowd.fingerprint
    person = load_target(target)
    return {**found, "target": person.fingerprint}, gaps(study, person)


def run(
    study: Study,
    chapters: Sequence[ChapterPlan] = CHAPTERS,
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    tell: Callable[[Event], None] = lambda event: None,
) -> Path:
    """Run chapters of a study, then render its pages.

    Parameters
    ----------
    study : Study
    chapters : sequence of ChapterPlan
        In the order of reading; one that reads another runs after it.
    options : Options
    tell : callable
        Called with an `Event` whenever a chapter starts, waits, ends, fails or is skipped.

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
        If a chapter fails, or the disk is full; the pages of earlier runs stay, failure.html
        shows the cell.
    Stopped
        At Ctrl-C; all kernels are gone then.
    """
    data, missing = check_data(study)
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        with locked(study, options.wait, tell):
            record = Record.read(study)
            record.data = data
            results.remove_leftovers(study.folder)
            Course(study, options, record, missing, tell).go(chapters)
            return _pages(study, record)
    except KeyboardInterrupt:
        raise Stopped("stopped; the next run goes on where this one was") from None
    except OSError as error:
        raise _disk_trouble(study, error) from None


@contextlib.contextmanager
def locked(study: Study, patient: bool, tell: Callable[[Event], None]) -> Iterator[None]:
    """Hold the folder of a study for this process.

    Raises
    ------
    StudyBusy
        If another process holds it and we are not patient.
    """
    lock = filelock.FileLock(study.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not patient:
            raise StudyBusy(
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
        "code": library.needed("from mien import report"),
        "nbconvert": provenance.versions().get("nbconvert"),
        "command": study.command,
        "parameters": study.model_dump(exclude={"out"}),
        "parts": {
            part: [known.get("finished"), known.get("outcome"), known.get("reason")]
            for part, known in record.parts.items()
        },
    }
    shown = freshness.fingerprint(shows)
    page = study.folder / record.pages.get("open", "index.html")
    if record.pages.get("shows") != shown or not page.is_file():
        from mien import report  # here, because importing nbconvert takes seconds

        record.write(study)
        page = report.render(study.folder)
        record.pages = {"shows": shown, "open": page.name}
        record.write(study)
    return page


def _disk_trouble(study: Study, error: OSError) -> MienError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return ParameterError(f"results cannot be written: {error}")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = f"no space is left for {study.folder}" if full else f"{study.folder} fails: {error}"
    return ChapterFailed(f"{what}; the next run goes on where this one was")
