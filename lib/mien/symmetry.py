"""Descriptors split into what a mirror leaves alone and what it turns round."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from mien.errors import ParameterError
from mien.features import as_images, mirror


class MirrorComponents(TransformerMixin, BaseEstimator):
    """Principal components of the even and the odd half of one or more descriptors.

    A descriptor ``d`` of a face and ``m`` of its mirror image are ``even + odd`` and
    ``even - odd`` with ``even = (d + m) / 2`` and ``odd = (d - m) / 2``. Both halves get their
    own principal components, so that mirroring a face changes the sign of the last columns and
    nothing else; :class:`mien.kernel.MirrorSvm` uses that.

    Parameters
    ----------
    descriptors : list of transformers
        Over uint8 images; those with a method ``mirrored(rows)`` are spared a second description.
    even, odd : int
        Components of each descriptor's halves.
    sample : int
        Images that the components are learned from.
    block : int
        Images described together: memory is about 3 * block * features * 4 bytes.
    seed : int

    Attributes
    ----------
    descriptors_ : list of fitted transformers
    means_, even_, odd_ : lists of arrays
        Mean of the even half, and the components as columns, already scaled so that every
        descriptor has the same share.

    Notes
    -----
    Output: (n, len(descriptors) * (even + odd)) float32: the even components of all descriptors,
    then their odd ones, every row scaled to length 1 (which takes out how contrasty a picture
    is; Perronnin, Sanchez and Mensink 2010, "Improving the Fisher kernel"). Whole descriptors are
    never kept, so memory stays small.
    """

    def __init__(
        self,
        descriptors,
        *,
        even: int = 600,
        odd: int = 300,
        sample: int = 6000,
        block: int = 1024,
        seed: int = 0,
    ):
        self.descriptors = descriptors
        self.even = even
        self.odd = odd
        self.sample = sample
        self.block = block
        self.seed = seed

    def fit(self, images, labels=None):
        """Fit the descriptors on all images and the components on a sample of them."""
        images = as_images(images)
        if not self.descriptors or min(self.even, self.odd, self.sample, self.block) < 1:
            raise ParameterError(
                "MirrorComponents needs a descriptor and even, odd, sample and block of 1 or more"
            )
        self.descriptors_, self.means_, self.even_, self.odd_ = [], [], [], []
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(images))[: self.sample])
        for descriptor in self.descriptors:
            fitted = clone(descriptor).fit(images)
            even, odd = _halves(fitted, images[chosen])
            mean = even.mean(axis=0)
            even -= mean
            length = np.mean(_squared_lengths(even) + _squared_lengths(odd))
            scale = np.float32(1 / np.sqrt(max(length, 1e-12) * len(self.descriptors)))
            self.descriptors_.append(fitted)
            self.means_.append(mean)
            self.even_.append(_components(even, self.even, self.seed) * scale)
            self.odd_.append(_components(odd, self.odd, self.seed) * scale)
        return self

    def transform(self, images) -> np.ndarray:
        """Return the components, even ones first, (n, features) float32."""
        check_is_fitted(self)
        images = as_images(images)
        even = np.empty((len(images), len(self.descriptors_) * self.even), np.float32)
        odd = np.empty((len(images), len(self.descriptors_) * self.odd), np.float32)
        for number, descriptor in enumerate(self.descriptors_):
            even_columns = slice(number * self.even, (number + 1) * self.even)
            odd_columns = slice(number * self.odd, (number + 1) * self.odd)
            for start in range(0, len(images), self.block):
                part = slice(start, start + self.block)
                halves = _halves(descriptor, images[part])
                even[part, even_columns] = (halves[0] - self.means_[number]) @ self.even_[number]
                odd[part, odd_columns] = halves[1] @ self.odd_[number]
        rows = np.concatenate([even, odd], axis=1)
        lengths = np.sqrt(_squared_lengths(rows))
        rows /= np.maximum(lengths, np.float32(1e-6))[:, None]
        return rows


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


def _squared_lengths(rows):
    return np.einsum("ij,ij->i", rows, rows)


def _components(rows, count, seed):
    """The first ``count`` principal directions as columns, zeros where there are fewer."""
    columns = np.zeros((rows.shape[1], count), np.float32)
    available = min(count, *rows.shape)
    _, _, directions = randomized_svd(rows, available, n_iter=2, random_state=seed)
    columns[:, :available] = directions.T
    return columns
