"""A process that ends with the one that started it, however that one ends.

The starter keeps the other's standard input open and says so in the environment. When the input
closes, the starter is gone (a pipe closes even at SIGKILL) or wants an end: the process interrupts
itself as Ctrl-C would, and so cleans up after itself.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping

#: Environment variable that says: end when standard input closes.
VARIABLE = "MIEN_ENDS_WITH_STDIN"

#: Seconds from the interrupt to a hard end.
GRACE_SECONDS = 20


def tethered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process that shall end when its standard input closes."""
    return {**environment, VARIABLE: "1"}


def fasten() -> None:
    """End this process when its standard input closes, if its starter asked for that."""
    if os.environ.pop(VARIABLE, ""):
        end_with_stdin()


def end_with_stdin(leaving: Callable[[], None] = lambda: None) -> None:
    """End this process when its standard input closes; call ``leaving`` first.

    To be called in the main thread.
    """
    # Whoever is started in the background ignores interrupts, also the own one.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch() -> None:
        # Not sys.stdin: a thread that holds its lock would be in the way of a normal end.
        while os.read(0, 4096):
            pass
        leaving()
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
