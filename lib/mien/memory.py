"""How much memory a step of a chapter needed at its worst."""

import math
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@contextmanager
def peak_memory(record: MutableMapping[str, float], what: str) -> Iterator[None]:
    """Set ``record[what]`` to the most memory that this process held during the block, in GB.

    What counts is resident memory (1 GB = 10^9 bytes) of the whole process, the data that was
    loaded before included. On Linux the kernel's own high-water mark is set back first (``5`` into
    ``/proc/self/clear_refs``, see proc(5)), so nothing is missed and nothing sampled. Elsewhere it
    is the peak since the process began, and NaN where the system tells nothing (Windows).
    """
    with suppress(OSError):  # then the peak since the process began will have to do
        _RESET.write_text("5")
    try:
        yield
    finally:
        record[what] = _peak()


def _peak() -> float:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        lines = []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return marks[0] * 1024 / 1e9 if marks else _peak_of_process()


def _peak_of_process() -> float:
    try:
        import resource  # not on Windows
    except ImportError:
        return math.nan
    # bytes on macOS, the only system without /proc that has the module and is common
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
