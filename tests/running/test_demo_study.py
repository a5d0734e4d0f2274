"""One run of the whole demo study; every test here looks at that one run."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from tiny_project import hidden

from mien.data.person import load_person
from mien.designed import storage
from mien.emotions import EMOTIONS
from mien.models import declared
from mien.network.inference import MIRRORED
from mien.study import results
from mien.study.parameters import CHAPTERS
from mien.synthetic.dataset import demo_folder

SCORE_KEYS = {
    *("set", "n", "accuracy", "accuracy_ci95", "per_class", "confusion_matrix", "labels"),
    *("precision_macro", "recall_macro", "f1_macro"),
    *("precision_weighted", "recall_weighted", "f1_weighted"),
}
SETS = {
    "A1": {"PrivateTest", "PrivateTest-deduplicated", "target-labelled", "target-unknown"},
    "A2": {"target-labelled", "target-labelled-plain-folds", "target-unknown"},
    "B1": {"PublicTest", "PrivateTest", "PrivateTest-deduplicated"},
    "B2": {"target-labelled", "target-unknown"},
    "B3": {"target-labelled", "target-unknown"},
    "C": {"target-labelled", "target-unknown"},
}


@pytest.fixture(scope="module")
def person():
    return load_person(demo_folder(0) / "person")


def test_it_says_what_it_does_and_where_the_page_is(demo_run):
    for plan in CHAPTERS:
        assert plan.title in demo_run.output
    assert "index.html" in demo_run.output.strip().splitlines()[-1]
    assert (demo_run.folder / "index.html").is_file()


def test_every_chapter_leaves_pages_notebooks_and_results(demo_run):
    for plan in CHAPTERS:
        page = "index.html" if plan.part == "C" else f"{plan.part}.html"
        assert (demo_run.folder / page).is_file()
        notebook = nbformat.read(
            results.notebook_path(demo_run.folder, plan.notebook), as_version=4
        )
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
        assert results.load_metrics(demo_run.folder, plan.part)["part"] == plan.part


@pytest.mark.parametrize("plan", CHAPTERS, ids=lambda plan: plan.part)
def test_every_figure_and_table_is_read_by_a_sentence(demo_run, plan):
    """A sentence follows, or one more figure of the same numbers and then a sentence."""
    notebook = nbformat.read(results.notebook_path(demo_run.folder, plan.notebook), as_version=4)
    unread = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            if "text/markdown" in shown:
                unread = []
            elif "image/png" in shown or "text/html" in shown:
                unread.append(number)
                assert len(unread) <= 2, f"cells {unread} show what nothing reads"
    assert not unread, f"cells {unread} show what nothing reads"


@pytest.mark.parametrize(
    "part, tables",
    [
        ("0", {"class_balance", "copies", "irregularities", "agreement"}),
        ("A1", {"steps", "private", "repeats", "rivals"}),
        ("B1", {"trials", "ablation", "history", "private"}),
        ("C", {"pairs", "unknown", "models", "raters"}),
    ],
)
def test_tables_of_a_chapter_are_files(demo_run, part, tables):
    found = {path.stem for path in (demo_run.folder / "results" / part).glob("*.csv")}
    assert tables <= found


def test_nothing_half_written_stays(demo_run):
    assert hidden(demo_run.folder) == []
    assert not (demo_run.folder / "failure.html").exists()


@pytest.mark.parametrize("part", SETS)
def test_metrics_keep_the_contract(demo_run, part):
    metrics = results.load_metrics(demo_run.folder, part)
    assert {"part", "model", "scores", "seconds", "provenance"} <= set(metrics)
    assert SETS[part] <= {score["set"] for score in metrics["scores"]}
    for score in metrics["scores"]:
        assert set(score) >= SCORE_KEYS
        low, high = score["accuracy_ci95"]
        assert 0 <= low <= score["accuracy"] <= high <= 1
        matrix = np.array(score["confusion_matrix"])
        assert matrix.shape == (len(score["labels"]),) * 2
        assert matrix.sum() == pytest.approx(score["n"])
        assert np.trace(matrix) / score["n"] == pytest.approx(score["accuracy"])
        assert set(score["per_class"]) == set(score["labels"])


@pytest.mark.parametrize("part", ["A1", "A2", "B2", "B3"])
def test_predictions_keep_the_contract(demo_run, person, part):
    frame = results.load_table(demo_run.folder, part, "predictions")
    assert list(frame.columns) == list(results.PREDICTION_COLUMNS)
    assert frame["file_name"].is_unique
    assert set(frame["set"]) == {"labelled", "unknown"}
    assert set(frame["predicted"]) <= set(person.emotions)
    shares = frame[[f"p_{emotion}" for emotion in EMOTIONS]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-4)
    assert (np.array(EMOTIONS)[shares.argmax(axis=1)] == frame["predicted"]).all()
    has = "has_units" if part == "A2" else "has_image"
    assert set(frame["file_name"]) == set(person.faces.loc[person.faces[has], "file_name"])
    truths = frame.set_index("file_name")["truth"]
    labels = person.faces.set_index("file_name")["label"]
    labelled = frame.loc[frame["set"] == "labelled", "file_name"]
    assert (truths[labelled] == labels[labelled]).all()
    majority = pd.Series(person.majority().to_numpy(), person.faces["file_name"])
    unknown = frame.loc[frame["set"] == "unknown", "file_name"]
    assert (truths[unknown] == majority[unknown]).all()


def test_folds_keep_clips_together_and_are_the_same_in_a2_and_b3(demo_run):
    tables = {part: results.load_table(demo_run.folder, part, "repeats") for part in ("A2", "B3")}
    for frame in tables.values():
        assert (frame.groupby(["repeat", "clip"])["fold"].nunique() == 1).all()
        assert set(frame["fold"]) == set(range(5))
    both = tables["A2"].merge(tables["B3"], on=["file_name", "repeat"])
    assert len(both) and (both["fold_x"] == both["fold_y"]).all()


def test_every_network_is_stored_scored_and_told_apart(demo_run):
    names = {path.name for path in (demo_run.folder / "models").iterdir()}
    assert names == {
        "A1.skops", "A2.skops", "B1.keras", "B1-2.keras", "B3.keras", "B3-labelled.npz", "person"
    }  # fmt: skip
    metrics = results.load_metrics(demo_run.folder, "B1")
    first, second = metrics["temperatures"]
    assert {MIRRORED, metrics["views"]} == set(second) <= set(first)
    assert first[MIRRORED] != second[MIRRORED]
    for part in ("B1", "B2", "B3"):
        for score in results.load_metrics(demo_run.folder, part)["scores"]:
            assert score["trainings"] == len(score["accuracy_by_training"]) == 2
    for part, name, share, keys in (
        ("B1", "private", "p_happy", ["image"]),
        ("B2", "repeats", "p_truth", ["file_name"]),
        ("B3", "repeats", "p_truth", ["file_name", "repeat"]),
    ):
        answers = results.load_table(demo_run.folder, part, name)
        wide = answers.pivot(index=keys, columns="training", values=share)
        assert (wide[0] - wide[1]).abs().max() > 1e-3, part


def test_the_comparison_is_about_the_recipe_and_not_about_one_network(demo_run):
    metrics = results.load_metrics(demo_run.folder, "C")
    found = {s["model"]: s for s in metrics["scores"] if s["set"] == "target-labelled"}
    networks = {name for name, score in found.items() if "trainings" in score}
    assert networks == {"NN-FER2013", "NN-FineTuned"}
    assert found["NN-FER2013"]["accuracy_ci95_method"] == "t over clips and trainings"
    assert all(score["log_loss"] > 0 for score in found.values())
    pairs = results.load_table(demo_run.folder, "C", "pairs")
    without = {"SVM-Blendshapes", "SVM-Measured"}
    told = [pair for pair in declared("SVM-OpenFace") if without.isdisjoint(pair)]
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == told
    assert set(pairs.loc[pairs["a"] == "SVM-OpenFace", "trainings"]) == {2}
    page = (demo_run.folder / "index.html").read_text(encoding="utf-8")
    assert "this one trained network" not in page and "2 networks were trained" in page


def test_private_test_of_a1_and_b1_can_be_paired(demo_run):
    one, other = (results.load_table(demo_run.folder, part, "private") for part in ("A1", "B1"))
    first = other[other["training"] == 0].reset_index(drop=True)
    assert one["truth"].tolist() == first["truth"].tolist()
    whole = {s["set"]: s for s in results.load_metrics(demo_run.folder, "A1")["scores"]}
    right = (one["predicted"] == one["truth"]).mean()
    assert right == pytest.approx(whole["PrivateTest"]["accuracy"])


def test_models_beat_the_commonest_answer_and_none_is_perfect(demo_run):
    chance = {"PrivateTest": 0.0, "target-labelled": 0.0}
    for part in ("A1", "A2", "B1", "B2", "B3"):
        for score in results.load_metrics(demo_run.folder, part)["scores"]:
            if score["set"] in chance:
                supports = [entry["support"] for entry in score["per_class"].values()]
                assert max(supports) / sum(supports) < score["accuracy"] < 0.97, (part, score)


def test_stored_models_answer_as_the_chapters_did(demo_run, person):
    from mien.emotions import named, restrict
    from mien.network import inference, pretrained

    faces = person.faces
    for part, file, has in (("A1", "A1.skops", "has_image"), ("A2", "A2.skops", "has_units")):
        frame = results.load_table(demo_run.folder, part, "predictions").set_index("file_name")
        which = (faces["set"] == "unknown") & faces[has]
        model = storage.load(results.model_path(demo_run.folder, file))
        inputs = person.images[which] if part == "A1" else person.features("openface").values[which]
        answers = model.predict_proba(inputs)
        if part == "A1":
            answers = named(restrict(answers, person.emotions).argmax(axis=1))
        else:
            answers = model.classes_[answers.argmax(axis=1)]
        assert (answers == frame.loc[faces.loc[which, "file_name"], "predicted"]).all()
    tuned = pretrained.load(results.model_path(demo_run.folder, "B3.keras"))
    which = (faces["set"] == "unknown") & faces["has_image"]
    answers = restrict(inference.predict(tuned, person.images[which]), person.emotions).argmax(
        axis=1
    )
    frame = results.load_table(demo_run.folder, "B3", "predictions").set_index("file_name")
    assert (named(answers) == frame.loc[faces.loc[which, "file_name"], "predicted"]).all()


def test_study_json_tells_where_the_numbers_come_from(demo_run):
    record = json.loads((demo_run.folder / "study.json").read_text())
    assert record["parameters"]["profile"] == "demo"
    assert {part: state["state"] for part, state in record["parts"].items()} == {
        plan.part: "done" for plan in CHAPTERS
    }
    assert all(state["seconds"] > 0 for state in record["parts"].values())
    assert {"python", "numpy", "scikit-learn", "tensorflow", "keras"} <= set(record["versions"])
    assert record["hardware"]["cores"] >= 1 and set(record["data"]) == {"fer2013", "target"}
    assert record["command"].startswith("mien run demo")


def test_the_report_says_that_its_faces_are_drawn(demo_run):
    for page in demo_run.folder.glob("*.html"):
        assert "drawn" in page.read_text(encoding="utf-8"), page.name


def test_pages_are_small_and_name_no_path_of_this_machine(demo_run, root):
    for page in demo_run.folder.glob("*.html"):
        assert page.stat().st_size < 3_000_000, page.name
        text = page.read_text(encoding="utf-8")
        assert str(demo_run.folder) not in text
        assert f"{root}/" not in text


def test_the_verdict_on_the_page_is_the_computed_one(demo_run):
    metrics = results.load_metrics(demo_run.folder, "C")
    page = (demo_run.folder / "index.html").read_text(encoding="utf-8")
    best = metrics["best"]
    scores = {s["model"]: s for s in metrics["scores"] if s["set"] == "target-labelled"}
    assert best == max(scores, key=lambda model: scores[model]["accuracy"])
    assert metrics["verdict"][0].startswith(best)
    assert metrics["verdict"][0] in page


def test_an_unchanged_study_runs_nothing_again(demo_run, mien):
    before = {
        path: path.stat().st_mtime_ns for path in (demo_run.folder / "results").rglob("*.json")
    }
    done = mien("run", *demo_run.study, "--out", str(demo_run.folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unchanged") == len(CHAPTERS)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_bare_papermill_runs_a_chapter(demo_run, tmp_path, root):
    import subprocess
    import sys

    done = subprocess.run(
        [
            *(sys.executable, "-m", "papermill", "notebooks/0_data.ipynb"),
            *(str(tmp_path / "out.ipynb"), "-k", "python3", "--no-progress-bar"),
            *("-p", "out", str(tmp_path / "study"), "-p", "seed", "0"),
        ],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert results.load_metrics(tmp_path / "study", "0")["part"] == "0"


def test_the_model_of_the_person_is_a_stored_one_and_tells_its_trade(demo_run, mien_here):
    card, files = results.load_winner(demo_run.folder)
    scores = results.load_metrics(demo_run.folder, "C")["scores"]
    assert card["accuracy"] >= max(s["accuracy"] for s in scores if s["set"] == "target-labelled")
    stored = [path.read_bytes() for path in (demo_run.folder / "models").glob("*.*")]
    assert all(path.read_bytes() in stored for path in files.values())
    assert card["threshold"] is None or 0 < card["threshold"] < 1
    done = mien_here("predict", "--person", str(demo_run.folder), "--coverage")
    assert done.returncode == 0 and card["model"] in done.stdout
    told = (demo_run.folder / "models/person/card.md").read_text()
    assert f"{100 * card['accuracy']:.1f} %" in told
