"""The training of the network, from random weights to a learning curve; see `train`."""

import json
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import pydantic
from keras import ops
from PIL import Image
from pydantic import Field

from mien.data.images import prepare
from mien.errors import DataError
from mien.evaluation.calibration import log_loss
from mien.files import atomic_write
from mien.network.architecture import CLASSES, SIZE, shape
from mien.network.backend import enough_memory
from mien.network.inference import predict


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How far faces are moved, turned, scaled, relit and covered while a network learns.

    Every amount is drawn uniformly for every face; all zero changes nothing. ``mirror`` turns every
    second face, left to right. The largest ``shift`` is along each axis, a share of the width
    (0..0.3); ``rotation`` to either side, in degrees; ``zoom`` a share (0.1 gives 0.9 to 1.1);
    ``light`` a change of gamma, in octaves (0.5 gives 0.71 to 1.41). ``erase`` is the probability
    that a random rectangle of 2 to 20 % of the face is covered with its mean grey (random erasing,
    Zhong et al. 2020, arXiv:1708.04896).

    Examples
    --------
    >>> faces = np.zeros((2, 48, 48), np.uint8)
    >>> Augment()(faces, np.random.default_rng(0)).shape
    (2, 48, 48)
    """

    mirror: bool = True
    shift: float = 0.1
    rotation: float = 10.0
    zoom: float = 0.1
    light: float = 0.0
    erase: float = 0.0

    def __call__(
        self, images: np.ndarray, rng: np.random.Generator, *, size: int | None = None
    ) -> np.ndarray:
        """Return a changed copy of uint8 images (n, width, width), ``size`` pixels wide."""
        count, width = images.shape[:2]
        size = size or width
        turn = np.deg2rad(min(self.rotation, 45))
        reach = (np.cos(turn) + np.sin(turn)) / (1 - min(self.zoom, 0.9)) - 1
        margin = int(np.ceil(width * (self.shift + reach / 2))) + 2  # no black edge is drawn in
        padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)), mode="edge")

        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, count))
        scale = width / size / (1 + rng.uniform(-self.zoom, self.zoom, count))
        flip = np.where(rng.random(count) < 0.5 * self.mirror, -1.0, 1.0)
        move = rng.uniform(-self.shift, self.shift, (2, count)) * width
        a, b = scale * np.cos(angle) * flip, scale * np.sin(angle)
        d, e = -scale * np.sin(angle) * flip, scale * np.cos(angle)
        c, f = width / 2 + move - np.array([a + b, d + e]) * size / 2
        changed = np.empty((count, size, size), np.uint8)
        how = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        for row, matrix in enumerate(zip(a, b, c + margin, d, e, f + margin, strict=True)):
            picture = Image.fromarray(padded[row])
            changed[row] = picture.transform((size, size), how[0], matrix, how[1])
        if self.light:
            octaves = rng.uniform(-self.light, self.light, count)
            ramp = (np.arange(256) / 255) ** np.exp2(octaves)[:, None]
            tables = (255 * ramp + 0.5).astype(np.uint8)
            flat = np.take_along_axis(tables, changed.reshape(count, -1), axis=1)
            changed = flat.reshape(changed.shape)
        if self.erase:
            _erase(changed, rng.random(count) < self.erase, rng)
        return changed


def _erase(images: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> None:
    height, width = images.shape[1:]
    for row in np.flatnonzero(chosen):
        area, ratio = rng.uniform(0.02, 0.2) * height * width, np.exp2(rng.uniform(-1.7, 1.7))
        tall = int(np.clip(np.sqrt(area * ratio), 1, height))
        wide = int(np.clip(np.sqrt(area / ratio), 1, width))
        top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        images[row, top : top + tall, left : left + wide] = images[row].mean()


#: Leaves every face as it is.
STILL = Augment(mirror=False, shift=0, rotation=0, zoom=0)

_AVERAGE_EVERY = 5  # steps between two updates of the averaged weights
_ADAM = 0.25  # learning rate of what AdamW trains, as a share of the kernels'
_WARM_UP = 0.1  # share of the training in which the learning rate rises


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; see `train`. `pydantic.ValidationError` if a value is out of range.

    ``learning_rate`` is the highest, after a warm-up of a tenth of all steps; what AdamW trains
    (without ``muon`` the kernels, too) learns at a quarter of it. Without ``cosine`` the rate stays
    at its highest. ``mixup`` is the alpha of the Beta distribution that mixes pairs of faces (0
    mixes none), ``ema`` the moving average's momentum per step, shorter at the start. ``sizes`` are
    the widths in pixels of the faces that are learned from, each for an equal share of the
    training: small ones first cost less (progressive resizing). ``augment`` are random changes of
    the faces. ``keep`` says which epoch's averaged weights the model ends with; best is by
    validation accuracy.
    """

    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(128, ge=1, le=65_536)
    learning_rate: float = Field(2e-2, ge=0, le=100)
    weight_decay: float = Field(0.05, ge=0, le=10)
    label_smoothing: float = Field(0.1, ge=0, le=0.9)
    mixup: float = Field(0.0, ge=0, le=10)
    ema: float = Field(0.99, ge=0, le=1)
    muon: bool = True
    cosine: bool = True
    sizes: Sequence[int] = (SIZE,)
    augment: Augment = STILL
    keep: Literal["best", "last"] = "best"

    def settings(self, model: keras.Model) -> dict[str, Any]:
        """Return every setting by name, as `suited` to a network, those of the augmentation too.

        Before them its number of ``parameters`` and the ``megabytes`` of these in half precision.
        """
        settings, parameters = asdict(self.suited(model)), model.count_params()
        amounts = settings.pop("augment")
        size = {"parameters": parameters, "megabytes": round(2 * parameters / 1e6, 2)}
        return size | settings | amounts

    def suited(self, model: keras.Model) -> "Recipe":
        """Return the recipe for a network; for one that `build` has not made, plain AdamW."""
        if shape(model):
            return self
        return replace(self, muon=False, sizes=(SIZE,), learning_rate=self.learning_rate / 5)

    def rate(self, done: int, steps: int) -> float:
        """Return the learning rate of the next of all steps: it rises, then falls if wanted."""
        progress = min(1.0, done / steps + 1 / steps)
        if progress < _WARM_UP:
            return self.learning_rate * progress / _WARM_UP
        if not self.cosine:
            return self.learning_rate
        fallen = (progress - _WARM_UP) / (1 - _WARM_UP)
        return self.learning_rate * 0.5 * (1 + float(np.cos(np.pi * fallen)))


def train(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    validation_images: np.ndarray,
    validation_labels: np.ndarray,
    recipe: Recipe,
    *,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> pd.DataFrame:
    """Train ``model`` in place and return its learning curve.

    The kernels between stem and head learn by Muon (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon; scaled to AdamW's steps as by Liu et al. 2025,
    arXiv:2502.16982), the rest by AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), with
    warm-up and cosine decay to zero, label smoothing (Szegedy et al. 2016, arXiv:1512.00567), mixup
    (Zhang et al. 2018, arXiv:1710.09412) and an exponential moving average of the weights, which is
    what is validated and kept. `DataError` if images and labels do not fit each other or the
    network.

    Parameters
    ----------
    images, labels, validation_images, validation_labels
        uint8 (n, 48, 48) and class codes 0..6, (n,).
    recipe : Recipe
    seed : int
        Of the order, the augmentation and mixup; epoch e draws from (seed, e).
    checkpoint : path, optional
        File where everything is stored after every epoch, whole or not at all. If it holds the same
        training, it is continued; anything else there is overwritten.
    on_epoch : callable, optional
        Called with every row of the history as a dict.

    Returns
    -------
    DataFrame
        One row an epoch: epoch (from 1), loss, accuracy (while training: smoothed, augmented),
        val_loss, val_accuracy (averaged weights, no mirror images), learning_rate, seconds.
    """
    _check(images, labels)
    _check(validation_images, validation_labels)
    state = _State(model, recipe, steps=max(1, len(images) // recipe.batch_size) * recipe.epochs)
    data = [len(images), int(images.sum())]
    mark = json.dumps([asdict(recipe), seed, *data, model.count_params()])
    if checkpoint and Path(checkpoint).exists():
        state.restore(checkpoint, mark)
    while len(state.history) < recipe.epochs:
        start, epoch, learned = time.perf_counter(), len(state.history), []
        rng = np.random.default_rng([seed, epoch])
        size = recipe.sizes[int(state.done / state.steps * len(recipe.sizes))]
        for batch in _batches(images, labels, recipe, rng, size):
            learned.append(state.step(*batch))
        answers = predict(model, validation_images, mirror=False)
        row = {"epoch": epoch + 1, **pd.DataFrame(learned).mean()}
        row["val_loss"] = log_loss(answers, validation_labels)
        row["val_accuracy"] = float((answers.argmax(axis=1) == validation_labels).mean())
        row["learning_rate"] = recipe.rate(state.done, state.steps)
        row["seconds"] = time.perf_counter() - start
        best = max((old["val_accuracy"] for old in state.history), default=-1.0)
        if recipe.keep == "last" or row["val_accuracy"] >= best:
            state.kept = model.get_weights()
        state.history.append(row)
        if checkpoint:
            state.store(checkpoint, mark)
        if on_epoch:
            on_epoch(row)
    model.set_weights(state.kept)
    return pd.DataFrame(state.history).astype({"epoch": int})


def step_seconds(model: keras.Model, recipe: Recipe) -> float:
    """Return how long a step takes here, the mean over the recipe's sizes; spoils ``model``."""
    state, rng = _State(model, recipe, steps=1), np.random.default_rng(0)
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=recipe.batch_size)]
    seconds = {}
    for size in set(recipe.sizes):
        faces = prepare(rng.integers(256, size=(recipe.batch_size, size, size)))
        step = partial(state.step, faces, targets)
        seconds[size] = np.mean(timeit.repeat(step, number=1, repeat=3)[1:])  # the first compiles
    return float(np.mean([seconds[size] for size in recipe.sizes]))


def turning_points(history: pd.DataFrame) -> dict[str, float]:
    """Return where a training (`train`) was best, and how far its validation loss turned upwards.

    ``epochs``; ``best_epoch`` and ``best_accuracy`` (highest on the validation images);
    ``lowest_loss_epoch``; ``loss_rise``, from there to the last epoch, as a share of it.
    """
    by_epoch = history.set_index("epoch")
    accuracy, loss = by_epoch["val_accuracy"], by_epoch["val_loss"]
    return {
        "epochs": int(by_epoch.index[-1]),
        "best_epoch": int(accuracy.idxmax()),
        "best_accuracy": float(accuracy.max()),
        "lowest_loss_epoch": int(loss.idxmin()),
        "loss_rise": float(loss.iloc[-1] / loss.min() - 1),
    }


class _State:
    """All that changes in a training: ``model`` learns, ``average`` holds the averaged weights."""

    def __init__(self, model, recipe: Recipe, *, steps: int):
        self.average, self.recipe, self.steps = model, recipe, steps
        self.history, self.done, self.kept = [], 0, model.get_weights()
        # Keras' Muon trains matrices and leaves all else, and some layers, to AdamW.
        optimizer = keras.optimizers.Muon(
            weight_decay=recipe.weight_decay,
            adam_weight_decay=_ADAM * recipe.weight_decay,
            adam_lr_ratio=_ADAM,
            exclude_layers=["logits"] if recipe.muon else [""],  # a regular expression: "" fits all
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gain"])
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
        anywhere = keras.Input((None, None, 1)) if shape(model) else None
        self.model = keras.models.clone_model(model, anywhere)
        self.model.set_weights(self.kept)
        self.model.compile(optimizer, loss, metrics=["accuracy"], jit_compile="auto")
        optimizer.build(self.model.trainable_variables)
        self.variables = [*self.model.variables, *model.variables, *optimizer.variables]

    def step(self, faces: np.ndarray, targets: np.ndarray) -> dict:
        self.model.optimizer.learning_rate = self.recipe.rate(self.done, self.steps)
        self.model.reset_metrics()
        with enough_memory(len(faces)):
            logs = self.model.train_on_batch(faces, targets, return_dict=True)
        self.done += 1
        if self.done % _AVERAGE_EVERY == 0:
            momentum = min(self.recipe.ema, self.done / (self.done + 9)) ** _AVERAGE_EVERY
            for mean, now in zip(self.average.weights, self.model.weights, strict=True):
                mean.assign(momentum * mean + (1 - momentum) * now)
        return {name: float(value) for name, value in logs.items()}

    def store(self, path, mark: str) -> None:
        values = map(ops.convert_to_numpy, self.variables)
        progress = json.dumps({"mark": mark, "done": self.done, "history": self.history})
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez(file, *values, *self.kept, progress=np.array(progress))

    def restore(self, path, mark: str) -> None:
        try:
            with Path(path).open("rb") as file, np.load(file) as arrays:
                progress = json.loads(str(arrays["progress"]))
                if progress["mark"] != mark:
                    return
                values = [arrays[f"arr_{place}"] for place in range(len(arrays.files) - 1)]
        except Exception as problem:  # a torn or foreign file: numpy raises many kinds
            raise DataError(f"{path} is no checkpoint ({problem}); remove it") from problem
        for variable, value in zip(self.variables, values, strict=False):
            variable.assign(value)
        self.kept = values[len(self.variables) :]
        self.done, self.history = progress["done"], progress["history"]


def _batches(images, labels, recipe, rng, width) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield one epoch of (faces, targets); the next batch is made while this one is learned."""
    size = min(recipe.batch_size, len(images))
    order = rng.permutation(len(images))[: len(images) // size * size].reshape(-1, size)

    def batch(rows):
        faces = prepare(recipe.augment(images[rows], rng, size=width))
        targets = np.eye(CLASSES, dtype=np.float32)[labels[rows]]
        if recipe.mixup:
            share = np.float32(rng.beta(recipe.mixup, recipe.mixup))
            faces = share * faces + (1 - share) * faces[::-1]
            targets = share * targets + (1 - share) * targets[::-1]
        return faces, targets

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(batch, order[0])
        for rows in order[1:]:
            ready, coming = coming.result(), pool.submit(batch, rows)
            yield ready
        yield coming.result()


def _check(images, labels) -> None:
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{len(images)} faces and {len(labels)} labels: one label a face, please")
    codes = np.asarray(labels)
    if codes.min() < 0 or codes.max() >= CLASSES:
        raise DataError(f"labels are {codes.min()} to {codes.max()}; class codes are 0 to 6")
