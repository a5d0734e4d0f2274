"""The small trials of chapter B1: what batch size, epochs and every other choice change.

With the network of the course assignment, trained as the assignment trains it: what ours must
beat.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers

from mien.network import architecture, inference, pretrained, training
from mien.network import training as cnn
from mien.network.training import Augment
from mien.report import text
from mien.report import text as prose

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


#: Width in pixels of the faces that trials learn from, to be affordable.
TRIAL_SIZE = 32

#: Most faces in a step of an ablation's trials, so that its few epochs are enough steps.
TRIAL_BATCH = 128
_WATCHED = 256  # faces on which every epoch of such a trial is watched
_STILL = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "light": 0.0, "erase": 0.0}

#: Settings of `mien.network.training.train` that differ from the recipe, one choice at a time;
#: under "augment", amounts of `mien.network.training.Augment`, and under "network", settings of
#: `mien.network.architecture.build`.
CHOICES: dict[str, dict[str, Any]] = {
    "without augmentation": {"augment": _STILL | {"mirror": False}},
    "mirroring alone": {"augment": _STILL},
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

#: Images and their class codes, as `mien.data.fer2013.Fer2013.split` returns them.
Faces = tuple[np.ndarray, np.ndarray]


def batch_size_trials(
    training: Faces,
    public: Faces,
    recipe: cnn.Profile,
    *,
    batch_sizes: Sequence[int],
    epochs: int,
    dtype: str = "float32",
    seed: int = 0,
) -> pd.DataFrame:
    """Train the same network with several batch sizes and judge every epoch on PublicTest.

    Trials learn from faces of `TRIAL_SIZE` pixels and are judged at full size.

    Parameters
    ----------
    training, public : tuple of uint8 (n, 48, 48) and int (n,)
        What the trials learn from, and what judges them.
    recipe : cnn.Profile
        The network, its augmentation, and all settings but batch size and epochs.
    batch_sizes : sequence of int
    epochs : int
        Of every trial.
    dtype : str
        Precision, as `mien.network.architecture.build` takes it.

    Returns
    -------
    DataFrame
        One row a batch size and epoch: ``batch size``, ``epoch``, ``training loss``,
        ``PublicTest accuracy``, ``seconds`` (of this epoch).
    """
    frames = []
    for size in batch_sizes:
        change = {"batch_size": size, "epochs": epochs, "sizes": (TRIAL_SIZE,)}
        _, history = _trial(training, public, recipe, change, dtype=dtype, seed=seed)
        frames.append(
            pd.DataFrame(
                {
                    "batch size": size,
                    "epoch": history["epoch"],
                    "training loss": history["loss"],
                    "PublicTest accuracy": history["val_accuracy"],
                    "seconds": history["seconds"],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def ablation(
    training: Faces,
    public: Faces,
    recipe: cnn.Profile,
    *,
    choices: Sequence[str] = (),
    epochs: int,
    dtype: str = "float32",
    seed: int = 0,
) -> pd.DataFrame:
    """Train the recipe, then the recipe with one choice changed, and judge each on PublicTest.

    The trials learn from faces of `TRIAL_SIZE` pixels, at most `TRIAL_BATCH` a step; they are
    judged at full size, once, after the last epoch.

    Parameters
    ----------
    training, public, recipe, dtype, seed
        As in `batch_size_trials`.
    choices : sequence of str
        Of `CHOICES`; all of them where none is named.
    epochs : int
        Of every trial.

    Returns
    -------
    DataFrame
        One row a choice: ``choice`` (first ``"the recipe"``), ``PublicTest accuracy``,
        ``difference`` from the recipe (0..1), ``seconds``.
    """
    rows, batch = [], min(TRIAL_BATCH, recipe.training["batch_size"])
    short = {"epochs": epochs, "sizes": (TRIAL_SIZE,), "batch_size": batch}
    watched = tuple(part[:_WATCHED] for part in public)
    for choice in ("the recipe", *(choices or CHOICES)):
        change = short | CHOICES.get(choice, {})
        network, history = _trial(training, watched, recipe, change, dtype=dtype, seed=seed)
        right = inference.predict(network, public[0]).argmax(axis=1) == public[1]
        rows.append((choice, right.mean(), history["seconds"].sum()))
    found = pd.DataFrame(rows, columns=["choice", "PublicTest accuracy", "seconds"])
    change = found["PublicTest accuracy"] - found["PublicTest accuracy"][0]
    found.insert(2, "difference", change)
    return found


def beside_the_assignment(
    training: Faces, public: Faces, history: pd.DataFrame, *, minutes: float, seed: int = 0
) -> pd.DataFrame:
    """Train the assignment's network for some minutes, and put its progress beside ours.

    On FER2013 itself, the progress of the network that comes with mien stands beside them too: the
    `full` profile, trained once on two processor cores.

    Parameters
    ----------
    training, public
        As in `batch_size_trials`.
    history : DataFrame
        Our learning curve (`mien.network.training.train`).
    minutes : float
        Wall time for the assignment's network.

    Returns
    -------
    DataFrame
        ``network`` (``"ours"``, ``"assignment's"``, ``"packaged"``), ``minutes``, ``PublicTest
        accuracy``.
    """
    model = build(seed=seed)

    def watch(model) -> float:
        return float((predict(model, public[0]).argmax(axis=1) == public[1]).mean())

    theirs = train(model, *training, seconds=60 * minutes, watch=watch, seed=seed)
    ours = history.assign(seconds=history["seconds"].cumsum())
    both = pd.concat([ours.assign(network="ours"), theirs.assign(network="assignment's")])
    both = both.assign(minutes=both["seconds"] / 60)[["network", "minutes", "val_accuracy"]]
    both = both.rename(columns={"val_accuracy": "PublicTest accuracy"})
    packaged = pretrained.shipped_curve(public[0]).assign(network="packaged")
    return pd.concat([both, packaged], ignore_index=True)


def minutes_sentence(progress: pd.DataFrame) -> str:
    """Return how far both networks of `beside_the_assignment` were at the same time."""
    ours, theirs = (progress[progress["network"] == name] for name in ("ours", "assignment's"))
    end = theirs["minutes"].iloc[-1]
    by_then = ours[ours["minutes"] <= end]
    reached = prose.percent(theirs["PublicTest accuracy"].iloc[-1])
    text = f"After {prose.minutes(60 * end)} the assignment's network is right on {reached} of "
    text += "PublicTest"
    if by_then.empty:
        text += "; ours had not finished its first epoch then"
    else:
        text += f", ours on {prose.percent(by_then['PublicTest accuracy'].iloc[-1])}"
    final = ours.iloc[-1]
    return (
        f"{text}. Ours ends at {prose.percent(final['PublicTest accuracy'])} after "
        f"{prose.minutes(60 * final['minutes'])}."
    )


def _trial(training: Faces, public: Faces, recipe: cnn.Profile, change: Mapping, *, dtype, seed):
    """Train the recipe with some settings changed; return the network and its history."""
    augment = replace(recipe.augment, **change.get("augment", {}))
    shape = recipe.network | change.get("network", {})
    settings = recipe.training | {"keep": "last"} | change | {"augment": augment}
    settings.pop("network", None)
    network = architecture.build(**shape, dtype=dtype, seed=seed)
    return network, cnn.train(network, *training, *public, **settings, seed=seed)


def noise(n: int, accuracy: float) -> float:
    """Return the standard error of the difference of two accuracies on ``n`` images, at most.

    That of two independent proportions; two networks on the same images differ by less.
    """
    return float(np.sqrt(2 * accuracy * (1 - accuracy) / n))


def ablation_sentence(found: pd.DataFrame, n: int) -> str:
    """Return which choices of `ablation` stand out of the noise of ``n`` images, in sentences."""
    accuracy = found["PublicTest accuracy"][0]
    limit = 2 * noise(n, accuracy)
    told = [
        f"{row['choice']} ({text.points(row['difference'])})"
        for _, row in found[1:].iterrows()
        if abs(row["difference"]) > limit
    ]
    return (
        f"The recipe reached {text.percent(accuracy)}. Differences under {100 * limit:.1f} points "
        f"are within the noise of {text.count(n, 'image')}; beyond it: {text.listed(told)}. "
        "Trials this short favour whatever learns fast: what guards against over-fitting costs at "
        "first and pays in the long training."
    )


def trials_sentence(trials: pd.DataFrame) -> str:
    """Return what `batch_size_trials` shows, in two sentences."""
    last = trials[trials["epoch"] == trials["epoch"].max()].set_index("batch size")
    first = trials[trials["epoch"] == trials["epoch"].min()].set_index("batch size")
    best = last["PublicTest accuracy"].idxmax()
    worst = last["PublicTest accuracy"].idxmin()
    spread = last.loc[best, "PublicTest accuracy"] - last.loc[worst, "PublicTest accuracy"]
    gain = last.loc[best, "PublicTest accuracy"] - first.loc[best, "PublicTest accuracy"]
    epochs = int(trials["epoch"].max())
    return (
        f"After {text.count(epochs, 'epoch')} the batch of {best} leads with "
        f"{text.percent(last.loc[best, 'PublicTest accuracy'])}, {text.points(spread)} over the "
        f"batch of {worst}. With the batch of {best}, going from the first epoch to the last "
        f"changed {text.points(gain)}."
    )


def overfitting_sentence(history: pd.DataFrame) -> str:
    """Return whether the PublicTest loss of a training turned upwards, in a sentence."""
    lowest = history.loc[history["val_loss"].idxmin()]
    last = history.iloc[-1]
    rise = last["val_loss"] / lowest["val_loss"] - 1
    best = history.loc[history["val_accuracy"].idxmax()]
    text = (
        f"PublicTest accuracy was highest, {prose.percent(best['val_accuracy'])}, in epoch "
        f"{best['epoch']:.0f} of {last['epoch']:.0f}. "
    )
    if rise <= 0.02:
        return text + "Its loss did not turn upwards, so over-fitting is not visible."
    return text + (
        f"Its loss was lowest in epoch {lowest['epoch']:.0f} and ended {prose.percent(rise)} "
        "higher: the network over-fits towards the end, and keeping the best epoch guards "
        "against it."
    )


def training_settings(recipe: training.Profile, given: Mapping[str, float]) -> dict:
    """Return the training settings of a profile, with every non-zero ``given`` in their place."""
    return recipe.training | {name: value for name, value in given.items() if value}
