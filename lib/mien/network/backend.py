"""What computes under Keras: whether it is there, quiet while it loads, short of memory in words.

Nothing here imports Keras or a backend.
"""

import contextlib
import difflib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mien.errors import ParameterError

#: The backends on which Keras trains; the first one comes with mien.
BACKENDS = ("tensorflow", "jax", "torch")
_OUT_OF_MEMORY = ("ResourceExhaustedError", "OutOfMemoryError", "MemoryError")
_SIGNS = ("RESOURCE_EXHAUSTED", "out of memory", "Out of memory", "OOM when allocating")


def check_backend() -> str:
    """Return the backend that Keras will load, once it is sure that it can.

    Keras takes it from the environment variable KERAS_BACKEND, else from its ``keras.json``, else
    TensorFlow. `ParameterError` if that is none on which mien trains, or one that is not installed.
    """
    name, asked = _asked()
    if name not in BACKENDS:
        near = difflib.get_close_matches(name, BACKENDS, 1)
        raise ParameterError(
            f"{asked} says {name!r}, which is no backend that mien trains on: use "
            f"{near[0] if near else ', '.join(BACKENDS)}, or remove the setting for {BACKENDS[0]}"
        )
    if importlib.util.find_spec(name) is None:
        raise ParameterError(
            f"{asked} says {name!r}, which is not installed: pip install {name}, or remove the "
            f"setting to use {BACKENDS[0]}"
        )
    return name


def _asked() -> tuple[str, str]:
    """Return the name of the backend and where it is said."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND"
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if name := json.loads(path.read_text(encoding="utf-8")).get("backend"):
            return str(name), str(path)
    return BACKENDS[0], "mien"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the notices that TensorFlow's C++ writes to standard error off the terminal.

    They come before its own switch for them (TF_CPP_MIN_LOG_LEVEL) is read. Python's exceptions
    pass through.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    """Turn a backend's error of too little memory into one line with the remedy.

    In place of TensorFlow's ``ResourceExhaustedError``, JAX's RESOURCE_EXHAUSTED, PyTorch's
    ``OutOfMemoryError`` and Python's own comes `ParameterError`; other errors stay as they are.
    ``batch_size`` is how many faces are computed at once.
    """
    try:
        yield
    except Exception as error:
        if not _out_of_memory(error):
            raise
        raise ParameterError(
            f"there is not enough memory for a batch_size of {batch_size} faces; use a smaller "
            f"one, {max(1, batch_size // 2)} or less (in a study --set batch_size=, in mien "
            "predict --batch-size)"
        ) from error


def _out_of_memory(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_OUT_OF_MEMORY) or any(sign in str(error) for sign in _SIGNS)
