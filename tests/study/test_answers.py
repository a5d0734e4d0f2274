"""What a model answered about the person: predictions.csv, every repeat, restricted or not."""

import numpy as np
import pandas as pd
import pytest

from mien.data import ferplus
from mien.data.fer2013 import Fer2013
from mien.emotions import EMOTIONS
from mien.study.answers import (
    agreement_with_ferplus,
    answers_on_person,
    person_predictions,
    repeats_table,
    side_by_side,
)
from mien.study.chapter import Chapter
from mien.synthetic.dataset import write_demo


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=100, labelled=50)
    return folder


@pytest.fixture
def chapter(drawn, tmp_path):
    return Chapter("A2", target=str(drawn / "person"), out=str(tmp_path / "out"))


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
    answers = np.array([["happy"] * len(which), ["sad"] * len(which)])
    frame = repeats_table(person, which, folds=folds, answers=answers)
    assert len(frame) == 2 * len(which)
    assert frame.groupby("repeat")["predicted"].unique().map(list).to_dict() == {
        0: ["happy"],
        1: ["sad"],
    }


def test_answers_are_restricted_to_the_emotions_that_the_person_shows(chapter):
    person = chapter.load_person()
    assert "fear" not in person.emotions
    faces = person.faces["has_image"].to_numpy()
    shares = np.full((faces.sum(), 7), 0.05)
    shares[:, EMOTIONS.index("fear")] = 0.4
    shares[:, EMOTIONS.index("happy")] = 0.35
    found = answers_on_person(chapter, person, shares, which=faces)
    assert set(found.predictions["predicted"]) == {"happy"}
    assert set(found.unrestricted["predicted"]) == {"fear"}
    assert (found.predictions["p_fear"] == 0).all()
    happy = (person.labelled("has_image").truth == "happy").mean()
    labelled, _ = found.scores
    assert (labelled["set"], labelled["accuracy"]) == ("target-labelled", pytest.approx(happy))
    unmasked, _ = found.unrestricted_scores
    assert (unmasked["set"], unmasked["accuracy"]) == ("target-labelled-unmasked", 0)


def test_folds_are_scored_on_the_faces_they_were_dealt_for(chapter):
    person = chapter.load_person()
    labelled = person.labelled("has_units")
    folds = chapter.person_folds(person, repeats=2)[:, labelled.rows]
    wrong = np.where(labelled.truth == "happy", "sad", "happy")
    score = chapter.score_folds(person, labelled, np.stack([labelled.truth, wrong]), folds)
    assert (score["set"], score["n"], score["repeats"]) == ("target-labelled", len(wrong), 2)
    assert score["accuracy"] == pytest.approx(0.5)


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


def test_agreement_with_ferplus_is_scored_on_the_faces_that_have_a_majority(tmp_path):
    crowd = Fer2013(
        images=np.zeros((4, 48, 48), np.uint8),
        labels=np.array([3, 3, 6, 0], np.int8),
        usage=np.array(["Training", "PrivateTest", "PrivateTest", "PrivateTest"]),
        skipped=pd.DataFrame(),
        fingerprint="",
        source=str(tmp_path / "fer2013.csv"),
    )
    answers = np.array(["happy", "sad", "sad"])
    assert agreement_with_ferplus(crowd, answers) is None
    votes = pd.DataFrame(0, index=range(4), columns=[*ferplus.COLUMNS, *ferplus.OTHERS])
    votes.insert(0, "Usage", crowd.usage)
    votes.to_csv(tmp_path / ferplus.FILE, index=False)
    assert agreement_with_ferplus(crowd, answers) == {}
    votes.loc[1, "happiness"], votes.loc[2, "neutral"] = 6, 6
    votes.to_csv(tmp_path / ferplus.FILE, index=False)
    found = agreement_with_ferplus(crowd, answers)
    assert (found["network"]["n"], found["network"]["accuracy"]) == (2, 0.5)
    assert found["labels"]["accuracy"] == 1
