"""What the check cells of the exercises assert: each says what is wrong, not what would be right.

A check passes in silence, or fails with a text that is meant for the student.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler

from mien.emotions import EMOTIONS, UNKNOWN, commonest, in_order, named, spread

_KNOWN = ", ".join(EMOTIONS)
#: The share of answers that must be the model's own: without mirror images, some may be others.
_MOST = 0.8


def counts(table: pd.DataFrame, faces: pd.DataFrame) -> None:
    """Assert that a table by label counts a person's faces, images and clips."""
    rows = [*in_order(faces["label"]), UNKNOWN]
    assert list(table.index) == rows, (
        "the rows must be the emotions that the person shows, in FER2013's order, and below them "
        f"{UNKNOWN}, which is no emotion"
    )
    own = faces.groupby("label").agg(
        faces=("label", "size"), images=("has_image", "sum"), clips=("clip", "nunique")
    )
    wrong = (own.reindex(rows) != table.reindex(columns=own.columns)).stack()
    for label, name in wrong[wrong].index:
        raise AssertionError(f"the {name} of {label} are missing or counted wrongly")


def classifier(model: BaseEstimator, images: np.ndarray, labels: np.ndarray) -> None:
    """Assert that an unfitted classifier of images, uint8 (n, 48, 48), learns from a few."""
    learn, test = slice(0, 400), slice(-200, None)
    answers = clone(model).fit(images[learn], labels[learn]).predict(images[test])
    assert set(answers) <= set(labels), "it answers with what is no label of Training"
    right, chance = (answers == labels[test]).mean(), commonest(labels[test].astype(str))[1]
    assert right > chance, (
        "taught by 400 faces it reads others no better than who always says the commonest emotion"
    )


def folds(dealt: np.ndarray, labels: np.ndarray, clips: np.ndarray, *, n_splits: int) -> None:
    """Assert that folds, int (repeats, n), test every face once and tear no clip."""
    dealt = np.asarray(dealt)
    assert dealt.ndim == 2 and dealt.shape[1] == len(labels), (
        f"the folds have the shape {dealt.shape}: they need a row for each deal and a column for "
        f"each of the {len(labels)} labelled faces"
    )
    for deal in dealt:
        numbers = set(range(n_splits))
        assert set(deal.tolist()) == numbers, f"a deal must number its {n_splits} folds from 0"
        torn = [clip for clip in np.unique(clips) if len(set(deal[clips == clip])) > 1]
        assert not torn, (
            f"the folds leak: frames of {len(torn)} clips stand on both sides (of {torn[:1]}, for "
            "one), and frames of a clip are near-copies"
        )


def out_of_fold(
    given: np.ndarray,
    dealt: np.ndarray,
    model: BaseEstimator,
    rows: np.ndarray,
    labels: np.ndarray,
    clips: np.ndarray,
) -> None:
    """Assert that answers (repeats, n, 7) to rows as measured are of models that held them out."""
    _probabilities(given, (len(dealt), len(rows)))
    test = np.asarray(dealt)[0] == 0
    mine = np.asarray(given)[0][test]

    def is_taught_by(rows: np.ndarray, learn: np.ndarray, *, ordered: bool = False) -> bool:
        fitted = clone(model).fit(rows[learn], labels[learn], groups=clips[learn])
        said = spread(fitted.predict_proba(rows[test]), fitted.classes_)
        if ordered:
            _in_order(mine, said)
        return np.allclose(mine, said, atol=0.01)

    if is_taught_by(rows, ~test, ordered=True):
        return
    assert not is_taught_by(StandardScaler().fit_transform(rows), ~test), (
        "a scaler was fitted outside the folds, so it has seen the faces that are held out"
    )
    assert not is_taught_by(rows, np.ones(len(rows), bool)), (
        "the model has learned from the very faces that it answers"
    )
    raise AssertionError(
        "a model that learns from the other folds alone, from the rows as they were measured, "
        "answers otherwise: is anything fitted, chosen or changed before the folds?"
    )


def emotions_alone(classes: Collection[str]) -> None:
    """Assert that a model has learned emotions and nothing else."""
    told = f"the model has learned {UNKNOWN} as if it were an emotion; it says that nobody knows"
    assert UNKNOWN not in classes, told
    assert set(classes) <= set(EMOTIONS), f"the model must answer with some of {_KNOWN}"


def apart(learned: Collection[str], answered: Collection[str]) -> None:
    """Assert that no clip is both learned from and answered."""
    both = len(set(learned) & set(answered))
    assert not both, f"frames of {both} clips are learned from, and others of them answered"


def answers_of(model: BaseEstimator, rows: np.ndarray, given: np.ndarray) -> None:
    """Assert that probabilities (n, 7) are what a fitted classifier says of rows, in order.

    Its classes may be emotions or their codes.
    """
    known = model.classes_
    known = named(known) if np.issubdtype(known.dtype, np.number) else known
    _answers(given, spread(model.predict_proba(rows), known))


def answers_of_networks(
    networks: Sequence[tuple[Any, float]], images: np.ndarray, given: np.ndarray
) -> None:
    """Assert the same of networks, (networks, n, 7), and faces (n, 48, 48)."""
    from mien.network import inference  # here: importing Keras takes seconds

    assert len(given) == len(networks), f"of {len(networks)} networks {len(given)} have answered"
    for one, (model, _) in zip(given, networks, strict=True):
        _answers(one, inference.predict(model, images))


def _answers(given: np.ndarray, said: np.ndarray) -> None:
    _probabilities(given, (len(said),))
    _in_order(given, said)
    assert _alike(given, said) >= _MOST, (
        "the model itself answers otherwise to these faces: are they prepared as it needs them?"
    )


def _probabilities(given: np.ndarray, leading: tuple[int, ...]) -> None:
    shape = (*leading, len(EMOTIONS))
    assert np.shape(given) == shape, (
        f"the probabilities have the shape {np.shape(given)}, not {shape}: a column for each of "
        f"{_KNOWN}, 0 for an emotion that the model does not know"
    )
    sums = np.sum(given, axis=-1)
    assert np.allclose(sums, 1, atol=0.01), "a face's probabilities must sum to 1"


def _in_order(given: np.ndarray, said: np.ndarray) -> None:
    order = linear_sum_assignment(cdist(said.T, given.T))[1]
    assert _alike(given, said) >= _MOST or _alike(given[:, order], said) < _MOST, (
        "the columns are in another order than mien.emotions.EMOTIONS: which class is which?"
    )


def _alike(given: np.ndarray, said: np.ndarray) -> float:
    return (given.argmax(axis=1) == said.argmax(axis=1)).mean()


def network(model: Any) -> None:
    """Assert of a network of Keras what the assignment says: Conv2D, Dense, softmax, dropout."""
    _seven(model)
    weighted = [type(layer).__name__ for layer in _layers(model) if layer.weights]
    assert "Conv2D" in weighted[0], f"the first layer is {weighted[0]}, not Conv2D"
    assert weighted[-1] == "Dense", f"the last layer with weights is {weighted[-1]}, not Dense"
    names = [type(layer).__name__ for layer in _layers(model)]
    assert any("Dropout" in name for name in names), "there is no dropout in the network"


def tuned(model: Any, start: Any) -> None:
    """Assert that a fine-tuned network has one head, frozen early layers, and left its start."""
    weighted, before = (
        [layer for layer in _layers(one) if layer.weights] for one in (model, start)
    )
    assert all(getattr(layer, "units", 0) != len(EMOTIONS) for layer in weighted[:-1]), (
        "the old head is still in the network and the new one stands on its answers: "
        "model.layers is a copy of the list, and what is done to it changes no network"
    )
    _seven(model)
    told = "the network shares its layers with the crowd's, which it has changed"
    assert weighted[0] is not before[0], told
    assert np.allclose(weighted[0].get_weights()[0], before[0].get_weights()[0]), (
        "the first layer is not the crowd's any more: which layers were to be frozen?"
    )


def _seven(model: Any) -> None:
    assert model.output_shape == (None, len(EMOTIONS)), (
        f"the network's answers have the shape {model.output_shape}: one for each of {_KNOWN}"
    )


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a network, and of the networks in it."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [layer]


def best(score: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> None:
    """Assert that a score is the highest of the models' on the labelled faces."""
    assert score in scores.values(), "the model must be chosen by a score on the labelled faces"
    highest = max(one["accuracy"] for one in scores.values())
    assert score["accuracy"] >= highest, "another model is right more often on the labelled faces"
