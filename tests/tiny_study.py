"""A throw-away project of tiny notebooks, run in this process or as the command in its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil

from mien.running import scheduler
from mien.running.scheduler import Options
from mien.study.parameters import CHAPTERS, make_study

COMMON = 'profile: str = "demo"  # p\nseed: int = 0  # s\nout: str = ""  # o\n'
PARAMETERS = {
    "A1": COMMON + "hog_cell: int = 0  # h",
    "A2": COMMON + "folds: int = 5  # f",
    "B1": COMMON + "epochs: int = 0  # e",
    "B2": COMMON + "resamples: int = 2000  # r",
}
PLANS = [plan for plan in CHAPTERS if plan.part in PARAMETERS]
OPTIONS = Options()

#: Becomes the command, for a project in the folder that its first argument names.
DRIVER = """
import sys
from pathlib import Path
from mien import cli
from mien.running import scheduler
from mien.study import results
project = Path(sys.argv.pop(1))
results.project_root = lambda: project
scheduler.check_data = lambda study: ({"fer2013": "abc"}, {})
sys.argv[0] = "mien"
cli.main()
"""


def write_notebook(folder, plan, body="value = seed"):
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


def start(project, out, *arguments, only="A1"):
    """Start ``mien run`` for a tiny project, in a process group of its own."""
    (project / "tiny.yaml").write_text("name: tiny\n")
    command = ["run", str(project / "tiny.yaml"), "--only", only, "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(project.parent), *command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )


def wait_until(condition, seconds=120):
    """Wait until a condition holds; fail if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
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


def hidden(out):
    """Return the hidden files below a folder, locks aside: what was not finished."""
    return [path for path in Path(out).rglob(".*") if not path.name.endswith(".lock")]
