"""Many studies at once: the grid, checked before anything runs, and what its runs depend on.

A sweep's folder holds ``index.html`` (its page), ``sweep.json`` (grid and state of every run),
``runs/<label>/`` (each a study's folder), ``logs/`` (what runs print) and ``store/`` (the chapters
that runs have in common).
"""

import hashlib
import itertools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien import project
from mien.errors import ParameterError
from mien.running import scheduler
from mien.study import results
from mien.study.parameters import BY_PART, CHAPTERS, Study, load_study, parts_to_run


@dataclass(frozen=True)
class Sweep:
    """A checked sweep; `plan` makes it.

    ``settings`` (``NAME=VALUE``) are the same for every run, ``grid`` has the values of every
    parameter as typed, ``parts`` are the chapters to run; ``runs`` are studies, whose names are
    their labels, in the order in which they start.
    """

    name: str
    folder: Path
    study_file: Path
    settings: tuple[str, ...]
    grid: Mapping[str, tuple[str, ...]]
    parts: tuple[str, ...]
    runs: tuple[Study, ...]

    @property
    def command(self) -> str:
        """The command line that repeats the sweep, from the project's folder."""
        name = project.study_name(self.study_file)
        words = [Path(name).name if Path(name).is_absolute() else name]
        for name, texts in self.grid.items():
            words += ["--grid", f"{name}={','.join(texts)}"]
        words += _set(self.settings)
        if len(self.parts) < len(CHAPTERS):
            words += ["--only", ",".join(self.parts)]
        return shlex.join(["mien", "sweep", *words])

    def arguments(self, run: Study) -> list[str]:
        """Return the arguments of Python that execute a run."""
        own = [f"{name}={getattr(run, name)}" for name in ("name", *self.grid)]
        return [
            *("-m", "mien.cli", "run", str(self.study_file), "--wait", "--out", run.out),
            *("--store", str(self.folder / "store"), "--only", ",".join(self.parts)),
            *_set([*self.settings, *own]),
        ]


def _read_grid(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    grid: dict[str, tuple[str, ...]] = {}
    for item in items:
        name, _, values = (part.strip() for part in item.partition("="))
        texts = tuple(text.strip() for text in values.split(","))
        if not name or not all(texts):
            raise ParameterError(f"--grid takes NAME=V1,V2 without empty values, not {item!r}")
        if name in grid:
            raise ParameterError(f"--grid names {name!r} twice; give all its values at once")
        if name in ("name", "out", "target"):
            raise ParameterError(
                f"--grid cannot vary {name!r}: a sweep places its runs itself, and persons are put "
                "side by side, a study of each, by mien compare STUDY STUDY --to DIR"
            )
        grid[name] = texts
    return grid


def plan(
    study_file: str | Path,
    items: Sequence[str],
    *,
    settings: Sequence[str] = (),
    out: str = "",
    only: str = "",
) -> Sweep:
    """Check every run of a grid and return the sweep; nothing is run.

    ``items`` are the grid's parameters with their values, each as ``NAME=V1,V2``; ``settings``
    (``NAME=VALUE``) are for every run; ``out`` is the sweep's folder, by default what the study
    says, else ``reports/<study>-by-<names>``; ``only`` are the chapters to run, as ``"A1,B1"``.
    `ParameterError` if a parameter does not exist, a value is not allowed or comes twice, or a
    parameter is both in the grid and in ``settings``.
    """
    grid = _read_grid(items)
    fixed = {text.partition("=")[0].strip() for text in settings}
    if both := fixed & set(grid):
        raise ParameterError(f"{min(both)!r} is in both --set and --grid; leave one out")
    study = load_study(study_file, settings)
    name = f"{study.name}-by-{'-'.join(grid)}"
    folder = Path(out or study.out or results.study_folder(name)).resolve()
    # What few chapters depend on varies slowest, lest runs wait for chapters that they share.
    parts = dependants(grid)
    slowest_first = sorted(grid, key=lambda name: len(parts[name]))
    runs = []
    for values in itertools.product(*(grid[name] for name in slowest_first)):
        chosen = dict(zip(slowest_first, values, strict=True))
        label = _label({name: chosen[name] for name in grid})
        placed = {**chosen, "name": label, "out": folder / "runs" / label}
        given = [*settings, *(f"{key}={value}" for key, value in placed.items())]
        runs.append(load_study(study_file, given))
    for varied, texts in grid.items():
        if len({getattr(run, varied) for run in runs}) < len(texts):
            raise ParameterError(f"--grid {varied}={','.join(texts)} names a value twice")
    file = project.study_file(study_file).resolve()
    asked = tuple(chapter.part for chapter in parts_to_run(only))
    return Sweep(name, folder, file, tuple(settings), grid, asked, tuple(runs))


def dependants(names: Iterable[str]) -> dict[str, set[str]]:
    """Return for every parameter the parts that take it, or read the results of such parts."""
    found = {name: set() for name in names}
    for name, parts in found.items():
        for chapter in CHAPTERS:  # in reading order, so what a chapter reads is known before it
            if name in chapter.takes or parts & set(chapter.reads):
                parts.add(chapter.part)
    return found


def check_data(sweep: Sweep) -> None:
    """Read the data of the runs once for every source; `DataError` where they cannot be read."""
    read_with = ("fer2013", "target", *BY_PART["0"].parameters, "folds")
    sources = {tuple(getattr(run, name) for name in read_with): run for run in sweep.runs}
    for study in sources.values():
        scheduler.check_data(study)


def _set(settings: Sequence[str]) -> list[str]:
    return [word for text in settings for word in ("--set", text)]


def _label(point: Mapping[str, str]) -> str:
    """Return a name for a run that is also a name of a folder and of a study."""
    exact = "_".join(f"{name}-{value}" for name, value in point.items())
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", exact)[:64]
    if label == exact:
        return label
    return f"{label[:55]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
