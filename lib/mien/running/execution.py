"""Execute one notebook with papermill, in a process of its own that ends when we end."""

import contextlib
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

import filelock

from mien import system

#: How often a kernel may fail to start.
_ATTEMPTS = 4
_leaving = threading.Event()


@dataclass(frozen=True)
class Failure:
    """Why a notebook failed; of a cell that did, its place (counted from 1) and its source, too."""

    message: str
    cell: int = 0
    source: str = ""


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
            return Failure(f"{failed.ename}: {failed.evalue}", cell, failed.source)
        except DeadKernelError:
            return Failure("the notebook's kernel died (out of memory?)")
        except OSError as error:
            return Failure(str(error))
        except RuntimeError as error:
            # Several kernels that start at once may pick the same port (papermill issue 511);
            # the one that loses it dies before it answers.
            if attempt + 1 == _ATTEMPTS or _leaving.is_set():
                return Failure(f"the notebook's kernel does not start: {error}")
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
    print(json.dumps(asdict(failure) if failure else None), flush=True)
    os._exit(0)  # whatever thread of a kernel's client lingers


def in_child(
    job: Mapping[str, Any],
    environment: Mapping[str, str],
    minutes: float | None,
    stopping: threading.Event,
) -> Failure | None:
    """Execute a notebook (`execute`) in a process of its own; return its failure, or None.

    Its kernel sees ``environment``, too. Both are ended after so many ``minutes``, if any, and when
    somebody is ``stopping``.
    """
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaints:
        # Ctrl-C at the terminal reaches us alone, and we end the child.
        process = subprocess.Popen(
            [sys.executable, "-m", "mien.running.execution"],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=complaints,
            env={**os.environ, **environment},
            **system.out_of_reach(),
        )
        late = time.monotonic() + (minutes or math.inf) * 60
        try:
            # Standard input stays open on purpose: that it closes tells the child that we are gone.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
            while process.poll() is None and not stopping.wait(0.1):
                if time.monotonic() > late:
                    told = f"it was not done after {minutes:g} minutes, the limit (--minutes)"
                    return Failure(told)
        finally:
            system.end(process, 15)  # seconds for its kernel to end, too
        if answers := _lines(answer):
            failure = json.loads(answers[-1])
            return Failure(**failure) if failure else None
        return Failure((_lines(complaints) or ["the process was killed"])[-1])


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read().decode(errors="replace").strip().splitlines()


if __name__ == "__main__":
    main()
