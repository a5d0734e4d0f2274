"""The runs of a sweep: each a subprocess, mapped over an executor, followed, ended when told to."""

import asyncio
import concurrent.futures as cf
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import gethostname

import filelock

from mien import system
from mien.errors import MienError, ParameterError
from mien.running import scheduler
from mien.study import provenance, results
from mien.sweep.planning import Sweep

#: The file in a sweep's folder at whose sight runs end.
STOP = ".stop"


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


def run_task(
    label: str, arguments: Sequence[str], folder: Path, here: Path, threads: int
) -> Status:
    """Run Python in a subprocess: done, failed (with its last words) or stopped.

    It works in ``here``, prints into the sweep's ``folder``, and ends when a file `STOP` is there.
    """
    log, stop = folder / "logs" / f"{label}.log", folder / STOP
    if stop.exists():
        return Status(label, "stopped")
    if threads:
        arguments = [*arguments, "--threads", str(threads)]
    start = time.perf_counter()
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=here,
                env={**os.environ, system.TETHERED: "1"},
                **system.out_of_reach(),  # Ctrl-C at the terminal is for the sweep
            )
            try:
                while (code := process.poll()) is None and not stop.exists():
                    time.sleep(0.2)
            finally:
                system.end(process, system.GRACE_SECONDS + 5)
    except OSError as error:
        return Status(label, "failed", message=f"it cannot be started: {error}")
    state = "stopped" if code is None else "failed" if code else "done"
    seconds = round(time.perf_counter() - start, 1)
    return Status(label, state, seconds, _last_words(log, code) if code else "", gethostname())


def _last_words(log: Path, code: int) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    *_, words = re.split(r"^mien: ", said, flags=re.MULTILINE)
    if words != said:
        return words.strip()
    ending = f"signal {-code}" if code < 0 else f"exit status {code}"
    return "\n".join([*said.splitlines()[-3:], f"mien run ended with {ending}"])


def run(
    sweep: Sweep,
    executor: cf.Executor,
    *,
    threads: int = 0,
    tell: Callable[[Status], None] = lambda status: None,
) -> dict[str, Status]:
    """Map the runs of a sweep over an executor, wait for all of them, return how they fared.

    The executor's workers see the sweep's folder and data under the same paths. ``threads`` are
    those of each run, 0 are all cores of the worker; ``tell`` is called whenever the state
    of a run changes. `MienError` if another sweep works in the same folder, or the disk is full or
    fails; the runs are ended first.
    """
    try:
        (sweep.folder / "logs").mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(sweep.folder / ".lock", timeout=0):
            return _follow(sweep, executor, threads, tell)
    except filelock.Timeout:
        raise MienError(f"another mien is running the sweep in {sweep.folder}") from None
    except OSError as error:
        raise scheduler.disk_trouble(sweep.folder, error) from None


def _follow(
    sweep: Sweep, executor: cf.Executor, threads: int, tell: Callable[[Status], None]
) -> dict[str, Status]:
    (sweep.folder / STOP).unlink(missing_ok=True)
    statuses = {run.name: Status(run.name) for run in sweep.runs}
    futures = {}
    for run in sweep.runs:
        told = (run.name, sweep.arguments(run), sweep.folder, Path.cwd(), threads)
        futures[executor.submit(run_task, *told)] = run.name
    pending = set(futures)
    try:
        while pending:
            done, pending = cf.wait(pending, 0.5, return_when=cf.FIRST_COMPLETED)
            seen = [Status(futures[future], "running") for future in pending if future.running()]
            for status in (*seen, *(_outcome(future, futures[future]) for future in done)):
                if status.state != statuses[status.label].state:
                    statuses[status.label] = status
                    tell(status)
            if done:
                _write(sweep, statuses)
    except BaseException:
        # Runs, wherever they are, see the file and end; those that wait do not begin.
        (sweep.folder / STOP).touch()
        cf.wait(pending, 40)  # seconds
        raise
    return statuses


def _outcome(future: cf.Future, label: str) -> Status:
    try:
        return future.result()
    except Exception as error:
        # A Dask cluster is gone, or the task took every worker that it ran on down with it.
        told = f"lost with its worker or cluster ({type(error).__name__}: {error})"
        return Status(label, "failed", message=told)


def _write(sweep: Sweep, statuses: Mapping[str, Status]) -> None:
    results.write_json(
        sweep.folder / "sweep.json",
        {
            "name": sweep.name,
            "grid": sweep.grid,
            "settings": sweep.settings,
            "command": sweep.command,
            "chapters": sweep.parts,
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "git": provenance.git_state(),
            "runs": [
                {**asdict(statuses[run.name]), "point": run.model_dump(include={*sweep.grid})}
                for run in sweep.runs
            ],
        },
    )


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
