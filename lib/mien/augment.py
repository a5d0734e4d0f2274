"""Random changes that leave the expression of a face alone: what a network should not learn."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How far faces are moved, turned, scaled, relit and covered while a network learns.

    Every amount is drawn uniformly for every face. All zero changes nothing.

    Parameters
    ----------
    mirror : bool
        Mirror every second face, left to right: expressions are close to symmetric.
    shift : float
        Largest move along each axis, as a share of the width (0..0.3).
    rotation : float
        Largest turn to either side, in degrees.
    zoom : float
        Largest change of scale, as a share: 0.1 gives 0.9 to 1.1.
    light : float
        Largest change of gamma, in octaves: 0.5 gives 0.71 to 1.41.
    erase : float
        Probability that a random rectangle of 2 to 20 % of the face is covered with its mean grey
        (random erasing, Zhong et al. 2020, arXiv:1708.04896).

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
        """Return a changed copy of ``images``.

        Parameters
        ----------
        images : ndarray of uint8, (n, width, width)
        rng : numpy.random.Generator
        size : int, optional
            Width and height of the result in pixels; as the images where left out.

        Returns
        -------
        ndarray of uint8, (n, size, size)
        """
        count, size = len(images), size or images.shape[1]
        margin = self._margin(images.shape[1])
        padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
        changed = np.empty((count, size, size), np.uint8)
        matrices = self._matrices(count, images.shape[1], size, rng)
        matrices[:, [2, 5]] += margin
        for row, matrix in enumerate(matrices):
            picture = Image.fromarray(padded[row])
            changed[row] = picture.transform(
                (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
        if self.light:
            changed = _relight(changed, rng.uniform(-self.light, self.light, count))
        if self.erase:
            _erase(changed, rng.random(count) < self.erase, rng)
        return changed

    def _margin(self, width: int) -> int:
        """Return how far outside of the face a pixel can come from: no black edge is drawn in."""
        turn = np.deg2rad(min(self.rotation, 45))
        reach = (np.cos(turn) + np.sin(turn)) / (1 - min(self.zoom, 0.9)) - 1
        return int(np.ceil(width * (self.shift + reach / 2))) + 2

    def _matrices(self, count, width, size, rng) -> np.ndarray:
        """Return (count, 6) coefficients that map a pixel of the result to the source."""
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, count))
        scale = width / size / (1 + rng.uniform(-self.zoom, self.zoom, count))
        flip = np.where(rng.random(count) < 0.5 * self.mirror, -1.0, 1.0)
        move = rng.uniform(-self.shift, self.shift, (2, count)) * width
        a, b = scale * np.cos(angle) * flip, scale * np.sin(angle)
        d, e = -scale * np.sin(angle) * flip, scale * np.cos(angle)
        c, f = width / 2 + move - np.array([a + b, d + e]) * size / 2
        return np.stack([a, b, c, d, e, f], axis=1)


def _relight(images: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    ramp = np.arange(256) / 255
    tables = (255 * ramp[None] ** np.exp2(octaves)[:, None] + 0.5).astype(np.uint8)
    return np.take_along_axis(tables, images.reshape(len(images), -1), axis=1).reshape(images.shape)


def _erase(images: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> None:
    height, width = images.shape[1:]
    for row in np.flatnonzero(chosen):
        area, ratio = rng.uniform(0.02, 0.2) * height * width, np.exp2(rng.uniform(-1.7, 1.7))
        tall = int(np.clip(np.sqrt(area * ratio), 1, height))
        wide = int(np.clip(np.sqrt(area / ratio), 1, width))
        top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        images[row, top : top + tall, left : left + wide] = images[row].mean()
