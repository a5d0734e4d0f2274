"""What a part has found out, and a store that gives it to nobody once it was changed."""

import zipfile

import nbformat
import pandas as pd
import pytest

from mien.running import record
from mien.study import results
from mien.study.parameters import BY_PART, make_study

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
