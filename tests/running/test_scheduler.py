"""The runner, on a throw-away project of tiny notebooks: order, skipping, failing, locking."""

import json

import filelock
import nbformat
import pytest
from bs4 import BeautifulSoup
from tiny_project import PARAMETERS, PLANS, run, write_notebook

from mien import system
from mien.errors import MienError
from mien.running import scheduler
from mien.running.scheduler import ChapterFailed, Options
from mien.study import results
from mien.study.parameters import BY_PART, make_study

pytestmark = pytest.mark.usefixtures("without_kernel")


def test_chapters_run_then_are_current_then_only_what_changed_runs_again(project, tmp_path):
    out = tmp_path / "out"
    assert run(out) == dict.fromkeys(PARAMETERS, "done")
    record = json.loads((out / "study.json").read_text())
    states = {part: state["state"] for part, state in record["parts"].items()}
    assert states == dict.fromkeys(PARAMETERS, "done")
    current = dict.fromkeys(PARAMETERS, "current")
    assert run(out) == current
    # B2 reads B1 and is not concerned while B1 finds the same; A1 has nothing to do with it
    assert run(out, epochs=3) == current | {"B1": "done"}
    write_notebook(project, BY_PART["B1"], "value = seed + epochs")
    assert run(out, epochs=3) == current | {"B1": "done", "B2": "done"}
    assert run(out, epochs=3, seed=1) == dict.fromkeys(PARAMETERS, "done")


def test_what_is_missing_is_left_out_with_its_reason(project, missing, tmp_path):
    out = tmp_path / "out"
    run(out)
    missing["A2"] = "the person has no Action Units"
    current = dict.fromkeys(PARAMETERS, "current")
    assert run(out) == current | {"A2": "skipped", "B2": "done"}
    assert json.loads((out / "results/A2/metrics.json").read_text())["skipped"] == missing["A2"]
    assert "This chapter is left out: the person has no Action Units." in page_text(out / "A2.html")
    record = json.loads((out / "study.json").read_text())["parts"]["A2"]
    assert (record["state"], record["reason"]) == ("skipped", missing["A2"])
    assert run(out) == current | {"A2": "skipped"}
    missing.clear()
    assert run(out) == current | {"A2": "done", "B2": "done"}


def page_text(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").get_text()


def test_lost_results_are_made_again(project, tmp_path):
    out = tmp_path / "out"
    run(out)
    (out / "results" / "A1" / "metrics.json").unlink()
    assert run(out) == dict.fromkeys(PARAMETERS, "current") | {"A1": "done"}


def test_a_failing_chapter_stops_the_study_and_harms_nothing(project, tmp_path):
    out = tmp_path / "out"
    run(out)
    before = (out / "results" / "B1" / "metrics.json").read_text()
    write_notebook(project, BY_PART["B1"], "value = 1 / (seed - 5)")
    with pytest.raises(ChapterFailed) as failed:
        run(out, seed=5)
    said = str(failed.value)
    assert "chapter B1 (B1_cnn_fer2013) stopped in cell" in said
    assert "value = 1 / (seed - 5)" in said and "ZeroDivisionError" in said
    assert (out / "results" / "B1" / "metrics.json").read_text() == before
    assert "ZeroDivisionError" in (out / "failure.html").read_text()
    state = json.loads((out / "study.json").read_text())["parts"]["B1"]["state"]
    assert state == "failed"
    assert not list((out / "notebooks").glob(".*running*"))
    assert run(out, seed=6) == dict.fromkeys(PARAMETERS, "done")
    assert not (out / "failure.html").exists()


def test_a_second_runner_is_refused(project, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with filelock.FileLock(out / ".lock"), pytest.raises(MienError, match="another mien"):
        run(out)


def test_a_finished_chapter_is_taken_from_the_store_by_every_study(project, tmp_path):
    store = Options(store=tmp_path / "store", jobs=2)
    assert run(tmp_path / "a", store, name="first") == dict.fromkeys(PARAMETERS, "done")
    record = json.loads((tmp_path / "a" / "study.json").read_text())
    assert {state["threads"] for state in record["parts"].values()} == {system.cores()}
    told = run(tmp_path / "b", store, name="second", epochs=7)
    assert told == dict.fromkeys(PARAMETERS, "stored") | {"B1": "done"}
    for plan in PLANS:
        ours, theirs = (results.part_folder(tmp_path / name, plan.part) for name in "ba")
        assert (ours / "metrics.json").read_text() == (theirs / "metrics.json").read_text()
    executed = nbformat.read(results.notebook_path(tmp_path / "b", PLANS[0].notebook), 4)
    (given,) = (c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", []))
    assert f'out = "{tmp_path / "b"}"' in given.source
    state = json.loads((tmp_path / "b" / "study.json").read_text())["parts"]["A1"]
    assert state["state"] == "done" and state["from_store"]


def test_unknown_data_stop_the_study_before_anything_runs(mien_here, tmp_path):
    out = tmp_path / "out"
    done = mien_here(
        *("run", "notebooks/studies/fer2013.yaml", "--out", str(out)),
        *("--set", "fer2013=nowhere.csv"),
    )
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr and "Traceback" not in done.stderr
    assert not out.exists()


def test_bad_parameters_are_refused_with_status_2(mien_here):
    done = mien_here("run", "notebooks/studies/demo.yaml", "--set", "sede=1")
    assert done.returncode == 2
    assert "did you mean 'seed'" in done.stderr and "Traceback" not in done.stderr
    assert mien_here("run", "no_such_study.yaml").returncode == 2
    assert mien_here("run").returncode == 2
    assert mien_here("run", "notebooks/studies/demo.yaml", "--only", "Z9").returncode == 2


def test_a_chapter_waits_for_those_that_it_reads(project, tmp_path):
    """Also where others could run beside them."""
    told, study = [], make_study({"out": str(tmp_path / "out")})
    asked = [BY_PART[part] for part in ("B2", "B1", "A2")]
    scheduler.run(study, asked, Options(jobs=2), tell=lambda e: told.append((e.plan.part, e.state)))
    before = [told.index((part, "done")) for part in ("B1", "A2")]
    assert max(before) < told.index(("B2", "running"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_with_several_jobs_the_chapter_that_most_wait_for_begins_first(jobs, project, tmp_path):
    begun, study = [], make_study({"out": str(tmp_path / "out")})

    def tell(event):
        if event.state == "running":
            begun.append(event.plan.part)

    asked = [BY_PART[part] for part in ("A1", "A2", "B1")]
    scheduler.run(study, asked, Options(jobs=jobs), tell=tell)
    assert sorted(begun) == ["A1", "A2", "B1"] and begun[-1] == ("B1" if jobs == 1 else "A1")


def test_after_a_failure_no_chapter_begins(project, tmp_path):
    write_notebook(project, BY_PART["A1"], "value = 1 / 0")
    told, study = [], make_study({"out": str(tmp_path / "out")})
    with pytest.raises(ChapterFailed):
        scheduler.run(study, PLANS, tell=lambda event: told.append((event.plan.part, event.state)))
    assert told == [("A1", "running"), ("A1", "failed")]


def test_the_checkpoint_of_a_changed_training_goes_and_that_of_the_same_stays(project, tmp_path):
    out = tmp_path / "out"
    run(out)
    checkpoint = results.model_path(out, "B1.checkpoint.npz")
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    (out / "results" / "B1" / "metrics.json").unlink()
    assert run(out)["B1"] == "done" and checkpoint.exists()
    assert run(out, epochs=3)["B1"] == "done" and not checkpoint.exists()
