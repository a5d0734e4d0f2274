"""What computes: the backend under Keras (is it there, quiet, short of memory), or OpenVINO.

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

from mien.data.images import prepare
from mien.errors import DataError, ParameterError
from mien.system import cores

_AT_ONCE = 64  # views of faces; more would leave the processor's cache
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


def by_openvino(
    path: Path, *, int8: bool = False, mirror: bool = True
) -> Callable[[np.ndarray], np.ndarray]:
    """Return an `inference.answerer` of the network in an ``.npz`` file that needs no Keras.

    ``int8`` convolves in whole numbers, which is faster and nearly as exact for faces (Jacob et al.
    2018, arXiv:1712.05877): inputs in eight bits between the file's bounds
    (`mien.network.pretrained.export_weights`), the kernel of every channel in seven, so that no sum
    overflows on processors without VNNI. `DataError` where a file has no such bounds,
    `ParameterError` without OpenVINO.
    """
    sys.modules["openvino_telemetry"] = None  # importing it would tell its makers
    try:
        import openvino
    except ImportError:
        raise ParameterError(
            "OpenVINO, which mien needs, is not here: pip install openvino"
        ) from None
    with np.load(path, allow_pickle=False) as arrays:
        shape, temperature = json.loads(str(arrays["shape"])), float(arrays["temperature"])
        weights = [arrays[name].astype(np.float32) for name in arrays.files if name[0] == "w"]
        if int8 and "bounds" not in arrays:
            raise DataError(
                f"{path} has no bounds for int8; export it anew, with calibration faces"
            )
        bounds = arrays["bounds"] if int8 else None
    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
    network = openvino.compile_model(_graph(shape, weights, bounds), "CPU", how)

    def answer(faces: np.ndarray) -> np.ndarray:
        looks = [faces, faces[:, :, ::-1]] if mirror else [faces]
        views = np.stack(looks, axis=1).reshape(-1, *faces.shape[1:])
        parts = [views[start : start + _AT_ONCE] for start in range(0, len(views), _AT_ONCE)]
        shares = np.concatenate([network(prepare(part)[:, None, ..., 0])[0] for part in parts])
        shares = shares.reshape(len(faces), len(looks), -1).mean(axis=1) ** (1 / temperature)
        return shares / shares.sum(axis=1, keepdims=True)

    return answer


def _graph(shape: Mapping[str, Any], weights: list[np.ndarray], bounds: np.ndarray | None):
    """Return `mien.network.architecture.build` after `fuse` for OpenVINO, channels first."""
    from openvino import Model
    from openvino import opset13 as op

    left, between = iter(weights), iter(() if bounds is None else bounds)

    def conv(x, stride=1):
        kernel, bias = next(left).transpose(3, 2, 0, 1), next(left).reshape(1, -1, 1, 1)
        if bounds is not None:
            low, high = next(between)
            x = op.fake_quantize(x, low, high, low, high, 256)
            most = 2 * np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) + 1e-9
            kernel = op.fake_quantize(kernel, -most, most, -most, most, 255)
        none = [0, 0]
        return op.add(
            op.convolution(x, kernel, [stride] * 2, none, none, [1, 1], "same_upper"), bias
        )

    def blocks(x, count):
        for _ in range(count):
            x = op.relu(op.add(x, conv(op.relu(conv(x)))))
        return x

    faces = op.parameter([-1, 1, 48, 48], np.float32)
    x = blocks(op.relu(conv(faces, 2)), shape["stem_blocks"])
    for _, count in shape["stages"]:
        x = blocks(op.relu(conv(x, 2)), count)
    logits = op.matmul(op.reduce_mean(x, [2, 3]), next(left), False, False)
    return Model([op.softmax(op.add(logits, next(left)), 1)], [faces])
