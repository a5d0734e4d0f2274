"""Train the assignment's network and ours for the same wall time, and compare on PrivateTest.

    python benchmarks/cnn_same_minutes.py PATH_OF_FER2013 --minutes 15

The assignment's network: two blocks of Conv2D (64, 128) with batch normalisation, max pooling and
dropout 0.25, Dense 1024 with dropout 0.5, Adam, shifts of 10 % and mirroring, batches of 64. Its
five epochs take about 15 minutes on two cores. Ours: the network and recipe of the chosen profile.
Neither sees PrivateTest before the end.
"""

import argparse
import time

import keras
import numpy as np
from keras import layers
from statsmodels.stats.proportion import proportion_confint

from mien import cnn
from mien.augment import Augment
from mien.fer2013 import load_fer2013


def assignments_network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            *block(64),
            *block(128),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(7, activation="softmax"),
        ]
    )


def block(channels: int) -> list[layers.Layer]:
    conv = layers.Conv2D(channels, 3, padding="same", activation="relu")
    return [conv, layers.BatchNormalization(), layers.MaxPooling2D(), layers.Dropout(0.25)]


def pixels(images: np.ndarray) -> np.ndarray:
    return images[..., None].astype(np.float32) / 255


def train_assignments(images, labels, *, seconds: float, seed: int) -> tuple[keras.Model, int]:
    """Return the network and the number of faces that it learned from."""
    keras.utils.set_random_seed(seed)
    model = assignments_network()
    model.compile("adam", "sparse_categorical_crossentropy")
    augment, rng = Augment(shift=0.1, rotation=0, zoom=0), np.random.default_rng(seed)
    start, seen = time.perf_counter(), 0
    while True:
        order = rng.permutation(len(images))
        for rows in order[: len(order) // 64 * 64].reshape(-1, 64):
            if time.perf_counter() - start >= seconds:
                return model, seen
            model.train_on_batch(pixels(augment(images[rows], rng)), labels[rows])
            seen += len(rows)


def show(name: str, right: np.ndarray, rate: float, seconds: float, parameters: int) -> None:
    low, high = proportion_confint(right.sum(), len(right), method="wilson")
    print(
        f"{name:22} {parameters / 1e6:5.1f} M parameters  {seconds / 60:5.1f} min  "
        f"{rate:6.0f} faces/s  PrivateTest {right.mean():.1%} ({low:.1%} to {high:.1%})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fer2013", help="FER2013 in any layout that mien reads")
    parser.add_argument("--minutes", type=float, default=15.0, help="wall time for each network")
    parser.add_argument("--profile", choices=sorted(cnn.PROFILES), default="quick")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    crowd = load_fer2013(given.fer2013)
    training, public, private = map(crowd.split, ("Training", "PublicTest", "PrivateTest"))
    labels = training[1].astype(int)

    start = time.perf_counter()
    model, seen = train_assignments(
        training[0], labels, seconds=60 * given.minutes, seed=given.seed
    )
    spent = time.perf_counter() - start
    answers = model.predict(pixels(private[0]), verbose=0).argmax(axis=1)
    show("assignment's network", answers == private[1], seen / spent, spent, model.count_params())

    recipe = cnn.PROFILES[given.profile]
    start = time.perf_counter()
    ours = cnn.build(**recipe.network, dtype=cnn.fast_dtype(), seed=given.seed)
    settings = recipe.training | {"epochs": 10_000, "seconds": 60 * given.minutes}
    history = cnn.train(
        ours, *training, *public, **settings, augment=recipe.augment, seed=given.seed
    )
    spent = time.perf_counter() - start
    answers = cnn.predict(ours, private[0]).argmax(axis=1)
    rate = len(labels) / history["seconds"].median()  # validation included
    show(f"ours ({given.profile})", answers == private[1], rate, spent, ours.count_params())


if __name__ == "__main__":
    main()
