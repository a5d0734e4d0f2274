"""Execute one notebook with papermill, in a process of its own.

The runner starts ``python -m mien.execute`` for every chapter and hands it one line of JSON, the
job, on standard input. It answers with one line of JSON on standard output. When standard input
closes, the runner is gone, and the notebook's kernel must not live on without it.

Whoever executes a chapter of a study holds the chapter's lock until its kernel is gone, so that
a kernel that a killed runner has left cannot write what the next one writes.
"""

import contextlib
import json
import logging
import sys
import threading
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import filelock

from mien import tether

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

    Parameters
    ----------
    job : dict
        ``notebook`` (path), which takes the outputs, ``parameters`` (dict), ``lock`` (path).

    Returns
    -------
    Failure or None
        The notebook is there in both cases, as far as it was executed.
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

    papermill.execute_notebook(
        job["notebook"],
        job["notebook"],
        parameters=job["parameters"],
        kernel_name="python3",
        progress_bar=False,
        shutdown_kernel="immediate",
    )


def main() -> None:
    """Run the job that stands on standard input."""
    warnings.simplefilter("ignore")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    job = json.loads(sys.stdin.readline())
    tether.end_with_stdin(_leaving.set)
    with contextlib.redirect_stdout(sys.stderr), filelock.FileLock(job["lock"]):
        failure = execute(job)
    print(json.dumps({"failure": asdict(failure) if failure else None}), flush=True)


if __name__ == "__main__":
    main()
