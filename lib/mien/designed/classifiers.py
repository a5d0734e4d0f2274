"""Any classifier of scikit-learn in the place of ours: what is asked of it, what it answers."""

import difflib
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils import all_estimators, get_tags

from mien.designed.descriptors import Pixels
from mien.errors import ParameterError


class Steps(Pipeline):
    """A pipeline that says which of its parameters was meant."""

    def set_params(self, **parameters):
        """Set parameters; `ParameterError` names the nearest one where there is none such."""
        try:
            return super().set_params(**parameters)
        except ValueError as error:
            known = self.get_params()
            wrong = [name for name in parameters if name not in known]
            raise ParameterError(unknown(wrong[0], known) if wrong else str(error)) from None


def unknown(name: str, known) -> str:
    """Return that a model has no such parameter, and which one is nearest."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}"
    return f"the model has no {name!r}; {hint}"


def _checked(model: Any) -> BaseEstimator:
    """The model, if it is a classifier; else `ParameterError`, with the nearest classifier."""
    if not isinstance(model, type) and is_classifier(model):
        return model
    name = model.__name__ if isinstance(model, type) else type(model).__name__
    names = [known for known, _ in all_estimators("classifier")]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}()?" if near else ""
    raise ParameterError(f"{name} is no classifier of scikit-learn{hint}")


def of_images(model: Any) -> BaseEstimator:
    """Return a classifier that takes images (n, 48, 48): one of rows gets the pixels, 0 to 1."""
    first = _steps(_checked(model))[0][1]
    first = getattr(first, "transformer_list", [("", first)])[0][1]  # of a FeatureUnion
    if type(first).__module__.startswith("mien."):
        return model
    return Steps([("pixels", Pixels()), *_steps(model)])


def of_measured(model: Any) -> BaseEstimator:
    """Return a classifier that takes rows with missing values: where it cannot, their means."""
    steps = _steps(_checked(model))
    for _, step in steps:
        if type(step).__module__.startswith(("mien.", "sklearn.impute")):
            return model  # from here on nothing is missing
        if not get_tags(step).input_tags.allow_nan:
            return Steps([("missing", SimpleImputer(keep_empty_features=True)), *steps])
    return model


def described(model: BaseEstimator, rows) -> np.ndarray:
    """Return what the last step of a fitted pipeline sees, (n, features); else the rows, flat."""
    before = _steps(model)[:-1]
    for _, step in before:
        rows = step.transform(rows)
    if before:
        return np.asarray(rows)
    return np.nan_to_num(np.asarray(rows, np.float32)).reshape(len(rows), -1)


def decisions(model: BaseEstimator, rows) -> np.ndarray:
    """Return a value for every row and class of a fitted classifier, (n, classes) float64.

    Its decision values; where it has none, logarithms of its probabilities; where it has none of
    these either, 1 for its answer and 0 for the others.
    """
    pairwise = getattr(_steps(model)[-1][1], "decision_function_shape", "") == "ovo"
    if hasattr(model, "decision_function") and not pairwise:
        values = np.asarray(model.decision_function(rows), np.float64)
        return np.column_stack([-values, values]) if values.ndim == 1 else values
    if hasattr(model, "predict_proba"):
        return np.log(np.clip(model.predict_proba(rows), 1e-6, None, dtype=np.float64))
    return np.asarray(model.predict(rows)[:, None] == model.classes_, np.float64)


def _steps(model: BaseEstimator) -> list[tuple[str, Any]]:
    return list(model.steps) if isinstance(model, Pipeline) else [("classifier", model)]
