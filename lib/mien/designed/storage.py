"""Fitted scikit-learn models and computed descriptors on disk.

Models lie in skops files: nothing in them is executed when loaded. Descriptors are kept by
content, so that a second run does not compute them again.
"""

import copy
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import sklearn
import sklearn.svm
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin, clone

from mien.errors import DataError
from mien.files import atomic_write, cache_dir, keep

#: Part of every key: raise it whenever a descriptor computes something else than before.
VERSION = 3

#: Parameters that change no result.
_SILENT = {"progress"}


class Cached(TransformerMixin, BaseEstimator):
    """A transformer whose fitted state and results are kept in the user's cache folder.

    The key is a hash of the transformer's class and parameters, of the images and labels that it
    was fitted on, of the images that it describes, and of scikit-learn's version. So a changed
    image or parameter never meets an old result. A file that cannot be read is computed anew.
    Fitted states are stored with skops, results as ``.npy``: formats that run no code.

    Parameters
    ----------
    transformer : estimator
        What to fit and apply; a whole :class:`~sklearn.pipeline.Pipeline` is fine. Its parameters
        must be deterministic (an integer seed).

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.
    hits_ : int
        How many fits and results came from disk since the last call of ``fit``.
    """

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, images, labels=None):
        """Fit the transformer, or read what an earlier fit on the same images learned."""
        self._identify(images, labels)
        if not self._recall():
            self.transformer_ = clone(self.transformer).fit(images, labels)
            self._remember()
        return self

    def fit_transform(self, images, labels=None) -> np.ndarray:
        """Fit and describe the same images in one pass."""
        self._identify(images, labels)
        path = self._result(images)
        known = self._recall()
        rows = _read(path) if known else None
        if rows is not None:
            self.hits_ += 1
            return rows
        if known:
            rows = self.transformer_.transform(images)
        else:
            self.transformer_ = clone(self.transformer)
            rows = self.transformer_.fit_transform(images, labels)
            self._remember()
        _write(path, rows)
        return rows

    def transform(self, images) -> np.ndarray:
        """Describe images, or read what an earlier call computed for the same ones."""
        path = self._result(images)
        rows = _read(path)
        if rows is not None:
            self.hits_ += 1
            return rows
        rows = self.transformer_.transform(images)
        _write(path, rows)
        return rows

    def _identify(self, images, labels):
        self.hits_ = 0
        recipe = repr((VERSION, sklearn.__version__, describe(self.transformer)))
        self.key_ = digest(recipe, images, labels)

    def _state(self):
        return cache_dir() / "descriptors" / f"{self.key_}.skops"

    def _result(self, images):
        return cache_dir() / "descriptors" / f"{digest(self.key_, images)}.npy"

    def _recall(self):
        try:
            ours = skops.io.get_untrusted_types(file=self._state())
            ours = [name for name in ours if name.startswith(("mien.", "sklearn.", "numpy."))]
            self.transformer_ = skops.io.load(self._state(), trusted=ours)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, TypeError):
            return False
        self.hits_ += 1
        return True

    def _remember(self):
        keep(self._state(), lambda path: skops.io.dump(self.transformer_, path))


def describe(estimator) -> str:
    """Return an estimator's classes and parameters as text, nested ones too.

    Examples
    --------
    >>> from mien.features import Hog
    >>> describe(Hog(cell=8))
    'mien.designed.descriptors.Hog(block=2, cell=8, orientations=9)'
    """
    if isinstance(estimator, BaseEstimator):
        kind = type(estimator)
        parts = estimator.get_params(deep=False)
        names = sorted(set(parts) - _SILENT)
        inside = ", ".join(f"{name}={describe(parts[name])}" for name in names)
        return f"{kind.__module__}.{kind.__qualname__}({inside})"
    if isinstance(estimator, list | tuple):
        return "[" + ", ".join(describe(item) for item in estimator) + "]"
    return repr(estimator)


def digest(*parts) -> str:
    """Return a hash (32 hexadecimal digits) of texts and arrays: content, shape and type."""
    seen = hashlib.sha256()
    for part in parts:
        if part is None or isinstance(part, str):
            seen.update(repr(part).encode())
        else:
            array = np.ascontiguousarray(part)
            seen.update(f"{array.dtype.str}{array.shape}".encode())
            seen.update(array.tobytes() if array.dtype == object else array.view(np.uint8).data)
    return seen.hexdigest()[:32]


def _read(path):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _write(path, rows):
    keep(path, lambda part: np.save(part, rows, allow_pickle=False))


#: What a fitted SVC knows; the underscored names are what scikit-learn's predict reads.
_FITTED = (
    *("support_", "support_vectors_", "dual_coef_", "intercept_", "classes_", "class_weight_"),
    *("n_features_in_", "shape_fit_", "fit_status_", "n_iter_"),
    *("_n_support", "_gamma", "_sparse", "_probA", "_probB"),
)


def save(model: BaseEstimator, path: str | Path) -> None:
    """Write a fitted model to a ``.skops`` file, whole or not at all.

    Support vector machines of scikit-learn-intelex are stored as scikit-learn's own, so that the
    file can be used where the former is not installed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(skops.io.dumps(stock(model)))


def load(path: str | Path) -> BaseEstimator:
    """Read a model that `save` wrote.

    Raises
    ------
    DataError
        If there is no such file, it is no skops file, an earlier mien wrote it, or it holds types
        other than those of scikit-learn, NumPy and mien.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no model at {path}")
    try:
        untrusted = skops.io.get_untrusted_types(file=path)
        foreign = [name for name in untrusted if not name.startswith(("mien.", "sklearn."))]
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
        raise DataError(f"{path} cannot be read as a skops model: {problem}") from problem


def stock(model: BaseEstimator) -> BaseEstimator:
    """Return a copy of a fitted model in which every SVC is scikit-learn's own.

    The copy answers as the model does; whatever is not an SVC is shared, not copied.
    """
    if isinstance(model, sklearn.svm.SVC) and type(model) is not sklearn.svm.SVC:
        return _stock_svc(model)
    if not isinstance(model, BaseEstimator):
        return model
    converted = copy.copy(model)
    for name, value in vars(model).items():
        setattr(converted, name, _stock_value(value))
    return converted


def _stock_value(value):
    if isinstance(value, BaseEstimator):
        return stock(value)
    if type(value) is list:
        return [_stock_value(item) for item in value]
    if type(value) is tuple:
        return tuple(_stock_value(item) for item in value)
    # helpers of scikit-learn's meta-estimators that hold an estimator but are none themselves
    if type(value).__module__.startswith("sklearn.calibration"):
        converted = copy.copy(value)
        vars(converted).update({name: _stock_value(item) for name, item in vars(value).items()})
        return converted
    return value


def _stock_svc(fitted) -> sklearn.svm.SVC:
    names = sklearn.svm.SVC().get_params()
    plain = sklearn.svm.SVC(**{name: getattr(fitted, name) for name in names})
    for name in _FITTED:
        setattr(plain, name, getattr(fitted, name))
    for name in ("support_", "_n_support"):
        setattr(plain, name, np.ascontiguousarray(getattr(plain, name), dtype=np.int32))
    for name in ("support_vectors_", "dual_coef_", "intercept_"):
        setattr(plain, name, np.ascontiguousarray(getattr(plain, name), dtype=np.float64))
    plain._effective_probability = False
    plain._num_iter = plain.n_iter_
    # scikit-learn shows the signs of a two-class machine the other way round than libsvm has them
    sign = -1.0 if len(plain.classes_) == 2 else 1.0
    plain._dual_coef_ = sign * plain.dual_coef_
    plain._intercept_ = sign * plain.intercept_
    return plain
