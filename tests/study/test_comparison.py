"""Chapter C's side-by-side, on answers small enough to count by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mien.emotions import EMOTIONS
from mien.study import comparison


def answered(*names: str, unknown: int = 1) -> pd.DataFrame:
    """Return predictions of labelled faces of these names, and of some unknown ones."""
    rows = [(name, "labelled", "happy", "happy") for name in names]
    rows += [(f"u{number}", "unknown", "sad", "happy") for number in range(unknown)]
    frame = pd.DataFrame(rows, columns=["file_name", "set", "truth", "predicted"])
    return frame.assign(clip=frame["file_name"])


@pytest.fixture
def chapter(tmp_path):
    """A study without FER2013, whose Action Units lack one of three labelled faces."""
    frames = {"A2": answered("a", "b"), "B2": answered("a", "b", "c"), "B3": answered(*"abc")}
    repeats = {
        part: pd.DataFrame({"file_name": names, "repeat": 0, "fold": 1, "predicted": "happy"})
        for part, names in (("A2", list("ab")), ("B3", list("abc")))
    }
    seconds = {
        "A2": {"fit": 0.5, "predict": 0.002},
        "B2": {"predict": 0.008},
        "B3": {"fit": 24.0, "predict": 0.01},
    }
    (tmp_path / "model").write_bytes(b"12345")
    return SimpleNamespace(
        missing={"A1": "the study names no FER2013", "B1": "the study names no FER2013"},
        predictions=frames.get,
        table=lambda part, name: repeats[part],
        metrics=lambda part: {"seconds": seconds[part]},
        model_path=lambda file: tmp_path / "model",
        seconds=seconds,
    )


def test_models_are_compared_on_the_faces_that_all_could_read(chapter):
    answers = comparison.labelled_answers(chapter)
    assert answers.file_name.tolist() == ["a", "b"]
    assert {model: given.shape for model, given in answers.given.items()} == {
        "SVM-OpenFace": (1, 2),
        "NN-FER2013": (1, 2),
        "NN-FineTuned": (1, 2),
    }
    assert list(answers.folds) == ["SVM-OpenFace", "NN-FineTuned"]


def test_what_is_missing_is_named_with_its_reason(chapter):
    found = comparison.compared(chapter)
    assert found["models"] == ["SVM-OpenFace", "NN-FER2013", "NN-FineTuned"]
    assert found["missing"] == {"SVM-FER2013": "the study names no FER2013"}
    assert found["came_trained"] == ["NN-FER2013"]


def test_labels_count_every_face_from_which_a_model_learned(chapter):
    prices = comparison.costs(chapter)
    assert {model: price["labels"] for model, price in prices.items()} == {
        "SVM-OpenFace": 2,
        "NN-FER2013": 0,
        "NN-FineTuned": 3,
    }


def test_a_network_that_came_trained_cost_no_training_here(chapter):
    prices = comparison.costs(chapter)
    assert not prices["NN-FER2013"]["trained_here"] and prices["NN-FER2013"]["seconds"] is None
    assert prices["NN-FER2013"]["bytes"] > 1e6  # mien's own file, not the study's
    assert prices["NN-FineTuned"]["trained_here"] and prices["NN-FineTuned"]["seconds"] == 24.0
    assert prices["NN-FER2013"]["milliseconds"] == pytest.approx(2.0)  # four faces
    assert prices["NN-FineTuned"]["milliseconds"] == pytest.approx(10.0)  # the unknown one


def test_fine_tuning_costs_also_the_training_that_it_starts_from(chapter):
    del chapter.missing["B1"]
    chapter.seconds["B1"] = {"fit": 100.0}
    prices = comparison.costs(chapter)
    assert prices["NN-FER2013"]["seconds"] == 100.0
    assert prices["NN-FineTuned"]["seconds"] == 124.0


def test_a_cost_that_no_chapter_declares_is_unknown_and_not_nothing(chapter):
    chapter.seconds["A2"] = {"fit on all": 0.5}
    del chapter.missing["B1"]
    chapter.seconds["B1"] = {}
    prices = comparison.costs(chapter)
    assert prices["SVM-OpenFace"]["seconds"] is None
    assert prices["SVM-OpenFace"]["milliseconds"] is None
    assert prices["NN-FineTuned"]["seconds"] is None
    assert prices["NN-FineTuned"]["trained_here"]


def test_models_dispute_a_face_where_one_answers_otherwise():
    answers = comparison.Answers(
        file_name=np.array(["a", "b", "c"]),
        clip=np.array(["a", "b", "c"]),
        truth=np.array(["sad", "sad", "happy"]),
        given={"A": np.array([["sad"] * 3]), "B": np.array([["sad", "happy", "sad"], ["sad"] * 3])},
        folds={},
    )
    assert answers.disputed == ["b"]
    assert answers.chance == pytest.approx(2 / 3)


def test_the_gallery_shows_the_faces_that_every_model_could_read(chapter):
    shares = {f"p_{emotion}": 1.0 if emotion == "happy" else 0.0 for emotion in EMOTIONS}
    chapter = SimpleNamespace(**vars(chapter))
    found = {part: chapter.predictions(part).assign(**shares) for part in ("A2", "B2", "B3")}
    chapter.predictions = found.get
    person = SimpleNamespace(
        faces=pd.DataFrame({"file_name": ["a", "b", "c", "u0"]}),
        crops=[None] * 4,
        ratings=pd.DataFrame({"file_name": ["u0"], "rater": ["Ann"], "label": ["sad"]}),
    )
    items = comparison.gallery_items(chapter, person, ["a", "c", "u0"])
    assert [(item.file_name, item.truth) for item in items] == [("a", "happy"), ("u0", "sad")]
    assert items[1].raters == {"Ann": "sad"}
    assert items[1].answers["NN-FER2013"].probabilities == {"happy": 1.0}
