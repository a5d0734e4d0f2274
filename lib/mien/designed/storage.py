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
VERSION = 3


class Cached(TransformerMixin, BaseEstimator):
    """A transformer whose fitted state and results are kept in the user's cache folder.

    The key is a hash of the transformer's class and parameters (deterministic ones: an integer
    seed), of the images and labels that it was fitted on, of the images that it describes, and of
    scikit-learn's version. A file that cannot be read is computed anew. Fitted states are stored
    with skops, results as ``.npy``: formats that run no code. ``hits_`` counts the fits and results
    from disk since the last ``fit``.
    """

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, images, labels=None):
        """Fit the transformer, or read what an earlier fit on the same images learned."""
        if not self._recall(images, labels):
            self.transformer_ = clone(self.transformer).fit(images, labels)
            self._remember()
        return self

    def fit_transform(self, images, labels=None) -> np.ndarray:
        """Fit and describe the same images in one pass."""
        if self._recall(images, labels):
            return self.transform(images)
        self.transformer_ = clone(self.transformer)
        rows = self.transformer_.fit_transform(images, labels)
        self._remember()
        self._write(images, rows)
        return rows

    def transform(self, images) -> np.ndarray:
        """Describe images, or read what an earlier call computed for the same ones."""
        try:
            rows = np.load(self._result(images), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            rows = self.transformer_.transform(images)
            self._write(images, rows)
        else:
            self.hits_ += 1
        return rows

    def _state(self):
        return cache_dir() / "descriptors" / f"{self.key_}.skops"

    def _result(self, images):
        return cache_dir() / "descriptors" / f"{joblib.hash((self.key_, images), 'sha1')}.npy"

    def _recall(self, images, labels):
        recipe = VERSION, sklearn.__version__, self.transformer
        self.key_, self.hits_ = joblib.hash((recipe, images, labels), "sha1"), 0
        try:
            self.transformer_ = load(self._state())
        except DataError:
            return False
        self.hits_ = 1
        return True

    def _remember(self):
        keep(self._state(), lambda path: skops.io.dump(self.transformer_, path))

    def _write(self, images, rows):
        keep(self._result(images), lambda path: np.save(path, rows, allow_pickle=False))


def save(model: BaseEstimator, path: str | Path) -> None:
    """Write a fitted model, its SVCs as `stock` has them, to ``.skops``, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(skops.io.dumps(stock(model)))


def load(path: str | Path) -> BaseEstimator:
    """Read a model that `save` wrote.

    `DataError` if there is no such file, it is no skops file, an earlier mien wrote it, or it holds
    types other than those of scikit-learn, NumPy and mien.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no model at {path}")
    try:
        untrusted = skops.io.get_untrusted_types(file=path)
        known = ("mien.", "sklearn.", "numpy.dtype")
        foreign = [name for name in untrusted if not name.startswith(known)]
        if foreign:
            raise DataError(f"{path} holds {foreign[0]}, which is not of scikit-learn or mien")
        return skops.io.load(path, trusted=untrusted)
    except DataError:
        raise
    except (ModuleNotFoundError, AttributeError) as problem:  # skops looks a type up by its name
        raise DataError(
            f"{path} was stored by an earlier mien ({problem}); run its chapter again"
        ) from None
    except Exception as problem:  # a torn or foreign file: zip and JSON errors of many kinds
        raise DataError(
            f"{path} cannot be read as a skops model: {problem}; "
            "if an older mien wrote it, run its chapter again"
        ) from problem


def stock(value):
    """Return a fitted model in which every SVC is scikit-learn's own, and answers as before."""
    if isinstance(value, list | tuple):
        return type(value)(map(stock, value))
    if isinstance(value, SVC) and type(value) is not SVC:
        return _stock_svc(value)
    if not isinstance(value, BaseEstimator):
        return value
    converted = copy.copy(value)
    vars(converted).update({name: stock(part) for name, part in vars(value).items()})
    return converted


def _stock_svc(fitted) -> SVC:
    plain = SVC(**{name: getattr(fitted, name) for name in SVC().get_params()})
    for name, value in vars(fitted).items():
        if "onedal" not in name and "internal" not in name:
            setattr(plain, name, value)
    for name in ("support_", "_n_support"):
        setattr(plain, name, np.ascontiguousarray(getattr(fitted, name), dtype=np.int32))
    for name in ("support_vectors_", "dual_coef_", "intercept_"):
        setattr(plain, name, np.ascontiguousarray(getattr(fitted, name), dtype=np.float64))
    # scikit-learn shows the signs of a two-class machine the other way round than libsvm has them
    sign = -1.0 if len(plain.classes_) == 2 else 1.0
    plain._dual_coef_, plain._intercept_ = sign * plain.dual_coef_, sign * plain.intercept_
    plain._effective_probability, plain._num_iter = False, plain.n_iter_
    return plain
