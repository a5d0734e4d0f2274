"""Networks on disk: the trained one that comes with mien, and those that a study keeps.

The one in the package is a plain numpy archive in half precision; ``weights/MODEL_CARD.md`` tells
where its weights are from and what they are worth.
"""

import hashlib
import json
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from mien.data.images import prepare
from mien.errors import DataError, ParameterError
from mien.files import atomic_write
from mien.network import SHIPPED, SHIPPED_CURVE, architecture, inference


def save(model: keras.Model, path: str | Path) -> None:
    """Write ``model`` to a ``.keras`` file, whole or not at all."""
    with atomic_write(path) as part:
        model.save(part)


def load(path: str | Path) -> keras.Model:
    """Read a network that `save` wrote. Nothing in the file is executed (Keras' safe mode).

    `DataError` if it cannot be read, or does not turn faces of 48 x 48 pixels into seven emotions.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as problem:  # Keras raises many kinds
        reason = str(problem).strip().split("\n")[0]
        raise DataError(f"{path} cannot be read as a .keras network: {reason}") from problem
    architecture.check(model, f"the network in {path}")
    return model


def export_weights(
    model: keras.Model,
    path: str | Path,
    *,
    temperature: float = 1.0,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a network's weights to an ``.npz`` in half precision.

    From ``calibration``, some hundred faces, uint8 (n, 48, 48), come the ``bounds`` that
    `mien.network.backend.by_openvino` needs for whole numbers: float32 (convolutions, 2), between
    which the inputs of each lie, but for the lowest and the highest 0.01 %.
    """
    plain = architecture.fuse(model, dtype="float32")
    arrays = {f"w{i}": weight.astype(np.float16) for i, weight in enumerate(plain.get_weights())}
    arrays |= {"shape": np.array(json.dumps(architecture.shape(plain))), "temperature": temperature}
    if calibration is not None:
        inputs = [layer.input for layer in plain.layers if isinstance(layer, keras.layers.Conv2D)]
        seen = keras.Model(plain.input, inputs).predict_on_batch(prepare(calibration))
        bounds = [np.quantile(values, (1e-4, 1 - 1e-4)) for values in seen]
        arrays["bounds"] = np.array(bounds, np.float32)
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_network(
    path: str | Path = SHIPPED, *, dtype: str = "float32"
) -> tuple[keras.Model, float]:
    """Return a network of plain layers from a file, and the temperature of its answers.

    By default the one that comes with mien. An ``.npz`` file is one of `export_weights`, a
    ``.keras`` file one of `save`: a study's ``models/B1.keras`` (``B1-2.keras`` …) gets the
    temperature that its chapter fitted to faces and their mirror images, another the temperature 1.
    ``dtype`` is as in `mien.network.architecture.build`. `DataError` if the file is missing or
    holds no network from 48 x 48 pixels to the seven emotions; `ParameterError` if it has another
    ending.
    """
    path = Path(path)
    if path.suffix == ".keras":
        return architecture.fuse(load(path), dtype=dtype), _fitted_temperature(path)
    if path.suffix != ".npz":
        raise ParameterError(f"{path} should end in .keras or .npz")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            shape = json.loads(str(arrays["shape"]))
            model = architecture.build(**shape, dtype=dtype, standardized=False)
            count = len(model.get_weights())
            model.set_weights([arrays[f"w{i}"].astype(np.float32) for i in range(count)])
            return model, float(arrays["temperature"])
    except Exception as problem:  # numpy, zip, json and Keras raise many kinds
        raise DataError(f"{path} holds no weights of a mien network: {problem}") from problem


def _fitted_temperature(path: Path) -> float:
    """Return what chapter B1 fitted, for faces and mirror images, for a network of its own."""
    own = re.fullmatch(r"B1(?:-(\d+))?\.keras", path.name)
    try:
        metrics = path.resolve().parents[1] / "results" / "B1" / "metrics.json"
        fitted = json.loads(metrics.read_text(encoding="utf-8"))["temperatures"]
        return float(fitted[int(own[1] or 1) - 1][inference.MIRRORED])
    except (OSError, ValueError, LookupError, TypeError):  # another's, or taken out of its study
        return 1.0


def shipped_curve(public: np.ndarray) -> pd.DataFrame:
    """Return how the training of the network that comes with mien went, on two processor cores.

    ``minutes``, ``PublicTest accuracy``; no rows where ``public``, uint8 (n, 48, 48), is not what
    that network was judged on.
    """
    curve = json.loads(SHIPPED_CURVE.read_text(encoding="utf-8"))
    frame = pd.DataFrame({"minutes": curve["minutes"], "PublicTest accuracy": curve["accuracy"]})
    same = curve["public"] == hashlib.sha256(np.ascontiguousarray(public)).hexdigest()
    return frame if same else frame[:0]
