"""Plant the falsifications of this folder's tables one at a time: each must make its test fail.

``make mutants`` copies the project once, checks that the named tests pass there, and then, for
every row of ``*.toml``, changes one place, runs the one test that must notice, and puts the place
back. What nothing noticed is printed and makes the command fail; guides/mutants.md is written when
all rows were tried. ``python tests/mutants/plant.py folds cells`` tries some tables only.

A table has a list ``mutants`` of ``file``, ``old`` (must occur once; of a notebook in its code
cells), ``new`` and ``test`` (a test's file and name); ``test`` at the top is the default.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = Path(__file__).parent
SECONDS = 240  # that one test may take
#: Assertions need no words here, and plugins that are loaded anew for every test take seconds.
WITHOUT = ["-p", "no:cacheprovider", "-p", "no:unraisableexception", "--assert=plain"]
QUICK = ["-q", "-p", "xdist.plugin", *WITHOUT]
#: What tests import; loaded once, because every test runs in a fork of this process.
HEAVY = "numpy pandas scipy.stats sklearn.svm sklearn.linear_model sklearn.metrics statsmodels.api"
HEAVY += " matplotlib.pyplot nbformat nbconvert papermill IPython hypothesis typer keras"
THREADS = "OMP_NUM_THREADS OPENBLAS_NUM_THREADS TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS"


@dataclass(frozen=True)
class Mutant:
    """One row of a table."""

    area: str
    file: str
    old: str
    new: str
    test: str

    def __str__(self) -> str:
        """Return where it is and what it makes of what."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.area}: {self.file}: {old}  ->  {new}  ({self.test})"


def mutants(*areas: str) -> list[Mutant]:
    """Return the rows of these tables, of all where none is named."""
    found = []
    for path in sorted(TABLES.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = table["mutants"] if not areas or path.stem in areas else []
        default = {name: table[name] for name in ("file", "test") if name in table}
        found += [Mutant(path.stem, **(default | row)) for row in rows]
    return found


def falsified(text: str, mutant: Mutant) -> str:
    """Return the text of the mutant's file with the mutant in it.

    Raises
    ------
    ValueError
        If the old text does not occur exactly once.
    """
    if not mutant.file.endswith(".ipynb"):
        pieces, notebook = [text], None
    else:
        notebook = json.loads(text)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        pieces = ["".join(cell["source"]) for cell in code]
    times = sum(piece.count(mutant.old) for piece in pieces)
    if times != 1:
        raise ValueError(f"the old text occurs {times} times, not once: {mutant}")
    changed = [piece.replace(mutant.old, mutant.new) for piece in pieces]
    if notebook is None:
        return changed[0]
    for cell, source in zip(code, changed, strict=True):
        cell["source"] = source
    return json.dumps(notebook)


@contextlib.contextmanager
def planted(copy: Path, mutant: Mutant) -> Iterator[None]:
    """Change one place of the copy, and put it back."""
    path = copy / mutant.file
    text, times = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(falsified(text, mutant), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _test(copy: Path, tests: list[str], told: Path) -> None:
    """Run tests of the copy in this process, a fork, and end it with pytest's exit status."""
    import pytest

    with told.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        os.chdir(copy)
        sys.path.insert(0, str(copy / "lib"))
        os.environ["PYTHONPATH"] = str(copy / "lib")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os._exit(pytest.main([*QUICK, *tests]))


def outcome(copy: Path, *tests: str, seconds: float = SECONDS) -> str:
    """Return how tests ended: passed, failed (a test did), hung, or broken, with what was said."""
    told = copy / "told.txt"
    child = multiprocessing.get_context("fork").Process(target=_test, args=(copy, tests, told))
    child.start()
    child.join(seconds)
    if child.is_alive():
        child.kill()
        child.join()
        return "hung"
    known = {0: "passed", 1: "failed"}
    return known.get(child.exitcode) or f"broken: {told.read_text()[-2000:]}"


def main(areas: list[str]) -> int:
    """Try the tables; return the command's exit status."""
    for name in THREADS.split():
        os.environ.setdefault(name, "1")
    sys.modules.setdefault("rfc3987_syntax", None)  # as mien.running has it
    for name in HEAVY.split():
        importlib.import_module(name)
    gc.freeze()
    start, every, survivors = time.perf_counter(), mutants(*areas), []
    left_out = shutil.ignore_patterns(".*", "reports", "__pycache__", "docs", "told.txt")
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "mien"
        shutil.copytree(ROOT, copy, ignore=left_out)
        (copy / "reports").mkdir()
        sound = outcome(copy, *dict.fromkeys(mutant.test for mutant in every), seconds=1800)
        if sound != "passed":
            print(f"the tests fail without any mutant: {sound}", (copy / "told.txt").read_text())
            return 2
        sys.dont_write_bytecode = True
        for number, mutant in enumerate(every, start=1):
            began = time.perf_counter()
            with planted(copy, mutant):
                ended = outcome(copy, "-x", mutant.test)
            took = f"{time.perf_counter() - began:4.1f} s"
            print(f"{number}/{len(every)} {ended[:6]} {took} {mutant}", flush=True)
            if ended != "failed":
                survivors.append(mutant)
                print(f"NOT NOTICED ({ended})", flush=True)
    seconds = time.perf_counter() - start
    print(f"{len(every) - len(survivors)} of {len(every)} killed in {seconds:.0f} s")
    if not areas:
        write_guide(every, survivors, seconds)
    return int(bool(survivors))


def write_guide(every: list[Mutant], survivors: list[Mutant], seconds: float) -> None:
    """Write what came of it into guides/mutants.md, beside what is written there by hand."""
    planted, left = (Counter(mutant.area for mutant in rows) for rows in (every, survivors))
    counts = [f"| {area} | {planted[area]} | {left[area]} |" for area in planted]
    path = ROOT / "guides" / "mutants.md"
    by_hand, mark, _ = path.read_text(encoding="utf-8").partition("## The last run")
    lines = [
        f"{mark}\n\n{date.today()}: {len(every)} planted, {len(every) - len(survivors)} noticed, "
        f"{seconds:.0f} seconds in all.\n",
        "| table | planted | not noticed |",
        "| --- | --- | --- |",
        *counts,
        *["", *(f"- {mutant}" for mutant in survivors)] * bool(survivors),
    ]
    path.write_text(by_hand + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
