"""Descriptors split into what a mirror leaves alone and what it turns round."""

import numpy as np
from rich.progress import track
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from mien.errors import ParameterError
from mien.features import as_images, mirror


class MirrorComponents(TransformerMixin, BaseEstimator):
    """Principal components of the even and the odd half of a descriptor.

    The descriptor ``d`` of a face and ``m`` of its mirror image are ``even + odd`` and
    ``even - odd`` with ``even = (d + m) / 2`` and ``odd = (d - m) / 2``. Both halves get their
    own principal components, so that mirroring a face changes the sign of the last columns and
    nothing else; :class:`mien.kernel.MirrorSvm` uses that.

    Parameters
    ----------
    descriptor : transformer
        Over uint8 images; one with a method ``mirrored(rows)`` is spared a second description.
    even, odd : int
        Components kept of the two halves.
    sample : int
        Images that the components are learned from.
    block : int
        Images described together: memory is about 3 * block * features * 4 bytes.
    seed : int
    progress : str
        Title of a progress bar; none where empty.

    Attributes
    ----------
    descriptor_ : fitted transformer
    mean_ : array (features of the even half,)
    even_, odd_ : arrays
        The components as columns.

    Notes
    -----
    Output: (n, even + odd) float32: the even components, then the odd ones, every row scaled to
    length 1 (which takes out how contrasty a picture is; Perronnin, Sanchez and Mensink 2010,
    "Improving the Fisher kernel"). Cost: describing every image once, and principal components
    of the sample, about half a minute for 6,000 images of 16,384 features on two cores. Whole
    descriptors are never kept, so memory stays small.
    """

    def __init__(
        self,
        descriptor,
        *,
        even: int = 600,
        odd: int = 300,
        sample: int = 6000,
        block: int = 512,
        seed: int = 0,
        progress: str = "",
    ):
        self.descriptor = descriptor
        self.even = even
        self.odd = odd
        self.sample = sample
        self.block = block
        self.seed = seed
        self.progress = progress

    def fit(self, images, labels=None):
        """Fit the descriptor on all images and the components on a sample of them."""
        images = as_images(images)
        if min(self.even, self.odd, self.sample, self.block) < 1:
            raise ParameterError(
                "MirrorComponents needs even, odd, sample and block of 1 or more, not "
                f"{self.even}, {self.odd}, {self.sample} and {self.block}"
            )
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(images))[: self.sample])
        self.descriptor_ = clone(self.descriptor).fit(images)
        even, odd = _halves(self.descriptor_, images[chosen])
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
        starts = track(
            range(0, len(images), self.block),
            description=self.progress,
            disable=not self.progress,
            transient=True,
        )
        for start in starts:
            part = slice(start, start + self.block)
            even, odd = _halves(self.descriptor_, images[part])
            rows[part, : self.even] = (even - self.mean_) @ self.even_
            rows[part, self.even :] = odd @ self.odd_
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-6))
        return rows


class SideBySide(TransformerMixin, BaseEstimator):
    """Several :class:`MirrorComponents` as one: all even columns first, then all odd ones.

    An RBF kernel over the result is the product of the kernels over the parts.

    Parameters
    ----------
    parts : list of transformers
        Each :class:`MirrorComponents` or :class:`mien.cached.Cached` around one; all keep the
        same numbers of components.
    odd : int
        Odd columns of each part.

    Attributes
    ----------
    parts_ : list of fitted transformers

    Notes
    -----
    Output: (n, sum of the parts' columns) float32, every row of length 1. Cost: that of the parts.
    """

    def __init__(self, parts, *, odd: int):
        self.parts = parts
        self.odd = odd

    def fit(self, images, labels=None):
        """Fit every part on the same images."""
        if not self.parts:
            raise ParameterError("SideBySide needs at least one descriptor")
        self.parts_ = [clone(part).fit(images, labels) for part in self.parts]
        return self

    def fit_transform(self, images, labels=None) -> np.ndarray:
        """Fit every part and describe the same images."""
        return self.fit(images, labels).transform(images)

    def transform(self, images) -> np.ndarray:
        """Return the columns of all parts, even ones first, (n, features) float32."""
        check_is_fitted(self)
        joined = None
        for number, part in enumerate(self.parts_):
            rows = part.transform(images)
            even, odd = rows.shape[1] - self.odd, self.odd
            if joined is None:
                joined = np.empty((len(rows), len(self.parts_) * (even + odd)), np.float32)
            first_odd = len(self.parts_) * even + number * odd
            joined[:, number * even : (number + 1) * even] = rows[:, :even]
            joined[:, first_odd : first_odd + odd] = rows[:, even:]
        joined *= np.float32(len(self.parts_) ** -0.5)
        return joined


def _halves(descriptor, images):
    """The even and the odd half of a fitted descriptor's rows."""
    rows = descriptor.transform(images)
    if not hasattr(descriptor, "mirrored"):
        turned = descriptor.transform(mirror(images))
        return (rows + turned) / 2, (rows - turned) / 2
    # Columns come in pairs that the mirror exchanges (or stay): one of each pair is enough.
    partner = descriptor.mirrored(np.arange(rows.shape[1])[None])[0]
    first = np.flatnonzero(np.arange(rows.shape[1]) <= partner)
    weight = np.where(first == partner[first], 0.5, np.sqrt(0.5)).astype(np.float32)
    here, there = rows[:, first], rows[:, partner[first]]
    even, odd = here + there, here
    odd -= there
    even *= weight
    odd *= weight
    return even, odd


def _components(rows, count, seed):
    """The first ``count`` principal directions as columns, zeros where there are fewer."""
    columns = np.zeros((rows.shape[1], count), np.float32)
    available = min(count, *rows.shape)
    _, _, directions = randomized_svd(rows, available, n_iter=2, random_state=seed)
    columns[:, :available] = directions.T
    return columns
