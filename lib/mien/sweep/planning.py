"""Many studies at once: the grid, checked before anything runs, and what its runs depend on.

A sweep's folder holds ``index.html`` (its page), ``sweep.json`` (grid and state of every run),
``runs/<label>/`` (each a study's folder), ``logs/`` (what runs print) and ``store/`` (the chapters
that runs have in common).
"""

import hashlib
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien import project
from mien.errors import ParameterError
from mien.running import scheduler
from mien.study import results
from mien.study.parameters import CHAPTERS, ChapterPlan, Study, load_study, parts_to_run

#: Parameters that say where results go; the sweep sets them itself.
PLACES = ("name", "out")

#: Parameters by which data are read, and refused.
READ_WITH = (
    *("fer2013", "target", "skip_bad_rows", "public_share", "min_confidence", "find_faces"),
    "folds",
)


@dataclass(frozen=True)
class Task:
    """What a worker is told.

    The run's ``label``; the ``command`` of the worker's Python, in ``cwd``; ``log``, the file for
    what it prints; ``stop``, the file at whose sight it ends; ``threads`` (0: the worker's cores
    shared by its tasks).
    """

    label: str
    command: tuple[str, ...]
    cwd: str
    log: Path
    stop: Path
    threads: int = 0


@dataclass(frozen=True)
class Run:
    """One study of a sweep: its label, its values of the grid (as typed) and its parameters."""

    label: str
    point: Mapping[str, str]
    study: Study

    @property
    def values(self) -> dict[str, Any]:
        """Its values of the grid, in the types of the study's parameters."""
        return {name: getattr(self.study, name) for name in self.point}

    @property
    def settings(self) -> list[str]:
        """What sets it apart, as ``NAME=VALUE``."""
        return [*(f"{name}={text}" for name, text in self.point.items()), f"name={self.label}"]


@dataclass(frozen=True)
class Sweep:
    """A checked sweep; `plan` makes it.

    ``settings`` (``NAME=VALUE``) are the same for every run, ``grid`` has the values of every
    parameter as typed, ``runs`` stand in the order in which they start.
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
        name = project.study_name(self.study_file)
        words = [Path(name).name if Path(name).is_absolute() else name]
        for name, texts in self.grid.items():
            words += ["--grid", f"{name}={','.join(texts)}"]
        words += _set(self.settings)
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
                    *("-m", "mien.cli", "run", str(self.study_file), "--wait"),
                    *("--out", run.study.out),
                    *("--store", str(self.folder / "store")),
                    *("--only", parts),
                    *_set(self.settings),
                    *_set(run.settings),
                ),
                cwd=str(Path.cwd()),
                log=self.folder / "logs" / f"{run.label}.log",
                stop=self.folder / f".stop-{token}",
                threads=threads,
            )
            for run in self.runs
        ]


def read_grid(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values (as typed) of the parameters in ``NAME=V1,V2``; else `ParameterError`."""
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
        if name == "target":
            raise ParameterError(
                "--grid cannot vary 'target': persons are no settings of which one is best; run a "
                "study of each and put them side by side, mien compare STUDY STUDY --to DIR"
            )
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
    """Check every run of a grid (`read_grid`) and return the sweep; nothing is run.

    ``settings`` (``NAME=VALUE``) are for every run; ``out`` is the sweep's folder, by default what
    the study says, else ``reports/<study>-by-<names>``; ``only`` are the chapters to run, as
    ``"A1,B1"``. `ParameterError` if a parameter does not exist, a value is not allowed or comes
    twice, or a parameter is both in the grid and in ``settings``.
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
    file = project.study_file(study_file).resolve()
    return Sweep(name, folder, file, tuple(settings), dict(grid), chapters, tuple(runs))


def dependants(names: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return for every parameter the parts that take it, or read the results of such parts."""
    found = {}
    for name in names:
        parts: set[str] = set()
        for plan in CHAPTERS:  # in reading order, so what a chapter reads is known before it
            if name in plan.takes or parts & set(plan.reads):
                parts.add(plan.part)
        found[name] = frozenset(parts)
    return found


def check_data(sweep: Sweep) -> None:
    """Read the data of the runs once for every source; `DataError` where they cannot be read."""
    seen = set()
    for run in sweep.runs:
        source = tuple(getattr(run.study, name) for name in READ_WITH)
        if source not in seen:
            seen.add(source)
            scheduler.check_data(run.study)


def _set(settings: Sequence[str]) -> list[str]:
    return [word for text in settings for word in ("--set", text)]


def _points(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return the grid's product: what few chapters depend on varies slowest, lest runs wait."""
    parts = dependants(list(grid))
    names = sorted(grid, key=lambda name: len(parts[name]))
    product = itertools.product(*(grid[name] for name in names))
    return [{name: point[names.index(name)] for name in grid} for point in product]


def _label(point: Mapping[str, str]) -> str:
    """Return a name for a run that is also a name of a folder and of a study."""
    exact = "_".join(f"{name}-{value}" for name, value in point.items())
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", exact)[:64]
    if label == exact:
        return label
    return f"{label[:55]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
