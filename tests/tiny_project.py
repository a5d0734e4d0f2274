"""A throw-away project: mien's own code, with chapters that take a moment instead of minutes."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from mien.synthetic.dataset import demo_folder

ROOT = Path(__file__).resolve().parents[1]

#: What every chapter computes: it says so in a file, may have to wait, and saves one score.
BODY = """
import os, time
from pathlib import Path
from mien.study import results
folder = Path(os.environ["TINY_PROJECT"])
gate = folder / f"wait-{name}"
if gate.exists() and not (folder / "release").exists():
    (folder / f"waits-{name}").write_text(str(os.getpid()))
    while not (folder / "release").exists():
        time.sleep(0.05)
assert globals().get("fine_tune_rate", 0) < 0.5, "too fast"
with (folder / "computed").open("a") as file:
    file.write(f"PART {name}\\n")
score = {"set": "PublicTest", "n": 100, "accuracy": 0.5 + seed / 100, "f1_macro": 0.5,
         "accuracy_ci95": [0.4, 0.6], "accuracy_ci95_method": "Wilson"}
results.save(Path(out), "PART", {"part": "PART", "scores": [score]})
"""


@dataclass(frozen=True)
class Project:
    """The project's folder, and the mien command in it."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, out: Path, *arguments: str) -> subprocess.Popen:
        """Start a sweep; every seed reads the same drawn faces, which are drawn already."""
        drawn = demo_folder()
        data = [f"fer2013={drawn / 'fer2013.csv'}", f"target={drawn / 'person'}"]
        command = ["-m", "mien.cli", "sweep", "notebooks/studies/demo.yaml", "--out", str(out)]
        command += [word for text in data for word in ("--set", text)]
        process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test has left."""
        for process in self.started:
            process.kill()
            process.wait()

    def sweep(self, out: Path, *arguments: str) -> subprocess.CompletedProcess:
        """Run a sweep of the demo study to its end."""
        process = self.start(out, *arguments)
        output, error = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, output, error)

    @property
    def environment(self) -> dict[str, str]:
        """For everything that runs in the project."""
        paths = {"PYTHONPATH": str(self.folder / "lib"), "TINY_PROJECT": str(self.folder)}
        return {**os.environ, **paths}

    def computed(self, part: str) -> int:
        """Return how often a chapter has been computed."""
        return (self.folder / "computed").read_text().split().count(part)

    def waits_at(self, label: str) -> Path:
        """Let a run wait in its first chapter; return the file that says (its pid) that it does."""
        (self.folder / "release").unlink(missing_ok=True)
        (self.folder / f"wait-{label}").touch()
        return self.folder / f"waits-{label}"

    def release(self) -> None:
        """Let every run go on."""
        (self.folder / "release").touch()


@contextmanager
def project(folder: Path) -> Iterator[Project]:
    """Give a project, and end what a failed test has left running in it."""
    made = make(folder)
    try:
        yield made
    finally:
        made.close()


def make(folder: Path) -> Project:
    """Make a project whose chapters take the same parameters as the real ones."""
    ignored = shutil.ignore_patterns("__pycache__", "weights", "*.egg-info")
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=ignored)
    shutil.copytree(ROOT / "notebooks" / "studies", folder / "notebooks" / "studies")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
        body = nbformat.v4.new_code_cell(BODY.replace("PART", path.name.partition("_")[0]))
        notebook.cells = [*tagged, body]
        nbformat.write(notebook, folder / "notebooks" / path.name)
    return Project(folder)


def record(out: Path) -> dict:
    """Return sweep.json."""
    return json.loads((out / "sweep.json").read_text())


def wait_until(
    true: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = 180
) -> None:
    """Wait for a condition that a process is to bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
