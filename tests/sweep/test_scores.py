"""What is made of a sweep's scores: who chooses, and which interval."""

from pathlib import Path

import numpy as np
import pytest
import sample_sweep
from scipy import stats

from mien.evaluation.intervals import (
    accuracy_interval,
    clustered_mean,
    difference_interval,
    mean_of_rates,
)
from mien.study import results
from mien.sweep.planning import dependants
from mien.sweep.scores import Board, boards, held_out


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("swept")
    planned, _ = sample_sweep.write_sweep(
        out, "seed=0,1,2", "hog_cell=4,8", "fine_tune_rate=0.01,0.3"
    )
    return planned.runs, boards(planned.runs, dependants(list(planned.grid)))


def test_runs_that_share_a_chapter_count_once(swept):
    _, found = swept
    assert found["A1", "PublicTest"].settings["runs"].to_dict() == {
        "hog_cell 4": 3,
        "hog_cell 8": 3,
    }
    assert found["B1", "PublicTest"].settings["runs"].to_dict() == {"as the study says": 3}
    assert found["B3", "target-labelled"].names == ("fine_tune_rate",)
    assert len(found["B3", "target-labelled"].draws) == 6


def test_only_publictest_and_labelled_faces_are_looked_at(swept):
    _, found = swept
    assert {set_ for _, set_ in found} == {"PublicTest", "target-labelled"}
    assert found["A1", "PublicTest"].chooses and found["B3", "target-labelled"].chooses


def test_seeds_on_the_same_images_get_the_images_part_too(swept):
    board = swept[1]["A1", "PublicTest"]
    values = board.draws.loc[board.draws["setting"] == "hog_cell 8", "accuracy"]
    row = board.settings.loc["hog_cell 8"]
    assert row["interval"] == "t over images and seeds"
    assert [row["low"], row["high"]] == pytest.approx(accuracy_interval(mean_of_rates(values, 200)))
    assert row["spread"] == pytest.approx(values.std(ddof=1))


def answers_of(runs, part: str, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean correctness (seeds, faces) of the runs of a setting, and the faces' clips."""
    rows = []
    for run in runs:
        if run.study.fine_tune_rate == rate and run.study.hog_cell == 4:
            table = results.load_table(run.study.folder, part, "repeats")
            right = (table["truth"] == table["predicted"]).groupby(table["file_name"]).mean()
            rows.append(right)
            clips = (
                table.drop_duplicates("file_name").set_index("file_name").loc[right.index, "clip"]
            )
    return np.stack(rows), clips.to_numpy()


def test_the_interval_on_the_person_is_over_clips_and_seeds(swept):
    runs, found = swept
    row = found["B3", "target-labelled"].settings.loc["fine_tune_rate 0.3"]
    right, clips = answers_of(runs, "B3", 0.3)
    assert right.shape == (3, 60)
    assert row["interval"] == "t over clips and seeds"
    expected = accuracy_interval(clustered_mean(right, clips))
    assert [row["low"], row["high"]] == pytest.approx(expected)
    # what a t test over the seeds alone would have called certain is not
    alone = stats.t.interval(0.95, 2, right.mean(), stats.sem(right.mean(axis=1)))
    assert row["high"] - row["low"] > 0.8 * (alone[1] - alone[0])


def test_the_lead_is_paired_over_clips_and_seeds(swept):
    runs, found = swept
    second, gap, bounds = found["B3", "target-labelled"].lead()
    best, clips = answers_of(runs, "B3", 0.3)
    other, _ = answers_of(runs, "B3", 0.01)
    assert second == "fine_tune_rate 0.01"
    expected = clustered_mean(best - other, clips)
    assert gap == pytest.approx(expected.value)
    assert bounds == pytest.approx(difference_interval(expected))


def test_seeds_that_read_other_faces_are_independent(swept):
    _, found = swept
    draws = found["B3", "target-labelled"].draws.copy()
    draws["data"] = draws["seed"].astype(str)
    board = Board("B3", "target-labelled", ("fine_tune_rate",), draws)
    row = board.settings.loc["fine_tune_rate 0.3"]
    values = draws.loc[draws["setting"] == "fine_tune_rate 0.3", "accuracy"]
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert row["interval"] == "Student's t over seeds"
    assert row["low"] == pytest.approx(max(0, expected[0]))
    assert row["high"] == pytest.approx(min(1, expected[1]))


def test_one_run_keeps_its_own_interval(tmp_path):
    planned, _ = sample_sweep.write_sweep(tmp_path, "hog_cell=4,8")
    board = boards(planned.runs, dependants(["hog_cell"]))["A1", "PublicTest"]
    assert set(board.settings["interval"]) == {"Wilson"}
    assert board.settings["spread"].isna().all()
    assert board.lead()[2] is None


def _rewrite(folder: Path, part: str, change) -> None:
    metrics = results.load_metrics(folder, part)
    for score in [*metrics["scores"], *metrics.get("public", [])]:
        change(score)
    repeats = {}
    if (results.part_folder(folder, part) / "repeats.csv").is_file():
        repeats = {"repeats": results.load_table(folder, part, "repeats")}
    results.save(folder, part, metrics, tables=repeats)


@pytest.mark.parametrize("set_", ["PrivateTest-deduplicated", "target-unknown"])
def test_what_is_held_out_never_chooses(tmp_path, set_):
    """The chosen settings stay the same when held-out scores say the opposite."""
    planned, _ = sample_sweep.write_sweep(tmp_path, "hog_cell=4,8", "fine_tune_rate=0.01,0.3")
    runs, parts = planned.runs, dependants(list(planned.grid))
    before = {key: board.best for key, board in boards(runs, parts).items() if board.chooses}
    for run in runs:
        for part in ("A1", "A2", "B1", "B3"):

            def turn(score):
                if score["set"] == set_:
                    score["accuracy"] = 1 - score["accuracy"]

            _rewrite(run.study.folder, part, turn)
    after = {key: board.best for key, board in boards(runs, parts).items() if board.chooses}
    assert before == after
    assert before["A1", "PublicTest"] == "hog_cell 8"
    assert before["B3", "target-labelled"] == "fine_tune_rate 0.3"


def test_of_held_out_sets_only_the_chosen_settings_are_read(swept):
    runs, found = swept
    board = found["A1", "PublicTest"]
    read = held_out(board, runs, "A1")
    assert list(read) == ["PrivateTest-deduplicated"]
    assert list(read["PrivateTest-deduplicated"].settings.index) == [board.best]
