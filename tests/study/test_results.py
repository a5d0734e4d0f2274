"""Results on disk are whole, plain and found again."""

import json

import numpy as np
import pandas as pd
import pytest

from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.study import results


@pytest.fixture
def predictions():
    frame = pd.DataFrame(
        {
            "file_name": ["1_01.jpg", "NA.jpg", "007"],
            "set": ["labelled", "labelled", "unknown"],
            "clip": ["1", "NA", "007"],
            "fold": pd.array([0, 1, None], dtype="Int64"),
            "truth": ["happy", "sad", ""],
            "predicted": ["happy", "angry", "fear"],
        }
    )
    for emotion in EMOTIONS:
        frame[f"p_{emotion}"] = 1 / 7
    return frame


def test_what_was_saved_is_loaded(tmp_path, predictions):
    more = pd.DataFrame({"x": [1.5, np.nan], "word": ["a", "NA"]})
    metrics = {"scores": [{"set": "s", "accuracy": np.float64(0.5)}]}
    results.save(tmp_path, "A2", metrics, predictions=predictions, tables={"more": more})
    assert results.load_metrics(tmp_path, "A2") == {"scores": [{"set": "s", "accuracy": 0.5}]}
    loaded = results.load_table(tmp_path, "A2", "predictions")
    assert list(loaded.columns) == list(results.PREDICTION_COLUMNS)
    assert loaded["file_name"].tolist() == ["1_01.jpg", "NA.jpg", "007"]
    assert loaded["truth"].tolist() == ["happy", "sad", ""]
    assert loaded["p_fear"].dtype == float
    assert loaded["fold"].isna().tolist() == [False, False, True]
    more = results.load_table(tmp_path, "A2", "more")
    assert more["x"].iloc[0] == 1.5 and more["word"].tolist() == ["a", "NA"]


def test_an_interrupted_save_leaves_the_old_results(tmp_path, predictions):
    results.save(tmp_path, "A2", {"scores": []}, predictions=predictions)

    class Broken(pd.DataFrame):
        def to_csv(self, *args, **kwargs):
            raise OSError("disk full")

    with pytest.raises(OSError):
        results.save(tmp_path, "A2", {"scores": [1]}, tables={"more": Broken({"x": [1]})})
    assert results.load_metrics(tmp_path, "A2") == {"scores": []}
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["A2"]


def test_json_has_no_infinity(tmp_path):
    results.write_json(tmp_path / "x.json", {"a": float("inf"), "b": [np.nan, np.int64(1)]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1]}


def test_a_missing_chapter_is_named_with_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"chapter B1 has left no metrics.json.*--only B1"):
        results.load_metrics(tmp_path, "B1")


def test_predictions_must_be_complete_and_unique(tmp_path, predictions):
    with pytest.raises(DataError, match="p_fear"):
        results.save(tmp_path, "A2", {}, predictions=predictions.drop(columns="p_fear"))
    twice = pd.concat([predictions, predictions.iloc[:1]])
    with pytest.raises(DataError, match=r"'1_01.jpg' more than once"):
        results.save(tmp_path, "A2", {}, predictions=twice)
    assert not (tmp_path / "results").exists()


def test_models_of_further_trainings_belong_to_their_part_and_checkpoints_do_not(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("B1.keras", "B1-2.keras", "B1.checkpoint.npz", "B1-2.checkpoint.npz", "A1.skops"):
        (tmp_path / "models" / name).touch()
    names = [path.name for path in results.models_of(tmp_path, "B1")]
    assert sorted(names) == ["B1-2.keras", "B1.keras"]
    left = [path.name for path in results.checkpoints_of(tmp_path, "B1")]
    assert sorted(left) == ["B1-2.checkpoint.npz", "B1.checkpoint.npz"]


def test_the_model_of_the_person_is_stored_with_its_card_and_belongs_to_chapter_c(tmp_path):
    with pytest.raises(DataError, match="no model of the person"):
        results.load_winner(tmp_path)
    for name in ("old.skops", "new.npz"):
        (tmp_path / name).write_text(name)
        files = {"model": tmp_path / name, "network": tmp_path / "old.skops"}
        results.save_winner(tmp_path, files, {"threshold": float("nan")}, "- Words.")
    card, files = results.load_winner(tmp_path)
    assert card == {"threshold": None} and [*files] == ["model", "network"]
    assert files["model"].read_text() == "new.npz"
    names = [path.name for path in results.models_of(tmp_path, "C")]
    assert names == ["card.json", "card.md", "model.npz", "network.skops"]


def test_numbers_become_plain():
    given = {"n": np.int64(3), "accuracy": np.float32("nan"), "ci": (0.5, 1)}
    assert results.plain(given) == {"n": 3, "accuracy": None, "ci": [0.5, 1]}
