"""What is made of a sweep's scores: who chooses, and which interval."""

from pathlib import Path

import numpy as np
import pytest
import sample_sweep
from scipy import stats
from scipy.special import expit, logit

from mien.evaluation.intervals import (
    accuracy_interval,
    clustered_mean,
    difference_interval,
    mean_of_rates,
)
from mien.study import results
from mien.sweep import scores


def boards_of(planned) -> dict:
    """The boards of a sweep by part and set."""
    found = scores.boards(scores.read(planned.runs, planned.grid))
    return {(board["part"].iloc[0], board["set"].iloc[0]): board for board in found}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("swept")
    planned, _ = sample_sweep.write_sweep(
        out, "seed=0,1,2", "hog_cell=4,8", "fine_tune_rate=0.01,0.3"
    )
    return planned, boards_of(planned)


def test_runs_that_share_a_chapter_count_once(swept):
    _, found = swept
    runs = {key: scores.settings(board)["runs"].to_dict() for key, board in found.items()}
    assert runs["A1", "PublicTest"] == {"hog_cell 4": 3, "hog_cell 8": 3}
    assert runs["B1", "PublicTest"] == {"as the study says": 3}
    assert runs["B3", "target-labelled"] == {"fine_tune_rate 0.01": 3, "fine_tune_rate 0.3": 3}


def test_only_publictest_and_labelled_faces_are_looked_at(swept):
    _, found = swept
    assert {set_ for _, set_ in found} == {"PublicTest", "target-labelled"}
    assert scores.chooses(found["A1", "PublicTest"])
    assert scores.chooses(found["B3", "target-labelled"])


def test_of_the_models_that_a1_tries_the_best_counts(swept):
    _, found = swept
    assert found["A1", "PublicTest"]["accuracy"].min() > 0.6  # another one has about 0.5


def test_seeds_on_the_same_images_get_the_images_part_too(swept):
    board = swept[1]["A1", "PublicTest"]
    values = board.loc[board["setting"] == "hog_cell 8", "accuracy"]
    row = scores.settings(board).loc["hog_cell 8"]
    assert row["interval"] == "t over images and seeds"
    assert [row["low"], row["high"]] == pytest.approx(accuracy_interval(mean_of_rates(values, 200)))
    assert row["spread"] == pytest.approx(values.std(ddof=1))


def answers_of(runs, part: str, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean correctness (seeds, faces) of the runs of a setting, and the faces' clips."""
    rows = []
    for run in runs:
        if run.fine_tune_rate == rate and run.hog_cell == 4:
            table = results.load_table(run.folder, part, "repeats")
            right = (table["truth"] == table["predicted"]).groupby(table["file_name"]).mean()
            rows.append(right)
            clips = (
                table.drop_duplicates("file_name").set_index("file_name").loc[right.index, "clip"]
            )
    return np.stack(rows), clips.to_numpy()


def test_the_interval_on_the_person_is_over_clips_and_seeds(swept):
    planned, found = swept
    row = scores.settings(found["B3", "target-labelled"]).loc["fine_tune_rate 0.3"]
    right, clips = answers_of(planned.runs, "B3", 0.3)
    assert right.shape == (3, 60)
    assert row["interval"] == "t over clips and seeds"
    expected = accuracy_interval(clustered_mean(right, clips))
    assert [row["low"], row["high"]] == pytest.approx(expected)
    # what a t test over the seeds alone would have called certain is not
    alone = stats.t.interval(0.95, 2, right.mean(), stats.sem(right.mean(axis=1)))
    assert row["high"] - row["low"] > 0.8 * (alone[1] - alone[0])


def test_the_lead_is_paired_over_clips_and_seeds(swept):
    planned, found = swept
    second, gap, bounds = scores.lead(found["B3", "target-labelled"])
    best, clips = answers_of(planned.runs, "B3", 0.3)
    other, _ = answers_of(planned.runs, "B3", 0.01)
    assert second == "fine_tune_rate 0.01"
    expected = clustered_mean(best - other, clips)
    assert gap == pytest.approx(expected.value)
    assert bounds == pytest.approx(difference_interval(expected))


def test_seeds_that_read_other_faces_are_independent(swept):
    _, found = swept
    board = found["B3", "target-labelled"].assign(data=lambda runs: runs["seed"].astype(str))
    row = scores.settings(board).loc["fine_tune_rate 0.3"]
    by_seed = board.pivot(index="seed", columns="setting", values="accuracy")
    values = by_seed["fine_tune_rate 0.3"].to_numpy()
    half = stats.t.ppf(0.975, 2) * stats.sem(values)  # on the log odds, which stay in 0..1
    slope = values.mean() * (1 - values.mean())
    expected = expit(logit(values.mean()) + np.array([-half, half]) / slope)
    assert row["interval"] == "t over seeds"
    assert [row["low"], row["high"]] == pytest.approx(expected)
    gaps = values - by_seed["fine_tune_rate 0.01"]
    _, gap, bounds = scores.lead(board)
    assert gap == pytest.approx(gaps.mean())
    assert bounds == pytest.approx(stats.t.interval(0.95, 2, gaps.mean(), stats.sem(gaps)))


def test_one_run_keeps_its_own_interval(tmp_path):
    planned, _ = sample_sweep.write_sweep(tmp_path, "hog_cell=4,8")
    board = boards_of(planned)["A1", "PublicTest"]
    assert set(scores.settings(board)["interval"]) == {"Wilson"}
    assert scores.settings(board)["spread"].isna().all()
    assert scores.lead(board)[2] is None


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

    def chosen() -> dict:
        found = boards_of(planned)
        return {key: scores.best(own) for key, own in found.items() if scores.chooses(own)}

    before = chosen()
    for run in planned.runs:
        for part in ("A1", "A2", "B1", "B3"):

            def turn(score):
                if score["set"] == set_:
                    score["accuracy"] = 1 - score["accuracy"]

            _rewrite(run.folder, part, turn)
    assert before == chosen()
    assert before["A1", "PublicTest"] == "hog_cell 8"
    assert before["B3", "target-labelled"] == "fine_tune_rate 0.3"


def test_of_held_out_sets_only_the_chosen_settings_are_read(swept):
    planned, found = swept
    known = scores.read(planned.runs, planned.grid)
    (read,) = scores.held_out(found["A1", "PublicTest"], known)
    assert set(read["set"]) == {"PrivateTest-deduplicated"} and len(read) == 3
    assert all("hog_cell-8" in label for label in read["label"])
    assert list(scores.settings(read).index) == ["hog_cell 8"]
