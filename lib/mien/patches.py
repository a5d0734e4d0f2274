"""A dictionary of whitened image patches, learned without labels (Coates and Ng)."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mien.errors import ParameterError
from mien.features import as_images, in_blocks, mirror


class PatchDictionary(TransformerMixin, BaseEstimator):
    """How strongly each of many typical patches occurs in each region of the face.

    Patches on a grid are contrast-normalised and whitened (ZCA) and compared with a dictionary
    from spherical k-means; a two-sided soft threshold keeps what clearly resembles an atom or its
    negative, and the mean over every cell of a coarse grid is what is left of the place (Coates,
    Lee and Ng 2011, "An analysis of single-layer networks in unsupervised feature learning";
    Coates and Ng 2012, "Learning feature representations with k-means"). The square root evens
    out strong and weak responses, as Hellinger's kernel does (Arandjelovic and Zisserman 2012).

    The dictionary holds every atom together with its mirror image, so that mirroring a face
    exchanges columns of its descriptor; :meth:`mirrored` does that without describing it again.

    Parameters
    ----------
    size : int
        Side of a patch in pixels.
    atoms : int
        Dictionary size, even: half are learned, half are their mirror images.
    stride : int
        Pixels between neighbouring patches; 48 - size should be a multiple of it, else
        :meth:`mirrored` is a little off.
    threshold : float
        What a response (whitened patch times unit atom, dimensionless) must exceed to count.
    grid : int
        Cells per side of the pooling grid.
    sample : int
        Patches that the whitening and the dictionary are learned from.
    seed : int
        Seed of the sample and of the first atoms.

    Attributes
    ----------
    filters_ : array (size * size, atoms), float32
        Whitening and atoms in one: a normalised patch times this is its response.
    offsets_ : array (atoms,), float32
        To be subtracted from the response: the mean patch's share.

    Notes
    -----
    Output: (n, grid * grid * 2 * atoms) float32, all 0 or more. Cost: 2 * atoms * positions
    comparisons an image, about 1 ms for 512 atoms at 22 x 22 positions on two cores.
    """

    def __init__(
        self,
        *,
        size: int = 6,
        atoms: int = 512,
        stride: int = 2,
        threshold: float = 1.0,
        grid: int = 4,
        sample: int = 200_000,
        seed: int = 0,
    ):
        self.size = size
        self.atoms = atoms
        self.stride = stride
        self.threshold = threshold
        self.grid = grid
        self.sample = sample
        self.seed = seed

    def fit(self, images, labels=None):
        """Learn whitening and dictionary from random patches of ``images`` (n, h, w) uint8."""
        images = as_images(images)
        self._check(images)
        random = np.random.default_rng(self.seed)
        patches = self._sample(images, random)
        mean, whitener = _whitening(patches)
        whitened = ((patches - mean) @ whitener).astype(np.float32)
        learned = _spherical_kmeans(whitened, self.atoms // 2, random)
        # Filters are mirrored after the whitening, not before: a pair is then alike to the last
        # bit, which a product with the whitener, summed in another order, would not keep.
        filters = (learned @ whitener).reshape(-1, self.size, self.size)
        filters = np.concatenate([filters, mirror(filters)]).reshape(self.atoms, -1)
        self.offsets_ = (filters @ mean).astype(np.float32)
        self.filters_ = np.ascontiguousarray(filters.T, dtype=np.float32)
        self.n_features_out_ = self.grid**2 * 2 * self.atoms
        return self

    def transform(self, images) -> np.ndarray:
        """Return the descriptors, (n, grid * grid * 2 * atoms) float32."""
        check_is_fitted(self)
        images = as_images(images)
        pooling = self._pooling_matrix(images.shape[1:])
        return in_blocks(lambda block: self._describe(block, pooling), images, block=8)

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Return the descriptors of the mirror images of the faces that ``rows`` describe.

        Parameters
        ----------
        rows : array (n, grid * grid * 2 * atoms)
        """
        rows = rows.reshape(len(rows), self.grid, self.grid, 2, 2, self.atoms // 2)
        return rows[:, :, ::-1, :, ::-1].reshape(len(rows), -1)

    def _check(self, images):
        if self.atoms < 2 or self.atoms % 2:
            raise ParameterError(f"atoms of PatchDictionary must be even, not {self.atoms}")
        if not 2 <= self.size <= min(images.shape[1:]):
            raise ParameterError(
                f"size of PatchDictionary must be 2 to {min(images.shape[1:])}, not {self.size}"
            )
        positions = (min(images.shape[1:]) - self.size) // self.stride + 1
        if not 1 <= self.grid <= positions:
            raise ParameterError(
                f"grid of PatchDictionary must be 1 to {positions} (the patches along a side), "
                f"not {self.grid}"
            )

    def _sample(self, images, random):
        """Random normalised patches and their mirror images, (2 * sample, size * size)."""
        count = max(self.sample // 2, 2 * self.atoms)
        which = random.integers(len(images), size=count)
        top = random.integers(images.shape[1] - self.size + 1, size=count)
        left = random.integers(images.shape[2] - self.size + 1, size=count)
        side = np.arange(self.size)
        patches = images[
            which[:, None, None],
            top[:, None, None] + side[:, None],
            left[:, None, None] + side,
        ]
        patches = np.concatenate([patches, mirror(patches)])
        return _normalised(patches.reshape(len(patches), -1).astype(np.float32))

    def _pooling_matrix(self, shape):
        """Row per cell of the grid, column per patch position: the weights of a mean."""
        rows, columns = ((side - self.size) // self.stride + 1 for side in shape)
        return np.kron(_means(rows, self.grid), _means(columns, self.grid)).astype(np.float32)

    def _describe(self, images, pooling):
        window = np.lib.stride_tricks.sliding_window_view(
            images, (self.size, self.size), axis=(1, 2)
        )[:, :: self.stride, :: self.stride]
        rows = np.empty((len(images), len(pooling), 2, self.atoms), np.float32)
        threshold = np.float32(self.threshold)
        for image, patches in zip(rows, window, strict=True):
            patches = patches.reshape(-1, self.size**2).astype(np.float32)
            response = _normalised(patches) @ self.filters_
            response -= self.offsets_
            # The threshold is subtracted before the mean: subtracted after it, a cell without a
            # response keeps a rounding error of 1e-7, of which the root makes 3e-4.
            image[:, 0] = pooling @ np.maximum(response - threshold, 0)
            np.negative(response, out=response)
            response -= threshold
            image[:, 1] = pooling @ np.maximum(response, 0, out=response)
        return np.sqrt(rows, out=rows).reshape(len(images), -1)


def _normalised(patches):
    """Subtract a patch's mean and divide by its contrast; 10 grey values squared of noise."""
    patches = patches - patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt((patches**2).mean(axis=1, keepdims=True) + np.float32(10))
    return patches


def _whitening(patches):
    """Mean and ZCA matrix with 0.1 added to the variances (Coates and Ng 2012, section 3).

    Both are float64 and mirror-symmetric, as the patches are: every one comes with its mirror
    image, but sums over hundreds of thousands of them differ by their order.
    """
    side = int(np.sqrt(patches.shape[1]))
    turned = np.arange(side * side).reshape(side, side)[:, ::-1].ravel()
    mean = patches.mean(axis=0, dtype=np.float64)
    covariance = np.cov(patches.T)
    covariance = (covariance + covariance[turned][:, turned]) / 2
    values, vectors = np.linalg.eigh(covariance)
    return (mean + mean[turned]) / 2, (vectors / np.sqrt(values + 0.1)) @ vectors.T


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


def _means(count, cells):
    """Averaging of ``count`` neighbours into ``cells`` cells that meet edge to edge."""
    edges = np.arange(cells + 1) * count / cells
    left = np.maximum(edges[:-1, None], np.arange(count))
    right = np.minimum(edges[1:, None], np.arange(1, count + 1))
    weights = np.maximum(right - left, 0)
    return weights / weights.sum(axis=1, keepdims=True)
