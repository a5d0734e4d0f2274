"""Networks on disk: the trained one that comes with mien, and those that a study keeps.

The one in the package is a plain numpy archive in half precision; ``weights/MODEL_CARD.md`` tells
where its weights are from and what they are worth.
"""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from mien.errors import DataError, ParameterError
from mien.files import atomic_write
from mien.network import SHIPPED, SHIPPED_CURVE, architecture


def save(model: keras.Model, path: str | Path) -> None:
    """Write ``model`` to a ``.keras`` file, whole or not at all."""
    if Path(path).suffix != ".keras":
        raise ParameterError(f"{path} should end in .keras")
    with atomic_write(path) as part:
        model.save(part)


def load(path: str | Path) -> keras.Model:
    """Read a network that `save` wrote. Nothing in the file is executed (Keras' safe mode).

    `DataError` if it cannot be read, or does not turn faces of 48 x 48 pixels into seven emotions.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no network at {path}")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as problem:  # Keras raises many kinds
        reason = str(problem).strip().split("\n")[0]
        raise DataError(f"{path} cannot be read as a .keras network: {reason}") from problem
    architecture.check(model, f"the network in {path}")
    return model


def export_weights(model: keras.Model, path: str | Path, *, temperature: float = 1.0) -> int:
    """Write a network's weights to an ``.npz`` in half precision; return its size in bytes."""
    plain = architecture.fuse(model, dtype="float32")
    arrays = {f"w{i}": weight.astype(np.float16) for i, weight in enumerate(plain.get_weights())}
    arrays |= {"shape": np.array(json.dumps(architecture.shape(plain))), "temperature": temperature}
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return Path(path).stat().st_size


def import_weights(path: str | Path, *, dtype: str = "float32") -> tuple[keras.Model, float]:
    """Return the network that `export_weights` wrote, of plain layers, and its temperature.

    `DataError` if the file is missing or holds no such network; ``dtype`` as in
    `architecture.build`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there are no weights at {path}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            shape = json.loads(str(arrays["shape"]))
            model = architecture.build(**shape, dtype=dtype, standardized=False)
            count = len(model.get_weights())
            model.set_weights([arrays[f"w{i}"].astype(np.float32) for i in range(count)])
            return model, float(arrays["temperature"])
    except Exception as problem:  # numpy, zip, json and Keras raise many kinds
        raise DataError(f"{path} holds no weights of a mien network: {problem}") from problem


def shipped(*, dtype: str = "float32") -> tuple[keras.Model, float]:
    """Return the network that comes with mien, and its temperature; as `import_weights`."""
    return import_weights(SHIPPED, dtype=dtype)


def export_curve(history: pd.DataFrame, public: np.ndarray, path: str | Path) -> None:
    """Write minutes and PublicTest accuracy of a training, epoch by epoch, to a ``.json``."""
    minutes = (history["seconds"].cumsum() / 60).round(2).tolist()
    curve = {"public": _digest(public), "minutes": minutes}
    curve["accuracy"] = history["val_accuracy"].round(4).tolist()
    with atomic_write(path) as part:
        part.write_text(json.dumps(curve))


def shipped_curve(public: np.ndarray) -> pd.DataFrame:
    """Return how the training of the network that comes with mien went, on two processor cores.

    ``minutes``, ``PublicTest accuracy``; no rows where ``public``, uint8 (n, 48, 48), is not what
    that network was judged on.
    """
    curve = json.loads(SHIPPED_CURVE.read_text(encoding="utf-8"))
    frame = pd.DataFrame({"minutes": curve["minutes"], "PublicTest accuracy": curve["accuracy"]})
    return frame if curve["public"] == _digest(public) else frame[:0]


def _digest(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()
