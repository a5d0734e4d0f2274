"""The small trials of chapter B1: what fits into its time, and what every choice changes.

With the network of the course assignment, trained as the assignment trains it: what ours must beat.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers

from mien.files import atomic_write
from mien.network import architecture, inference, pretrained, training
from mien.network.training import STILL, Augment, Recipe

#: Images and their class codes, as `mien.data.fer2013.Fer2013.split` returns them.
Faces = tuple[np.ndarray, np.ndarray]

_BATCH, _STEPS = 64, 100
_AUGMENT = Augment(shift=0.1, rotation=0, zoom=0)


def build(*, seed: int = 0, prepared: bool = False) -> keras.Model:
    """Return the assignment's network, of uint8 faces (n, 48, 48, 1), or of ``prepared`` ones."""
    keras.utils.set_random_seed(seed)
    blocks = []
    for channels in (64, 128):
        blocks.append(layers.Conv2D(channels, 3, padding="same", activation="relu"))
        blocks += [layers.BatchNormalization(), layers.MaxPooling2D(), layers.Dropout(0.25)]
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            *([] if prepared else [layers.Rescaling(1 / 255)]),
            *blocks,
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(7, activation="softmax"),
        ]
    )


def train(
    model: keras.Model, faces: Faces, public: Faces, *, seconds: float, seed: int = 0
) -> pd.DataFrame:
    """Train a network of `build` for some wall time and return how far it came.

    A frame with ``seconds`` and ``faces`` so far, and ``val_accuracy`` on ``public``, every
    `_STEPS`.
    """
    (images, labels), rng = faces, np.random.default_rng(seed)
    model.compile("adam", "sparse_categorical_crossentropy")
    rows, spent, seen = [], 0.0, 0
    while spent < seconds:
        start = time.perf_counter()
        for _ in range(_STEPS):
            batch = rng.integers(len(images), size=_BATCH)
            model.train_on_batch(_AUGMENT(images[batch], rng)[..., None], labels[batch])
            seen += _BATCH
            if spent + time.perf_counter() - start >= seconds:
                break
        spent += time.perf_counter() - start
        answers = model.predict(public[0][..., None], batch_size=256, verbose=0)
        right = (answers.argmax(axis=1) == public[1]).mean()
        rows.append({"seconds": spent, "faces": seen, "val_accuracy": right})
    return pd.DataFrame(rows)


#: Width in pixels of the faces that trials learn from, to be affordable.
TRIAL_SIZE = 32

#: Most faces in a step of an ablation's trials, so that its few epochs are enough steps.
TRIAL_BATCH = 128

#: Settings of `mien.network.training.Recipe` that differ from the recipe's, one choice at a time;
#: under "augment", amounts of `mien.network.training.Augment`, and under "network", settings of
#: `mien.network.architecture.build`.
CHOICES: dict[str, dict[str, Any]] = {
    "without augmentation": {"augment": asdict(STILL)},
    "mirroring alone": {"augment": asdict(STILL) | {"mirror": True}},
    "without label smoothing": {"label_smoothing": 0.0},
    "without averaged weights": {"ema": 0.0},
    "without weight decay": {"weight_decay": 0.0},
    "with mixup": {"mixup": 0.2},
    "with much random erasing": {"augment": {"erase": 0.4}},
    "with changes of light": {"augment": {"light": 0.4}},
    "at full size": {"sizes": (architecture.SIZE,)},
    "with a constant learning rate": {"cosine": False},
    "AdamW alone": {"muon": False},
    "random first kernels": {"network": {"cosines": False}},
}


def networks(
    wish: str, sizes: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any] | keras.Model]:
    """Return the networks that a study's parameter ``network`` means, the widest first.

    ``"residual"``: those of ``sizes``, settings of `mien.network.architecture.build`;
    ``"assignment"``: that of `build`; else the one whose layers are in a ``.keras`` file.
    """
    if wish == "residual":
        return sizes
    return [build(prepared=True) if wish == "assignment" else pretrained.load(wish)]


#: Numbers of epochs, of which a plan takes one; so far apart that the same machine, measured
#: again, mostly gets the same plan.
PLANNED = (1, 2, 3, 4, 6, 8, 11, 15, 20, 27)
_ENOUGH = 11  # epochs; a network that cannot have them gives way to a smaller one
_BESIDE = 1.05  # a training's time over that of its steps: every epoch is validated


def plan(
    networks: Sequence[Mapping[str, Any] | keras.Model],
    recipe: Recipe,
    faces: int,
    *,
    minutes: float,
    path: Path,
    dtype: str = "float32",
) -> dict[str, Any]:
    """Return which network learns for how many epochs to be done in some minutes on this machine.

    The first of ``networks`` (as for `mien.network.architecture.made`, the widest first) for which
    there is time for `_ENOUGH` epochs, else the last, for as many of `PLANNED` as fit, at most the
    recipe's; with 0 ``minutes`` the first, and all of these. ``faces`` is how many are learned
    from. The plan of an interrupted training is in ``path`` and is kept.
    Returned are ``choice``, the place of one in ``networks``; ``epochs``; ``minutes`` that were
    given and that the training is ``expected`` to take; ``measured``, for every network that was
    tried its ``parameters`` and the ``minutes`` of an epoch.
    """
    if not minutes:
        return {"choice": 0, "epochs": recipe.epochs, "minutes": 0, "measured": []}
    steps = max(1, faces // recipe.batch_size)
    asked = {"networks": networks, "recipe": asdict(recipe), "steps": steps, "minutes": minutes}
    asked = json.dumps(asked | {"dtype": dtype}, default=lambda network: network.to_json())
    if path.exists() and (kept := json.loads(path.read_text("utf-8")))["asked"] == asked:
        return kept["plan"]
    measured = []
    for network in networks:
        model = architecture.made(network, dtype=dtype)
        seconds = training.step_seconds(model, recipe.suited(model))
        epoch = _BESIDE * steps * seconds / 60
        measured.append({"parameters": model.count_params(), "minutes": epoch})
        fitting = [n for n in PLANNED if n * epoch <= minutes] or [1]
        if fitting[-1] >= _ENOUGH:
            break
    epochs = min(recipe.epochs, fitting[-1])
    found = {"choice": len(measured) - 1, "epochs": epochs, "minutes": minutes}
    found |= {"expected": epochs * epoch, "measured": measured}
    with atomic_write(path) as part:
        part.write_text(json.dumps({"asked": asked, "plan": found}), "utf-8")
    return found


def batch_size_trials(
    faces: Faces,
    public: Faces,
    network: Mapping[str, Any] | keras.Model,
    recipe: Recipe,
    *,
    batch_sizes: Sequence[int],
    epochs: int,
    dtype: str = "float32",
    seed: int = 0,
) -> pd.DataFrame:
    """Train the same network with several batch sizes and judge every epoch on PublicTest.

    Trials learn from ``faces`` of `TRIAL_SIZE` pixels, where the network can, and ``public`` judges
    them at full size: both uint8 (n, 48, 48) and int (n,). ``network`` is as for
    `mien.network.architecture.made`; batch size and epochs take the place of the ``recipe``'s. A
    frame with a row for each batch size and epoch: ``batch size``, ``epoch``, ``training loss``,
    ``PublicTest accuracy`` (0..1), ``seconds`` (of this epoch).
    """
    histories = {}
    for size in batch_sizes:
        trial = replace(recipe, batch_size=size, epochs=epochs, sizes=(TRIAL_SIZE,))
        model = architecture.made(network, dtype=dtype, seed=seed)
        histories[size] = training.train(model, *faces, *public, trial.suited(model), seed=seed)
    told = pd.concat(histories, names=["batch size"]).reset_index(0)
    told = told.rename(columns={"loss": "training loss", "val_accuracy": "PublicTest accuracy"})
    columns = ["batch size", "epoch", "training loss", "PublicTest accuracy", "seconds"]
    return told[columns].reset_index(drop=True)


def best_trial(trials: pd.DataFrame) -> dict[str, Any]:
    """Return what `batch_size_trials` shows.

    ``epochs``; the ``batch_size`` with the highest ``accuracy`` on PublicTest after them; the
    ``lead`` that it has over the ``worst`` batch size, and its ``gain`` since the first epoch
    (differences of accuracy, 0..1).
    """
    by_epoch = trials.pivot(index="batch size", columns="epoch", values="PublicTest accuracy")
    first, last = by_epoch.iloc[:, 0], by_epoch.iloc[:, -1]
    best, worst = last.idxmax(), last.idxmin()
    return {
        "epochs": int(by_epoch.columns[-1]),
        "batch_size": int(best),
        "accuracy": float(last[best]),
        "worst": int(worst),
        "lead": float(last[best] - last[worst]),
        "gain": float(last[best] - first[best]),
    }


def ablation(
    faces: Faces,
    public: Faces,
    network: Mapping[str, Any] | keras.Model,
    recipe: Recipe,
    *,
    choices: Sequence[str] = (),
    epochs: int,
    dtype: str = "float32",
    seed: int = 0,
) -> pd.DataFrame:
    """Train the recipe, then the recipe with one choice changed, and judge each on PublicTest.

    At most `TRIAL_BATCH` faces a step; each is judged once, after the last epoch. ``choices`` are
    of `CHOICES`, all of them where none is named; those about the network itself are left out where
    `architecture.build` has not made it. Other arguments as in `batch_size_trials`. A frame
    with a row for each: ``choice`` (first ``"the recipe"``), ``PublicTest accuracy``,
    ``difference`` from the recipe (0..1), ``seconds``.
    """
    batch = min(TRIAL_BATCH, recipe.batch_size)
    short = replace(recipe, batch_size=batch, epochs=epochs, sizes=(TRIAL_SIZE,), keep="last")
    watched = [part[:256] for part in public]  # after every epoch
    rows = []
    for choice in ("the recipe", *(choices or CHOICES)):
        change = {} if choice == "the recipe" else dict(CHOICES[choice])
        shape = network
        if isinstance(network, Mapping):
            shape = {**network, **change.pop("network", {})}
        elif change.keys() & {"network", "muon", "sizes"}:
            continue
        augment = replace(recipe.augment, **change.pop("augment", {}))
        model = architecture.made(shape, dtype=dtype, seed=seed)
        trial = replace(short, augment=augment, **change).suited(model)
        history = training.train(model, *faces, *watched, trial, seed=seed)
        right = inference.predict(model, public[0]).argmax(axis=1) == public[1]
        rows.append((choice, right.mean(), history["seconds"].sum()))
    found = pd.DataFrame(rows, columns=["choice", "PublicTest accuracy", "seconds"])
    change = found["PublicTest accuracy"] - found["PublicTest accuracy"][0]
    found.insert(2, "difference", change)
    return found


def noise(accuracy: float, n: int) -> float:
    """Return the standard error of the difference of accuracies on ``n`` images each, at most."""
    return float(np.sqrt(2 * accuracy * (1 - accuracy) / n))


def beside_the_assignment(
    faces: Faces, public: Faces, history: pd.DataFrame, *, minutes: float, seed: int = 0
) -> pd.DataFrame:
    """Train the assignment's network for some minutes, and put its progress beside ours.

    ``history`` is our learning curve (`mien.network.training.train`). On FER2013 itself, that of
    the network that comes with mien stands beside them too (`pretrained.shipped_curve`). A frame
    with ``network`` (``"ours"``, ``"assignment's"``, ``"packaged"``), ``minutes``, ``PublicTest
    accuracy``.
    """
    theirs = train(build(seed=seed), faces, public, seconds=60 * minutes, seed=seed)
    ours = history.assign(seconds=history["seconds"].cumsum())
    both = pd.concat([ours.assign(network="ours"), theirs.assign(network="assignment's")])
    both = both.assign(minutes=both["seconds"] / 60)[["network", "minutes", "val_accuracy"]]
    both = both.rename(columns={"val_accuracy": "PublicTest accuracy"})
    packaged = pretrained.shipped_curve(public[0]).assign(network="packaged")
    return pd.concat([both, packaged], ignore_index=True)


def at_the_same_time(progress: pd.DataFrame) -> dict[str, float | None]:
    """Return how far both networks of `beside_the_assignment` were at the same time.

    ``minutes`` that the assignment's network learned, and its accuracy then, ``theirs``; ``ours``
    by then (None: no epoch was finished); ``our_minutes`` and ``our_end``, when our training ended.
    """
    ours, theirs = (progress[progress["network"] == name] for name in ("ours", "assignment's"))
    end, final = theirs.iloc[-1], ours.iloc[-1]
    by_then = ours.loc[ours["minutes"] <= end["minutes"], "PublicTest accuracy"]
    return {
        "minutes": float(end["minutes"]),
        "theirs": float(end["PublicTest accuracy"]),
        "ours": None if by_then.empty else float(by_then.iloc[-1]),
        "our_minutes": float(final["minutes"]),
        "our_end": float(final["PublicTest accuracy"]),
    }
