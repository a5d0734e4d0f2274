"""What a chapter's model answered, as tables and scores: on the person, and against FER+."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mien.data import ferplus
from mien.emotions import EMOTIONS, named, restrict
from mien.evaluation.scores import score_set

if TYPE_CHECKING:
    from mien.data.fer2013 import Fer2013
    from mien.data.person import Person
    from mien.study.chapter import Chapter


def person_predictions(
    person: Person, rows: np.ndarray, probabilities: np.ndarray, *, fold: np.ndarray | int = -1
) -> pd.DataFrame:
    """Return predictions on some faces of the person in the columns of predictions.csv.

    Parameters
    ----------
    person : Person
    rows : array of bool or int
        The faces (rows of ``person.faces``) that were predicted, k of them.
    probabilities : array of float, shape (k, 7)
        In the order of `mien.emotions.EMOTIONS`; 0 for what a model cannot answer. The largest is
        the answer.
    fold : array of int, shape (k,), or int
        The fold in which a face was held out; -1 (written as an empty cell) for none.

    Returns
    -------
    DataFrame
        k rows; the truth of an unknown face is its raters' majority, empty where there is none.
    """
    faces = person.faces.loc[rows].reset_index(drop=True)
    majority = person.majority().loc[rows].reset_index(drop=True)
    frame = faces[["file_name", "set", "clip"]].copy()
    folds = pd.Series(np.broadcast_to(fold, len(faces)).astype(int))
    frame["fold"] = folds.astype("Int64").mask(folds < 0)
    frame["truth"] = faces["label"].where(faces["set"] == "labelled", majority)
    frame["predicted"] = named(probabilities.argmax(axis=1)).astype(object)
    for column, emotion in enumerate(EMOTIONS):
        frame[f"p_{emotion}"] = probabilities[:, column]
    return frame


def repeats_table(
    person: Person, rows: np.ndarray, *, folds: np.ndarray, answers: np.ndarray
) -> pd.DataFrame:
    """Return every out-of-fold answer of every repeat, one row each.

    Parameters
    ----------
    person : Person
    rows : array of bool or int
        The faces that were predicted, k of them.
    folds : array of int, shape (repeats, k)
    answers : array of str, shape (repeats, k)

    Returns
    -------
    DataFrame
        ``file_name, clip, truth, repeat, fold, predicted``; repeat 0 is what predictions.csv
        holds.
    """
    faces = person.faces.loc[rows, ["file_name", "clip", "label"]].reset_index(drop=True)
    faces = faces.rename(columns={"label": "truth"})
    return pd.concat(
        [
            faces.assign(repeat=number, fold=fold, predicted=given)
            for number, (fold, given) in enumerate(zip(folds, answers, strict=True))
        ],
        ignore_index=True,
    )


def side_by_side(
    predictions: Mapping[str, pd.DataFrame], which: str, *, how: str = "inner"
) -> pd.DataFrame:
    """Return what several models answered to the faces of a set.

    Parameters
    ----------
    predictions : mapping of model to DataFrame
        In the columns of predictions.csv.
    which : {"labelled", "unknown"}
    how : {"inner", "outer"}
        Faces that all of them answered, or any of them.

    Returns
    -------
    DataFrame
        ``file_name, clip, truth`` and a column of answers for every model.
    """
    columns = {
        model: frame[frame["set"] == which].set_index(["file_name", "clip", "truth"])["predicted"]
        for model, frame in predictions.items()
    }
    return pd.concat(columns, axis="columns", join=how).reset_index()


@dataclass(frozen=True)
class PersonAnswers:
    """The answers of a model of the crowd to one person.

    Attributes
    ----------
    predictions, unrestricted : DataFrame
        In the columns of predictions.csv: with the emotions of the person's labelled faces
        alone, their probabilities rescaled, and with all seven allowed.
    scores, unrestricted_scores : list of dict
        Of both (`mien.study.chapter.Chapter.score_person`), the latter with the suffix
        ``-unmasked``.
    """

    predictions: pd.DataFrame
    unrestricted: pd.DataFrame
    scores: list[dict[str, Any]]
    unrestricted_scores: list[dict[str, Any]]


def answers_on_person(
    chapter: Chapter, person: Person, probabilities: np.ndarray, *, which: np.ndarray
) -> PersonAnswers:
    """Return a crowd model's answers to the person, restricted to its emotions and not, scored.

    Parameters
    ----------
    chapter : Chapter
    person : Person
    probabilities : array of float, shape (k, 7)
        In the order of `mien.emotions.EMOTIONS`.
    which : array of bool or int
        The faces that were predicted, k of them.
    """
    restricted = restrict(probabilities, person.emotions)
    predictions = person_predictions(person, which, restricted)
    unrestricted = person_predictions(person, which, probabilities)
    return PersonAnswers(
        predictions,
        unrestricted,
        chapter.score_person(predictions, labels=person.emotions),
        chapter.score_person(unrestricted, labels=person.emotions, suffix="-unmasked"),
    )


def agreement_with_ferplus(crowd: Fer2013, answers: np.ndarray) -> dict[str, Any] | None:
    """Return how far a model and FER2013's labels agree with FER+ on PrivateTest.

    Parameters
    ----------
    crowd : Fer2013
    answers : array of str
        Emotions, one for every PrivateTest face.

    Returns
    -------
    dict or None
        Scores (`mien.evaluation.scores.score_set`) of the ``network`` and of the ``labels`` on
        the faces for which FER+ has a majority (`mien.data.ferplus.majority`), which counts as
        truth; empty where there is no such face, None where FER+ does not lie beside FER2013.
    """
    seen = ferplus.majority(crowd)
    if seen is None:
        return None
    private = crowd.usage == "PrivateTest"
    rated, truth = seen[private] != "", seen[private]
    given = {"network": answers, "labels": named(crowd.labels[private])}
    return {
        name: score_set(truth[rated], names[rated], labels=EMOTIONS, set="PrivateTest-FER+")
        for name, names in given.items()
        if rated.any()
    }
