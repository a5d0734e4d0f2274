"""The models of a study on the same faces: what chapter C compares, as numbers and frames."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mien.data.person import Person
from mien.emotions import EMOTIONS
from mien.evaluation import paired_tests, rater_agreement, scores
from mien.models import MODELS, Model
from mien.network import SHIPPED
from mien.report.face_sheets import Answer, GalleryItem
from mien.study.answers import side_by_side
from mien.study.chapter import Chapter


@dataclass(frozen=True)
class Answers:
    """The answers of all models to the labelled faces that every one of them could read.

    Attributes
    ----------
    file_name, clip, truth : ndarray of str, shape (n,)
    given : dict of str to ndarray of str, shape (repeats, n)
        By model; one repeat where nothing was fitted on the person. The first repeat is what
        predictions.csv holds.
    folds : dict of str to ndarray of int, shape (repeats, n)
        Of the models that were fitted on the person.
    """

    file_name: np.ndarray
    clip: np.ndarray
    truth: np.ndarray
    given: dict[str, np.ndarray]
    folds: dict[str, np.ndarray]

    @property
    def chance(self) -> float:
        """The share of the commonest emotion, which an answer without any skill reaches."""
        return float(pd.Series(self.truth).value_counts(normalize=True).iloc[0])

    @property
    def disputed(self) -> list[str]:
        """The files on which the models' first answers are not all alike."""
        first = np.stack([given[0] for given in self.given.values()])
        return self.file_name[(first != first[0]).any(axis=0)].tolist()


def compared(chapter: Chapter) -> dict[str, Any]:
    """Return which models the study has and why it lacks others.

    Returns
    -------
    dict
        ``models`` (names), ``missing`` (name to reason), ``came_trained`` (names of those that
        come with mien and were not trained in this study).
    """
    here = _models(chapter)
    return {
        "models": [model.name for model in here],
        "missing": {
            model.name: chapter.missing[model.gap]
            for model in MODELS.values()
            if model.gap in chapter.missing
        },
        "came_trained": [model.name for model in here if model.trained_in in chapter.missing],
    }


def labelled_answers(chapter: Chapter) -> Answers:
    """Return what the models of this study answered to the labelled faces, on the same faces."""
    frames = {model: chapter.predictions(model.part) for model in _models(chapter)}
    frames = {model: frame[frame["set"] == "labelled"] for model, frame in frames.items()}
    shared = set.intersection(*(set(frame["file_name"]) for frame in frames.values()))
    first = next(iter(frames.values()))
    faces = first[first["file_name"].isin(shared)].reset_index(drop=True)
    given, folds = {}, {}
    for model, frame in frames.items():
        if model.fitted_on_person:
            repeats = chapter.table(model.part, "repeats")
            given[model.name] = _by_repeat(repeats, "predicted", faces["file_name"]).astype(str)
            folds[model.name] = _by_repeat(repeats, "fold", faces["file_name"]).astype(int)
        else:
            answers = frame.set_index("file_name")["predicted"].loc[faces["file_name"]]
            given[model.name] = answers.to_numpy(dtype=str)[None]
    texts = {name: faces[name].to_numpy(dtype=str) for name in ("file_name", "clip", "truth")}
    return Answers(**texts, given=given, folds=folds)


def labelled_scores(
    answers: Answers, *, labels: list[str], seed: int, resamples: int
) -> dict[str, dict[str, Any]]:
    """Return the score of every model on the same labelled faces (`mien.evaluation.scores`)."""
    how = {
        "labels": labels,
        "set": "target-labelled",
        "clips": answers.clip,
        "seed": seed,
        "resamples": resamples,
    }
    found = {}
    for model, given in answers.given.items():
        if model in answers.folds:
            score = scores.repeated_scores(answers.truth, given, answers.folds[model], **how)
        else:
            score = scores.score_set(answers.truth, given[0], **how)
        found[model] = {"model": model, **score}
    return found


def detectable_difference(answers: Answers, pairs: pd.DataFrame) -> float | None:
    """Return the smallest difference that so many clips would likely have shown.

    For models that divide as many faces as the pairs do on average
    (`mien.evaluation.paired_tests.detectable_difference`).
    """
    discordant = ((pairs["only_a"] + pairs["only_b"]) / pairs["n"]).mean()
    return paired_tests.detectable_difference(len(set(answers.clip)), float(discordant))


def unknown_answers(chapter: Chapter) -> pd.DataFrame:
    """Return file_name, clip, truth (raters' majority) and every model's answer, unknown faces.

    A model that could not read a face has an empty answer there.
    """
    predictions = {model.name: chapter.predictions(model.part) for model in _models(chapter)}
    found = side_by_side(predictions, "unknown", how="outer")
    return found.fillna("").sort_values("file_name", ignore_index=True)


def unknown_scores(chapter: Chapter, *, labels: list[str]) -> dict[str, dict[str, Any]]:
    """Return the score of every model on the unknown faces on which the raters agree, if any."""
    return {
        model.name: {"model": model.name, **score}
        for model in _models(chapter)
        for score in chapter.score_person(chapter.predictions(model.part), labels=labels)
        if score["set"] == "target-unknown"
    }


def agreement(person: Person, unknown: pd.DataFrame) -> rater_agreement.Agreement:
    """Return how far raters and models agree on the unknown faces (`unknown_answers`)."""
    answers = unknown.set_index("file_name").drop(columns=["clip", "truth"])
    return rater_agreement.rater_agreement(person.ratings, answers.to_dict())


def costs(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """Return what every model cost, from the seconds that its chapters declare.

    Returns
    -------
    dict of model to dict
        ``trained_here``, false for a network that came with mien; ``seconds`` of training, that
        of the network it starts from included where this was trained here; ``milliseconds`` to
        read a face; ``labels``, all faces of the person from which the stored model learned, also
        those that another model could not read; ``bytes`` of the stored model. Seconds and
        milliseconds are None where a chapter does not say.
    """
    return {model.name: _costs(chapter, model) for model in _models(chapter)}


def _costs(chapter: Chapter, model: Model) -> dict[str, Any]:
    here = model.trained_in not in chapter.missing
    sets = chapter.predictions(model.part)["set"]
    # Those that were fitted on the person are timed on faces from which they did not learn.
    read = (sets == "unknown").sum() if model.fitted_on_person else len(sets)
    predicting = chapter.metrics(model.part)["seconds"].get("predict")
    return {
        "trained_here": here,
        "seconds": _training_seconds(chapter, model) if here else None,
        "milliseconds": None if predicting is None or not read else 1000 * predicting / read,
        "labels": int((sets == "labelled").sum()) if model.fitted_on_person else 0,
        "bytes": (chapter.model_path(model.file) if here else SHIPPED).stat().st_size,
    }


def _training_seconds(chapter: Chapter, model: Model) -> float | None:
    spent = [chapter.metrics(model.trained_in)["seconds"].get("fit")]
    start = MODELS.get(model.starts_from)
    if start and start.trained_in not in chapter.missing:
        spent.append(_training_seconds(chapter, start))
    return None if None in spent else sum(spent)


def limits(
    answers: Answers, unknown: pd.DataFrame, pairs: pd.DataFrame, *, detectable: float | None
) -> dict[str, Any]:
    """Return the numbers that bound what the study can say.

    Returns
    -------
    dict
        ``faces``, ``clips``, ``pairs``, ``undecided`` (pairs that nothing separates),
        ``detectable_difference``, ``unknown`` and, of these, ``rated`` (the raters have a
        majority), ``models``.
    """
    return {
        "faces": len(answers.truth),
        "clips": len(set(answers.clip)),
        "pairs": len(pairs),
        "undecided": int((~pairs["separated"]).sum()),
        "detectable_difference": detectable,
        "unknown": len(unknown),
        "rated": int((unknown["truth"] != "").sum()),
        "models": list(answers.given),
    }


def gallery_items(
    chapter: Chapter, person: Person, file_names: Collection[str]
) -> list[GalleryItem]:
    """Return these faces with truth, raters and answers, for the gallery.

    A face that some model could not read is left out.
    """
    frames = {
        model.name: chapter.predictions(model.part).set_index("file_name")
        for model in _models(chapter)
    }
    items = []
    for row, name in person.faces["file_name"].items():
        if name not in file_names or any(name not in frame.index for frame in frames.values()):
            continue
        answers = {model: _answer(frame.loc[name]) for model, frame in frames.items()}
        truth = next(iter(frames.values())).loc[name, "truth"]
        rated = person.ratings[person.ratings["file_name"] == name]
        raters = dict(zip(rated["rater"], rated["label"], strict=True))
        items.append(GalleryItem(person.crops[row], name, truth, answers, raters))
    return items


def _models(chapter: Chapter) -> list[Model]:
    return [model for model in MODELS.values() if model.gap not in chapter.missing]


def _by_repeat(repeats: pd.DataFrame, column: str, names: pd.Series) -> np.ndarray:
    wide = repeats.pivot(index="repeat", columns="file_name", values=column)
    return wide[names.tolist()].to_numpy()


def _answer(row: Mapping[str, Any]) -> Answer:
    shares = {emotion: float(row[f"p_{emotion}"]) for emotion in EMOTIONS}
    return Answer(row["predicted"], {name: share for name, share in shares.items() if share > 0})
