"""Image descriptors that people designed, as scikit-learn transformers over grey faces.

Raw pixels, histograms of oriented gradients, and a dictionary of whitened patches (Coates and Ng).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from mien.errors import DataError, ParameterError


def as_images(images) -> np.ndarray:
    """Return images as uint8 (n, height, width); `DataError` if they are none, or empty."""
    images = np.asarray(images)
    if images.ndim != 3 or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"images must be a uint8 array of shape (n, height, width) with n > 0, "
            f"not {images.dtype} of shape {images.shape}"
        )
    return images


def in_blocks(
    describe: Callable[[np.ndarray], np.ndarray], images: np.ndarray, *, block: int
) -> np.ndarray:
    """Describe images (n, h, w) on all cores, ``block`` at a time: float32 (n, features)."""
    blocks = [images[start : start + block] for start in range(0, len(images), block)]
    # One BLAS thread per block: the blocks already fill the cores.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(describe, blocks)))


class Pixels(TransformerMixin, BaseEstimator):
    """The plainest descriptor: the grey values themselves, row by row, divided by 255."""

    def fit(self, images, labels=None):
        """Learn nothing."""
        return self

    def transform(self, images) -> np.ndarray:
        """Return the grey values, (n, height * width) float32 in 0..1."""
        images = as_images(images)
        return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


#: Cells per side of a HOG block, and bins over 0..180 degrees (Dalal and Triggs 2005).
_BLOCK, _ORIENTATIONS = 2, 9


class Hog(TransformerMixin, BaseEstimator):
    """Histograms of oriented gradients (Dalal and Triggs 2005), for all images at once.

    Central differences, nine unsigned orientations without interpolation, cells averaged,
    overlapping blocks of 2 x 2 cells normalised with L2-Hys (clip at 0.2, Lowe 2004): the same
    numbers as :func:`skimage.feature.hog` with its defaults, about twenty times faster. Output: (n,
    b * b * 36) float32 with b = 48 // cell - 1. ``cell`` is the side of a cell in pixels; pixels
    beyond the last whole cell are left out.
    """

    def __init__(self, *, cell: int = 6):
        self.cell = cell

    def fit(self, images, labels=None):
        """Learn nothing; refuse cells that do not fit the image."""
        height, width = as_images(images).shape[1:]
        if not 1 <= self.cell <= min(height, width) // _BLOCK:
            raise ParameterError(
                f"cells of {self.cell} pixels do not fit twice into images of {height} x {width} "
                f"pixels; Hog takes 1 to {min(height, width) // _BLOCK}"
            )
        return self

    def transform(self, images) -> np.ndarray:
        """Return the normalised histograms, (n, features) float32 in 0..1."""
        return in_blocks(self._describe, as_images(images), block=64)

    def _describe(self, images):
        images = images.astype(np.float32)
        # the mean gradient per orientation in every cell: (n, rows, columns, 9)
        down, right = np.zeros_like(images), np.zeros_like(images)
        down[:, 1:-1] = images[:, 2:] - images[:, :-2]
        right[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
        angle = np.degrees(np.arctan2(down, right)) % 180
        bins = np.minimum(angle * (_ORIENTATIONS / 180), _ORIENTATIONS - 1).astype(np.intp)
        n, height, width = images.shape
        rows, columns = height // self.cell, width // self.cell
        crop = np.s_[:, : rows * self.cell, : columns * self.cell]
        place = (np.arange(rows * self.cell) // self.cell)[:, None] * columns
        place = place + (np.arange(columns * self.cell) // self.cell)
        place = place + (np.arange(n) * rows * columns)[:, None, None]
        slots = place * _ORIENTATIONS + bins[crop]
        strength = np.hypot(down, right)[crop]
        sums = np.bincount(
            slots.ravel(), strength.ravel(), minlength=n * rows * columns * _ORIENTATIONS
        )
        cells = sums.reshape(n, rows, columns, _ORIENTATIONS) / self.cell**2
        cells = cells.astype(np.float32)
        blocks = sliding_window_view(cells, (_BLOCK, _BLOCK), axis=(1, 2))
        # (n, rows, columns, orientation, y, x) -> (n, rows, columns, y, x, orientation)
        blocks = blocks.transpose(0, 1, 2, 4, 5, 3).reshape(*blocks.shape[:3], -1)
        blocks = np.minimum(_unit(blocks), 0.2)
        return _unit(blocks).reshape(len(images), -1)


class Reduced(TransformerMixin, BaseEstimator):
    """Principal components of a descriptor's rows, float32 (n, components), or fewer.

    ``seed`` is of the randomised decomposition (Halko, Martinsson and Tropp 2011).
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


#: Patches that whitening and dictionary are learned from, how many of a face on average, and pixels
#: between neighbours.
_PATCHES, _OF_A_FACE, _STRIDE = 200_000, 25, 2

#: What a response (whitened patch times unit atom, dimensionless) must exceed to count.
_THRESHOLD = 1.0

#: Cells per side of a patch of edges, and the places of its eight directions in a mirror.
_CELLS, _MIRRORED = 4, [2, 1, 0, 3, 5, 4, 7, 6]


@dataclass(eq=False, repr=False, kw_only=True)
class PatchDictionary(TransformerMixin, BaseEstimator):
    """How strongly each of many typical patches occurs in each region of the face, in components.

    Patches on a grid, of grey values or of edges, are normalised and whitened (ZCA) and compared
    with a dictionary from spherical k-means; a two-sided soft threshold keeps what clearly
    resembles an atom or its negative, and the mean over every cell of a coarse grid is what is left
    of the place (Coates, Lee and Ng 2011, "An analysis of single-layer networks in unsupervised
    feature learning"; Coates and Ng 2012, "Learning feature representations with k-means"). The
    square root evens out strong and weak responses, as Hellinger's kernel does (Arandjelovic and
    Zisserman 2012).

    The dictionary holds every atom together with its mirror image, so that mirroring a face only
    exchanges columns of its responses. With ``d`` those of a face and ``m`` of its mirror image,
    ``(d + m) / 2`` and ``(d - m) / 2`` get their own principal components: a mirror changes the
    sign of the last columns and nothing else.

    Output: (n, even + odd) float32: the even components, then the odd ones, every row scaled to
    length 1 (which takes out how contrasty a picture is; Perronnin, Sanchez and Mensink 2010,
    "Improving the Fisher kernel"), at about 1 ms an image for 512 grey atoms on two cores.

    ``size`` is the side of a patch in pixels; with ``edges``, a multiple of 4, a patch is not
    its grey values but SIFT's histograms of edges. ``atoms`` of the dictionary, an even number, are
    half learned and half mirror images; ``grid`` are the cells per side of the pooling. Of the two
    halves ``even`` and ``odd`` components are kept, zeros where there are fewer, learned from
    ``sample`` images. ``seed`` is of all that is drawn at random.
    """

    size: int = 6
    edges: bool = False
    atoms: int = 512
    grid: int = 4
    even: int = 600
    odd: int = 300
    sample: int = 6000
    seed: int = 0

    def fit(self, images, labels=None):
        """Learn the dictionary from ``images`` (n, h, w) uint8, and the components of a sample."""
        images = as_images(images)
        side = min(images.shape[1:])
        places = (side - self.size) // _STRIDE + 1
        uneven = (images.shape[2] - self.size) % _STRIDE or (self.edges and self.size % _CELLS)
        fits = not uneven and 2 <= self.size <= side and 1 <= self.grid <= places
        if not fits or self.atoms % 2 or min(self.atoms, self.even, self.odd, self.sample) < 1:
            raise ParameterError(
                f"PatchDictionary needs a size of 2 to {side} pixels (even where the width is; of "
                "edges, a multiple of 4), a grid of at most as many cells as patches along a side, "
                f"an even number of atoms, and 1 or more of everything, not {self.get_params()}"
            )
        random = np.random.default_rng(self.seed)
        patches = self._sample(images, random)
        mean, whitener = _whitening(patches, self._mirrored(np.arange(patches.shape[1])))
        whitened = ((patches - mean) @ whitener).astype(np.float32)
        learned = _spherical_kmeans(whitened, self.atoms // 2, random)
        # Filters are mirrored after the whitening, not before: a pair is then alike to the last
        # bit, which a product with the whitener, summed in another order, would not keep.
        filters = learned @ whitener
        filters = np.concatenate([filters, self._mirrored(filters)])
        self.offsets_ = (filters @ mean).astype(np.float32)
        self.filters_ = np.ascontiguousarray(filters.T, dtype=np.float32)
        chosen = np.random.default_rng(self.seed).permutation(len(images))[: self.sample]
        even, odd = self._halves(images[np.sort(chosen)])
        self.mean_ = even.mean(axis=0)
        even -= self.mean_
        self.even_ = _components(even, self.even, self.seed)
        self.odd_ = _components(odd, self.odd, self.seed)
        return self

    def transform(self, images) -> np.ndarray:
        """Return the components, even ones first, (n, even + odd) float32 of length 1."""
        check_is_fitted(self)
        images = as_images(images)
        rows = np.empty((len(images), self.even + self.odd), np.float32)
        for start in range(0, len(images), 512):
            part = slice(start, start + 512)
            even, odd = self._halves(images[part])
            rows[part, : self.even] = (even - self.mean_) @ self.even_
            rows[part, self.even :] = odd @ self.odd_
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-6))
        return rows

    def responses(self, images: np.ndarray) -> np.ndarray:
        """Return the pooled responses of fitted atoms, (n, grid * grid * 2 * atoms), 0 or more."""
        rows, columns = ((side - self.size) // _STRIDE + 1 for side in images.shape[1:])
        # Row per cell of the grid, column per patch position: the weights of a mean.
        pooling = np.kron(_means(rows, self.grid), _means(columns, self.grid)).astype(np.float32)
        return in_blocks(lambda block: self._describe(block, pooling), images, block=8)

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Return the responses of the mirror images of the faces whose responses ``rows`` are."""
        rows = rows.reshape(len(rows), self.grid, self.grid, 2, 2, self.atoms // 2)
        return rows[:, :, ::-1, :, ::-1].reshape(len(rows), -1)

    def _halves(self, images):
        """The even and the odd half of the responses."""
        rows = self.responses(images)
        # Columns come in pairs that the mirror exchanges (or stay): one of each pair is enough.
        partner = self.mirrored(np.arange(rows.shape[1])[None])[0]
        first = np.flatnonzero(np.arange(rows.shape[1]) <= partner)
        weight = np.where(first == partner[first], 0.5, np.sqrt(0.5)).astype(np.float32)
        here, there = rows[:, first], rows[:, partner[first]]
        return (here + there) * weight, (here - there) * weight

    def _patches(self, images):
        """All patches on the grid, normalised, float32 (n, places, features)."""
        return (_edge_patches if self.edges else _grey_patches)(images, self.size)

    def _mirrored(self, patches):
        """What the patches (…, features) are in a mirror."""
        if self.edges:
            cells = patches.reshape(*patches.shape[:-1], _CELLS, _CELLS, -1)[..., ::-1, :]
            return cells[..., _MIRRORED].reshape(patches.shape)
        square = patches.reshape(*patches.shape[:-1], self.size, self.size)
        return square[..., ::-1].reshape(patches.shape)

    def _sample(self, images, random):
        """Random patches and their mirror images, (2 * count or more, features)."""
        count = max(_PATCHES // 2, 2 * self.atoms)
        drawn = []
        for _ in range(0, count, 64 * _OF_A_FACE):
            seen = self._patches(images[random.integers(len(images), size=64)])
            drawn.append(random.choice(np.concatenate(seen), 64 * _OF_A_FACE))
        patches = np.concatenate(drawn)
        return np.concatenate([patches, self._mirrored(patches)])

    def _describe(self, images, pooling):
        rows = np.empty((len(images), len(pooling), 2, self.atoms), np.float32)
        for image, patches in zip(rows, self._patches(images), strict=True):
            response = patches @ self.filters_ - self.offsets_
            # The threshold is subtracted before the mean: subtracted after it, a cell without a
            # response keeps a rounding error of 1e-7, of which the root makes 3e-4.
            image[:, 0] = pooling @ np.maximum(response - _THRESHOLD, 0)
            image[:, 1] = pooling @ np.maximum(-response - _THRESHOLD, 0)
        return np.sqrt(rows, out=rows).reshape(len(images), -1)


def _grey_patches(images, size):
    """Grey values less their mean, by their contrast; 10 grey values squared of noise."""
    window = sliding_window_view(images, (size, size), axis=(1, 2))[:, ::_STRIDE, ::_STRIDE]
    patches = window.reshape(len(images), -1, size**2).astype(np.float32)
    patches -= patches.mean(axis=-1, keepdims=True)
    patches /= np.sqrt((patches**2).mean(axis=-1, keepdims=True) + np.float32(10))
    return patches


def _edge_patches(images, size):
    """Histograms of eight directions of the gradient in 4 x 4 cells of every patch.

    As SIFT's (Lowe 2004, "Distinctive image features from scale-invariant keypoints"), without its
    window: scaled to length 1, clipped at 0.2, and the roots taken (Arandjelovic and Zisserman
    2012), times 10 for a variance near 1. A gradient is shared out between its two nearest
    directions in whole numbers, so that a mirrored patch has the same sums to the last bit.
    """
    grey = np.pad(images.astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    right = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    straight = [right - abs(down), down - abs(right), -right - abs(down), -down - abs(right)]
    turns = ((right, down), (-right, down), (-right, -down), (right, -down))
    strength = np.stack([*straight, *(np.minimum(*pair) for pair in turns)], axis=-1)
    sums = np.maximum(strength, 0).cumsum(axis=1, dtype=np.int32).cumsum(axis=2, dtype=np.int32)
    sums, cell = np.pad(sums, ((0, 0), (1, 0), (1, 0), (0, 0))), size // _CELLS
    sums = sums[:, cell:] - sums[:, :-cell]
    sums = sums[:, :, cell:] - sums[:, :, :-cell]
    rows, columns = (
        np.arange(0, side - size + 1, _STRIDE)[:, None] + cell * np.arange(_CELLS)
        for side in images.shape[1:]
    )
    patches = sums[:, rows][:, :, :, columns].transpose(0, 1, 3, 2, 4, 5)
    patches = patches.reshape(len(images), -1, _CELLS**2 * len(_MIRRORED)).astype(np.float32)
    noise = (40 * cell) ** 2  # of grey values, in a cell, squared
    lengths = np.sqrt(np.square(patches, dtype=np.float64).sum(axis=-1, keepdims=True) + noise)
    return 10 * np.sqrt(np.minimum(patches / lengths.astype(np.float32), np.float32(0.2)))


def _whitening(patches, mirrored):
    """Mean and ZCA matrix, float64, variances plus 0.1 (Coates and Ng 2012, section 3)."""
    mean = patches.mean(axis=0, dtype=np.float64)
    covariance = np.cov(patches.T)
    covariance = (covariance + covariance[mirrored][:, mirrored]) / 2
    values, vectors = np.linalg.eigh(covariance)
    return (mean + mean[mirrored]) / 2, (vectors / np.sqrt(values + 0.1)) @ vectors.T


def _spherical_kmeans(points, count, random, *, rounds=15):
    """Unit atoms (count, features) that points are multiples of (Coates and Ng 2012, sec. 2)."""
    atoms = random.standard_normal((count, points.shape[1])).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    for _ in range(rounds):
        sums = np.zeros_like(atoms)
        for start in range(0, len(points), 10_000):
            part = points[start : start + 10_000]
            response = part @ atoms.T
            best = np.abs(response).argmax(axis=1)
            weight = np.zeros_like(response)
            row = np.arange(len(part))
            weight[row, best] = response[row, best]
            sums += weight.T @ part
        atoms += sums
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return atoms


def _components(rows, count, seed):
    """The first ``count`` principal directions as columns, zeros where there are fewer."""
    columns = np.zeros((rows.shape[1], count), np.float32)
    available = min(count, *rows.shape)
    _, _, directions = randomized_svd(rows, available, n_iter=2, random_state=seed)
    columns[:, :available] = directions.T
    return columns


def _means(count, cells):
    """Averaging of ``count`` neighbours into ``cells`` cells that meet edge to edge."""
    edges = np.arange(cells + 1) * count / cells
    left = np.maximum(edges[:-1, None], np.arange(count))
    right = np.minimum(edges[1:, None], np.arange(1, count + 1))
    weights = np.maximum(right - left, 0)
    return weights / weights.sum(axis=1, keepdims=True)
