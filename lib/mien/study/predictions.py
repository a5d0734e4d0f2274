"""What a chapter's model answered, as tables and scores: on the person, and against FER+."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mien.data import ferplus
from mien.emotions import EMOTIONS, SHARES, codes, named, probability_of, restrict, spread
from mien.errors import DataError
from mien.evaluation import probing
from mien.evaluation.calibration import apply_temperature
from mien.evaluation.intervals import wilson_interval
from mien.evaluation.rater_agreement import errors_among_voters, with_voters
from mien.photos import face_cache, reading
from mien.prediction_output import UNSURE
from mien.study import results

if TYPE_CHECKING:
    from mien.data.fer2013 import Fer2013
    from mien.data.person import Labelled, Person
    from mien.study.chapter import Chapter


_FACE = ["file_name", "clip", "truth"]


def person_predictions(
    person: Person, rows: np.ndarray, probabilities: np.ndarray, *, fold: np.ndarray | int = -1
) -> pd.DataFrame:
    """Return predictions on some faces of the person in the columns of predictions.csv, a row each.

    ``rows`` (bool or int) are the k faces that were predicted, ``probabilities`` (k, 7) 0 for what
    a model cannot answer; the largest is the answer. ``fold`` (k,) is where a face was held out;
    -1, written as an empty cell, for none. The truth of an unknown face is its raters' majority,
    empty where there is none.
    """
    faces = person.faces.loc[rows].reset_index(drop=True)
    majority = person.majority().loc[rows].reset_index(drop=True)
    frame = faces[["file_name", "set", "clip"]].copy()
    folds = pd.Series(np.broadcast_to(fold, len(faces)).astype(int))
    frame["fold"] = folds.astype("Int64").mask(folds < 0)
    frame["truth"] = faces["label"].where(faces["set"] == "labelled", majority)
    frame["predicted"] = named(probabilities.argmax(axis=1)).astype(object)
    frame[list(SHARES)] = probabilities
    return frame


def repeats_table(
    person: Person, rows: np.ndarray, probabilities: np.ndarray, *, folds: np.ndarray | int = -1
) -> pd.DataFrame:
    """Return every answer of every training and repeat to labelled faces, one row each.

    ``rows`` (bool or int) are the k faces that were predicted, ``probabilities`` (trainings,
    repeats, k, 7): one training of what is no network, one repeat of what was not cross-validated.
    ``folds`` are int (repeats, k), -1 for the latter. Returns ``file_name, clip, truth, training,
    repeat, fold, predicted, probability`` (that of the answer), ``p_truth`` (that of the truth);
    training 0, repeat 0 is what predictions.csv holds.
    """
    faces = person.faces.loc[rows, ["file_name", "clip", "label"]].rename(
        columns={"label": "truth"}
    )
    training, repeat, face = (each.ravel() for each in np.indices(probabilities.shape[:3]))
    answers = named(probabilities.argmax(axis=-1))
    of_truth = probability_of(faces["truth"], probabilities)
    frame = faces.iloc[face].reset_index(drop=True)
    return frame.assign(
        training=training,
        repeat=repeat,
        fold=np.broadcast_to(folds, probabilities.shape[1:3])[repeat, face],
        predicted=answers[training, repeat, face],
        probability=probabilities.max(axis=-1).ravel(),
        p_truth=of_truth.ravel(),
    )


def rivals_table(
    person: Person, rows: np.ndarray, rivals: Mapping[str, np.ndarray], *, folds: np.ndarray
) -> pd.DataFrame:
    """Return the answers of rivals (`mien.models.RIVALS`) as `repeats_table`, with ``model``.

    They are (repeats, k, 7), of networks (trainings, repeats, k, 7), of the first of ``folds``.
    """
    tables = [pd.DataFrame(columns=["file_name", "model"])] if not rivals else []
    for name, given in rivals.items():
        every = given.reshape(-1, *given.shape[-3:])
        table = repeats_table(person, rows, every, folds=folds[: every.shape[1]])
        tables.append(table.assign(model=name))
    return pd.concat(tables, ignore_index=True)


def label_curve(
    chapter: Chapter,
    person: Person,
    labelled: Labelled,
    procedures: Mapping[str, Any],
    *,
    draws: int = 0,
) -> pd.DataFrame:
    """Return `probing.label_curve` of procedures on the k labelled faces.

    All chapters of a study deal the same folds and draw the same clips, of all labelled ones;
    ``draws`` of them, 0: as many as the profile says.
    """
    draws, faces = draws or chapter.setting("curve_repeats"), person.faces
    clips = faces.loc[faces["set"] == "labelled", "clip"]
    return probing.label_curve(
        procedures,
        labelled.truth,
        labelled.clips,
        chapter.person_folds(person, repeats=draws)[:, labelled.rows],
        orders=probing.clip_orders(clips, draws, seed=chapter.study.seed),
        names=faces["file_name"].to_numpy(str)[labelled.rows],
    )


def shared_answers(
    tables: Mapping[str, pd.DataFrame],
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the faces that all tables (`repeats_table`) are about, and what each answered.

    ``file_name, clip, truth`` of n faces, and the answers by model, str (trainings, repeats, n).
    `DataError` as `_checked_faces`, or if a model was not asked the same faces in every repeat.
    """
    faces = _checked_faces(tables)
    for name, table in tables.items():
        asked = table.groupby(["training", "repeat"])["file_name"].agg(["size", "nunique"])
        if (asked != table["file_name"].nunique()).any(axis=None):
            raise DataError(f"{name} has not answered the same faces once in every repeat")
        faces = faces[faces["file_name"].isin(table["file_name"])]
    names = faces["file_name"]
    answers = {n: by_repeat(t, "predicted", names).astype(str) for n, t in tables.items()}
    return faces, answers


def by_repeat(repeats: pd.DataFrame, column: str, names: Sequence[str]) -> np.ndarray:
    """Return a column of `repeats_table` as (trainings, repeats, faces), the faces as named."""
    wide = repeats.pivot(index=["training", "repeat"], columns="file_name", values=column)
    return wide[list(names)].to_numpy().reshape(repeats["training"].nunique(), -1, len(names))


def _checked_faces(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return ``file_name, clip, truth`` of the faces that models answered; they must agree."""
    found = pd.concat([table[_FACE].assign(model=name) for name, table in tables.items()])
    faces = found.drop_duplicates(_FACE)
    twice = faces[faces["file_name"].duplicated(keep=False)]
    if len(twice):
        told = [f"{row.model}: {row.truth!r} in clip {row.clip}" for row in twice[:2].itertuples()]
        raise DataError(
            f"the chapters differ about {twice['file_name'].iloc[0]}: {'; '.join(told)}; "
            "run the whole study again (mien run STUDY.yaml)"
        )
    return faces[_FACE].reset_index(drop=True)


def side_by_side(
    predictions: Mapping[str, pd.DataFrame], which: str, *, how: str = "inner"
) -> pd.DataFrame:
    """Return what several models answered to the faces of a set, ``labelled`` or ``unknown``.

    ``predictions`` are those of predictions.csv by model; ``how`` is ``inner`` for the faces that
    all of them answered, ``outer`` for any. Returns ``file_name, clip, truth`` and a column of
    answers for every model; `DataError` if they differ about the clip or the truth of a face.
    """
    chosen = {model: frame[frame["set"] == which] for model, frame in predictions.items()}
    _checked_faces(chosen)
    columns = {model: frame.set_index(_FACE)["predicted"] for model, frame in chosen.items()}
    return pd.concat(columns, axis="columns", join=how).reset_index()


class PersonAnswers(NamedTuple):
    """The answers of a crowd's model to one person, rescaled to the emotions that it shows."""

    predictions: pd.DataFrame  # in the columns of predictions.csv, of a network its first training
    repeats: pd.DataFrame  # of all trainings, to the labelled faces (`repeats_table`)
    scores: list[dict[str, Any]]
    unrestricted_scores: list[dict[str, Any]]  # with all seven emotions allowed


def answers_on_person(
    chapter: Chapter, person: Person, probabilities: np.ndarray, *, rows: np.ndarray
) -> PersonAnswers:
    """Return a crowd model's answers to the person, restricted to its emotions and not, scored.

    ``probabilities`` (k, 7), of a network (trainings, k, 7), are of the k faces ``rows`` (int).
    """
    network = probabilities.ndim == 3
    unrestricted = probabilities.reshape(-1, len(rows), len(EMOTIONS))
    restricted = np.stack([restrict(given, person.emotions) for given in unrestricted])
    frames, free = (
        [person_predictions(person, rows, given) for given in each]
        for each in (restricted, unrestricted)
    )
    labelled = np.isin(rows, person.labelled("has_image").rows)
    return PersonAnswers(
        frames[0],
        repeats_table(person, rows[labelled], restricted[:, None, labelled]),
        chapter.score_person(frames if network else frames[0], labels=person.emotions),
        chapter.score_person(
            free if network else free[0], labels=person.emotions, suffix="-unmasked"
        ),
    )


def private_table(truth: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the answers to every PrivateTest image, so that models can be paired on them.

    Of true emotions (n,) and probabilities (trainings, n, 7), one training of what is no network:
    ``image`` (from 0, in the order of PrivateTest), ``truth, training, predicted, p_…``.
    """
    training, image = (each.ravel() for each in np.indices(probabilities.shape[:2]))
    answers = named(probabilities.argmax(axis=-1))
    frame = pd.DataFrame({"image": image, "truth": truth[image], "training": training})
    shares = pd.DataFrame(probabilities.reshape(-1, len(SHARES)), columns=list(SHARES))
    return frame.assign(predicted=answers[training, image]).join(shares)


def read_photos(
    study: Path,
    paths: Sequence[Path],
    *,
    find_faces: bool = False,
    batch_size: int = 256,
    on_picture: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Return what the person's model of a study (`results.load_winner`) reads in pictures.

    As `mien.photos.reading.read_faces`, with the emotions of the person alone; ``emotion`` is
    `UNSURE` where the probability is under the model's threshold. A model of blendshapes, which
    are measured here, reads the largest face of a picture. `DataError` if the study has no such
    model, or one that reads Action Units.
    """
    card, files = results.load_winner(study)
    if any(name.startswith("AU") for name in card["columns"]):
        raise DataError(
            f"{card['model']}, the model of this study, reads Action Units, which mien cannot "
            "measure in a photo; let OpenFace measure it, as an unknown face of the person's "
            "folder, and run the study again"
        )
    answer = _answerer(card, files, batch_size)
    by_measures = bool(card["columns"]) and "network" not in files  # which a found face alone has
    find_faces = find_faces or card["find_faces"] or by_measures
    how = {"find_faces": find_faces, "batch_size": batch_size}
    if card["columns"]:
        measured = face_cache.measure({str(path): path for path in paths}, on_picture=on_picture)
        measured = measured.set_index("file_name")[card["columns"]]
        answers = _read_largest(paths, answer, measured, how)
    else:
        answers = reading.read_faces(paths, answer, **how, on_picture=on_picture)
    seen = answers["problem"] == ""
    shares = restrict(answers.loc[seen, list(SHARES)].to_numpy(float), card["emotions"])
    most = shares.max(axis=1)
    sure = most >= (np.inf if card["threshold"] is None else card["threshold"])
    answers.loc[seen, list(SHARES)] = shares
    answers.loc[seen, "probability"] = most
    answers.loc[seen, "emotion"] = np.where(sure, named(shares.argmax(axis=1)), UNSURE)
    return answers


def _answerer(card, files, batch_size: int) -> Callable[..., np.ndarray]:
    """Return what answers faces, uint8 (n, 48, 48), and their measures, with shares (n, 7)."""
    if files["model"].suffix == ".skops":
        from mien.designed import storage  # here: chapters that read none of this declare no folder

        model = storage.load(files["model"])
        if not card["columns"]:
            return lambda faces: spread(model.predict_proba(faces), named(model.classes_))

        def by_measures(_, measured: np.ndarray) -> np.ndarray:
            shares = spread(model.predict_proba(measured), model.classes_)
            unmeasured = np.isnan(measured).all(axis=1, keepdims=True)
            return np.where(unmeasured, 0, shares)  # no emotion more than another

        return by_measures
    from mien.network import architecture, inference, pretrained  # here: Keras takes seconds

    if "network" not in files:
        network, _ = pretrained.load_network(files["model"], dtype=architecture.fast_dtype())
        return inference.answerer(network, card["temperature"], batch_size=batch_size)
    path = files["network"]
    packed = path.suffix == ".npz"
    network = pretrained.load_network(path)[0] if packed else pretrained.load(path)
    with np.load(files["model"], allow_pickle=False) as known:
        labels, taught = known["labels"], known[card["model"]]
    learned = probing.procedure(card["model"], len(card["columns"]))

    def answer(faces: np.ndarray, *measured: np.ndarray) -> np.ndarray:
        if card["model"] == "NN-FER2013 + prior":
            rows = apply_temperature(inference.predict(network, faces), card["temperature"])
            rows = restrict(rows, card["emotions"])
        else:
            rows = np.hstack([inference.embed(network, faces), *measured])
        return learned(taught, labels, labels, rows)[0]  # as chapter B3 did out of fold

    return answer


def _read_largest(paths, answer, measured: pd.DataFrame, how) -> pd.DataFrame:
    """Read the largest face of every picture, of which the blendshapes are."""
    faces = [np.zeros((0, 48, 48), np.uint8)]

    def keep(seen: np.ndarray) -> np.ndarray:
        faces.append(seen)
        return np.zeros((len(seen), len(EMOTIONS)))

    answers = reading.read_faces(paths, keep, **how)
    area = answers["width"].mul(answers["height"]).fillna(0).astype(float)
    largest = answers.index.isin(area.groupby(answers["file"]).idxmax())
    faces = np.concatenate(faces)[largest[answers["problem"] == ""]]
    answers = answers[largest].reset_index(drop=True)
    seen = answers["problem"] == ""
    if seen.any():
        shapes = measured.loc[answers.loc[seen, "file"]].to_numpy(np.float32)
        answers.loc[seen, list(SHARES)] = answer(faces, shapes)
    return answers


def agreement_with_ferplus(
    crowd: Fer2013, answers: np.ndarray, labels: np.ndarray
) -> dict[str, Any] | None:
    """Return how far a model and FER2013's labels agree with FER+ on PrivateTest.

    ``answers`` and ``labels`` are the emotions of every PrivateTest face: the model's, and
    FER2013's own. Returns ``agreement`` (`with_voters`), ``errors`` (`errors_among_voters`),
    ``undisputed`` (``n`` faces whose label is the voters' majority, ``accuracy`` and
    ``accuracy_ci95`` of the model there). Empty where no face was voted on, None where FER+ does
    not lie beside FER2013, ``unfit`` and why where it cannot be asked.
    """
    try:
        votes = ferplus.votes(crowd)
    except DataError as error:
        return {"unfit": str(error)}
    if votes is None:
        return None
    votes = votes[crowd.usage == "PrivateTest"]
    voted = votes.sum(axis=1) > 1
    if not voted.any():
        return {}
    votes, answers, labels = votes[voted], codes(answers[voted]), codes(labels[voted])
    agreed = 2 * votes[np.arange(len(votes)), labels] > votes.sum(axis=1)
    right, n = int((answers == labels)[agreed].sum()), int(agreed.sum())
    return {
        "agreement": with_voters(votes, {"model": answers, "label": labels}, labels),
        "errors": errors_among_voters(votes, answers, labels),
        "undisputed": {
            "n": n,
            "accuracy": right / n if n else None,
            "accuracy_ci95": wilson_interval(right, n) if n else None,
        },
    }
