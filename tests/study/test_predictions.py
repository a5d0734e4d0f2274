"""What a model answered about the person: predictions.csv, every repeat, restricted or not."""

import numpy as np
import pandas as pd
import pytest
from fer2013_csv import four_faces

from mien.data import ferplus
from mien.data.images import open_image, to_grey48
from mien.data.measured import BLENDSHAPES
from mien.designed import storage
from mien.designed.image_svm import Calibrated, pixel_svm
from mien.designed.measured_svm import MeasuredSvm
from mien.emotions import EMOTIONS, SHARES, codes, restrict
from mien.errors import DataError
from mien.evaluation import probing
from mien.evaluation.calibration import apply_temperature
from mien.network import SHIPPED
from mien.photos import face_cache
from mien.prediction_output import UNSURE
from mien.study import results
from mien.study.predictions import (
    agreement_with_ferplus,
    answers_on_person,
    by_repeat,
    person_predictions,
    private_table,
    read_photos,
    repeats_table,
    rivals_table,
    side_by_side,
)
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face


def test_predictions_carry_truth_of_labels_and_of_raters(chapter):
    person = chapter.load_person()
    which = person.faces["has_image"].to_numpy()
    shares = np.zeros((which.sum(), 7))
    shares[:, EMOTIONS.index("happy")] = 1
    frame = person_predictions(person, which, shares)
    assert set(frame["predicted"]) == {"happy"}
    unknown = frame["set"] == "unknown"
    shown = person.faces.loc[which].reset_index(drop=True)
    rated = person.majority()[which].reset_index(drop=True)
    assert (frame["truth"][~unknown] == shown["label"][~unknown]).all()
    assert (frame["truth"][unknown] == rated[unknown]).all()
    assert frame["fold"].isna().all()
    scores = chapter.score_person(frame, labels=person.emotions)
    assert [score["set"] for score in scores] == ["target-labelled", "target-unknown"]
    assert scores[1]["n"] == (frame["truth"][unknown] != "").sum()


def test_every_answer_of_every_repeat_is_kept(chapter):
    person = chapter.load_person()
    which = person.labelled("has_units").rows
    folds = chapter.person_folds(person, repeats=2)[:, which]
    shares = np.zeros((2, 2, len(which), 7))
    shares[:, 0, :, EMOTIONS.index("happy")] = 0.75
    shares[:, 1, :, EMOTIONS.index("sad")] = 0.75
    shares[1, 1] = shares[1, 0]
    frame = repeats_table(person, which, shares, folds=folds)
    assert len(frame) == 4 * len(which)
    answered = frame.groupby(["training", "repeat"])["predicted"].unique().map(list)
    assert answered.to_dict() == {
        (0, 0): ["happy"], (0, 1): ["sad"], (1, 0): ["happy"], (1, 1): ["happy"],
    }  # fmt: skip
    expected = np.where(frame["truth"] == frame["predicted"], 0.75, 0)
    assert frame["p_truth"].to_numpy() == pytest.approx(expected)
    assert (frame["fold"].to_numpy().reshape(4, -1) == folds[[0, 1, 0, 1]]).all()


def test_answers_are_restricted_to_the_emotions_that_the_person_shows(chapter):
    person = chapter.load_person()
    assert "fear" not in person.emotions
    rows = np.flatnonzero(person.faces["has_image"])
    shares = np.full((len(rows), 7), 0.05)
    shares[:, EMOTIONS.index("fear")] = 0.4
    shares[:, EMOTIONS.index("happy")] = 0.35
    found = answers_on_person(chapter, person, shares, rows=rows)
    assert set(found.predictions["predicted"]) == {"happy"}
    assert (found.predictions["p_fear"] == 0).all()
    assert "trainings" not in found.scores[0]
    happy = (person.labelled("has_image").truth == "happy").mean()
    labelled, _ = found.scores
    assert (labelled["set"], labelled["accuracy"]) == ("target-labelled", pytest.approx(happy))
    unmasked, _ = found.unrestricted_scores
    assert (unmasked["set"], unmasked["accuracy"]) == ("target-labelled-unmasked", 0)


def test_two_networks_are_averaged_kept_apart_and_the_first_is_shown(chapter):
    person = chapter.load_person()
    rows = np.flatnonzero(person.faces["has_image"])
    shares = np.full((2, len(rows), 7), 0.05)
    shares[0, :, EMOTIONS.index("happy")] = shares[1, :, EMOTIONS.index("sad")] = 0.7
    found = answers_on_person(chapter, person, shares, rows=rows)
    assert set(found.predictions["predicted"]) == {"happy"}
    answered = found.repeats.groupby("training")["predicted"].unique().map(list).tolist()
    assert answered == [["happy"], ["sad"]]
    truth = person.labelled("has_image").truth
    alone = [(truth == name).mean() for name in ("happy", "sad")]
    score = found.scores[0]
    assert score["accuracy_by_training"] == pytest.approx(alone)
    assert score["accuracy"] == pytest.approx(np.mean(alone))
    # 0.7 of all shares, rescaled to those that the person shows
    allowed = 0.7 + 0.05 * (len(person.emotions) - 1)
    of_truth = np.log(allowed / np.where(truth == "happy", 0.7, 0.05)).mean()
    of_truth += np.log(allowed / np.where(truth == "sad", 0.7, 0.05)).mean()
    assert score["log_loss"] == pytest.approx(of_truth / 2)


def test_private_answers_of_two_models_can_be_paired():
    shares = np.full((2, 3, 7), 0.1)
    shares[0, :, EMOTIONS.index("sad")] = shares[1, :, EMOTIONS.index("fear")] = 0.4
    frame = private_table(np.array(["happy", "sad", "angry"]), shares)
    assert frame.columns.tolist() == ["image", "truth", "training", "predicted", *SHARES]
    assert frame["image"].tolist() == [0, 1, 2] * 2
    assert frame["truth"].tolist() == ["happy", "sad", "angry"] * 2
    assert frame.groupby("training")["predicted"].first().tolist() == ["sad", "fear"]


def test_rivals_are_kept_under_their_names(chapter):
    person = chapter.load_person()
    labelled = person.labelled("has_image")
    folds = chapter.person_folds(person, repeats=2)[:, labelled.rows]
    shares = np.full((2, len(folds[0]), 7), 1 / 7)
    rivals = {"HOG + LR": shares, "NN-FER2013 + LR": np.stack([shares] * 3)}
    frame = rivals_table(person, labelled.rows, rivals, folds=folds)
    counts = frame.groupby("model")["training"].nunique()
    assert counts.to_dict() == {"HOG + LR": 1, "NN-FER2013 + LR": 3}
    names = person.faces["file_name"][labelled.rows]
    wide = by_repeat(frame[frame["model"] == "NN-FER2013 + LR"], "fold", names)
    assert wide.shape == (3, 2, len(names)) and (wide[2] == folds).all()
    scores = chapter.score_rivals(person, labelled, rivals, folds)
    assert scores["NN-FER2013 + LR"]["trainings"] == 3 and "trainings" not in scores["HOG + LR"]


def test_folds_are_scored_on_the_faces_they_were_dealt_for(chapter):
    person = chapter.load_person()
    labelled = person.labelled("has_units")
    folds = chapter.person_folds(person, repeats=2)[:, labelled.rows]
    wrong = np.where(labelled.truth == "happy", "sad", "happy")
    shares = np.eye(7)[np.stack([codes(labelled.truth), codes(wrong)])]
    score = chapter.score_folds(person, labelled, shares, folds)
    assert (score["set"], score["n"], score["repeats"]) == ("target-labelled", len(wrong), 2)
    assert score["accuracy"] == pytest.approx(0.5)
    assert score["log_loss"] == pytest.approx(np.log(1e7) / 2)


def test_models_stand_side_by_side_on_the_faces_that_they_answered():
    def predictions(*rows):
        columns = ["file_name", "set", "clip", "truth", "predicted"]
        return pd.DataFrame(rows, columns=columns)

    given = {
        "one": predictions(
            ("a.png", "unknown", "1", "sad", "happy"),
            ("b.png", "unknown", "2", "", "sad"),
            ("c.png", "labelled", "3", "sad", "sad"),
        ),
        "other": predictions(("b.png", "unknown", "2", "", "fear")),
    }
    assert side_by_side(given, "unknown").to_dict("records") == [
        {"file_name": "b.png", "clip": "2", "truth": "", "one": "sad", "other": "fear"}
    ]
    assert side_by_side(given, "unknown", how="outer")["other"].isna().tolist() == [True, False]


def test_agreement_with_ferplus_is_asked_on_the_faces_that_were_voted_on(tmp_path):
    crowd = four_faces(tmp_path)
    answers, labels = np.array(["happy", "sad", "sad"]), np.array(["happy", "neutral", "angry"])
    assert agreement_with_ferplus(crowd, answers, labels) is None
    votes = pd.DataFrame(0, index=range(4), columns=[*ferplus.COLUMNS, *ferplus.OTHERS])
    votes.insert(0, "Usage", crowd.usage)
    votes.to_csv(tmp_path / ferplus.FILE, index=False)
    assert agreement_with_ferplus(crowd, answers, labels) == {}
    votes.loc[1, "happiness"], votes.loc[2, "neutral"], votes.loc[2, "sadness"] = 6, 6, 4
    votes.to_csv(tmp_path / ferplus.FILE, index=False)
    found = agreement_with_ferplus(crowd, answers, labels)
    table = found["agreement"].set_index(["emotion", "who"])
    assert table.loc[("all", "model"), ["n", "majority", "voter"]].tolist() == [2, 0.5, 0.7]
    assert table.loc[("all", "label"), "majority"] == 1
    assert found["undisputed"]["n"] == 2 and found["undisputed"]["accuracy"] == 0.5
    assert found["errors"].loc[0, ["n", "fewer"]].tolist() == [1, 1]


def test_the_persons_intervals_are_over_clips(chapter):
    person = chapter.load_person()
    labelled = person.labelled("has_units")
    folds = chapter.person_folds(person, repeats=1)[:, labelled.rows]
    shares = np.eye(7)[codes(labelled.truth)]
    score = chapter.score_folds(person, labelled, shares[None], folds)
    assert score["accuracy_ci95_method"] == "t over clips"
    frame = person_predictions(person, labelled.rows, shares)
    (score,) = chapter.score_person(frame, labels=person.emotions)
    assert score["accuracy_ci95_method"] == "t over clips"


CARD = {"model": "any", "emotions": ["happy", "sad"], "columns": [], "temperature": 1.0,
        "find_faces": False, "threshold": 0.0}  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    """Smiles and frowns, drawn, a smile first; and no picture."""
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        units = {"AU15": 4.0, "AU04": 3.0} if number % 2 else {"AU06": 4.0, "AU12": 5.0}
        draw_face(units, Identity(), size=96 + 2 * number).save(path)
    (tmp_path / "broken.png").write_text("no picture")
    return [*paths, tmp_path / "broken.png"]


def keep(folder, model, **more):
    """Let a model, or the file of one, be that of the person."""
    path = folder / "kept.skops" if hasattr(model, "fit") else model
    if path is not model:
        storage.save(model, path)
    results.save_winner(folder, {"model": path}, CARD | more, "")


def test_the_network_of_a_person_answers_its_emotions_and_is_unsure_of_the_rest(tmp_path, photos):
    from mien.network import architecture, inference, pretrained

    keep(tmp_path, SHIPPED, temperature=2.0)
    network, _ = pretrained.load_network(dtype=architecture.fast_dtype())
    faces = np.stack([to_grey48(open_image(path)) for path in photos[:-1]])
    expected = apply_temperature(inference.predict(network, faces), 2.0)
    expected = restrict(expected, CARD["emotions"])
    found = read_photos(tmp_path, photos)
    np.testing.assert_allclose(found.loc[:5, list(SHARES)].astype(float), expected, atol=1e-3)
    assert set(found["emotion"][:6]) <= {"happy", "sad"}
    assert found["emotion"][6] == "" and found["problem"][6]
    surest = found["probability"].max()
    keep(tmp_path, SHIPPED, temperature=2.0, threshold=surest)
    again = read_photos(tmp_path, photos)
    sure = found["probability"] == surest
    assert (again["emotion"][:6] == UNSURE).tolist() == (~sure[:6]).tolist() and sure.any()
    keep(tmp_path, SHIPPED, threshold=None)
    assert set(read_photos(tmp_path, photos)["emotion"]) == {UNSURE, ""}


def test_what_labelled_faces_teach_answers_photos(tmp_path, photos, landmarker, cache_folder):
    from mien.network import inference, pretrained

    network, _ = pretrained.load_network()
    names, labels = list(BLENDSHAPES), np.array(["happy", "sad"] * 3)
    measured = face_cache.measure({path.name: path for path in photos[:-1]})[names].to_numpy()
    faces = np.stack([to_grey48(open_image(path)) for path in photos[:-1]])
    read = inference.embed(network, faces)
    said = apply_temperature(inference.predict(network, faces), 2.0)
    together = np.hstack([read, measured])
    for name, taught, columns in (
        ("NN-FER2013 + prior", restrict(said, CARD["emotions"]), []),
        ("NN-FER2013 + prototypes", read, []),
        ("measured and NN, fused", together, names),
    ):
        rows = tmp_path / "rows.npz"
        results.save_rows(rows, labels, {name: taught, "another": read * 0})
        card = CARD | {"model": name, "columns": columns, "temperature": 2.0}
        results.save_winner(
            tmp_path, {"model": tmp_path / "rows.npz", "network": SHIPPED}, card, ""
        )
        found = read_photos(tmp_path, photos)
        answer = probing.procedure(name, len(columns))
        expected = restrict(answer(taught, labels, labels, taught)[0], CARD["emotions"])
        shares = found.loc[:5, list(SHARES)].astype(float)
        np.testing.assert_allclose(shares, expected, atol=1e-3)
        assert found["problem"][6]


def test_the_svm_of_pixels_of_a_person_answers_photos(tmp_path, photos):
    faces = np.stack([to_grey48(open_image(path)) for path in photos[:-1]])
    labels = codes(["happy", "sad"] * 3)
    keep(tmp_path, Calibrated(pixel_svm().fit(faces, labels)).fit(faces, labels))
    assert read_photos(tmp_path, photos)["emotion"].tolist() == ["happy", "sad"] * 3 + [""]


def test_the_svm_of_blendshapes_of_a_person_measures_photos(
    tmp_path, photos, landmarker, cache_folder
):
    measured = face_cache.measure({path.name: path for path in photos[:-1]})
    names = list(BLENDSHAPES)
    rows = measured[names].to_numpy(np.float32)
    model = MeasuredSvm(names).fit(rows, np.array(["happy", "sad"] * 3))
    keep(tmp_path, model, columns=names)
    found = read_photos(tmp_path, photos)
    assert found["emotion"].tolist() == ["happy", "sad"] * 3 + [""]
    assert (found["width"][:6] > 40).all() and "damaged" in found["problem"][6]
    keep(tmp_path, model, columns=["AU12_r", *names])
    with pytest.raises(DataError, match="reads Action Units, which mien cannot measure"):
        read_photos(tmp_path, photos)
