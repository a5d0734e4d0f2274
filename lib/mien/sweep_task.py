"""One run of a sweep: a subprocess that runs one study, on this machine or on a worker.

The worker needs mien, the study file, the data and the results under the same paths as the sweep:
all on a shared folder. What travels is a `Task` there and a `Status` back, a few hundred bytes.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mien import provenance, results, tether

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Task:
    """What a worker is told.

    Attributes
    ----------
    label : str
        The run's name in its sweep.
    command : tuple of str
        What the worker's Python runs: ``-m mien.cli run …``; ``--threads`` is added there.
    cwd : str
        Where relative paths of the study start.
    notes : str
        Folder for the run's log and its `Status` while it works.
    stop : str
        The run ends when this file appears.
    threads : int
        How many threads the run may use; 0: the worker's cores shared by its tasks.
    """

    label: str
    command: tuple[str, ...]
    cwd: str
    notes: str
    stop: str
    threads: int = 0

    @property
    def log(self) -> Path:
        """What the run has printed."""
        return Path(self.notes) / f"{self.label}.log"

    @property
    def status_file(self) -> Path:
        """The run's status while it works."""
        return Path(self.notes) / f"{self.label}.json"


@dataclass(frozen=True)
class Status:
    """How a run fares: ``state`` is waiting, running, done, failed or stopped."""

    label: str
    state: str = "waiting"
    seconds: float = 0.0
    message: str = ""
    host: str = ""


def run_task(task: Task) -> Status:
    """Run one study in a subprocess, and end it when the sweep says so or its worker dies.

    Returns
    -------
    Status
        Done, failed (with the last words of ``mien run``) or stopped; never an exception of the
        study's own.
    """
    if Path(task.stop).exists():
        return Status(task.label, "stopped")
    _note(task, Status(task.label, "running", host=socket.gethostname()))
    start = time.perf_counter()
    try:
        with task.log.open("wb") as log:
            code = _run(task, log)
    except OSError as error:
        return _note(task, Status(task.label, "failed", message=f"it cannot be started: {error}"))
    state = "stopped" if code is None else "failed" if code else "done"
    message = _last_words(task.log, code) if state == "failed" else ""
    seconds = round(time.perf_counter() - start, 1)
    return _note(task, Status(task.label, state, seconds, message, socket.gethostname()))


def read_status(task: Task) -> Status:
    """Return the status that a run has noted; waiting, where it has noted none."""
    try:
        return Status(**json.loads(task.status_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Status(task.label)


def _run(task: Task, log) -> int | None:
    """Return the exit status of the run, None if it was told to stop."""
    process = subprocess.Popen(
        [sys.executable, *task.command, "--threads", str(task.threads or _share())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=task.cwd,
        env=tether.tethered(os.environ),
        start_new_session=True,  # Ctrl-C at the terminal is for the sweep, which ends its runs
    )
    try:
        while not Path(task.stop).exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_SECONDS)
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    process.stdin.close()
    try:
        process.wait(tether.GRACE_SECONDS + 5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _share() -> int:
    """Return the share of the cores that one of a Dask worker's tasks has."""
    try:
        from distributed import get_worker

        tasks_at_once = get_worker().state.nthreads
    except (ImportError, ValueError):  # this is no Dask worker
        tasks_at_once = 1
    return max(1, provenance.cores() // max(1, tasks_at_once))


def _last_words(log: Path, code: int) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    *_, words = re.split(r"^mien: ", said, flags=re.MULTILINE)
    if words != said:
        return words.strip()
    ending = f"signal {-code}" if code < 0 else f"exit status {code}"
    return "\n".join([*said.splitlines()[-3:], f"mien run ended with {ending}"])


def _note(task: Task, status: Status) -> Status:
    with contextlib.suppress(OSError):
        results.write_json(task.status_file, asdict(status))
    return status
