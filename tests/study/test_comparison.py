"""Chapter C's side-by-side, on answers small enough to count by hand."""

from types import SimpleNamespace

import pandas as pd
import pytest

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
        "A2": {"fit on all": 0.5, "predict": 0.002},
        "B2": {"predict": 0.008},
        "B3": {"fit on all": 24.0, "predict": 0.01},
    }
    (tmp_path / "model").write_bytes(b"12345")
    return SimpleNamespace(
        missing={"A1": "the study names no FER2013", "B1": "the study names no FER2013"},
        study=SimpleNamespace(takes_shipped=True),
        predictions=frames.get,
        table=lambda part, name: repeats[part],
        metrics=lambda part: {"seconds": seconds[part]},
        model_path=lambda file: tmp_path / "model",
    )


def test_models_are_compared_on_the_faces_that_all_could_read(chapter):
    answers = comparison.labelled_answers(chapter)
    assert answers.file_name.tolist() == ["a", "b"]
    assert {model: given.shape for model, given in answers.given.items()} == {
        "SVM-OpenFace": (1, 2),
        "NN-FER2013": (1, 2),
        "NN-FineTuned": (1, 2),
    }


def test_labels_count_every_face_from_which_a_model_learned(chapter):
    prices = comparison.costs(chapter)
    assert {model: price["labels"] for model, price in prices.items()} == {
        "SVM-OpenFace": 2,
        "NN-FER2013": 0,
        "NN-FineTuned": 3,
    }


def test_a_network_that_came_trained_cost_no_training_here(chapter):
    prices = comparison.costs(chapter)
    assert prices["NN-FER2013"]["seconds"] is None
    assert prices["NN-FineTuned"]["seconds"] == 24.0
    assert prices["NN-FER2013"]["milliseconds"] == pytest.approx(2.0)  # four faces
    assert prices["NN-FineTuned"]["milliseconds"] == pytest.approx(10.0)  # the unknown one
