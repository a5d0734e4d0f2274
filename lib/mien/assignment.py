"""The network of the course assignment, trained as the assignment trains it: what ours must beat.

Two blocks of convolution (64 and 128 channels) with batch normalisation, max pooling and dropout
0.25, a dense layer of 1,024 with dropout 0.5, Adam, batches of 64, faces shifted by up to a tenth
and mirrored.
"""

import time
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
from keras import layers

from mien.augment import Augment

BATCH = 64
_AUGMENT = Augment(shift=0.1, rotation=0, zoom=0)


def build(*, seed: int = 0) -> keras.Model:
    """Return the assignment's network: uint8 faces as float32 of 0..1 in, seven shares out."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            *_block(64),
            *_block(128),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(7, activation="softmax"),
        ]
    )


def train(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seconds: float,
    watch: Callable[[keras.Model], float],
    steps: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Train for a given wall time and return how far it came.

    Parameters
    ----------
    model : keras.Model
        From `build`.
    images, labels : uint8 (n, 48, 48), int (n,)
    seconds : float
        Wall time of the training steps alone.
    watch : callable
        Gets the model and returns its accuracy on the images that watch the training; called
        every ``steps`` steps and at the end, its time not counted.
    steps, seed : int

    Returns
    -------
    DataFrame
        ``seconds`` and ``faces`` so far, ``val_accuracy``.
    """
    model.compile("adam", "sparse_categorical_crossentropy")
    rng, rows, spent, faces = np.random.default_rng(seed), [], 0.0, 0
    while spent < seconds:
        start = time.perf_counter()
        for _ in range(steps):
            batch = rng.integers(len(images), size=BATCH)
            model.train_on_batch(pixels(_AUGMENT(images[batch], rng)), labels[batch])
            faces += BATCH
            if spent + time.perf_counter() - start >= seconds:
                break
        spent += time.perf_counter() - start
        rows.append({"seconds": spent, "faces": faces, "val_accuracy": watch(model)})
    return pd.DataFrame(rows)


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the shares of the seven emotions, float32 (n, 7)."""
    return model.predict(pixels(images), batch_size=256, verbose=0)


def pixels(images: np.ndarray) -> np.ndarray:
    """Return uint8 faces (n, 48, 48) as float32 (n, 48, 48, 1) of 0..1."""
    return images[..., None].astype(np.float32) / 255


def _block(channels: int) -> list[layers.Layer]:
    conv = layers.Conv2D(channels, 3, padding="same", activation="relu")
    return [conv, layers.BatchNormalization(), layers.MaxPooling2D(), layers.Dropout(0.25)]
