"""A second dictionary on top of the first: which patches stand together in a face."""

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mien.errors import ParameterError
from mien.features import as_images, in_blocks
from mien.patches import (
    PatchDictionary,
    mirrored_cells,
    pool_responses,
    pooling_matrix,
    spherical_kmeans,
)


class ConstellationDictionary(TransformerMixin, BaseEstimator):
    """How strongly each of many typical constellations of patches occurs in each region.

    A fine grid of :class:`mien.patches.PatchDictionary` responses, reduced to its principal
    components, is read like an image of many colours: neighbouring cells are whitened and
    compared with a second dictionary, again by spherical k-means with a two-sided soft threshold
    (Coates and Ng 2011, "Selecting receptive fields in deep networks", learn their second layer
    in this way). Nothing is learned from labels.

    As in the first dictionary every atom comes with its mirror image. The components of the
    first layer are learned apart for what a mirror leaves alone and what it turns round, so
    that mirroring a neighbourhood exchanges its columns and changes signs, nothing else.

    Parameters
    ----------
    size, patch_atoms : int
        Of the first dictionary: side of a patch in pixels, and atoms.
    cells : int
        Cells per side of the first dictionary's grid.
    maps : int
        Components kept of every cell, even: half are even, half odd.
    field : int
        Cells per side of a neighbourhood.
    directions : int
        Principal directions of the neighbourhoods that are kept when they are whitened.
    atoms : int
        Of the second dictionary, even.
    threshold : float
        What a response must exceed to count (whitened neighbourhood times filter, dimensionless).
    grid : int
        Cells per side of the pooling grid.
    sample : int
        Images that the second layer is learned from.
    seed : int

    Attributes
    ----------
    first_ : fitted PatchDictionary
    mean_ : array (2 * patch_atoms,), float32
        Mean cell.
    maps_ : array (2 * patch_atoms, maps), float32
    filters_ : array (field * field * maps, atoms), float32
    offsets_ : array (atoms,), float32

    Notes
    -----
    Output: (n, grid * grid * 2 * atoms) float32, all 0 or more. Cost: about 3 ms an image on two
    cores.
    """

    def __init__(
        self,
        *,
        size: int = 8,
        patch_atoms: int = 256,
        cells: int = 10,
        maps: int = 256,
        field: int = 3,
        directions: int = 800,
        atoms: int = 1024,
        threshold: float = 0.5,
        grid: int = 4,
        sample: int = 3000,
        seed: int = 0,
    ):
        self.size = size
        self.patch_atoms = patch_atoms
        self.cells = cells
        self.maps = maps
        self.field = field
        self.directions = directions
        self.atoms = atoms
        self.threshold = threshold
        self.grid = grid
        self.sample = sample
        self.seed = seed

    def fit(self, images, labels=None):
        """Learn both dictionaries from ``images`` (n, h, w) uint8."""
        images = as_images(images)
        self._check()
        random = np.random.default_rng(self.seed)
        self.first_ = PatchDictionary(
            size=self.size, atoms=self.patch_atoms, grid=self.cells, seed=self.seed
        ).fit(images)
        rows = self.first_.transform(images[random.permutation(len(images))[: self.sample]])
        self._learn_maps(rows.reshape(-1, 2, 2, self.patch_atoms // 2))
        self._learn_filters(self._sample(rows, random), random)
        self.n_features_out_ = self.grid**2 * 2 * self.atoms
        return self

    def transform(self, images) -> np.ndarray:
        """Return the descriptors, (n, grid * grid * 2 * atoms) float32."""
        check_is_fitted(self)
        images = as_images(images)
        first = self.first_.describer(images.shape[1:])
        return in_blocks(self._describer(first), images, block=8)

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Return the descriptors of the mirror images of the faces that ``rows`` describe.

        Parameters
        ----------
        rows : array (n, grid * grid * 2 * atoms)
        """
        return mirrored_cells(rows, self.grid)

    def _check(self):
        if self.atoms < 2 or self.atoms % 2 or self.maps < 2 or self.maps % 2:
            raise ParameterError(
                "atoms and maps of ConstellationDictionary must be even, not "
                f"{self.atoms} and {self.maps}"
            )
        if not 1 <= self.grid <= self.cells - self.field + 1:
            raise ParameterError(
                f"grid of ConstellationDictionary must be 1 to cells - field + 1, not {self.grid} "
                f"with cells {self.cells} and field {self.field}"
            )

    def _learn_maps(self, cells):
        """Components of cells (n, direction, twin, half the atoms), even ones first."""
        even, odd = cells[:, :, 0] + cells[:, :, 1], cells[:, :, 0] - cells[:, :, 1]
        self.mean_ = np.repeat(even.mean(axis=0)[:, None] / 2, 2, axis=1).ravel()
        columns = []
        for half, sign in ((even, 1), (odd, -1)):
            flat = half.reshape(len(half), -1) * np.float32(np.sqrt(0.5))
            main = _main_directions(flat, self.maps // 2)[1] * np.float32(np.sqrt(0.5))
            main = main.reshape(2, -1, main.shape[1])
            columns.append(np.stack([main, sign * main], axis=1).reshape(len(self.mean_), -1))
        self.maps_ = np.concatenate(columns, axis=1)

    def _learn_filters(self, fields, random):
        """Whitening and atoms in one; fields and their twins make all statistics symmetric."""
        points = np.concatenate([fields, self._twins(fields)])
        mean = points.mean(axis=0)
        values, directions = _main_directions(points, self.directions)
        whitener = directions / np.sqrt(values + 0.1)
        learned = spherical_kmeans((points - mean) @ whitener, self.atoms // 2, random)
        filters = whitener @ learned.T
        self.filters_ = np.concatenate([filters, self._twins(filters.T).T], axis=1)
        self.offsets_ = mean @ self.filters_

    def _twins(self, fields):
        """What neighbourhoods (n, field * field * maps) are in the mirror."""
        sign = np.repeat(np.float32([1, -1]), self.maps // 2)
        fields = fields.reshape(len(fields), self.field, self.field, self.maps)
        return (fields[:, :, ::-1] * sign).reshape(len(fields), -1)

    def _sample(self, rows, random, *, each: int = 20):
        """Some neighbourhoods of every described image."""
        places = (self.cells - self.field + 1) ** 2
        return np.concatenate(
            [self._fields(row)[random.permutation(places)[:each]] for row in rows]
        )

    def _fields(self, row):
        """All neighbourhoods of one face, every one of the same length, (places, features)."""
        maps = (row.reshape(-1, len(self.mean_)) - self.mean_) @ self.maps_
        maps = maps.reshape(self.cells, self.cells, self.maps)
        window = np.lib.stride_tricks.sliding_window_view(
            maps, (self.field, self.field), axis=(0, 1)
        )
        fields = window.transpose(0, 1, 3, 4, 2).reshape(-1, self.field**2 * self.maps)
        length = np.sqrt((fields**2).mean(axis=1, keepdims=True))
        return fields / np.maximum(length, np.float32(1e-6))

    def _describer(self, first: Callable[[np.ndarray], np.ndarray]):
        side = self.cells - self.field + 1
        pooling = pooling_matrix(side, side, self.grid)

        def describe(images):
            rows = np.empty((len(images), len(pooling), 2, self.atoms), np.float32)
            for image, row in zip(rows, first(images), strict=True):
                response = self._fields(row) @ self.filters_
                response -= self.offsets_
                pool_responses(response, self.threshold, pooling, out=image)
            return np.sqrt(rows, out=rows).reshape(len(images), -1)

        return describe


def _main_directions(points, count):
    """Largest variances, and their directions as columns, float32; fewer where there are fewer."""
    values, vectors = np.linalg.eigh(np.cov(points.T).astype(np.float64))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    return np.maximum(values, 0).astype(np.float32), np.ascontiguousarray(vectors, np.float32)
