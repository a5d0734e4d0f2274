"""What a chapter depends on, what it has found out, and a store that keeps both together."""

import json
import re
import shutil
import zipfile

import nbformat
import pandas as pd
import pytest
from tiny_project import OPTIONS, PARAMETERS, PLANS, run, write_notebook

from mien.running import record, scheduler
from mien.running.record import Record, status
from mien.running.scheduler import ChapterFailed
from mien.study import results
from mien.study.parameters import BY_PART, CHAPTERS, make_study

PLAN = BY_PART["A1"]


@pytest.fixture
def study(tmp_path):
    """A study whose chapter A1 is done: a number, a table, a model, a notebook."""
    made = make_study({"out": str(tmp_path / "study")})
    write(made.folder)
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.update(kernelspec={"name": "python3", "language": "python"}, papermill={})
    path = results.notebook_path(made.folder, PLAN.notebook)
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return made


def write(folder, *, accuracy=0.5, predicted="sad", seconds=1.0, array=b"1", when="now"):
    table = pd.DataFrame({"predicted": [predicted], "seconds": [seconds]})
    metrics = {"scores": [{"accuracy": accuracy}], "seconds": seconds, "provenance": when}
    results.save(folder, "A1", metrics, tables={"private": table})
    model = results.model_path(folder, "A1.skops")
    model.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("1.npy", array)
        archive.writestr("schema.json", f"{seconds}")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seconds": 2.0, "when": "then"}, True),
        ({"accuracy": 0.6}, False),
        ({"predicted": "happy"}, False),
    ],
)
def test_tables_and_metrics_make_the_outcome_and_seconds_do_not(study, change, same):
    before = record.outcome(study.folder, "A1")
    write(study.folder, **change)
    assert (record.outcome(study.folder, "A1") == before) == same


def test_another_model_is_another_outcome(study):
    before = record.outcome(study.folder, "A1")
    write(study.folder, array=b"2")
    assert record.outcome(study.folder, "A1") != before


def test_an_entry_of_the_store_that_was_changed_is_not_taken(study, tmp_path):
    store = tmp_path / "store"
    state = {"fingerprint": "f", "outcome": record.outcome(study.folder, "A1")}
    record.keep(store, study, PLAN, state)
    other = make_study({"out": str(tmp_path / "other")})
    write(other.folder)
    old = results.model_path(other.folder, "A1-2.skops")
    old.touch()
    assert record.take(store, other, PLAN, "f") == {**state, "from_store": True}
    assert record.outcome(other.folder, "A1") == state["outcome"] and not old.exists()
    write(store / "f", accuracy=0.9)
    assert record.take(store, other, PLAN, "f") is None
    assert results.load_metrics(other.folder, "A1")["scores"] == [{"accuracy": 0.5}]
    assert not (store / "f").exists()


@pytest.mark.parametrize(
    ("file", "chapters"),
    [
        ("designed/image_svm.py", {"A1", "A2"}),
        ("network/weights/fer2013.npz", {"B1", "B2", "B3", "C"}),
        ("study/profiles.py", set()),  # compared by value
        ("cli.py", set()),
        *((f"{folder}/__init__.py", set()) for folder in ("running", "sweep", "synthetic")),
        *((room, set(BY_PART)) for room in ("errors.py", "study/chapter.py", "data/person.py")),
    ],
)
def test_an_edited_file_concerns_the_chapters_that_declare_its_folder(
    file, chapters, tmp_path, monkeypatch
):
    package = tmp_path / "mien"
    shutil.copytree(record.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(record, "PACKAGE", package)
    before = {plan.part: record.library(plan.library) for plan in CHAPTERS}
    with (package / file).open("ab") as edited:
        edited.write(b"\n")
    after = {plan.part: record.library(plan.library) for plan in CHAPTERS}
    assert {part for part in after if after[part] != before[part]} == chapters


def test_the_folder_of_an_edited_file_is_named(monkeypatch):
    study, plan = make_study({}), BY_PART["A2"]
    before = record.ingredients(study, plan, {}, {}, {})
    monkeypatch.setattr(record, "library", lambda folders: before["library"] | {"data": "new"})
    after = record.ingredients(study, plan, {}, {}, {})
    assert record.changes(before, after) == ["library: data changed"]
    assert record.fingerprint(before) != record.fingerprint(after)


def test_results_of_an_earlier_mien_are_said_to_be_that_and_nothing_else():
    now = record.ingredients(make_study({}), BY_PART["A2"], {}, {}, {})
    before = now | {"library": {"agreement.py": "a", "units.py": "b"}, "notebook": "other"}
    assert record.changes(before, now) == [
        "an earlier mien made it, whose modules have moved; run it again"
    ]


def ingredients(part, **parameters):
    data = {"fer2013": "f", "target": "t"}
    study = make_study(parameters)
    return record.ingredients(study, BY_PART[part], data, {}, {"A2": "x", "B1": "y"})


def test_a_chapter_depends_on_what_it_takes_and_loads_and_on_no_place():
    assert ingredients("A2")["data"] == {"target": "t"}
    assert ingredients("B2")["reads"] == {"A2": "x", "B1": "y"}
    same = ingredients("A2")
    assert ingredients("A2", name="other", out="elsewhere", target="moved", epochs=9) == same
    assert "permutations" in same["profile"] and "trial_rows" not in same["profile"]
    assert record.changes(same, ingredients("A2", repeats=4)) == ["parameter repeats was 0, is 4"]
    assert record.changes(same, ingredients("A2", profile="quick")) == [
        "parameter profile was demo, is quick"
    ]


def test_every_kind_of_change_has_its_words():
    before = {
        "notebook": "1",
        "data": {"target": "a"},
        "versions": {"scikit-learn": "1.7.0"},
        "reads": {"A2": "x"},
        "missing": {},
    }
    now = {
        "notebook": "2",
        "data": {"target": "b"},
        "versions": {"scikit-learn": "1.7.1"},
        "reads": {"A2": "z"},
        "missing": {"A2": "no Action Units"},
    }
    assert record.changes(before, now) == [
        "notebook changed",
        "data: target changed",
        "A2 is left out or back",
        "scikit-learn was 1.7.0, is 1.7.1",
        "A2 ran again, with other results",
    ]


def test_status_says_how_every_chapter_stands_and_why(project, without_kernel, tmp_path):
    out = str(tmp_path / "out")

    def states(**parameters):
        study = make_study({"out": out, **parameters})
        standings = status(study, scheduler.check_data(study), PLANS)
        return {part: (state, *reasons) for part, (state, reasons) in standings.items()}

    assert states()["A1"] == ("missing", "it has not been run")
    run(out)
    assert states() == dict.fromkeys(PARAMETERS, ("current",))
    assert states(epochs=5) == states() | {
        "B1": ("stale", "parameter epochs was 0, is 5"),
        "B2": ("stale", "B1 will run first"),
    }
    write_notebook(project, BY_PART["A2"], "value = 1 / 0")
    assert states()["A2"] == ("stale", "notebook changed")
    with pytest.raises(ChapterFailed):
        run(out)
    assert states()["A2"] == ("failed", "its last run failed")
    assert states()["B2"] == ("stale", "A2 will run first")
    path = tmp_path / "out" / "study.json"
    record = json.loads(path.read_text())
    record["parts"]["A1"]["state"] = "running"
    path.write_text(json.dumps(record))
    assert states()["A1"] == ("stale", "its last run was interrupted")
    shutil.rmtree(tmp_path / "out" / "results" / "B1")
    assert states()["B1"] == ("missing", "its results are gone")


def test_results_that_something_has_changed_are_stale_and_made_again(
    project, without_kernel, tmp_path
):
    out = tmp_path / "out"
    run(out)
    results.save(out, "A2", {"value": 7})
    study = make_study({"out": str(out)})
    found = status(study, scheduler.check_data(study), [BY_PART["A2"]])
    assert found == {"A2": ("stale", ["its results were changed since it ran"])}
    assert Record.read(study).contradictions(study) == ["A2: its results were changed since it ran"]
    assert run(out)["A2"] == "done" and results.load_metrics(out, "A2")["value"] == 0
    assert not Record.read(study).contradictions(study)


def test_chapters_of_two_runs_do_not_belong_together(project, without_kernel, tmp_path):
    out = tmp_path / "out"
    run(out)
    other = make_study({"out": str(out), "seed": 5})
    scheduler.run(other, [BY_PART["B1"]], OPTIONS, tell=lambda event: None)
    found = Record.read(other).contradictions(other)
    assert found == ["B2 read other results of B1 than are there"]
    path = out / "study.json"
    record = json.loads(path.read_text())
    record["parts"]["A2"]["ingredients"]["data"] = {"target": "somebody"}
    record["parts"]["B2"]["ingredients"]["data"] = {"target": "somebody else"}
    path.write_text(json.dumps(record))
    assert "B2 read another target than A2" in Record.read(other).contradictions(other)


def test_every_file_of_the_library_concerns_a_chapter_or_is_named_as_silent():
    """Whoever calls a file silent says so here, too, and why."""
    silent = {
        "cli.py",  # starts what is compared
        "prediction_output.py",  # what mien predict prints
        "study/profiles.py",  # compared by value
    }
    assert silent == record._SILENT
    assert all((record.PACKAGE / name).is_file() for name in silent)


def test_every_package_that_can_change_a_number_makes_stale(monkeypatch):
    study, plan = make_study({}), BY_PART["A2"]
    packages = dict.fromkeys(["python", *record.provenance.PACKAGES], "1")
    monkeypatch.setattr(record.provenance, "versions", lambda: packages)
    compared = record.ingredients(study, plan, {}, {}, {})["versions"]
    assert set(packages) - set(compared) == {"mien", "nbconvert"}


@pytest.mark.parametrize("plan", CHAPTERS, ids=lambda plan: plan.part)
def test_a_chapter_declares_the_folders_that_its_notebook_imports(plan, root):
    text = (root / "notebooks" / f"{plan.notebook}.ipynb").read_text(encoding="utf-8")
    folders = {name for name in plan.library if f"from mien.{name}" in text}
    imported = set(re.findall(r"from mien\.(\w+)(?:\.\w+)? import", text))
    assert folders == {name for name in imported if (root / "lib/mien" / name).is_dir()}


def test_another_network_in_the_same_file_is_another_ingredient(tmp_path):
    file = tmp_path / "mine.keras"
    file.write_bytes(b"one")
    study = make_study({"network": str(file)})
    before = record.ingredients(study, BY_PART["B1"], {}, {}, {})
    file.write_bytes(b"other")
    after = record.ingredients(study, BY_PART["B1"], {}, {}, {})
    (said,) = record.changes(before, after)
    assert said.startswith(f"parameter network was {file} (")
