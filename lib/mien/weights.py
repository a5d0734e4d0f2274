"""The trained network that comes with mien, and how a network is packed so small.

Half precision, ordinary kernels, a plain numpy archive without pickled objects: nothing
in it can run. ``weights/MODEL_CARD.md`` tells where the weights are from and what they are worth.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from mien import network
from mien.cache import atomic_write
from mien.errors import DataError

#: The files in the package: the weights, and how their training went.
SHIPPED, CURVE = "fer2013.npz", "fer2013.curve.json"


def export_weights(model: keras.Model, path: str | Path, *, temperature: float = 1.0) -> int:
    """Write a network's weights in half precision and return the file's size in bytes.

    Parameters
    ----------
    model : keras.Model
        From `mien.cnn.build`, trained.
    path : path
        Of the ``.npz`` to write, whole or not at all.
    temperature : float
        What `mien.calibration.fit_temperature` found for the network; 1 where nobody measured.
    """
    plain = network.fold(model, dtype="float32")
    arrays = {f"w{i}": weight.astype(np.float16) for i, weight in enumerate(plain.get_weights())}
    arrays |= {"shape": np.array(json.dumps(network.shape(plain))), "temperature": temperature}
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return Path(path).stat().st_size


def import_weights(path: str | Path, *, dtype: str = "float32") -> keras.Model:
    """Return the network that `export_weights` wrote, of plain layers.

    Parameters
    ----------
    path : path
    dtype : str
        The precision to compute in, as in `mien.cnn.build`.

    Raises
    ------
    DataError
        If the file is missing or holds no such network.
    """
    with _arrays(path) as arrays:
        shape = json.loads(str(arrays["shape"]))
        model = network.build(**shape, dtype=dtype, standardized=False)
        count = len(model.get_weights())
        model.set_weights([arrays[f"w{i}"].astype(np.float32) for i in range(count)])
    return model


def import_temperature(path: str | Path) -> float:
    """Return the temperature of the network that `export_weights` wrote.

    Raises
    ------
    DataError
        As `import_weights`.
    """
    with _arrays(path) as arrays:
        return float(arrays["temperature"])


def shipped(*, dtype: str = "float32") -> keras.Model:
    """Return the network that comes with mien, trained on FER2013; see its model card.

    Parameters
    ----------
    dtype : str
        The precision to compute in; `mien.cnn.fast_dtype` tells what is fast here.

    Raises
    ------
    DataError
        If this installation lacks the file.
    """
    with _shipped_file() as path:
        return import_weights(path, dtype=dtype)


def shipped_temperature() -> float:
    """Return the temperature of the network that comes with mien, fitted on PublicTest."""
    with _shipped_file() as path:
        return import_temperature(path)


def export_curve(history: pd.DataFrame, public: np.ndarray, path: str | Path) -> None:
    """Write how a training went: minutes and PublicTest accuracy, epoch by epoch.

    Parameters
    ----------
    history : DataFrame
        Of `mien.training.train`.
    public : ndarray of uint8, (n, 48, 48)
        The PublicTest images that the network was judged on; their digest is stored.
    path : path
        Of the ``.json`` to write.
    """
    minutes = (history["seconds"].cumsum() / 60).round(2).tolist()
    curve = {"public": _digest(public), "minutes": minutes}
    curve["accuracy"] = history["val_accuracy"].round(4).tolist()
    with atomic_write(path) as part:
        part.write_text(json.dumps(curve))


def shipped_curve(public: np.ndarray) -> pd.DataFrame:
    """Return how the network that comes with mien was trained, once, on two processor cores.

    Parameters
    ----------
    public : ndarray of uint8, (n, 48, 48)
        PublicTest as the study has it.

    Returns
    -------
    DataFrame
        ``minutes``, ``PublicTest accuracy``; no rows where ``public`` is not what that network was
        judged on, because such figures cannot be compared.
    """
    text = (resources.files("mien") / "weights" / CURVE).read_text(encoding="utf-8")
    curve = json.loads(text)
    frame = pd.DataFrame({"minutes": curve["minutes"], "PublicTest accuracy": curve["accuracy"]})
    return frame if curve["public"] == _digest(public) else frame[:0]


def _digest(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def _shipped_file() -> AbstractContextManager[Path]:
    return resources.as_file(resources.files("mien") / "weights" / SHIPPED)


@contextmanager
def _arrays(path: str | Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Open an archive; whatever goes wrong with what is in it is told in one line."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there are no weights at {path}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except Exception as problem:  # numpy, zip, json and Keras raise many kinds
        raise DataError(f"{path} holds no weights of a mien network: {problem}") from problem
