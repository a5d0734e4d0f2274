"""Image descriptors that people designed, as scikit-learn transformers over grey faces.

Every transformer takes uint8 images of shape (n, height, width), 48 x 48 in FER2013, and returns
float32 rows. Images are described in small blocks, one thread per core, so that memory stays
small, and the result does not depend on the number of cores.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from mien.errors import DataError, ParameterError


def as_images(images) -> np.ndarray:
    """Return ``images`` as a uint8 array (n, height, width), or say why that cannot be.

    Raises
    ------
    DataError
        If the array has another shape or type, or holds no image.
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"images must be a uint8 array of shape (n, height, width) with n > 0, "
            f"not {images.dtype} of shape {images.shape}"
        )
    return images


def in_blocks(
    describe: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    *,
    block: int = 64,
) -> np.ndarray:
    """Describe images block by block on all cores.

    Parameters
    ----------
    describe : callable
        Takes (m, height, width) images, returns (m, features) float32.
    images : array (n, height, width)
    block : int
        Images per block.

    Returns
    -------
    array (n, features), float32
    """
    starts = range(0, len(images), block)
    rows = None
    # One BLAS thread per block: the blocks already fill the cores.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda start: describe(images[start : start + block]), starts)
        for start, result in zip(starts, results, strict=True):
            if rows is None:
                rows = np.empty((len(images), result.shape[1]), np.float32)
            rows[start : start + len(result)] = result
    return rows


def mirror(images: np.ndarray) -> np.ndarray:
    """Return the images (n, height, width) seen in a mirror: left and right exchanged.

    Examples
    --------
    >>> mirror(np.array([[[1, 2], [3, 4]]])).tolist()
    [[[2, 1], [4, 3]]]
    """
    return images[..., ::-1]


def with_mirrors(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the images followed by their mirror images, and the labels twice.

    A mirrored face shows the same emotion, so a training set doubles for free.

    Examples
    --------
    >>> images, labels = with_mirrors(np.zeros((3, 48, 48), np.uint8), np.array([0, 1, 2]))
    >>> images.shape, labels.tolist()
    ((6, 48, 48), [0, 1, 2, 0, 1, 2])
    """
    return np.concatenate([images, mirror(images)]), np.concatenate([labels, labels])


class Pixels(TransformerMixin, BaseEstimator):
    """The plainest descriptor: the grey values themselves, row by row, divided by 255.

    Output: (n, height * width) float32 in 0..1; 2,304 values for FER2013. Cost: none.

    Examples
    --------
    >>> Pixels().fit_transform(np.full((1, 48, 48), 255, np.uint8)).max()
    np.float32(1.0)
    """

    def fit(self, images, labels=None):
        """Learn nothing but the number of outputs."""
        self.n_features_out_ = int(np.prod(as_images(images).shape[1:]))
        return self

    def transform(self, images) -> np.ndarray:
        """Return the grey values, (n, height * width) float32 in 0..1."""
        images = as_images(images)
        return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


class Hog(TransformerMixin, BaseEstimator):
    """Histograms of oriented gradients (Dalal and Triggs 2005), for all images at once.

    Central differences, unsigned orientations without interpolation, cells averaged, overlapping
    blocks of cells normalised with L2-Hys (clip at 0.2, Lowe 2004): the same numbers as
    :func:`skimage.feature.hog` with its defaults, about twenty times faster than one image at a
    time.

    Parameters
    ----------
    cell : int
        Side of a cell in pixels. Pixels beyond the last whole cell are left out.
    block : int
        Side of a block in cells.
    orientations : int
        Bins over 0..180 degrees.

    Notes
    -----
    Output: (n, b * b * block * block * orientations) float32 with b = 48 // cell - block + 1;
    1,764 values for the defaults. Cost: about 0.3 ms an image on one core.

    Examples
    --------
    >>> Hog().fit_transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 1764)
    """

    def __init__(self, *, cell: int = 6, block: int = 2, orientations: int = 9):
        self.cell = cell
        self.block = block
        self.orientations = orientations

    def fit(self, images, labels=None):
        """Learn nothing but the number of outputs; refuse cells that do not fit the image."""
        images = as_images(images)
        if self.cell < 1 or self.block < 1 or self.orientations < 1:
            raise ParameterError("cell, block and orientations of Hog must be 1 or more")
        if min(images.shape[1:]) // self.cell < self.block:
            raise ParameterError(
                f"{self.block} x {self.block} cells of {self.cell} pixels do not fit into images "
                f"of {images.shape[1]} x {images.shape[2]} pixels; use smaller cells or blocks"
            )
        self.n_features_out_ = self._describe(images[:1]).shape[1]
        return self

    def transform(self, images) -> np.ndarray:
        """Return the normalised histograms, (n, features) float32 in 0..1."""
        check_is_fitted(self)
        return in_blocks(self._describe, as_images(images))

    def _describe(self, images):
        cells = self._cells(images.astype(np.float32))
        blocks = np.lib.stride_tricks.sliding_window_view(
            cells, (self.block, self.block), axis=(1, 2)
        )
        # (n, rows, columns, orientation, y, x) -> (n, rows, columns, y, x, orientation)
        blocks = blocks.transpose(0, 1, 2, 4, 5, 3).reshape(*blocks.shape[:3], -1)
        blocks = np.minimum(_unit(blocks), 0.2)
        return _unit(blocks).reshape(len(images), -1)

    def _cells(self, images):
        """Mean gradient per orientation in every cell: (n, rows, columns, orientations)."""
        down, right = np.zeros_like(images), np.zeros_like(images)
        down[:, 1:-1] = images[:, 2:] - images[:, :-2]
        right[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
        angle = np.degrees(np.arctan2(down, right)) % 180
        bins = np.minimum(angle * (self.orientations / 180), self.orientations - 1).astype(np.intp)
        n, height, width = images.shape
        rows, columns = height // self.cell, width // self.cell
        crop = np.s_[:, : rows * self.cell, : columns * self.cell]
        place = (np.arange(rows * self.cell) // self.cell)[:, None] * columns
        place = place + (np.arange(columns * self.cell) // self.cell)
        place = place + (np.arange(n) * rows * columns)[:, None, None]
        slots = place * self.orientations + bins[crop]
        strength = np.hypot(down, right)[crop]
        sums = np.bincount(
            slots.ravel(), strength.ravel(), minlength=n * rows * columns * self.orientations
        )
        cells = sums.reshape(n, rows, columns, self.orientations) / self.cell**2
        return cells.astype(np.float32)


class Reduced(TransformerMixin, BaseEstimator):
    """Principal components of a descriptor's rows, as many as there can be.

    Parameters
    ----------
    components : int
        Most components; fewer rows or columns than that give fewer.
    seed : int
        Of the randomised decomposition (Halko, Martinsson and Tropp 2011).

    Notes
    -----
    Output: (n, components) float32. Cost: two seconds for 28,709 rows of 1,764 columns.

    Examples
    --------
    >>> Reduced(256).fit_transform(np.eye(5, dtype=np.float32)).shape
    (5, 5)
    """

    def __init__(self, components: int = 256, *, seed: int = 0):
        self.components = components
        self.seed = seed

    def fit(self, rows, labels=None):
        """Learn the components of ``rows`` (n, features)."""
        count = min(self.components, *rows.shape)
        pca = PCA(count, svd_solver="randomized", iterated_power=2, random_state=self.seed)
        with np.errstate(invalid="ignore"):  # constant images have no variance to be shared out
            self.pca_ = pca.fit(rows)
        return self

    def transform(self, rows) -> np.ndarray:
        """Return the components of rows, (n, components) float32."""
        check_is_fitted(self)
        return self.pca_.transform(rows)


def _unit(rows):
    """Scale the last axis to length 1, leaving zeros zero."""
    return rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True) + np.float32(1e-5) ** 2)
