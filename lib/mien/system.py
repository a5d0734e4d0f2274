"""What operating systems do differently: ending processes, Ctrl-C, users, cores, peak memory.

Nobody has run mien on Windows or macOS yet: for them ``make lint`` checks (mypy) that what the
library calls is there, and what is missing on one of them is called in this room only.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Environment variable that asks the command to end when its standard input closes.
TETHERED = "MIEN_ENDS_WITH_STDIN"

#: Seconds from the interrupt to a hard end.
GRACE_SECONDS = 20


def end_with_stdin(leaving: Callable[[], None] = lambda: None) -> None:
    """End this process when its standard input closes, after ``leaving``; for the main thread."""
    # Whoever is started in the background ignores interrupts, also the own one.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch() -> None:
        # Not sys.stdin: a thread that holds its lock would be in the way of a normal end.
        while os.read(0, 4096):
            pass
        leaving()
        if sys.platform == "win32":  # os.kill would end the process at once, its kernel not
            signal.raise_signal(signal.SIGINT)
        else:
            os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread where it waits
        threading.Event().wait(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def out_of_reach() -> dict[str, Any]:
    """Return what `subprocess.Popen` needs for a process that Ctrl-C at the terminal spares."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def end(process: subprocess.Popen, seconds: float) -> None:
    """End a process that is `out_of_reach` by closing its standard input, and wait for it.

    One that lives on for so many ``seconds`` is killed, with those that it has started. Windows
    knows no families: there the others end with their standard input (`TETHERED`).
    """
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def spare_folder() -> Path:
    """Return a folder among the temporary files for this user alone; it need not exist."""
    if sys.platform == "win32":  # every user has a folder for temporary files there
        return Path(tempfile.gettempdir(), "mien")
    return Path(tempfile.gettempdir(), f"mien-{os.getuid()}")


def cores() -> int:
    """Return how many cores this process may use; on macOS and Windows, how many there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> float:
    """Return the most memory that this process has held, in GB; NaN on Windows."""
    if sys.platform == "win32":
        return math.nan
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes, kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
