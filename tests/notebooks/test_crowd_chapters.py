"""Chapters 0, A1 and B1: what teaches, what chooses, and what PrivateTest may tell."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mien.data.fer2013 import Fer2013, PrivateTest
from mien.designed import image_svm, storage
from mien.emotions import codes, named, restrict, spread
from mien.evaluation.calibration import apply_temperature
from mien.network import ablation, inference, pretrained, training
from mien.running import record
from mien.study import predictions, results


def permuted(self: Fer2013) -> PrivateTest:
    """Return PrivateTest with the labels of other images."""
    chosen = self.usage == "PrivateTest"
    return PrivateTest(self.images[chosen], np.roll(self._labels[chosen], 3))


def found_out(out, part):
    """Return what a chapter has saved: tables, what its models are, and metrics but scores."""
    tables = {path.stem: pd.read_csv(path) for path in (out / "results" / part).glob("*.csv")}
    models = {path.name: record._model(path) for path in results.models_of(out, part)}
    metrics = results.load_metrics(out, part)
    return tables, models, {name: metrics[name] for name in metrics if name not in OF_TRUTH}


#: What of metrics.json may depend on PrivateTest's labels; seconds and memory differ anyway.
OF_TRUTH = ("scores", "calibration_error", "provenance", "seconds", "memory", "same_minutes")
#: What of tables may: the answers' truths and the scores of steps.
OF_TRUTH_TABLES = ("steps", "reliability", "progress", "history", "trials", "ablation")


def assert_scores_alone_differ(one, other):
    for name in one[0].keys() - set(OF_TRUTH_TABLES):
        first, second = one[0][name], other[0][name]
        if name == "private":
            first, second = (table.drop(columns="truth") for table in (first, second))
        pd.testing.assert_frame_equal(first, second)
    assert one[1:] == other[1:]


def test_the_data_are_told_without_a_label_of_private_test(execute, tmp_path):
    names = execute("0_data")
    metrics = results.load_metrics(tmp_path / "out", "0")
    assert metrics["crowd"]["majority"] == names["balance"]["PrivateTest"].idxmax()
    assert metrics["person"]["labelled_images"] == len(names["person"].labelled("has_image").rows)
    kept = {path.stem for path in (tmp_path / "out" / "results" / "0").glob("*.csv")}
    assert kept == {
        *("class_balance", "copies", "unusable", "by_label", "irregularities", "agreement"),
    }
    shown = names["person"].faces.loc[names["rows"], "label"].tolist()
    assert shown == names["captions"]
    copies = results.load_table(tmp_path / "out", "0", "copies")
    assert copies["images"].sum() == 140


def test_labels_of_private_test_change_the_scores_of_a1_and_nothing_else(
    execute, tmp_path, monkeypatch
):
    execute("A1_svm_fer2013", out=str(tmp_path / "one"))
    monkeypatch.setattr(Fer2013, "private_test", permuted)
    execute("A1_svm_fer2013", out=str(tmp_path / "other"))
    one, other = (found_out(tmp_path / name, "A1") for name in ("one", "other"))
    assert_scores_alone_differ(one, other)
    assert (one[0]["private"]["truth"] != other[0]["private"]["truth"]).any()


def test_the_alarm_goes_off_where_a1_is_calibrated_on_private_test(execute, tmp_path, monkeypatch):
    fit, sealed = image_svm.Calibrated.fit, []
    load = Fer2013.split
    monkeypatch.setattr(Fer2013, "split", lambda self, use: sealed.append(self) or load(self, use))
    monkeypatch.setattr(
        image_svm.Calibrated,
        "fit",
        lambda self, *_: fit(self, *vars(sealed[-1].private_test()).values()),
    )
    execute("A1_svm_fer2013", out=str(tmp_path / "one"))
    monkeypatch.setattr(Fer2013, "private_test", permuted)
    execute("A1_svm_fer2013", out=str(tmp_path / "other"))
    one, other = (found_out(tmp_path / name, "A1") for name in ("one", "other"))
    with pytest.raises(AssertionError):
        assert_scores_alone_differ(one, other)


def test_a1_teaches_chooses_calibrates_and_answers_as_it_says(execute, tmp_path):
    names = execute("A1_svm_fer2013")
    out, crowd, person = tmp_path / "out", names["crowd"], names["person"]
    metrics, model = results.load_metrics(out, "A1"), storage.load(out / "models" / "A1.skops")
    public, labels = crowd.split("PublicTest")
    of_steps = {
        step: (fit.predict(public) == labels).mean() for step, fit in names["steps"].items()
    }
    told = {entry["step"]: entry["accuracy"] for entry in metrics["public"]}
    assert told == pytest.approx(of_steps)
    assert metrics["chosen"] == max(of_steps, key=of_steps.get)
    again = image_svm.Calibrated(names["steps"][metrics["chosen"]]).fit(public, labels)
    assert model.temperature_ == pytest.approx(again.temperature_)
    private = crowd.private_test()
    table = results.load_table(out, "A1", "private")
    assert table["predicted"].tolist() == named(model.predict(private.images)).tolist()
    assert table["truth"].tolist() == named(private._labels).tolist()
    scores = {score["set"]: score for score in metrics["scores"]}
    assert scores["PrivateTest"]["accuracy"] == pytest.approx(
        (table["predicted"] == table["truth"]).mean()
    )
    assert scores["PrivateTest-deduplicated"]["n"] <= scores["PrivateTest"]["n"]
    predictions = results.load_table(out, "A1", "predictions").set_index("file_name")
    faces = person.faces[person.faces["has_image"]]
    shares = spread(model.predict_proba(person.images[faces.index]), named(model.classes_))
    restricted = restrict(shares, person.emotions)
    own = predictions.loc[faces["file_name"]]
    assert own["predicted"].tolist() == named(restricted.argmax(axis=1)).tolist()
    np.testing.assert_allclose(own["p_happy"], restricted[:, 3], atol=1e-4)
    assert metrics["calibration_error"] == pytest.approx(names["error"])


@pytest.mark.parametrize("part, stem", [("A1", "A1_svm_fer2013")])
def test_rivals_are_judged_in_the_persons_own_folds(execute, tmp_path, part, stem):
    names = execute(stem)
    dealt = names["chapter"].person_folds(names["person"], repeats=2)
    faces = names["person"].faces
    rivals = results.load_table(tmp_path / "out", part, "rivals")
    for repeat, own in rivals.groupby("repeat"):
        fold = dict(zip(faces["file_name"], dealt[repeat], strict=True))
        assert own["fold"].tolist() == [fold[name] for name in own["file_name"]]
    of_rival = {score["model"]: score for score in names["rival_scores"].values()}
    for rival, own in rivals.groupby("model"):
        right = (own["predicted"] == own["truth"]).mean()
        assert of_rival[rival]["accuracy"] == pytest.approx(right)


# B1: its training is played, so that the chapter takes seconds


@pytest.fixture
def taught(monkeypatch, eagerly):
    """Let trainings note what they get and learn nothing; return the notes."""
    notes = []

    def train(model, images, labels, check, truth, recipe, *, seed, checkpoint=None, **_):
        notes.append({"images": images, "labels": labels, "check": check, "truth": truth,
                      "seed": seed, "checkpoint": checkpoint})  # fmt: skip
        row = {"loss": 2.0, "accuracy": 0.2, "val_loss": 2.0, "val_accuracy": 0.2}
        rows = [{"epoch": epoch, **row, "learning_rate": 0.1, "seconds": 1.0} for epoch in (1, 2)]
        return pd.DataFrame(rows)

    def beside(learned, public, history, *, minutes, seed):
        notes.append({"images": learned[0], "labels": learned[1], "check": public[0],
                      "truth": public[1], "seed": seed, "checkpoint": None})  # fmt: skip
        progress = {"network": ["assignment's", "ours"], "minutes": [0.1, 0.2]}
        return pd.DataFrame(progress).assign(**{"PublicTest accuracy": [0.1, 0.2]})

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(ablation, "beside_the_assignment", beside)
    return notes


def test_labels_of_private_test_change_the_scores_of_b1_and_nothing_else(
    execute, tmp_path, monkeypatch, taught
):
    execute("B1_cnn_fer2013", out=str(tmp_path / "one"), trainings=2)
    monkeypatch.setattr(Fer2013, "private_test", permuted)
    execute("B1_cnn_fer2013", out=str(tmp_path / "other"), trainings=2)
    one, other = (found_out(tmp_path / name, "B1") for name in ("one", "other"))
    assert_scores_alone_differ(one, other)


def test_b1_teaches_watches_chooses_and_answers_as_it_says(execute, tmp_path, taught):
    names = execute("B1_cnn_fer2013", trainings=2)
    out, crowd = tmp_path / "out", names["crowd"]
    images, labels = crowd.split("Training")
    public, truth = crowd.split("PublicTest")
    known = {image.tobytes() for image in images}
    for note in taught:
        assert {image.tobytes() for image in note["images"]} <= known
        np.testing.assert_array_equal(note["check"], public)
        np.testing.assert_array_equal(note["truth"], truth)
    whole = [note for note in taught if note["checkpoint"]]
    assert [note["seed"] for note in whole] == [0, 1000]
    assert [note["checkpoint"].name for note in whole] == [
        *("B1.checkpoint.npz", "B1-2.checkpoint.npz"),
    ]
    for note in whole:
        np.testing.assert_array_equal(note["labels"], labels)
    metrics, networks = results.load_metrics(out, "B1"), names["networks"]
    compared, _ = inference.compare_views(networks[0], public, truth)
    assert metrics["views"] == inference.best_views(compared)
    answered = []
    for network, fitted in zip(networks, metrics["temperatures"], strict=True):
        again, _ = inference.compare_views(network, public, truth)
        expected = dict(zip(again["views"], again["temperature"], strict=True))
        assert fitted == pytest.approx({view: expected[view] for view in fitted})
        raw = inference.predict(
            network, crowd.private_test().images, **inference.VIEWS[metrics["views"]]
        )
        answered.append(apply_temperature(raw, fitted[metrics["views"]]))
    table = results.load_table(out, "B1", "private")
    shares = table[[*predictions.SHARES]].to_numpy().reshape(2, -1, 7)
    np.testing.assert_allclose(shares, np.stack(answered), atol=1e-4)
    scores = {score["set"]: score for score in metrics["scores"]}
    right = (table["predicted"] == table["truth"]).mean()
    assert scores["PrivateTest"]["accuracy"] == pytest.approx(right)
    of_public = [
        inference.predict(network, public, **inference.VIEWS[metrics["views"]]).argmax(axis=1)
        for network in networks
    ]
    assert scores["PublicTest"]["accuracy"] == pytest.approx((np.stack(of_public) == truth).mean())
    assert codes(table["truth"][:14]).tolist() == crowd.private_test()._labels.tolist()
    stored = [pretrained.load(out / "models" / f"{name}.keras") for name in ("B1", "B1-2")]
    for network, again in zip(networks, stored, strict=True):
        np.testing.assert_allclose(
            inference.predict(again, public), inference.predict(network, public), atol=1e-5
        )
    both = zip(*(network.get_weights() for network in networks), strict=True)
    assert not all(np.allclose(first, second) for first, second in both)


# guides/change_the_model.md


def example(root, number):
    """Return an example of the guide."""
    text = (root / "guides" / "change_the_model.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)[number]


def test_the_guides_models_take_part_in_a1(execute, root, tmp_path):
    names = execute("A1_svm_fer2013", cells={"a1-08": example(root, 1)})
    told = [entry["step"] for entry in results.load_metrics(tmp_path / "out", "A1")["public"]]
    assert "forest" in told
    assert isinstance(names["steps"]["HOG"][-1], LogisticRegression)


def test_the_guides_network_takes_the_place_of_ours(execute, root, tmp_path, taught):
    names = execute("B1_cnn_fer2013", cells={"b1-08": example(root, 2)}, trainings=2)
    assert [layer.name.partition("_")[0] for layer in names["another"].layers] == [
        *("conv2d", "max", "flatten", "dense", "dense"),
    ]
    stored = results.model_path(tmp_path / "out", "B1-2.keras")
    assert pretrained.load(stored).count_params() == names["network"].count_params()
    assert names["settings"]["muon"] is False
