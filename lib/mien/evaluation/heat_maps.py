"""Where a network looked (`mien.network.saliency`), averaged and compared by emotion."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from mien.emotions import in_order

#: Positions along one side of an averaged map.
SIDE = 12


def mean_maps(maps: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Average maps (n, 48, 48) over the faces of every emotion: ``emotion, row, column, heat``."""
    labels = np.asarray(labels)
    block = maps.shape[1] // SIDE
    coarse = maps.reshape(len(maps), SIDE, block, SIDE, block).mean(axis=(2, 4))
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    places = pd.DataFrame({"row": rows, "column": columns})
    means = {emotion: coarse[labels == emotion].mean(axis=0) for emotion in in_order(labels)}
    frames = {emotion: places.assign(heat=heat.ravel()) for emotion, heat in means.items()}
    return pd.concat(frames, names=["emotion"]).reset_index("emotion").reset_index(drop=True)


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


def thirds(maps: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return the shares (0..1) of each map, if it has any weight, on the thirds of the face."""
    return {
        emotion: [float(part.sum() / heat.sum()) for part in np.array_split(heat, 3)]
        for emotion, heat in maps.items()
        if heat.sum() > 0
    }


def likeness(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, float]:
    """Return Spearman's correlation of two averaged maps by emotion, where both show any place."""
    return {
        emotion: float(spearmanr(heat.ravel(), second[emotion].ravel()).statistic)
        for emotion, heat in first.items()
        if np.ptp(heat) > 0 and np.ptp(second[emotion]) > 0
    }
