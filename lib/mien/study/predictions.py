"""What a chapter's model answered, as tables and scores: on the person, and against FER+."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mien.data import ferplus
from mien.data.images import open_image
from mien.emotions import EMOTIONS, SHARES, codes, named, probability_of, restrict, spread
from mien.errors import DataError
from mien.evaluation import probing
from mien.evaluation.calibration import apply_temperature
from mien.evaluation.intervals import wilson_interval
from mien.evaluation.rater_agreement import errors_among_voters, with_voters
from mien.photos import blendshapes, reading
from mien.prediction_output import NO_FACE, UNSURE, face_table
from mien.study import results

if TYPE_CHECKING:
    from mien.data.fer2013 import Fer2013
    from mien.data.person import Labelled, Person
    from mien.study.chapter import Chapter


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
    faces = person.faces.loc[rows, ["file_name", "clip", "label"]].reset_index(drop=True)
    faces = faces.rename(columns={"label": "truth"})
    trainings, repeats = probabilities.shape[:2]
    folds = np.broadcast_to(folds, (repeats, len(faces)))
    answers = named(probabilities.argmax(axis=-1))
    of_truth = probability_of(faces["truth"], probabilities)
    return pd.concat(
        [
            faces.assign(
                training=training,
                repeat=repeat,
                fold=folds[repeat],
                predicted=answers[training, repeat],
                probability=probabilities[training, repeat].max(axis=-1),
                p_truth=of_truth[training, repeat],
            )
            for training in range(trainings)
            for repeat in range(repeats)
        ],
        ignore_index=True,
    )


def rivals_table(
    person: Person, rows: np.ndarray, rivals: Mapping[str, np.ndarray], *, folds: np.ndarray
) -> pd.DataFrame:
    """Return the answers of rivals (`mien.models.RIVALS`) as `repeats_table`, with ``model``.

    They are (repeats, k, 7), of networks (trainings, repeats, k, 7), of the first of ``folds``.
    """
    if not rivals:
        return pd.DataFrame(columns=["file_name", "model"])
    tables = [
        repeats_table(
            person, rows, given.reshape(-1, *given.shape[-3:]), folds=folds[: given.shape[-3]]
        ).assign(model=name)
        for name, given in rivals.items()
    ]
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

    Faces are joined by name and checked; the answers by model are str (trainings, repeats, n).
    """
    faces = checked_faces(tables)
    for table in tables.values():
        faces = faces[faces["file_name"].isin(table["file_name"])]
    names = faces["file_name"]
    answers = {n: by_repeat(t, "predicted", names).astype(str) for n, t in tables.items()}
    return faces, answers


def by_repeat(repeats: pd.DataFrame, column: str, names: Sequence[str]) -> np.ndarray:
    """Return a column of `repeats_table` as (trainings, repeats, faces), the faces as named."""
    wide = repeats.pivot(index=["training", "repeat"], columns="file_name", values=column)
    return wide[list(names)].to_numpy().reshape(repeats["training"].nunique(), -1, len(names))


def checked_faces(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the faces that tables of answers are about, once they say the same of each.

    The tables, by model, have ``file_name, clip, truth``, and perhaps ``training`` and ``repeat``.
    `DataError` if two of them, or two rows, differ about the clip or the truth of a face, or a
    table has other faces in one repeat than in another, or one of them twice.
    """
    found = pd.concat(
        [table[["file_name", "clip", "truth"]].assign(model=name) for name, table in tables.items()]
    )
    faces = found.drop_duplicates(["file_name", "clip", "truth"])
    twice = faces[faces["file_name"].duplicated(keep=False)]
    if len(twice):
        told = [f"{row.model}: {row.truth!r} in clip {row.clip}" for row in twice[:2].itertuples()]
        raise DataError(
            f"the chapters differ about {twice['file_name'].iloc[0]}: {'; '.join(told)}; "
            "run the whole study again (mien run STUDY.yaml)"
        )
    for name, table in tables.items():
        rounds = [each for each in ("training", "repeat") if each in table.columns]
        runs = [part["file_name"] for _, part in table.groupby(rounds)] if rounds else []
        for run in runs or [table["file_name"]]:
            if run.duplicated().any() or set(run) != set(table["file_name"]):
                raise DataError(f"{name} has not answered the same faces once in every repeat")
    return faces.drop(columns="model").reset_index(drop=True)


def side_by_side(
    predictions: Mapping[str, pd.DataFrame], which: str, *, how: str = "inner"
) -> pd.DataFrame:
    """Return what several models answered to the faces of a set, ``labelled`` or ``unknown``.

    ``predictions`` are those of predictions.csv by model; ``how`` is ``inner`` for the faces that
    all of them answered, ``outer`` for any. Returns ``file_name, clip, truth`` and a column of
    answers for every model.
    """
    chosen = {model: frame[frame["set"] == which] for model, frame in predictions.items()}
    checked_faces(chosen)
    columns = {
        model: frame.set_index(["file_name", "clip", "truth"])["predicted"]
        for model, frame in chosen.items()
    }
    return pd.concat(columns, axis="columns", join=how).reset_index()


@dataclass(frozen=True)
class PersonAnswers:
    """The answers of a crowd's model to one person, rescaled to the emotions that it shows.

    The unrestricted scores are with all seven allowed.
    """

    predictions: pd.DataFrame  # in the columns of predictions.csv, of a network its first training
    repeats: pd.DataFrame  # of all trainings, to the labelled faces (`repeats_table`)
    scores: list[dict[str, Any]]
    unrestricted_scores: list[dict[str, Any]]


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
    frame = pd.DataFrame({"image": np.arange(len(truth)), "truth": truth})
    tables = [
        pd.concat(
            [
                frame.assign(training=training, predicted=named(given.argmax(axis=1))),
                pd.DataFrame(given, columns=list(SHARES)),
            ],
            axis="columns",
        )
        for training, given in enumerate(probabilities)
    ]
    return pd.concat(tables, ignore_index=True)


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
    from mien.designed import storage  # here: chapters that read none of this declare no folder

    card, files = results.load_winner(study)
    if any(name.startswith("AU") for name in card["columns"]):
        raise DataError(
            f"{card['model']}, the model of this study, reads Action Units, which mien cannot "
            "measure in a photo; let OpenFace measure it, as an unknown face of the person's "
            "folder, and run the study again"
        )
    model = storage.load(files["model"]) if files["model"].suffix == ".skops" else None
    how = {"find_faces": find_faces or card["find_faces"], "batch_size": batch_size}
    if "network" in files:
        answers = _by_labelled_faces(card, files, paths, **how, on_picture=on_picture)
    elif card["columns"]:
        answers = _by_blendshapes(card, model, paths, on_picture)
    else:
        answer = _by_pixels(card, model, files["model"], batch_size)
        answers = reading.read_faces(paths, answer, **how, on_picture=on_picture)
    seen = answers["problem"] == ""
    shares = restrict(answers.loc[seen, list(SHARES)].to_numpy(float), card["emotions"])
    most = shares.max(axis=1)
    sure = most >= (np.inf if card["threshold"] is None else card["threshold"])
    answers.loc[seen, list(SHARES)] = shares
    answers.loc[seen, "probability"] = most
    answers.loc[seen, "emotion"] = np.where(sure, named(shares.argmax(axis=1)), UNSURE)
    return answers


def _by_pixels(card, model, file: Path, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    if model:
        return lambda faces: spread(model.predict_proba(faces), named(model.classes_))
    from mien.network import inference  # here: importing Keras takes seconds

    network, _ = inference.load_network(file)
    return inference.answerer(network, card["temperature"], batch_size=batch_size)


def _by_labelled_faces(card, files, paths, **how) -> pd.DataFrame:
    """Answer as chapter B3 did out of fold, by what all labelled faces teach."""
    from mien.network import inference, pretrained  # here: importing Keras takes seconds

    path, faces = files["network"], [np.zeros((0, 48, 48), np.uint8)]
    packed = path.suffix == ".npz"
    network = pretrained.import_weights(path)[0] if packed else pretrained.load(path)

    def keep(seen: np.ndarray) -> np.ndarray:
        faces.append(seen)
        return np.zeros((len(seen), len(EMOTIONS)))

    answers = reading.read_faces(paths, keep, **how)
    seen, faces = answers["problem"] == "", np.concatenate(faces)
    if card["columns"]:  # are measured on the largest face
        area = answers["width"].mul(answers["height"]).fillna(0).astype(float)
        largest = answers.index.isin(area.groupby(answers["file"]).idxmax())
        faces, answers = faces[largest[seen]], answers[largest].reset_index(drop=True)
        seen = answers["problem"] == ""
    if not seen.any():
        return answers
    if card["model"] == "NN-FER2013 + prior":
        rows = apply_temperature(inference.predict(network, faces), card["temperature"])
        rows = restrict(rows, card["emotions"])
    else:
        rows = inference.embed(network, faces)
    if card["columns"]:
        pictures = answers.loc[seen, "file"]
        measured = blendshapes.measure({path: Path(path) for path in pictures.unique()})
        shapes = measured.set_index("file_name").loc[pictures, list(card["columns"])]
        rows = np.hstack([rows, shapes.to_numpy(np.float32)])
    with np.load(files["model"], allow_pickle=False) as known:
        labels, taught = known["labels"], known[card["model"]]
    answer = probing.procedure(card["model"], len(card["columns"]))
    answers.loc[seen, list(SHARES)] = answer(taught, labels, labels, rows)[0]
    return answers


def _by_blendshapes(card, model, paths, on_picture) -> pd.DataFrame:
    measured = blendshapes.measure({str(path): path for path in paths}, on_picture=on_picture)
    found = (measured["success"] == 1).to_numpy()
    problems = ["" if seen else _problem(path) for seen, path in zip(found, paths, strict=True)]
    place = measured[["file_name", "success", "left", "top", "width", "height"]]
    shares = np.zeros((0, len(EMOTIONS)))
    if found.any():
        values = measured.loc[found, card["columns"]].to_numpy(np.float32)
        shares = spread(model.predict_proba(values), model.classes_)
    return face_table(list(place.assign(problem=problems).itertuples(index=False)), shares)


def _problem(path: Path) -> str:
    try:
        open_image(path)
    except DataError as error:
        return str(error).removeprefix(f"{path} ")
    return NO_FACE


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
