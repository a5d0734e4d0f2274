"""The small trials of chapter B1: what batch size and epochs change."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mien import cnn, prose
from mien.fer2013 import Fer2013


def batch_size_trials(
    crowd: Fer2013,
    recipe: cnn.Profile,
    *,
    batch_sizes: Sequence[int],
    epochs: int,
    dtype: str = "float32",
    seed: int = 0,
) -> pd.DataFrame:
    """Train the same network with several batch sizes and judge every epoch on PublicTest.

    Parameters
    ----------
    crowd : Fer2013
        The part of FER2013 that the trials see.
    recipe : cnn.Profile
        The network, its augmentation, and all settings but batch size and epochs.
    batch_sizes : sequence of int
    epochs : int
        Of every trial.
    dtype : str
        Precision, as `mien.cnn.build` takes it.

    Returns
    -------
    DataFrame
        One row a batch size and epoch: ``batch size``, ``epoch``, ``training loss``,
        ``PublicTest accuracy``, ``seconds`` (of this epoch).
    """
    frames = []
    for size in batch_sizes:
        network = cnn.build(**recipe.network, dtype=dtype, seed=seed)
        settings = recipe.training | {"batch_size": size, "epochs": epochs, "keep": "last"}
        history = cnn.train(
            network,
            *crowd.split("Training"),
            *crowd.split("PublicTest"),
            **settings,
            augment=recipe.augment,
            seed=seed,
        )
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
        f"After {prose.count(epochs, 'epoch')} the batch of {best} leads with "
        f"{prose.percent(last.loc[best, 'PublicTest accuracy'])}, {prose.points(spread)} over the "
        f"batch of {worst}. With the batch of {best}, going from the first epoch to the last "
        f"changed {prose.points(gain)}."
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


def training_settings(recipe: cnn.Profile, given: Mapping[str, float]) -> dict:
    """Return the training settings of a profile, with every non-zero ``given`` in their place."""
    return recipe.training | {name: value for name, value in given.items() if value}
