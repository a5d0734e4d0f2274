"""Where the network looked, averaged over the faces of an emotion, as a table and back."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from mien.emotions import in_order

#: Positions along one side of an averaged map: those of the stage that Grad-CAM reads.
SIDE = 12


def mean_maps(maps: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Average maps over the faces of every emotion.

    Parameters
    ----------
    maps : ndarray of float, (n, 48, 48)
        0..1, from `mien.gradcam.gradcam`.
    labels : sequence of str, (n,)

    Returns
    -------
    DataFrame
        ``emotion, row, column, heat`` with `SIDE` rows and columns for every emotion that occurs.

    Examples
    --------
    >>> len(mean_maps(np.ones((2, 48, 48)), ["sad", "sad"]))
    144
    """
    labels = np.asarray(labels)
    coarse = maps.reshape(len(maps), SIDE, 48 // SIDE, SIDE, 48 // SIDE).mean(axis=(2, 4))
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "emotion": emotion,
                    "row": rows,
                    "column": columns,
                    "heat": coarse[labels == emotion].mean(axis=0).ravel(),
                }
            )
            for emotion in in_order(labels)
        ],
        ignore_index=True,
    )


def maps_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the averaged maps of `mean_maps` by emotion, each of shape (12, 12)."""
    return {
        str(emotion): part.sort_values(["row", "column"])["heat"].to_numpy().reshape(SIDE, SIDE)
        for emotion, part in table.groupby("emotion", sort=False)
    }


def mean_faces(images: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the average face of every emotion, uint8 (48, 48), in FER2013's order."""
    labels = np.asarray(labels)
    return {
        emotion: images[labels == emotion].mean(axis=0).round().astype(np.uint8)
        for emotion in in_order(labels)
    }


def thirds_sentence(maps: dict[str, np.ndarray]) -> str:
    """Return on which third of the face most of each emotion's weight lies, in a sentence."""
    names = ("upper", "middle", "lower")
    found = []
    for emotion, heat in maps.items():
        shares = np.array([part.sum() for part in np.array_split(heat, 3)])
        if shares.sum() > 0:
            share = shares.max() / shares.sum()
            found.append(f"*{emotion}* the {names[int(shares.argmax())]} third ({share:.0%})")
    if not found:
        return "No place of any face spoke for its emotion."
    return f"Most of the weight lies on these thirds of the face: {', '.join(found)}."


def likeness_sentence(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """Return how far two ways of asking (`mean_maps`) agree about the places, in a sentence.

    Spearman's correlation over the positions of the averaged maps, emotion by emotion.
    """
    ours, theirs = maps_of(first), maps_of(second)
    found = {
        emotion: float(spearmanr(ours[emotion].ravel(), theirs[emotion].ravel()).statistic)
        for emotion in ours
        if np.ptp(ours[emotion]) > 0 and np.ptp(theirs[emotion]) > 0
    }
    if not found:
        return "The two ways cannot be compared: one of them shows no place at all."
    told = ", ".join(f"*{emotion}* {value:.2f}" for emotion, value in found.items())
    return f"The places that Grad-CAM and occlusion find correlate (Spearman) by {told}."
