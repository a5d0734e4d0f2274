"""Execute one notebook with papermill, in a process of its own.

The runner starts ``python -m mien.execute`` for every chapter and hands it one line of JSON, the
job, on standard input. It answers with one line of JSON on standard output. When standard input
closes, the runner is gone, and the notebook's kernel must not live on without it.
"""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
        ``notebook`` and ``output`` (paths), ``parameters`` (dict), ``seconds`` (longest time of
        one cell, or None).

    Returns
    -------
    Failure or None
        The output notebook exists in both cases, as far as it was executed.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        papermill.execute_notebook(
            job["notebook"],
            job["output"],
            parameters=job["parameters"],
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=job.get("seconds"),
        )
    except PapermillExecutionError as failed:
        cell = (failed.cell_index or 0) + 1
        return Failure(cell, failed.source, failed.ename, str(failed.evalue))
    except DeadKernelError:
        return Failure(0, "", "DeadKernel", "the notebook's kernel died (out of memory?)")
    except CellTimeoutError as late:
        return Failure(0, "", "Timeout", str(late).splitlines()[0])
    return None


def _end_with_the_runner() -> None:
    def wait_for_the_end() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(10)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


def main() -> None:
    """Run the job that stands on standard input."""
    warnings.simplefilter("ignore")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    job = json.loads(sys.stdin.readline())
    _end_with_the_runner()
    Path(job["output"]).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):
        failure = execute(job)
    print(json.dumps({"failure": asdict(failure) if failure else None}), flush=True)


if __name__ == "__main__":
    main()
