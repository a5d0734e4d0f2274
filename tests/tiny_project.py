"""Throw-away projects of tiny notebooks: run in this process, or by the command in its own."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pandas as pd
import psutil
from papermill.engines import Engine

from mien.running import execution, scheduler
from mien.running.scheduler import Options
from mien.study.parameters import CHAPTERS, make_study
from mien.synthetic.dataset import demo_folder

ROOT = Path(__file__).resolve().parents[1]

COMMON = 'profile: str = "demo"  # p\nseed: int = 0  # s\nout: str = ""  # o\n'
PARAMETERS = {
    "A1": COMMON + "hog_cell: int = 0  # h",
    "A2": COMMON + "folds: int = 5  # f",
    "B1": COMMON + "epochs: int = 0  # e",
    "B2": COMMON + "resamples: int = 2000  # r",
}
PLANS = [plan for plan in CHAPTERS if plan.part in PARAMETERS]
OPTIONS = Options()


def write_notebook(folder, plan, body="value = seed"):
    """Write a chapter that saves one number."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    parameters = nbformat.v4.new_code_cell(PARAMETERS[plan.part], id="p")
    parameters.metadata["tags"] = ["parameters"]
    save = (
        "from pathlib import Path\nfrom mien.study import results\n"
        f"{body}\nresults.save(Path(out), '{plan.part}', {{'value': value}})"
    )
    notebook.cells = [
        nbformat.v4.new_markdown_cell(f"# {plan.title}", id="t"),
        parameters,
        nbformat.v4.new_code_cell(save, id="s"),
    ]
    nbformat.write(notebook, folder / f"{plan.notebook}.ipynb")


def run(out, options=OPTIONS, **parameters):
    """Run the tiny study and return what the runner told last of each part, as {part: state}."""
    told = {}

    def tell(event):
        told[event.plan.part] = event.state

    study = make_study({"out": str(out), **parameters})
    scheduler.run(study, PLANS, options, tell=tell)
    return told


class Here(Engine):
    """An engine of papermill that executes the cells of a notebook in this process."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **options):
        """Execute cells until one fails, as a kernel does."""
        names = {}
        for place, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code":
                continue
            cell.execution_count = place
            try:
                exec(cell.source, names)
            except Exception as error:
                name, text = type(error).__name__, str(error)
                shown = [f"{name}: {text}"]
                cell.outputs = [
                    nbformat.v4.new_output("error", ename=name, evalue=text, traceback=shown)
                ]
                nb_man.cell_exception(cell, place, exception=error)
                return


_alone = threading.Lock()


def execute_here(job, environment, minutes, stopping):
    """Execute a notebook, one at a time, in this process (instead of `execution.in_child`)."""
    with _alone:
        return execution.execute(job)


#: Becomes the command, for studies that read no data.
DRIVER = """
import sys
from mien import cli
from mien.running import scheduler
from mien.study.data_check import StudyData
scheduler.check_data = lambda study: StudyData({"fer2013": "abc"}, {})
sys.argv[0] = "mien"
cli.main()
"""


def start(project, out, *arguments, only="A1"):
    """Start ``mien run`` for a tiny project, in a process group of its own."""
    (project / "tiny.yaml").write_text("name: tiny\n")
    command = ["run", str(project / "tiny.yaml"), "--only", only, "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *command, *map(str, arguments)],
        cwd=project.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )


#: What every chapter of a sweep's project computes: it says so in a file, may have to wait, and
#: saves one score.
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
    """Tiny chapters that take the real ones' parameters, in a folder; mien's command there."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path) -> "Project":
        """Write the chapters into a folder."""
        (folder / "notebooks").mkdir()
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
            body = nbformat.v4.new_code_cell(BODY.replace("PART", path.name.partition("_")[0]))
            notebook.cells = [*tagged, body]
            nbformat.write(notebook, folder / "notebooks" / path.name)
        return cls(folder)

    def start(self, out: Path, *arguments: str) -> subprocess.Popen:
        """Start a sweep; every seed reads the same drawn faces, which are drawn already."""
        drawn = demo_folder()
        data = [f"fer2013={drawn / 'fer2013.csv'}", f"target={drawn / 'person'}"]
        command = ["-m", "mien.cli", "sweep", "demo", "--out", str(out)]
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
        output, error = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, output, error)

    @property
    def environment(self) -> dict[str, str]:
        """For everything that runs in the project."""
        return {**os.environ, "TINY_PROJECT": str(self.folder)}

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
def opened(folder: Path) -> Iterator[Project]:
    """Give a project, and end what a failed test has left running in it."""
    made = Project.make(folder)
    try:
        yield made
    finally:
        made.close()


def record(out: Path) -> dict:
    """Return sweep.json."""
    return json.loads((out / "sweep.json").read_text())


def keep_one_face_of(folder, emotion):
    """Leave one image of an emotion, its row of Action Units, and units that never vary."""
    _, *more = sorted((folder / "images" / emotion).iterdir())
    (table,) = folder.glob("*_AU.csv")
    units = pd.read_csv(table)
    units = units[~units["file_name"].isin([image.name for image in more])]
    units.assign(AU02_r=0.5, AU02_c=1, AU45_r=0.0).to_csv(table, index=False)
    for image in more:
        image.unlink()


#: Seconds to wait for what must happen, however busy the machine is.
PATIENCE = 600


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait until a condition holds; fail if it never does, or if its process ends before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


def family(process):
    """Return the processes that a process has started, and theirs."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command(process):
    """Return the command line of a process; nothing if it has ended in the meantime."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie, too
        return []


def alive(process):
    """Return whether a process lives (one that nobody has waited for is dead)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def gone(processes):
    """Return whether none of these processes lives."""
    return not any(map(alive, processes))


def lives(pid: int) -> bool:
    """Return whether the process of this number lives."""
    try:
        return alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def hidden(out):
    """Return the hidden files below a folder, locks aside: what was not finished."""
    return [path for path in Path(out).rglob(".*") if not path.name.endswith(".lock")]
