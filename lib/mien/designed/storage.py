"""Fitted scikit-learn models and computed descriptors on disk, in formats that run no code."""

import copy
from pathlib import Path

import joblib
import numpy as np
import sklearn
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.svm import SVC

from mien.errors import DataError
from mien.files import atomic_write, cache_dir, keep

#: Part of every key: raise it whenever a descriptor computes something else than before.
VERSION = 4


class Cached(TransformerMixin, BaseEstimator):
    """A transformer whose fitted state and results are kept in the user's cache folder.

    The key is a hash of the transformer's class and parameters (deterministic ones: an integer
    seed), of the images and labels that it was fitted on, of the images that it describes, and of
    scikit-learn's version. A file that cannot be read is computed anew. Fitted states are stored
    with skops, results as ``.npy``: formats that run no code.
    """

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, images, labels=None):
        """Fit the transformer, or read what an earlier fit on the same images learned."""
        recipe = VERSION, sklearn.__version__, self.transformer
        self.key_ = joblib.hash((recipe, images, labels), "sha1")
        path = cache_dir() / "descriptors" / f"{self.key_}.skops"
        try:
            self.transformer_ = load(path)
        except DataError:
            self.transformer_ = clone(self.transformer).fit(images, labels)
            keep(path, lambda part: skops.io.dump(self.transformer_, part))
        return self

    def transform(self, images) -> np.ndarray:
        """Describe images, or read what an earlier call computed for the same ones."""
        key = joblib.hash((self.key_, images), "sha1")
        path = cache_dir() / "descriptors" / f"{key}.npy"
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            rows = self.transformer_.transform(images)
            keep(path, lambda part: np.save(part, rows, allow_pickle=False))
        return rows


def save(model: BaseEstimator, path: str | Path) -> None:
    """Write a fitted model, its SVCs as `stock` has them, to ``.skops``, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(skops.io.dumps(stock(model)))


def load(path: str | Path) -> BaseEstimator:
    """Read a model that `save` wrote.

    `DataError` if there is no such file, it is no skops file, an earlier mien wrote it, or it holds
    types other than those of scikit-learn, NumPy and mien.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no model at {path}")
    try:
        types = skops.io.get_untrusted_types(file=path)
        known = ("mien.", "sklearn.", "numpy.dtype", "functools.partial")
        return skops.io.load(path, trusted=[name for name in types if name.startswith(known)])
    except Exception as problem:  # torn, foreign, or of types that are no more: many kinds
        raise DataError(
            f"{path} cannot be read as a skops model: {problem}; "
            "if an earlier mien wrote it, run its chapter again"
        ) from problem


def stock(value):
    """Return a fitted model in which every SVC is scikit-learn's own, and answers as before."""
    if isinstance(value, list | tuple):
        return type(value)(map(stock, value))
    if not isinstance(value, BaseEstimator):
        return value
    if not isinstance(value, SVC) or type(value) is SVC:
        converted = copy.copy(value)
        vars(converted).update({name: stock(part) for name, part in vars(value).items()})
        return converted
    plain = SVC(**{name: getattr(value, name) for name in SVC().get_params()})
    for name, part in vars(value).items():
        if "onedal" not in name and "internal" not in name:
            setattr(plain, name, part)
    for name in ("support_", "_n_support"):
        setattr(plain, name, np.ascontiguousarray(getattr(value, name), dtype=np.int32))
    for name in ("support_vectors_", "dual_coef_", "intercept_"):
        setattr(plain, name, np.ascontiguousarray(getattr(value, name), dtype=np.float64))
    # scikit-learn shows the signs of a two-class machine the other way round than libsvm has them
    sign = -1.0 if len(plain.classes_) == 2 else 1.0
    plain._dual_coef_, plain._intercept_ = sign * plain.dual_coef_, sign * plain.intercept_
    plain._effective_probability, plain._num_iter = False, plain.n_iter_
    return plain
