"""Many studies at once: the product of a grid, mapped over an executor, taken up where it was left.

A sweep's folder holds ``index.html`` (its page), ``sweep.json`` (grid and state of every run),
``runs/<label>/`` (each a study's folder), ``tasks/`` (what runs print and note while they work)
and ``store/`` (the chapters that runs have in common).
"""

import asyncio
import concurrent.futures as cf
import hashlib
import itertools
import re
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from mien import freshness, provenance, results, runner
from mien.errors import MienError, ParameterError
from mien.record import Record
from mien.study import CHAPTERS, ChapterPlan, Study, load_study, parts_to_run
from mien.sweep_task import Status, Task, read_status, run_task

#: Parameters that say where results go; the sweep sets them itself.
PLACES = ("name", "out")

#: Parameters by which data are read, and refused.
READ_WITH = ("fer2013", "target", "skip_bad_rows", "folds")

#: How often a run is started anew on another worker when its worker dies.
RETRIES = 3

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 40


class SweepBusy(MienError):
    """Another sweep works in the same folder."""


@dataclass(frozen=True)
class Run:
    """One study of a sweep: its label, its values of the grid (as typed) and its parameters."""

    label: str
    point: Mapping[str, str]
    study: Study


@dataclass(frozen=True)
class Sweep:
    """A checked sweep; `plan` makes it.

    Attributes
    ----------
    name : str
    folder : Path
    study_file : Path
    settings : tuple of str
        ``NAME=VALUE``, the same for every run.
    grid : mapping of str to tuple of str
        The values of every parameter, as typed.
    chapters : tuple of ChapterPlan
        That every run runs.
    runs : tuple of Run
        In the order in which they start.
    """

    name: str
    folder: Path
    study_file: Path
    settings: tuple[str, ...]
    grid: Mapping[str, tuple[str, ...]]
    chapters: tuple[ChapterPlan, ...]
    runs: tuple[Run, ...]

    @property
    def command(self) -> str:
        """The command line that repeats the sweep, from the project's folder."""
        root = results.project_root()
        inside = self.study_file.is_relative_to(root)
        words = [str(self.study_file.relative_to(root)) if inside else self.study_file.name]
        for name, texts in self.grid.items():
            words += ["--grid", f"{name}={','.join(texts)}"]
        words += [word for text in self.settings for word in ("--set", text)]
        if len(self.chapters) < len(CHAPTERS):
            words += ["--only", ",".join(plan.part for plan in self.chapters)]
        return shlex.join(["mien", "sweep", *words])

    def tasks(self, threads: int, token: str) -> list[Task]:
        """Return what the workers are told, in the order of ``runs``."""
        parts = ",".join(plan.part for plan in self.chapters)
        return [
            Task(
                label=run.label,
                command=(
                    *("-m", "mien.cli", "run", str(self.study_file), "--out", run.study.out),
                    *("--store", str(self.folder / "store"), "--only", parts, "--wait"),
                    *(word for text in self._settings(run) for word in ("--set", text)),
                ),
                cwd=str(Path.cwd()),
                notes=str(self.folder / "tasks"),
                stop=str(self.folder / f".stop-{token}"),
                threads=threads,
            )
            for run in self.runs
        ]

    def _settings(self, run: Run) -> list[str]:
        return [*self.settings, *(f"{name}={text}" for name, text in _named(run).items())]


@dataclass
class Progress:
    """How the runs of a sweep fare, by label, and the chapter that each is at."""

    statuses: dict[str, Status]
    chapters: dict[str, str] = field(default_factory=dict)

    def count(self, state: str) -> int:
        """Return how many runs are in a state."""
        return sum(status.state == state for status in self.statuses.values())


def read_grid(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values (as typed) of every parameter of ``NAME=V1,V2`` texts.

    Raises
    ------
    ParameterError
        If a text is not of that form, a name comes twice, or a value is empty.

    Examples
    --------
    >>> read_grid(["seed=0,1", "hog_cell=6, 8"])
    {'seed': ('0', '1'), 'hog_cell': ('6', '8')}
    """
    grid: dict[str, tuple[str, ...]] = {}
    for item in items:
        name, _, values = (part.strip() for part in item.partition("="))
        texts = tuple(text.strip() for text in values.split(","))
        if not name or not all(texts):
            raise ParameterError(f"--grid takes NAME=V1,V2 without empty values, not {item!r}")
        if name in grid:
            raise ParameterError(f"--grid names {name!r} twice; give all its values at once")
        if name in PLACES:
            raise ParameterError(f"--grid cannot vary {name!r}: a sweep places its runs itself")
        grid[name] = texts
    if not grid:
        raise ParameterError("a sweep needs at least one --grid NAME=V1,V2")
    return grid


def plan(
    study_file: str | Path,
    grid: Mapping[str, Sequence[str]],
    *,
    settings: Sequence[str] = (),
    out: str = "",
    only: str = "",
) -> Sweep:
    """Check every run of a grid and return the sweep; nothing is run.

    Parameters
    ----------
    study_file : str or Path
    grid : mapping of str to sequence of str
        From `read_grid`.
    settings : sequence of str
        ``NAME=VALUE`` for every run.
    out : str
        The sweep's folder; empty: what the study says, else ``reports/<study>-by-<names>``.
    only : str
        ``"A1,B1"``: the chapters to run; empty: all.

    Raises
    ------
    ParameterError
        If a parameter does not exist, a value is not allowed or comes twice, or a parameter is
        both in the grid and in ``settings``.
    """
    fixed = {text.partition("=")[0].strip() for text in settings}
    if both := fixed & set(grid):
        raise ParameterError(f"{min(both)!r} is in both --set and --grid; leave one out")
    chapters = tuple(parts_to_run(only))
    study = load_study(study_file, settings)
    name = f"{study.name}-by-{'-'.join(grid)}"
    folder = Path(out or study.out or results.study_folder(name)).resolve()
    runs = []
    for point in _points(grid):
        label = _label(point)
        placed = {**point, "name": label, "out": folder / "runs" / label}
        given = [*settings, *(f"{key}={value}" for key, value in placed.items())]
        runs.append(Run(label, point, load_study(study_file, given)))
    for name_, texts in grid.items():
        values = {getattr(run.study, name_) for run in runs}
        if len(values) < len(texts):
            raise ParameterError(f"--grid {name_}={','.join(texts)} names a value twice")
    file = Path(study_file).resolve()
    return Sweep(name, folder, file, tuple(settings), dict(grid), chapters, tuple(runs))


def dependants(names: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return for every parameter the parts whose results may depend on it.

    Those whose notebook takes it, and those that read the results of such parts.
    """
    takes = {plan.part: set(freshness.Source.of(plan).parameters) for plan in CHAPTERS}
    found = {}
    for name in names:
        parts: set[str] = set()
        for plan in CHAPTERS:  # in reading order, so what a chapter reads is known before it
            if name in takes[plan.part] or parts & set(plan.reads):
                parts.add(plan.part)
        found[name] = frozenset(parts)
    return found


def check_data(sweep: Sweep) -> None:
    """Read the data of the runs once for every source.

    Raises
    ------
    DataError
        If they cannot be read.
    """
    seen = set()
    for run in sweep.runs:
        source = tuple(getattr(run.study, name) for name in READ_WITH)
        if source not in seen:
            seen.add(source)
            runner.check_data(run.study)


def run(
    sweep: Sweep,
    executor: cf.Executor,
    *,
    threads: int = 0,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Map the runs of a sweep over an executor and wait for all of them.

    Parameters
    ----------
    sweep : Sweep
    executor : concurrent.futures.Executor
        Its workers see the sweep's folder and data under the same paths.
    threads : int
        Of each run; 0: its share of the worker's cores.
    tell : callable
        Called with the `Progress` about twice a second.

    Returns
    -------
    Progress
        Every run is done, failed or stopped.

    Raises
    ------
    SweepBusy
        If another sweep works in the same folder.
    """
    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(sweep.folder / ".lock", timeout=0):
            return _run(sweep, executor, threads, tell)
    except filelock.Timeout:
        raise SweepBusy(f"another mien is running the sweep in {sweep.folder}") from None
    except PermissionError as error:
        raise ParameterError(f"results cannot be written: {error}") from None


@contextmanager
def local_pool(jobs: int) -> Iterator[cf.Executor]:
    """Give an executor that runs ``jobs`` studies at once on this machine."""
    with cf.ThreadPoolExecutor(jobs, thread_name_prefix="run") as pool:
        yield pool


@contextmanager
def dask_cluster(address: str, *, seconds: float = 10) -> Iterator[cf.Executor]:
    """Give an executor of an existing Dask cluster; a run whose worker dies starts elsewhere.

    Raises
    ------
    ParameterError
        If ``distributed`` is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client
        from distributed.comm import connect
    except ImportError:
        raise ParameterError(
            "--scheduler needs Dask: pip install distributed (mien's extra 'dask')"
        ) from None

    async def call() -> None:
        # A client that finds nobody cannot be closed again; so somebody knocks first.
        await (await connect(address, timeout=seconds)).close()

    try:
        asyncio.run(call())
        client = Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"the Dask scheduler at {address} does not answer ({error}); is the address right,"
            " and does `dask scheduler` run there?"
        ) from None
    with client:
        yield client.get_executor(pure=False, retries=RETRIES)


def _run(
    sweep: Sweep, executor: cf.Executor, threads: int, tell: Callable[[Progress], None]
) -> Progress:
    notes = sweep.folder / "tasks"
    notes.mkdir(exist_ok=True)
    for old in (*notes.glob("*.json"), *sweep.folder.glob(".stop-*")):
        old.unlink(missing_ok=True)
    tasks = sweep.tasks(threads, secrets.token_hex(4))
    progress = Progress({task.label: Status(task.label) for task in tasks})
    futures = {executor.submit(run_task, task): task for task in tasks}
    pending = set(futures)
    try:
        while pending:
            done, pending = cf.wait(pending, _LOOK_SECONDS, return_when=cf.FIRST_COMPLETED)
            for future in done:
                task = futures[future]
                progress.statuses[task.label] = _outcome(future, task)
            _look(sweep, [futures[future] for future in pending], progress)
            if done:
                write(sweep, progress)
            tell(progress)
    except BaseException:
        # Runs, wherever they are, see the file and end; those that wait do not begin.
        Path(tasks[0].stop).touch()
        _, pending = cf.wait(pending, _STOP_SECONDS)
        raise
    finally:
        if not pending:
            Path(tasks[0].stop).unlink(missing_ok=True)
    return progress


def write(sweep: Sweep, progress: Progress) -> None:
    """Write sweep.json, whole or not at all."""
    results.write_json(
        sweep.folder / "sweep.json",
        {
            "name": sweep.name,
            "grid": sweep.grid,
            "settings": sweep.settings,
            "command": sweep.command,
            "chapters": [plan.part for plan in sweep.chapters],
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "git": provenance.git_state(),
            "runs": [
                {
                    "label": run.label,
                    "point": {name: getattr(run.study, name) for name in run.point},
                    **_fate(progress.statuses[run.label]),
                }
                for run in sweep.runs
            ],
        },
    )


def _fate(status: Status) -> dict[str, Any]:
    return {"state": status.state, "seconds": status.seconds, "message": status.message}


def _outcome(future: cf.Future, task: Task) -> Status:
    try:
        return future.result()
    except cf.CancelledError:
        return Status(task.label, "failed", message="the scheduler gave it up")
    except Exception as error:
        # What the cluster says of a task that took every worker it ran on down with it.
        return Status(task.label, "failed", message=f"{type(error).__name__}: {error}")


def _look(sweep: Sweep, pending: Sequence[Task], progress: Progress) -> None:
    """See in the shared folder how far the runs are that have not ended."""
    studies = {run.label: run.study for run in sweep.runs}
    for task in pending:
        status = read_status(task)
        if status.state not in ("waiting", "running"):
            continue  # its answer is on the way
        progress.statuses[task.label] = status
        parts = Record.read(studies[task.label]).parts if status.state == "running" else {}
        at = [part for part, known in parts.items() if known.get("state") == "running"]
        progress.chapters[task.label] = at[-1] if at else ""


def _named(run: Run) -> dict[str, str]:
    return {**run.point, "name": run.label}


def _points(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return the grid's product; neighbours in it have few chapters in common.

    Runs that start together should not wait for each other's chapters, so what few chapters
    depend on varies slowest.
    """
    parts = dependants(list(grid))
    names = sorted(grid, key=lambda name: len(parts[name]))
    product = itertools.product(*(grid[name] for name in names))
    return [{name: point[names.index(name)] for name in grid} for point in product]


def _label(point: Mapping[str, str]) -> str:
    """Return a name for a run that is also a name of a folder and of a study.

    Examples
    --------
    >>> _label({"seed": "0", "hog_cell": "6"})
    'seed-0_hog_cell-6'
    """
    exact = "_".join(f"{name}-{value}" for name, value in point.items())
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", exact)[:64]
    if label == exact:
        return label
    return f"{label[:55]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
