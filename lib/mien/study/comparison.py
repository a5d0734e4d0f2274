"""The models of a study on the same faces: what chapter C compares, as numbers and frames."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.data.person import Person
from mien.errors import DataError
from mien.evaluation import paired_tests, rater_agreement, scores
from mien.evaluation.calibration import answered_at, risk_coverage
from mien.evaluation.probing import curve_points
from mien.models import DESIGNED, MODELS, RIVALS, Model, competitors, declared, is_network
from mien.network import SHIPPED
from mien.report.face_sheets import GalleryItem
from mien.study import provenance
from mien.study.chapter import Chapter
from mien.study.predictions import by_repeat, shared_answers, side_by_side

#: Share of wrong answers that the winner is allowed before it is unsure, and others beside it.
ALLOWED, ERRORS = 0.1, (0.02, 0.05, 0.1, 0.15, 0.2, 1.0)


@dataclass(frozen=True)
class Answers:
    """The answers of all models to the n labelled faces that every one of them could read.

    By model, of shape (trainings, repeats, n): one training of what is no network, one repeat where
    nothing was fitted on the person. The first of both is what predictions.csv holds.
    """

    file_name: np.ndarray
    clip: np.ndarray
    truth: np.ndarray
    given: dict[str, np.ndarray]
    probability: dict[str, np.ndarray]  # of the answer
    of_truth: dict[str, np.ndarray]  # the probability of the true emotion
    folds: dict[str, np.ndarray]  # int (repeats, n), of models that were fitted on the person
    designed: str  # the competitor on measured features; others on these are its rivals

    @property
    def chance(self) -> float:
        """The share of the commonest emotion, which an answer without any skill reaches."""
        return float(pd.Series(self.truth).value_counts(normalize=True).iloc[0])

    @property
    def of_competitors(self) -> dict[str, np.ndarray]:
        """What the models have ``given``, without their rivals."""
        names = [model.name for model in competitors(self.designed)]
        return {name: self.given[name] for name in names if name in self.given}

    @property
    def disputed(self) -> list[str]:
        """The files on which the models' first answers are not all alike."""
        first = np.stack([given[0, 0] for given in self.of_competitors.values()])
        return self.file_name[(first != first[0]).any(axis=0)].tolist()


def compared(chapter: Chapter) -> dict[str, Any]:
    """Return the ``models`` of the study, why others are ``missing``, which ``came_trained``."""
    here = _models(chapter)
    return {
        "models": [model.name for model in here],
        "missing": {
            model.name: chapter.missing[model.part]
            for model in competitors(chapter.competitor)
            if model.part in chapter.missing
        },
        "came_trained": [model.name for model in here if model.trained_in in chapter.missing],
    }


def labelled_answers(chapter: Chapter) -> Answers:
    """Return what the models of this study answered to the labelled faces, on the same faces.

    `DataError` if the chapters differ about a face (`mien.study.predictions.shared_answers`), or a
    model's answers are not as often right as its own chapter says.
    """
    tables = {model.name: chapter.table(model.part, "repeats") for model in _models(chapter)}
    competing = set(tables)
    for rival in (*DESIGNED.values(), *RIVALS):
        part = (MODELS | RIVALS)[rival].part
        if rival not in competing and part not in chapter.missing:
            table = chapter.table(part, "rivals")
            if (table["model"] == rival).any():
                tables[rival] = table[table["model"] == rival]
    faces, given = shared_answers(tables)
    for name, table in tables.items():
        _check_told(chapter, name, table, "" if name in competing else "-rival")
    probability, of_truth, folds = (
        {name: by_repeat(each, what, faces["file_name"]) for name, each in tables.items()}
        for what in ("probability", "p_truth", "fold")
    )
    return Answers(
        **{name: faces[name].to_numpy(dtype=str) for name in faces},
        given=given,
        probability=probability,
        of_truth=of_truth,
        folds={name: each[0] for name, each in folds.items() if (each >= 0).all()},
        designed=chapter.competitor,
    )


def _check_told(chapter: Chapter, name: str, table: pd.DataFrame, ending: str) -> None:
    """Refuse answers that are not as often right as the chapter which gave them says."""
    part = (MODELS | RIVALS)[name].part
    right = float((table["predicted"] == table["truth"]).mean())
    faces, said = table["file_name"].nunique(), "nothing"
    for score in chapter.metrics(part)["scores"]:
        if score["set"] == f"target-labelled{ending}" and score.get("model", name) == name:
            if score["n"] == faces and abs(score["accuracy"] - right) < 1e-9:
                return
            said = f"{score['accuracy']:.4%} of {score['n']}"
    raise DataError(
        f"{name} is right on {right:.4%} of {faces} faces by its answers, but chapter {part} says "
        f"{said}; run that chapter again"
    )


def labelled_scores(answers: Answers, **how: Any) -> dict[str, dict[str, Any]]:
    """Return the score of every model on the same labelled faces.

    ``how`` are ``labels``, ``seed`` and ``resamples`` of `mien.evaluation.scores.score_set`.
    """
    how |= {"set": "target-labelled", "clips": answers.clip}
    found = {}
    for model, given in answers.given.items():
        of_truth, folds = answers.of_truth[model], answers.folds.get(model)
        if folds is None:
            given, of_truth = given[:, 0], of_truth[:, 0]
        if not is_network(model):
            given, of_truth = given[0], of_truth[0]
        score = scores.score_set(answers.truth, given, folds=folds, of_truth=of_truth, **how)
        found[model] = {"model": model, **score}
    return found


def label_curve(chapter: Chapter, answers: Answers) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return `curve_points` of chapters A2 and B3 on the same faces, and NN-FER2013's scores."""
    tables = [chapter.table(part, "curve") for part in ("A2", "B3") if part not in chapter.missing]
    shared = set(answers.file_name).intersection(*(table["file_name"] for table in tables))
    name, kept = "NN-FER2013", np.isin(answers.file_name, list(shared))
    right = (answers.given[name] == answers.truth).mean(axis=(0, 1))
    loss = -np.log(np.maximum(answers.of_truth[name], 1e-7)).mean(axis=(0, 1))
    curve = pd.concat([table[table["file_name"].isin(shared)] for table in tables])
    points = curve_points(curve, start=pd.Series(right, answers.file_name))
    return points, {"accuracy": float(right[kept].mean()), "log_loss": float(loss[kept].mean())}


def coverage(answers: Answers) -> dict[str, pd.DataFrame]:
    """Return `risk_coverage` of every model and rival, by name, over all repeats and trainings."""
    return {
        name: risk_coverage(answers.probability[name].ravel(), (given == answers.truth).ravel())
        for name, given in answers.given.items()
    }


def winner(
    chapter: Chapter, person: Person, answers: Answers, scores: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the card of the stored model that is right most often, and its files.

    By ``scores``, `labelled_scores` of the same ``answers``; rivals that are stored compete, too.
    The card tells, beside what it was right on: ``among`` (the names that competed), ``columns``
    (measured; none where it reads pixels), ``temperature`` (by which its answers are yet to be
    divided), ``coverage`` (`mien.evaluation.calibration.answered_at`), ``allowed`` and
    ``threshold`` (of the probability, under which it is unsure; None where even its surest answers
    are wrong more often than allowed). The files are for `mien.study.results.save_winner`.
    """
    rivals = [rival for name, rival in RIVALS.items() if rival.file and name in scores]
    stored = {model.name: model for model in [*_models(chapter), *rivals]}
    best = stored[max(stored, key=lambda name: scores[name]["accuracy"])]
    score, trade = scores[best.name], answered_at(coverage(answers)[best.name], ERRORS)
    files = {"model": _stored(chapter, best)}
    if best.name in RIVALS:
        files["network"] = _stored(chapter, MODELS["NN-FER2013"])
    columns = person.features("both").names if best.name.startswith("measured") else []
    if best.part == "A2":
        columns = chapter.metrics("A2")["features"]["columns"]
    crowds = best.name.startswith("NN-FER2013")
    card = {
        "model": best.name,
        "learned_from": best.learned_from,
        "among": list(stored),
        "faces": score["n"],
        "clips": len(set(answers.clip)),
        "accuracy": score["accuracy"],
        "accuracy_ci95": score["accuracy_ci95"],
        "emotions": person.emotions,
        "columns": columns,
        "temperature": chapter.metrics("B2")["temperature"] if crowds else 1.0,
        "find_faces": chapter.study.find_faces,
        "coverage": trade.to_dict("records"),
        "allowed": ALLOWED,
        "threshold": trade.set_index("allowed").loc[ALLOWED, "threshold"],
    }
    return card, files


def declared_pairs(answers: Answers) -> pd.DataFrame:
    """Return `compare` of the declared pairs that this study has, with the ``question`` of each."""
    questions = declared(answers.designed)
    pairs = [pair for pair in questions if set(pair) <= answers.given.keys()]
    found = paired_tests.compare(answers.truth, answers.given, answers.clip, pairs=pairs)
    return found.assign(question=[questions[pair] for pair in pairs])


def same_folds(answers: Answers, a: str, b: str) -> dict[str, Any]:
    """Return Nadeau and Bengio's paired test of two models (a - b) in the same folds."""
    folds = min(answers.folds[a], answers.folds[b], key=len)
    test = paired_tests.paired_folds(answers.truth, answers.given[a], answers.given[b], folds)
    return {"a": a, "b": b, **test}


def unknown_answers(chapter: Chapter) -> pd.DataFrame:
    """Return file_name, clip, truth (raters' majority) and every model's answer, perhaps empty."""
    predictions = {
        model.name: chapter.table(model.part, "predictions") for model in _models(chapter)
    }
    found = side_by_side(predictions, "unknown", how="outer")
    return found.fillna("").sort_values("file_name", ignore_index=True)


def scores_of(chapter: Chapter, name: str) -> dict[str, dict[str, Any]]:
    """Return the score of every model on a set, as its chapter has saved it, where it has."""
    return {
        model.name: {"model": model.name, **score}
        for model in _models(chapter)
        for score in chapter.metrics(model.part)["scores"]
        if score["set"] == name
    }


def learned_from(names: Collection[str]) -> list[str]:
    """Return from what each model or rival has learned, in words."""
    return [(MODELS | RIVALS)[name].learned_from for name in names]


def restricted_or_not(chapter: Chapter) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the crowd's models' scores on the person, by model, set and what they may answer."""
    return {
        (model, name, told): score
        for name in ("target-labelled", "target-unknown")
        for told, ending in (("the person's", ""), ("all seven", "-unmasked"))
        for model, score in scores_of(chapter, name + ending).items()
        if not MODELS[model].fitted_on_person
    }


def agreement(person: Person, unknown: pd.DataFrame) -> rater_agreement.Agreement:
    """Return how far raters and models agree on the unknown faces (`unknown_answers`)."""
    answers = unknown.set_index("file_name").drop(columns=["clip", "truth"])
    return rater_agreement.rater_agreement(person.ratings_of("unknown"), answers.to_dict())


def second_labels(person: Person, answers: Answers) -> pd.DataFrame:
    """Return how often labels and models agree with raters who saw the labelled faces, too.

    On the faces on which the raters have a majority, a row for ``the folder``, then every
    competitor (``who``): ``n``, and the shares (0..1) of agreement with ``raters``' majority and
    with the ``folder``'s label, of models over all their answers. Perhaps empty.
    """
    majority = pd.Series(person.majority().to_numpy(str), person.faces["file_name"])
    again = majority[answers.file_name].to_numpy()
    seen, rows = again != "", []
    given = {"the folder": answers.truth, **answers.of_competitors}
    for who, said in given.items() if seen.any() else ():
        by_raters, by_folder = ((said == truth)[..., seen] for truth in (again, answers.truth))
        rows.append((who, int(seen.sum()), by_raters.mean(), by_folder.mean()))
    return pd.DataFrame(rows, columns=["who", "n", "raters", "folder"])


def costs(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """Return what every model cost, from the seconds that its chapters declare.

    By model: ``trained_here``, false for a network that came with mien; ``seconds`` of training,
    that of the network it starts from included where this was trained here; ``milliseconds`` to
    read a face; ``labels``, all faces of the person from which the stored model learned, also those
    that another model could not read; ``bytes`` of the stored model. Seconds and milliseconds are
    None where a chapter does not say.
    """
    found = {}
    for model in _models(chapter):
        sets = chapter.table(model.part, "predictions")["set"]
        # Those that were fitted on the person are timed on faces from which they did not learn.
        read = (sets == "unknown").sum() if model.fitted_on_person else len(sets)
        metrics = chapter.metrics(model.part)
        read *= metrics["scores"][0].get("trainings", 1)
        predicting = metrics["seconds"].get("predict")
        parts = [MODELS[name].trained_in for name in (model.name, model.starts_from) if name]
        here = model.trained_in not in chapter.missing
        fitting = [
            chapter.metrics(part)["seconds"].get("fit")
            for part in parts
            if part not in chapter.missing
        ]
        found[model.name] = {
            "trained_here": here,
            "seconds": sum(fitting) if here and None not in fitting else None,
            "milliseconds": None if predicting is None or not read else 1000 * predicting / read,
            "labels": int((sets == "labelled").sum()) if model.fitted_on_person else 0,
            "bytes": _stored(chapter, model).stat().st_size,
        }
    return found


def _stored(chapter: Chapter, model: Model) -> Path:
    if model.trained_in in chapter.missing:
        return SHIPPED
    return chapter.stored_model(model.trained_in, model.file)


def limits(
    answers: Answers,
    unknown: pd.DataFrame,
    pairs: pd.DataFrame,
    person: Person,
    *,
    detectable: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the numbers that bound what the study can say.

    Of pairs ``undecided`` are those that nothing separates, of ``unknown`` faces ``rated`` those on
    which the raters have a majority; ``trainings`` are of the networks, ``other_trainings`` what
    others of the same recipe gave, ``set_in_view`` what of these models was set with one person's
    labels in view; ``second_labels`` of the folder, None where nobody rated a labelled face.
    """
    again = second_labels(person, answers)
    return {
        "faces": len(answers.truth),
        "clips": len(set(answers.clip)),
        "second_labels": again.iloc[0].to_dict() if len(again) else None,
        "pairs": len(pairs),
        "undecided": int((~pairs["separated"]).sum()),
        "detectable": dict(detectable),
        "unknown": len(unknown),
        "rated": int((unknown["truth"] != "").sum()),
        "raters": int(person.ratings_of("unknown")["rater"].nunique()),
        "models": list(answers.given),
        "trainings": max(len(given) for given in answers.given.values()),
        "other_trainings": provenance.other_trainings().to_dict("records"),
        "set_in_view": provenance.set_in_view(answers.given).to_dict("records"),
    }


def gallery_items(
    chapter: Chapter, person: Person, file_names: Collection[str]
) -> list[GalleryItem]:
    """Return these faces with truth, raters and answers, where every model could read them."""
    every = {model.name: chapter.table(model.part, "predictions") for model in _models(chapter)}
    answered = pd.concat(every, names=["model"]).reset_index("model").groupby("file_name")
    items = []
    for crop, name in zip(person.crops, person.faces["file_name"], strict=True):
        if name not in file_names or len(rows := answered.get_group(name)) < len(every):
            continue
        answers = {
            row["model"]: (row["predicted"], row[f"p_{row['predicted']}"])
            for row in rows.to_dict("records")
        }
        rated = person.ratings[person.ratings["file_name"] == name]
        raters = dict(zip(rated["rater"], rated["label"], strict=True))
        items.append(GalleryItem(crop, name, rows["truth"].iloc[0], answers, raters))
    return items


def _models(chapter: Chapter) -> list[Model]:
    return [model for model in competitors(chapter.competitor) if model.part not in chapter.missing]
