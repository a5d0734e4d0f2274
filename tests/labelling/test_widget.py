"""The widget without a browser: every message ends on disk, a second start goes on."""

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError, ParameterError
from mien.labelling.ratings import Ratings, look
from mien.labelling.widget import Labeller


@pytest.fixture
def folder(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
    for label, count in {"happy": 2, "sad": 2, "unknown": 12}.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(count):
            path = tmp_path / "images" / label / f"{label}{number // 2}_{number}.png"
            Image.fromarray(np.roll(grey, number + 5 * len(label), axis=0)).save(path)
    return tmp_path


def answer(labeller, label):
    labeller.receive({"do": "answer", "label": label, "seconds": 1.0})


def test_twelve_faces_one_undone_and_a_second_start(folder):
    first = Labeller(folder, "Ann")
    assert first.face["number"] == 1 and first.face["total"] == 12 and not first.finished
    for _ in range(5):
        answer(first, "sad")
    first.receive({"do": "undo"})
    assert first.face["number"] == 5 and len(Ratings(folder).of("Ann")) == 4
    second = Labeller(folder, "Ann")
    assert second.face["number"] == 5 and second.face["picture"] == first.face["picture"]
    for _ in range(8):
        answer(second, "happy")
    assert second.finished and second.face["done"]
    said = Ratings(folder).of("Ann")
    assert sorted(label for (label,) in said.values()) == ["happy"] * 8 + ["sad"] * 4


def test_looking_back_and_answering_replaces(folder):
    labeller = Labeller(folder, "Ann")
    answer(labeller, "sad")
    answer(labeller, "sad")
    labeller.receive({"do": "step", "by": -1})
    labeller.receive({"do": "step", "by": -1})
    assert labeller.face["number"] == 1 and labeller.face["given"] == "sad"
    answer(labeller, "fear")
    assert [given for (given,) in Ratings(folder).of("Ann").values()] == ["fear", "sad"]
    labeller.receive({"do": "step", "by": 1})
    labeller.receive({"do": "step", "by": 1})
    assert labeller.face["number"] == 3  # never past the first face without an answer


def test_what_is_no_answer_changes_nothing(folder):
    labeller = Labeller(folder, "Ann")
    for message in ({}, {"do": "answer", "label": "furious"}, {"do": "undo"}, {"do": "delete"}):
        labeller.receive(message)
    assert not (folder / "ratings.csv").exists() and labeller.face["number"] == 1


def test_every_tenth_face_comes_again(folder):
    labeller = Labeller(folder, "Ann", again=True)
    assert labeller.face["total"] == 14
    for _ in range(13):
        answer(labeller, "sad")
    answer(labeller, "fear")
    assert labeller.finished
    assert labeller.standing() == {"faces": 12, "left": 0, "twice": 2, "alike": 1}


def test_nothing_is_told_before_the_rater_has_finished(folder):
    for rater in ("A", "B"):
        labeller = Labeller(folder, rater)
        for number in range(11):
            answer(labeller, "sad" if number % 2 else "happy")
    before = look(labeller.person, labeller.told)
    assert before["pairs"].empty and before["differ"].empty
    answer(labeller, "sad")
    assert len(look(labeller.person, labeller.told)["pairs"]) == 1


def test_a_disk_that_takes_nothing_is_told_in_the_notebook(folder, monkeypatch):
    labeller = Labeller(folder, "Ann")

    def refuse(*_, **__):
        raise DataError("the disk is full; nothing was changed")

    monkeypatch.setattr(Ratings, "add", refuse)
    answer(labeller, "sad")
    assert labeller.problem == "the disk is full; nothing was changed"
    assert labeller.face["number"] == 1


def test_what_cannot_be_rated_is_refused(folder, tmp_path):
    with pytest.raises(ParameterError, match="unknown, labelled or all"):
        Labeller(folder, "Ann", what="some")
    for path in (folder / "images" / "unknown").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no unknown face"):
        Labeller(folder, "Ann")
