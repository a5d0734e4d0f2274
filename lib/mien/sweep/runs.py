"""The runs of a sweep: each a subprocess, mapped over an executor, followed, ended when told to."""

import asyncio
import concurrent.futures as cf
import contextlib
import logging
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from mien import system
from mien.errors import MienError, ParameterError
from mien.study import provenance, results
from mien.sweep.planning import Sweep, Task

_PROCESS_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Status:
    """How a run fares: ``state`` is waiting, running, done, failed or stopped."""

    label: str
    state: str = "waiting"
    seconds: float = 0.0
    message: str = ""
    host: str = ""

    def __str__(self) -> str:
        """Return what to say of it: a line, and what went wrong."""
        where = f" on {self.host}" if self.host and self.message else ""
        took = f" after {self.seconds:.0f} s" if self.seconds else ""
        lines = [f"{self.label} {self.state}{where}{took}", *self.message.splitlines()]
        return "\n    ".join(lines)


def run_task(task: Task) -> Status:
    """Run one study in a subprocess: done, failed (with its last words) or stopped."""
    if task.stop.exists():
        return Status(task.label, "stopped")
    start = time.perf_counter()
    try:
        with task.log.open("wb") as log:
            code = _run_here(task, log)
    except OSError as error:
        return Status(task.label, "failed", message=f"it cannot be started: {error}")
    state = "stopped" if code is None else "failed" if code else "done"
    message = _last_words(task.log, code) if state == "failed" else ""
    seconds = round(time.perf_counter() - start, 1)
    return Status(task.label, state, seconds, message, socket.gethostname())


def _run_here(task: Task, log) -> int | None:
    """Return the exit status of the run, None if it was told to stop."""
    process = subprocess.Popen(
        [sys.executable, *task.command, "--threads", str(task.threads or _share())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=task.cwd,
        env={**os.environ, system.TETHERED: "1"},
        **system.out_of_reach(),  # Ctrl-C at the terminal is for the sweep, which ends its runs
    )
    try:
        while not task.stop.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_PROCESS_LOOK_SECONDS)
        return None
    finally:
        system.end(process, system.GRACE_SECONDS + 5)


def _share() -> int:
    """Return the share of the cores that one of a Dask worker's tasks has."""
    try:
        from distributed import get_worker

        tasks_at_once = get_worker().state.nthreads
    except (ImportError, ValueError):  # this is no Dask worker
        tasks_at_once = 1
    return max(1, system.cores() // max(1, tasks_at_once))


def _last_words(log: Path, code: int) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    *_, words = re.split(r"^mien: ", said, flags=re.MULTILINE)
    if words != said:
        return words.strip()
    ending = f"signal {-code}" if code < 0 else f"exit status {code}"
    return "\n".join([*said.splitlines()[-3:], f"mien run ended with {ending}"])


_LOOK_SECONDS = 0.5
_STOP_SECONDS = 40


class DiskTrouble(MienError):
    """The sweep's folder takes nothing more."""

    exit_status = 1


def run(
    sweep: Sweep,
    executor: cf.Executor,
    *,
    threads: int = 0,
    tell: Callable[[Status], None] = lambda status: None,
) -> dict[str, Status]:
    """Map the runs of a sweep over an executor, wait for all of them, return how they fared.

    The executor's workers see the sweep's folder and data under the same paths. ``threads`` are
    those of each run, 0 is its share of the worker's cores; ``tell`` is called whenever the state
    of a run changes. `MienError` if another sweep works in the same folder, `DiskTrouble` if the
    disk is full or fails; the runs are ended first.
    """
    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(sweep.folder / ".lock", timeout=0):
            return _run(sweep, executor, threads, tell)
    except filelock.Timeout:
        raise MienError(f"another mien is running the sweep in {sweep.folder}") from None
    except PermissionError as error:
        raise ParameterError(f"results cannot be written: {error}") from None
    except OSError as error:
        raise DiskTrouble(
            f"the disk failed: {error}; free some and run the sweep again, it goes on where it was"
        ) from None


@contextmanager
def dask_cluster(address: str, *, seconds: float = 10) -> Iterator[cf.Executor]:
    """Give an executor of an existing Dask cluster; a run whose worker dies starts elsewhere.

    At most Dask's ``distributed.scheduler.allowed-failures`` times. `ParameterError` if
    ``distributed`` is not installed, or the scheduler does not answer.
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

    # What becomes of the cluster is told run by run.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        asyncio.run(call())
        client = Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"the Dask scheduler at {address} does not answer ({error}); is the address right,"
            " and does `dask scheduler` run there?"
        ) from None
    with client:
        yield client.get_executor(pure=False)


def _run(
    sweep: Sweep, executor: cf.Executor, threads: int, tell: Callable[[Status], None]
) -> dict[str, Status]:
    (sweep.folder / "logs").mkdir(exist_ok=True)
    for old in sweep.folder.glob(".stop-*"):
        old.unlink(missing_ok=True)
    tasks = sweep.tasks(threads, secrets.token_hex(4))
    statuses = {task.label: Status(task.label) for task in tasks}
    futures = {executor.submit(run_task, task): task.label for task in tasks}
    pending = set(futures)
    try:
        while pending:
            done, pending = cf.wait(pending, _LOOK_SECONDS, return_when=cf.FIRST_COMPLETED)
            seen = [Status(futures[future], "running") for future in pending if future.running()]
            for status in (*seen, *(_outcome(future, futures[future]) for future in done)):
                if status.state != statuses[status.label].state:
                    statuses[status.label] = status
                    tell(status)
            if done:
                write(sweep, statuses)
    except BaseException:
        # Runs, wherever they are, see the file and end; those that wait do not begin.
        tasks[0].stop.touch()
        _, pending = cf.wait(pending, _STOP_SECONDS)
        raise
    finally:
        if not pending:
            tasks[0].stop.unlink(missing_ok=True)
    return statuses


def write(sweep: Sweep, statuses: Mapping[str, Status]) -> None:
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
                    "point": run.values,
                    "state": statuses[run.label].state,
                    "seconds": statuses[run.label].seconds,
                    "message": statuses[run.label].message,
                }
                for run in sweep.runs
            ],
        },
    )


def _outcome(future: cf.Future, label: str) -> Status:
    try:
        return future.result()
    except cf.CancelledError:
        return Status(label, "failed", message="the Dask scheduler is gone")
    except Exception as error:
        # What the cluster says of a task that took every worker it ran on down with it.
        return Status(label, "failed", message=f"{type(error).__name__}: {error}")
