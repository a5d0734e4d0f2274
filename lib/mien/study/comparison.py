"""The models of a study on the same faces: what chapter C compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mien.data.person import Person
from mien.emotions import EMOTIONS
from mien.evaluation import scores
from mien.models import MODELS
from mien.report import text
from mien.report import text as prose
from mien.report.face_sheets import Answer, GalleryItem
from mien.study.chapter import Chapter

#: The weights that come with mien.
SHIPPED = Path(__file__).parents[1] / "network" / "weights" / "fer2013.npz"


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


def models(chapter: Chapter) -> dict[str, str]:
    """Return the models that this study has, and the chapter that made each one's answers."""
    return {model.name: model.part for model in MODELS.values() if model.gap not in chapter.missing}


def opening(chapter: Chapter) -> str:
    """Return which models are compared, and why one is missing, in sentences."""
    here = models(chapter)
    text = f"This study compares **{prose.listed(list(here))}**."
    for model in MODELS.values():
        if model.name not in here:
            text += f" It has no {model.name}: {prose.escape(chapter.missing[model.gap])}."
    if chapter.study.takes_shipped:
        text += (
            " NN-FER2013 is the network that comes with mien, trained on FER2013; its model card "
            "tells how."
        )
    return text


def labelled_answers(chapter: Chapter) -> Answers:
    """Return what the models of this study answered to the labelled faces, on the same faces."""
    frames = {model: chapter.predictions(part) for model, part in models(chapter).items()}
    frames = {model: frame[frame["set"] == "labelled"] for model, frame in frames.items()}
    shared = set.intersection(*(set(frame["file_name"]) for frame in frames.values()))
    first = next(iter(frames.values()))
    faces = first[first["file_name"].isin(shared)].reset_index(drop=True)
    given, folds = {}, {}
    for model, frame in frames.items():
        if MODELS[model].fitted_on_person:
            repeats = chapter.table(MODELS[model].part, "repeats")
            given[model] = _by_repeat(repeats, "predicted", faces["file_name"])
            folds[model] = _by_repeat(repeats, "fold", faces["file_name"]).astype(int)
        else:
            answers = frame.set_index("file_name")["predicted"].loc[faces["file_name"]]
            given[model] = answers.to_numpy(dtype=str)[None]
    texts = (faces[column].to_numpy(dtype=str) for column in ("file_name", "clip", "truth"))
    return Answers(*texts, given, folds)


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
    return {
        model: (
            scores.repeated_scores(answers.truth, given, answers.folds[model], **how)
            if model in answers.folds
            else scores.score_set(answers.truth, given[0], **how)
        )
        for model, given in answers.given.items()
    }


def unknown_answers(chapter: Chapter) -> pd.DataFrame:
    """Return file_name, clip, truth (raters' majority) and every model's answer, unknown faces.

    A model that could not read a face has an empty answer there.
    """
    frame = None
    for model, part in models(chapter).items():
        rows = chapter.predictions(part)
        rows = rows.loc[rows["set"] == "unknown", ["file_name", "clip", "truth", "predicted"]]
        rows = rows.rename(columns={"predicted": model})
        keys = ["file_name", "clip", "truth"]
        frame = rows if frame is None else frame.merge(rows, on=keys, how="outer")
    return frame.fillna("").sort_values("file_name", ignore_index=True)


def costs(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """Return what every model cost: training seconds, milliseconds to read a face, labels, bytes.

    Labels are all faces of the person from which the stored model learned, also those that
    another model could not read. The fine-tuned network's training includes that of the network
    it starts from, unless that came with mien, whose training is no part of the study (seconds
    are None).
    """
    here = models(chapter)
    seconds = {model: _training_seconds(chapter, model) for model in here}
    return {
        model: {
            "seconds": seconds[model],
            "milliseconds": _milliseconds(chapter, model),
            "labels": _labels(chapter, model),
            "bytes": _file(chapter, model).stat().st_size,
        }
        for model in here
    }


def _training_seconds(chapter: Chapter, model: str) -> float | None:
    if model == "SVM-FER2013":
        metrics = chapter.metrics("A1")
        return metrics["seconds"][f"fit {metrics['chosen']}"]
    if model == "SVM-OpenFace":
        return chapter.metrics("A2")["seconds"]["fit on all"]
    tuned = chapter.metrics("B3")["seconds"]["fit on all"] if model == "NN-FineTuned" else None
    if chapter.study.takes_shipped:
        return tuned
    return chapter.metrics("B1")["seconds"]["fit"] + (tuned or 0.0)


def _labels(chapter: Chapter, model: str) -> int:
    if not MODELS[model].fitted_on_person:
        return 0
    return int((chapter.predictions(MODELS[model].part)["set"] == "labelled").sum())


def _milliseconds(chapter: Chapter, model: str) -> float:
    part = MODELS[model].part
    faces = chapter.predictions(part)["set"]
    # The models that were fitted on the person were timed on the unknown faces alone.
    read = int((faces == "unknown").sum()) if MODELS[model].fitted_on_person else len(faces)
    spent = chapter.metrics(part)["seconds"]["predict the person" if part == "A1" else "predict"]
    return 1000 * spent / max(1, read)


def _file(chapter: Chapter, model: str) -> Path:
    if model == "NN-FER2013" and chapter.study.takes_shipped:
        return SHIPPED
    return chapter.model_path(MODELS[model].file)


def gallery_items(chapter: Chapter, person: Person, *, which: str) -> list[GalleryItem]:
    """Return the faces of a set with truth, raters and answers, for the gallery.

    Parameters
    ----------
    which : {"labelled", "unknown"}
    """
    frames = {
        model: chapter.predictions(part).set_index("file_name")
        for model, part in models(chapter).items()
    }
    truths = dict(zip(person.faces["file_name"], person.faces["label"], strict=True))
    if which == "unknown":
        truths = dict(zip(person.faces["file_name"], person.majority(), strict=True))
    ratings = person.ratings
    items = []
    for row, face in person.faces[person.faces["set"] == which].iterrows():
        name = face["file_name"]
        answers = {
            model: _answer(frame.loc[name])
            for model, frame in frames.items()
            if name in frame.index
        }
        if len(answers) < len(frames):
            continue
        rated = ratings[ratings["file_name"] == name]
        raters = dict(zip(rated["rater"], rated["label"], strict=True))
        items.append(GalleryItem(_crop(person, row), name, truths[name], answers, raters))
    return items


def disagreements(answers: Answers) -> np.ndarray:
    """Return the mask (n,) of the faces on which the models' first answers are not all alike."""
    first = np.stack([given[0] for given in answers.given.values()])
    return (first != first[0]).any(axis=0)


def limits(
    answers: Answers,
    unknown: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    detectable: float | None,
) -> list[str]:
    """Return what this study cannot say, as sentences with this run's numbers."""
    clips = len(set(answers.clip))
    rated = int((unknown["truth"] != "").sum())
    open_pairs = int((~pairs["separated"]).sum())
    seen = (
        f"a difference under {100 * detectable:.0f} points would probably have gone unseen"
        if detectable is not None
        else "no difference of any size could be expected to be found"
    )
    lines = [
        f"One person, {text.count(len(answers.truth), 'labelled face')}, "
        f"{text.count(clips, 'clip')}: the figures are about this person in these scenes.",
        f"With so few clips, {seen}; {open_pairs} of {text.count(len(pairs), 'pair')} of models "
        "stay undecided.",
        f"The unknown faces illustrate: raters have a majority on {rated} of {len(unknown)}, and "
        "an accuracy on a dozen faces has an interval that spans half the scale.",
        "The labels of the person's faces come from whoever sorted them; nobody measured how far "
        "a second labeller would agree.",
        "FER2013's labels are noisy, and its copies cross its splits.",
    ]
    if "SVM-OpenFace" in answers.given:
        lines.append(
            "Action Units are OpenFace's estimates from single images, which carry the person's "
            "resting face as a bias."
        )
    return lines


def model_card(chapter: Chapter, prices: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return what each stored model is: its data, labels, seed, file and size."""
    rows = [
        {
            "learned from": MODELS[model].learned_from,
            "labelled faces of the person": prices[model]["labels"],
            "seed": chapter.study.seed,
            "megabytes": prices[model]["bytes"] / 1e6,
        }
        for model in prices
    ]
    return pd.DataFrame(rows, index=pd.Index(prices, name="model"))


def _by_repeat(repeats: pd.DataFrame, column: str, names: pd.Series) -> np.ndarray:
    wide = repeats.pivot(index="repeat", columns="file_name", values=column)
    values = wide[names.tolist()].to_numpy()
    return values.astype(str) if column == "predicted" else values


def _answer(row: Mapping[str, Any]) -> Answer:
    shares = {emotion: float(row[f"p_{emotion}"]) for emotion in EMOTIONS}
    return Answer(row["predicted"], {name: share for name, share in shares.items() if share > 0})


def _crop(person: Person, row: int) -> Image.Image | None:
    return person.crops[row]
