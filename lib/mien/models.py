"""Fitted scikit-learn models on disk, in skops files: nothing in them is executed when loaded."""

import copy
from pathlib import Path

import numpy as np
import sklearn.svm
import skops.io
from sklearn.base import BaseEstimator

from mien.cache import atomic_write
from mien.errors import DataError

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
        If there is no such file, it is no skops file, or it holds types other than those of
        scikit-learn, NumPy and mien.
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
