"""The network that learns to read a face: build, train, predict, save. Keras 3 on any backend.

The front door of three rooms: `mien.network` (layers and answers), `mien.training` (the training
loop) and `mien.augment` (random changes to faces). Here are the network on disk and the settings
of the profiles.
"""

from dataclasses import dataclass, field
from pathlib import Path

import keras

from mien.augment import Augment
from mien.cache import atomic_write
from mien.emotions import EMOTIONS
from mien.errors import DataError, ParameterError
from mien.network import (
    CLASSES,
    SIZE,
    StandardizedConv2D,
    build,
    describe,
    embed,
    fast_dtype,
    fold,
    predict,
    prepare,
)
from mien.training import Recipe, train
from mien.weights import export_weights, import_weights, shipped

__all__ = [
    "CLASSES",
    "PROFILES",
    "SIZE",
    "Augment",
    "Profile",
    "Recipe",
    "StandardizedConv2D",
    "build",
    "describe",
    "embed",
    "export_weights",
    "fast_dtype",
    "fold",
    "import_weights",
    "load",
    "predict",
    "prepare",
    "save",
    "shipped",
    "train",
]


def save(model: keras.Model, path: str | Path) -> None:
    """Write ``model`` to a ``.keras`` file, whole or not at all."""
    if Path(path).suffix != ".keras":
        raise ParameterError(f"{path} should end in .keras")
    with atomic_write(path) as part:
        model.save(part)


def load(path: str | Path) -> keras.Model:
    """Read a network that `save` wrote. Nothing in the file is executed (Keras' safe mode).

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or the network does not turn faces of
        48 x 48 pixels into seven emotions.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no network at {path}")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as problem:  # Keras raises many kinds
        reason = str(problem).strip().split("\n")[0]
        raise DataError(f"{path} cannot be read as a .keras network: {reason}") from problem
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes[1] != (None, CLASSES):
        raise DataError(
            f"the network in {path} answers {shapes[1]}, not one probability for each of "
            f"{', '.join(EMOTIONS)}; train it with mien, or name another file"
        )
    if shapes[0] != (None, SIZE, SIZE, 1):
        raise DataError(
            f"the network in {path} reads {shapes[0]}, not grey faces of {SIZE} x {SIZE} pixels"
        )
    return model


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The settings of B1 for one profile: the network's shape, its training."""

    network: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    augment: Augment = field(default_factory=Augment)


PROFILES: dict[str, Profile] = {
    "demo": Profile(
        network={"stem": 32, "stages": ((32, 1), (64, 0)), "dropout": 0.0},
        training={"epochs": 12, "batch_size": 32, "learning_rate": 2e-2},
        augment=Augment(shift=0.04, rotation=5, zoom=0.05),
    ),
    "quick": Profile(
        network={"stem": 64, "stem_blocks": 1, "stages": ((128, 2), (256, 1)), "dropout": 0.3},
        training={
            "epochs": 20,
            "batch_size": 256,
            "learning_rate": 2e-2,
            "weight_decay": 0.05,
            "sizes": (32, 40, 48, 48),
        },
        augment=Augment(rotation=12, zoom=0.15, erase=0.1),
    ),
    "full": Profile(
        network={"stem": 64, "stem_blocks": 1, "stages": ((160, 2), (320, 2)), "dropout": 0.3},
        training={
            "epochs": 70,
            "batch_size": 256,
            "learning_rate": 2e-2,
            "weight_decay": 0.05,
            "mixup": 0.2,
            "ema": 0.998,
            "sizes": (32, 40, 48, 48),
        },
        augment=Augment(shift=0.12, rotation=12, zoom=0.15, erase=0.2),
    ),
}
