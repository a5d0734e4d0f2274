"""Execute one notebook with papermill, in a process of its own that ends when we end."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import filelock

from mien import system

#: How often a kernel may fail to start.
_ATTEMPTS = 4
_leaving = threading.Event()


@dataclass(frozen=True)
class Failure:
    """Why a notebook failed: the cell (counted from 1), its source, the error and its text."""

    cell: int
    source: str
    error: str
    message: str


def execute(job: dict[str, Any]) -> Failure | None:
    """Execute the notebook of a job and return its failure, or None.

    A job holds ``notebook`` (path), which takes the outputs, ``parameters`` (dict), ``lock``
    (path).
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    for attempt in range(_ATTEMPTS):
        try:
            _execute(job)
            return None
        except PapermillExecutionError as failed:
            cell = (failed.cell_index or 0) + 1
            return Failure(cell, failed.source, failed.ename, str(failed.evalue))
        except DeadKernelError:
            return Failure(0, "", "DeadKernel", "the notebook's kernel died (out of memory?)")
        except OSError as error:
            return Failure(0, "", type(error).__name__, str(error))
        except RuntimeError as error:
            # Several kernels that start at once may pick the same port (papermill issue 511);
            # the one that loses it dies before it answers.
            if attempt + 1 == _ATTEMPTS or _leaving.is_set():
                return Failure(0, "", "NoKernel", f"the notebook's kernel does not start: {error}")
            time.sleep(attempt)
    return None


def _execute(job: dict[str, Any]) -> None:
    import papermill
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager

    class OwnKernel(AsyncKernelManager):
        """Starts python3 as this very Python, whatever kernels are installed under that name."""

        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return KernelSpecManager(parent=self, kernel_dirs=[])

    papermill.execute_notebook(
        job["notebook"],
        job["notebook"],
        parameters=job["parameters"],
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        progress_bar=False,
        shutdown_kernel="immediate",
    )


def main() -> None:
    """Run the job that stands on standard input."""
    warnings.simplefilter("ignore")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    job = json.loads(sys.stdin.readline())
    system.end_with_stdin(_leaving.set)
    with contextlib.redirect_stdout(sys.stderr), filelock.FileLock(job["lock"]):
        failure = execute(job)
    print(json.dumps({"failure": asdict(failure) if failure else None}), flush=True)


#: Seconds that a process has to end its kernel before it is killed.
_PATIENCE = 15


class Child:
    """A process that executes one notebook (`execute`); its kernel sees ``environment``, too."""

    def __init__(self, job: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in answer
        self._late = False
        # Ctrl-C at the terminal reaches us alone, and we end the child.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mien.running.execution"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env={**os.environ, **environment},
            **system.out_of_reach(),
        )
        # Standard input stays open on purpose: that it closes tells the child that we are gone.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()

    def answer(self, minutes: float | None = None) -> Failure | None:
        """Wait for the notebook's end, at most so many minutes; return its failure, or None."""
        timer = threading.Timer((minutes or 0) * 60, self._too_late)
        if minutes:
            timer.start()
        try:
            line = self._process.stdout.readline()
            if self._late:
                text = f"it was not done after {minutes:g} minutes, the limit (--minutes)"
                return Failure(0, "", "TimeLimit", text)
            if line:
                failure = json.loads(line)["failure"]
                return Failure(**failure) if failure else None
            return Failure(0, "", "Died", self._complaint())
        finally:
            timer.cancel()
            self.end()
            self._complaints.close()

    def end(self) -> None:
        """End the child and its kernel, and wait until they are gone."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _too_late(self) -> None:
        self._late = True
        self.end()

    def _complaint(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the process was killed"


class Children:
    """All children of one run, so that they can be ended together."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._running: set[Child] = set()

    def execute(
        self, job: Mapping[str, Any], environment: Mapping[str, str], minutes: float | None
    ) -> Failure | None:
        """Execute a notebook in a child and return its failure, or None."""
        child = Child(job, environment)
        self._running.add(child)
        try:
            if self.stopping.is_set():
                child.end()
            return child.answer(minutes)
        finally:
            self._running.discard(child)

    def end(self) -> None:
        """End all children, and those to come."""
        self.stopping.set()
        for child in list(self._running):
            child.end()


if __name__ == "__main__":
    main()
