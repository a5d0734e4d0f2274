"""What computes: the backend under Keras (is it there, quiet, short of memory), or NumPy alone.

Nothing here imports Keras or a backend.
"""

import contextlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mien.data.images import prepare
from mien.errors import ParameterError

#: So many pictures are answered by NumPy before a backend of Keras would be loaded.
FEW = 256
_AT_ONCE = 16  # faces; more would leave the processor's cache
#: The backends on which Keras trains; the first one comes with mien.
BACKENDS = ("tensorflow", "jax", "torch")
_OUT_OF_MEMORY = re.compile(r"resource_?exhausted|out ?of ?memory|MemoryError|OOM when", re.I)


def check_backend() -> str:
    """Return the backend that Keras will load; `ParameterError` if it is none, or not there."""
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    name, asked = os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND"
    if not name:
        name, asked = BACKENDS[0], str(path)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            name = str(json.loads(path.read_text(encoding="utf-8")).get("backend") or name)
    if name not in BACKENDS or importlib.util.find_spec(name) is None:
        remedy = f"pip install {name}" if name in BACKENDS else f"use {', '.join(BACKENDS)}"
        raise ParameterError(
            f"{asked} says {name!r}, which is no backend that is here and that mien trains on: "
            f"{remedy}, or remove the setting for {BACKENDS[0]}"
        )
    return name


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep off the terminal what TensorFlow's C++ writes before its own switch is read."""
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
    """Turn a backend's error of too little memory for a batch into a `ParameterError`."""
    try:
        yield
    except Exception as error:
        if not _OUT_OF_MEMORY.search(f"{type(error).__mro__} {error}"):
            raise
        raise ParameterError(
            f"there is not enough memory for a batch_size of {batch_size} faces; use a smaller "
            f"one, {max(1, batch_size // 2)} or less (in a study --set batch_size=, in mien "
            "predict --batch-size)"
        ) from error


def by_numpy(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return an `inference.answerer` of the network in an ``.npz`` file that needs NumPy alone."""
    with np.load(path, allow_pickle=False) as arrays:
        shape, temperature = json.loads(str(arrays["shape"])), float(arrays["temperature"])
        weights = [arrays[name].astype(np.float32) for name in arrays.files if name[0] == "w"]

    def answer(faces: np.ndarray) -> np.ndarray:
        views = np.stack([faces, faces[:, :, ::-1]], axis=1).reshape(-1, *faces.shape[1:])
        parts = [views[start : start + _AT_ONCE] for start in range(0, len(views), _AT_ONCE)]
        shares = np.concatenate([_forward(prepare(part), shape, weights) for part in parts])
        shares = shares.reshape(len(faces), 2, -1).mean(axis=1) ** (1 / temperature)
        return shares / shares.sum(axis=1, keepdims=True)

    return answer


def _forward(x: np.ndarray, shape: Mapping[str, Any], weights: list[np.ndarray]) -> np.ndarray:
    """Return the probabilities of `mien.network.architecture.build` after `fuse`."""
    left = iter(weights)

    def conv(x, stride=1):
        """Return a convolution with "same" padding as one product of matrices."""
        kernel, bias = next(left), next(left)
        size, side = kernel.shape[0], -(-x.shape[1] // stride)
        pad = max(0, (side - 1) * stride + size - x.shape[1])
        around = (pad // 2, pad - pad // 2)
        seen = np.pad(x, ((0, 0), around, around, (0, 0)))
        windows = sliding_window_view(seen, (size, size), axis=(1, 2))[:, ::stride, ::stride]
        return np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2))) + bias

    def blocks(x, count):
        for _ in range(count):
            x = np.maximum(x + conv(np.maximum(conv(x), 0)), 0)
        return x

    x = blocks(np.maximum(conv(x, 2), 0), shape["stem_blocks"])
    for _, count in shape["stages"]:
        x = blocks(np.maximum(conv(x, 2), 0), count)
    logits = x.mean(axis=(1, 2)) @ next(left) + next(left)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
