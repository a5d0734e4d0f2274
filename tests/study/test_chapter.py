"""What a notebook gets from its chapter: settings, folds, and only results that fit its data."""

import shutil
from datetime import datetime

import numpy as np
import pytest

from mien.errors import DataError, ParameterError
from mien.network import architecture, pretrained
from mien.network.inference import MIRRORED
from mien.study import chapter as room
from mien.study import results
from mien.study.chapter import Chapter


def test_the_profile_chooses_what_the_study_leaves_open(tmp_path):
    assert Chapter("A1", profile="quick").setting("hog_cell") == 6
    assert Chapter("A1", profile="quick", hog_cell=5).setting("hog_cell") == 5
    tuning = Chapter("B3", profile="quick").setting("tuning", epochs=3, learning_rate=0.0)
    assert tuning == {"epochs": 3, "learning_rate": 2e-5, "copies": 16}
    assert Chapter("B3", profile="quick").setting("tuning")["epochs"] == 16


def test_a_wrong_parameter_names_the_chapter():
    with pytest.raises(ParameterError, match=r"A1_svm_fer2013.*did you mean 'seed'"):
        Chapter("A1", sead=1)


def test_folds_are_the_same_for_chapters_that_read_images_and_units(chapter):
    person = chapter.load_person()
    dealt = chapter.person_folds(person, repeats=2)
    labelled = (person.faces["set"] == "labelled").to_numpy()
    assert (dealt[:, ~labelled] == -1).all() and (dealt[:, labelled] >= 0).all()
    for fold in dealt:
        clips = person.faces.loc[labelled].groupby("clip").groups.values()
        assert all(len(set(fold[list(rows)])) == 1 for rows in clips)


def test_results_of_other_data_are_refused(drawn_study, chapter, tmp_path):
    chapter.load_person()
    chapter.save()
    other = tmp_path / "other"
    shutil.copytree(drawn_study / "person", other)
    next((other / "images").glob("happy/*")).unlink()
    later = Chapter("B2", target=str(other), out=str(tmp_path / "out"))
    assert later.metrics("A2")["part"] == "A2"
    later.load_person()
    with pytest.raises(DataError, match="chapter A2 of this study was run on another target"):
        later.table("A2", "predictions")


def test_numbers_that_were_noted_stand_in_the_metrics(chapter):
    chapter.note(curve={"faces": 12})
    chapter.save(leak=0.1)
    metrics = Chapter("B2", out=chapter.study.out).metrics("A2")
    assert (metrics["curve"], metrics["leak"]) == ({"faces": 12}, 0.1)


def test_networks_of_an_earlier_study_with_more_trainings_do_not_stay(tmp_path):
    chapter = Chapter("B1", out=str(tmp_path))
    networks = [architecture.build(stem=8, stages=((8, 0),), seed=seed) for seed in range(3)]
    chapter.save_networks(networks)
    chapter.model_path("B1-2.checkpoint.npz").touch()
    chapter.model_path("B3.keras").touch()
    chapter.save_networks(networks[:2])
    left = {path.name for path in (tmp_path / "models").iterdir()}
    assert left == {"B1.keras", "B1-2.keras", "B3.keras"}
    metrics = {"temperatures": [{"x": 9.0, MIRRORED: 1.5}, {MIRRORED: 0.7}]}
    results.save(tmp_path, "B1", {**metrics, "provenance": {"data": {}}})
    loaded = Chapter("B2", out=str(tmp_path)).load_networks()
    assert [temperature for _, temperature in loaded] == [1.5, 0.7]
    first, second = (pretrained.load(tmp_path / "models" / name) for name in sorted(left)[1::-1])
    kept = [network.get_weights()[0] for network, _ in loaded]
    assert (kept[0] == first.get_weights()[0]).all() and (kept[1] == second.get_weights()[0]).all()


def kept_leak(out, **parameters):
    """Return which A2 a later chapter of the study reads."""
    return Chapter("B2", out=str(out), **parameters).metrics("A2")["leak"]


def test_by_hand_the_results_of_a_run_are_read_and_never_replaced(
    drawn_study, tmp_path, monkeypatch
):
    given = {"target": str(drawn_study / "person"), "out": str(tmp_path)}
    monkeypatch.setenv(results.RUN, str(tmp_path))
    (tmp_path / "study.json").write_text("{}")
    Chapter("A2", **given).save(leak=1.0)
    monkeypatch.delenv(results.RUN)
    assert kept_leak(tmp_path) == 1.0
    Chapter("A2", **given).save(leak=2.0)
    assert results.load_metrics(tmp_path, "A2")["leak"] == 1.0
    assert kept_leak(tmp_path) == 2.0
    Chapter("A2", profile="quick", **given).save(leak=3.0)
    assert kept_leak(tmp_path) == 1.0  # what does not fit to this profile is passed over
    assert kept_leak(tmp_path, profile="quick") == 3.0
    monkeypatch.setenv(results.RUN, str(tmp_path))
    assert kept_leak(tmp_path) == 1.0
    with pytest.raises(DataError, match="chapter A2 of this study was run on another profile"):
        kept_leak(tmp_path, profile="quick")


def test_a_notebook_that_was_copied_away_writes_beside_itself(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    assert Chapter("A2", name="mine").folder == tmp_path / "reports" / "mine" / "interactive"
    monkeypatch.chdir(root / "notebooks")
    assert Chapter("A2", name="mine").folder == root / "reports" / "mine" / "interactive"
    assert Chapter("A2", out=str(tmp_path)).folder == tmp_path  # a folder of no study


def test_what_a_chapter_does_not_declare_it_does_not_get(chapter):
    for asked in (
        chapter.load_fer2013,
        lambda: chapter.setting("tuning"),
        lambda: chapter.table("B1", "predictions"),
    ):
        with pytest.raises(ParameterError, match="chapter A2 asks for"):
            asked()


def test_private_test_is_opened_once_noted_and_scored_as_it_was_answered(drawn_study, tmp_path):
    chapter = Chapter("B1", fer2013=str(drawn_study / "fer2013.csv"), out=str(tmp_path))
    private = chapter.load_fer2013().private_test()
    n = len(private.images)
    copied, happy = np.arange(n) == 0, np.full(n, "happy")
    shares = np.eye(7)[np.stack([np.arange(n) % 7, np.full(n, 3)])]
    answers = {"network": shares, "baseline": happy}
    truth, scores = chapter.score_private(private, answers, copied=copied)
    assert [score["set"] for score in scores["network"]] == [
        "PrivateTest-deduplicated",
        "PrivateTest",
    ]
    assert scores["baseline"][1]["accuracy"] == (truth == "happy").mean()
    assert scores["network"][1]["accuracy_by_training"][1] == (truth == "happy").mean()
    assert scores["network"][0]["n"] == n - 1 and scores["network"][0]["log_loss"] > 1
    with pytest.raises(ParameterError, match="opened PrivateTest already"):
        chapter.score_private(private, answers, copied=copied)
    better = {**scores["baseline"][1], "accuracy": 1.0}
    with pytest.raises(ParameterError, match="not what score_private gave"):
        chapter.save(scores=[better])
    chapter.save(scores=scores["baseline"])
    metrics = results.load_metrics(tmp_path, "B1")
    reads = metrics["provenance"]["private_reads"]
    assert [read["model"] for read in reads] == ["network", "baseline"]
    assert {(read["set"], read["n"]) for read in reads} == {("PrivateTest", n)}
    assert all(datetime.fromisoformat(read["when"]) for read in reads)


def test_what_a_check_asks_is_no_code_that_results_depend_on():
    rooms = ["mien.data.person", "mien.errors", "mien.exercises.checks", "mien.synthetic.dataset"]
    assert room._FOLDER.findall("\n".join(rooms)) == ["data"]
