"""Chapters A2, B2, B3 and C: what learns from the person, and what is said of it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from mien.designed import measured_analysis, measured_svm, storage
from mien.emotions import EMOTIONS, named, probability_of, restrict
from mien.evaluation import cross_validation, heat_maps
from mien.evaluation.calibration import apply_temperature
from mien.evaluation.probing import by_probe
from mien.models import MODELS, RIVALS
from mien.network import architecture, fine_tuning, inference, pretrained, saliency
from mien.study import results
from mien.study.chapter import Chapter
from mien.study.predictions import answers_on_person, repeats_table, rivals_table

#: Of what two networks are asked on the person.
TEMPERATURES = (0.5, 3.0)


@pytest.fixture
def person_folder(drawn, tmp_path):
    """The drawn person, one of whose unknown faces is a frame of a labelled clip."""
    folder = tmp_path / "person"
    shutil.copytree(drawn / "person", folder)
    labelled = sorted((folder / "images" / "happy").iterdir())[0]
    unknown = sorted((folder / "images" / "unknown").iterdir())[0]
    name = f"{labelled.stem.rpartition('_')[0]}_99{unknown.suffix}"
    unknown.rename(unknown.with_name(name))
    for table in folder.glob("*.csv"):
        table.write_text(table.read_text().replace(unknown.name, name))
    return folder


@pytest.fixture
def given(person_folder, tmp_path):
    """What every chapter here gets."""
    places = {"target": str(person_folder), "out": str(tmp_path / "out")}
    return {**places, "folds": 3, "resamples": 100}


def mean_right(table):
    return (table["predicted"] == table["truth"]).mean()


def assert_tables_are_of_the_folds(names, out, part):
    """Folds keep clips whole, are the chapter's own, and are what the score is about."""
    person, chapter = names["person"], names["chapter"]
    repeats = results.load_table(out, part, "repeats")
    dealt = chapter.person_folds(person, repeats=repeats["repeat"].nunique())
    for (_, repeat), own in repeats.groupby(["training", "repeat"]):
        fold = dict(zip(person.faces["file_name"], dealt[repeat], strict=True))
        assert own["fold"].tolist() == [fold[name] for name in own["file_name"]]
    labels = person.faces.set_index("file_name")["label"]
    assert repeats["truth"].tolist() == labels[repeats["file_name"]].tolist()
    score = results.scores_by_set(results.load_metrics(out, part))["target-labelled"]
    assert score["accuracy"] == pytest.approx(mean_right(repeats))
    first = repeats[(repeats["training"] == 0) & (repeats["repeat"] == 0)]
    predictions = results.load_table(out, part, "predictions")
    shown = predictions[predictions["set"] == "labelled"].set_index("file_name")
    assert shown.loc[first["file_name"], "predicted"].tolist() == first["predicted"].tolist()
    assert shown.loc[first["file_name"], "fold"].astype(int).tolist() == first["fold"].tolist()


# A2


def test_a2_learns_from_labelled_rows_in_the_persons_own_folds(
    execute, given, tmp_path, monkeypatch
):
    asked = []

    def noted(function):
        def noting(*given, **how):
            *_, rows, truth, clips, folds = given
            asked.append((rows, truth, clips, np.atleast_2d(folds)))
            return function(*given, **how)

        return noting

    for room, function in (
        (cross_validation, "out_of_fold"),
        (measured_analysis, "chance_test"),
        (measured_analysis, "unit_importance"),
    ):
        monkeypatch.setattr(room, function, noted(getattr(room, function)))
    names = execute("A2_svm_action_units", **given)
    out, labelled = tmp_path / "out", names["labelled"]
    assert_tables_are_of_the_folds(names, out, "A2")
    whole = []
    for rows, truth, clips, folds in asked:
        np.testing.assert_array_equal(rows, names["features"].values[labelled.rows])
        assert (truth == labelled.truth).all() and (clips == labelled.clips).all()
        whole.append(
            all(len(set(fold[clips == clip])) == 1 for fold in folds for clip in set(clips))
        )
    assert whole == [True, False, True, True]
    scores = results.scores_by_set(results.load_metrics(out, "A2"))
    leaked = (named(names["leaked"].argmax(axis=2)) == labelled.truth).mean()
    assert scores["target-labelled-plain-folds"]["accuracy"] == pytest.approx(leaked)


def test_a2_answers_unknown_faces_by_what_has_not_seen_their_clips(execute, given, tmp_path):
    names = execute("A2_svm_action_units", **given)
    person, labelled, model = names["person"], names["labelled"], names["model"]
    units = person.features("openface").values
    unknown = person.unknown("has_units")
    apart = ~np.isin(labelled.clips, person.faces["clip"][unknown])
    assert 0 < (~apart).sum() < len(apart)
    rows, truth, clips = units[labelled.rows], labelled.truth, labelled.clips
    blind = clone(model).fit(rows[apart], truth[apart], groups=clips[apart])
    predictions = results.load_table(tmp_path / "out", "A2", "predictions").set_index("file_name")
    shown = predictions.loc[person.faces["file_name"][unknown], [f"p_{e}" for e in blind.classes_]]
    np.testing.assert_allclose(shown, blind.predict_proba(units[unknown]), atol=1e-4)
    stored = storage.load(tmp_path / "out" / "models" / "A2.skops")
    whole = clone(model).fit(rows, truth, groups=clips)
    np.testing.assert_allclose(stored.predict_proba(rows), whole.predict_proba(rows), atol=1e-6)


@pytest.mark.parametrize("declared", ["", "both"])
def test_a2_reads_what_the_study_declares_and_shows_the_rest_beside_it(
    execute, given, person_folder, tmp_path, landmarker, declared
):
    for path in list((person_folder / "images").glob("*/*"))[::2]:  # photos cost time
        path.unlink()
    if not declared:
        next(person_folder.glob("*_AU.csv")).unlink()
    names = execute("A2_svm_action_units", **given, designed=declared)
    metrics = results.load_metrics(tmp_path / "out", "A2")
    rivals = results.load_table(tmp_path / "out", "A2", "rivals")
    if declared:
        assert metrics["model"] == names["svm"] == "SVM-Measured"
        assert set(rivals["model"]) == {"SVM-OpenFace", "SVM-Blendshapes"}
        assert metrics["features"]["source"] == "OpenFace 2 and blendshapes"
        units, both = names["person"].features("openface"), names["both"]
        alone = measured_svm.MeasuredSvm(
            units.names, **names["chapter"].setting("unit_model"), seed=names["seed"]
        )
        given = units.values[both.rows], both.truth, both.clips, names["beside"]
        expected, _ = cross_validation.out_of_fold(measured_svm.asked(alone), *given)
        np.testing.assert_allclose(names["rivals"]["SVM-OpenFace"], expected, atol=1e-6)
    else:
        assert metrics["model"] == names["svm"] == "SVM-Blendshapes" and rivals.empty
        assert metrics["features"]["kind"] == "blendshapes" and not metrics["textbook"]["units"]
    assert tuple(metrics["features"]["columns"]) == names["features"].names
    score = results.scores_by_set(metrics)["target-labelled"]
    repeats = results.load_table(tmp_path / "out", "A2", "repeats")
    assert score["accuracy"] == pytest.approx(mean_right(repeats)) and score["accuracy"] > 0.4


def rated_otherwise(folder):
    ratings = pd.read_csv(folder / "ratings.csv")
    ratings["label"] = ["happy" if label != "happy" else "sad" for label in ratings["label"]]
    ratings.to_csv(folder / "ratings.csv", index=False)


def assert_truths_of_unknown_faces_alone_differ(one, other, part):
    first, second = (results.load_table(out, part, "predictions") for out in (one, other))
    assert (first["truth"] != second["truth"]).any()
    same = ["file_name", "predicted", *(f"p_{emotion}" for emotion in EMOTIONS)]
    pd.testing.assert_frame_equal(first[same], second[same])
    tables = (results.load_table(out, part, "repeats") for out in (one, other))
    pd.testing.assert_frame_equal(*tables)


def test_ratings_change_no_model_of_a2(execute, given, person_folder, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    execute("A2_svm_action_units", **given | {"out": str(one)})
    rated_otherwise(person_folder)
    execute("A2_svm_action_units", **given | {"out": str(other)})
    assert_truths_of_unknown_faces_alone_differ(one, other, "A2")


def test_the_alarm_goes_off_where_rated_faces_are_learned_from(
    execute, given, person_folder, tmp_path, monkeypatch
):
    fit = measured_svm.MeasuredSvm.fit

    def leaking(self, rows, labels, groups=None):
        rated = person.majority().to_numpy(str)
        more = rated != ""
        rows, labels = (
            np.vstack([rows, person.features("openface").values[more]]),
            np.append(labels, rated[more]),
        )
        groups = np.append(groups, person.faces["clip"][more])
        return fit(self, rows, labels, groups=groups)

    monkeypatch.setattr(measured_svm.MeasuredSvm, "fit", leaking)
    for name in ("one", "other"):
        person = Chapter("A2", **given).load_person()
        execute("A2_svm_action_units", **given | {"out": str(tmp_path / name)})
        rated_otherwise(person_folder)
    with pytest.raises(AssertionError):
        assert_truths_of_unknown_faces_alone_differ(tmp_path / "one", tmp_path / "other", "A2")


def test_the_guides_classifier_takes_the_place_of_a2s(execute, given, root, tmp_path):
    text = (root / "guides" / "change_the_model.md").read_text(encoding="utf-8")
    first = text.partition("```python\n")[2].partition("```")[0]
    names = execute("A2_svm_action_units", cells={"a2-08": first}, **given)
    assert_tables_are_of_the_folds(names, tmp_path / "out", "A2")
    stored = storage.load(tmp_path / "out" / "models" / "A2.skops")
    assert isinstance(stored.model_, RandomForestClassifier)


# B2 and B3


@pytest.fixture
def networks(given, tmp_path, eagerly):
    """Two small networks as B1 would leave them, of which the first is not the second."""
    chapter = Chapter("B1", out=given["out"])
    made = [architecture.build(stem=8, stages=((8, 0),), seed=seed) for seed in (0, 1)]
    chapter.save_networks(made)
    fitted = [{inference.MIRRORED: each, "the face alone": 9.0} for each in TEMPERATURES]
    chapter.save(temperatures=fitted, views="the face alone")
    return made


def leave_answers(given, part, *, seed=0):
    """Save answers of a chapter that were drawn, and the scores that fit them."""
    chapter = Chapter(part, **given)
    person = chapter.load_person()
    rows = np.flatnonzero(person.faces["has_image"])
    shares = np.random.default_rng(seed).dirichlet(np.ones(7), (2, len(rows)))
    answered = answers_on_person(chapter, person, shares, rows=rows)
    chapter.keep(repeats=answered.repeats)
    chapter.save(scores=answered.scores, predictions=answered.predictions)
    return chapter


def test_b2_answers_with_every_network_at_its_own_temperature(execute, given, networks, tmp_path):
    leave_answers(given, "A2")
    names = execute("B2_cnn_on_target", **given)
    out, person = tmp_path / "out", names["person"]
    faces = person.faces[person.faces["has_image"]]
    expected = [
        restrict(
            apply_temperature(inference.predict(network, person.images[faces.index]), temperature),
            person.emotions,
        )
        for network, temperature in zip(networks, TEMPERATURES, strict=True)
    ]
    table = results.load_table(out, "B2", "predictions").set_index("file_name")
    shares = table.loc[faces["file_name"], [f"p_{emotion}" for emotion in EMOTIONS]]
    np.testing.assert_allclose(shares, expected[0], atol=1e-4)
    repeats = results.load_table(out, "B2", "repeats")
    assert repeats["training"].nunique() == 2
    labelled = (faces["set"] == "labelled").to_numpy()
    for number, own in repeats.groupby("training"):
        assert own["predicted"].tolist() == named(expected[number][labelled].argmax(1)).tolist()
        of_truth = probability_of(own["truth"], expected[number][labelled])
        np.testing.assert_allclose(own["p_truth"], of_truth, atol=1e-4)
    score = results.scores_by_set(results.load_metrics(out, "B2"))["target-labelled"]
    assert score["accuracy"] == pytest.approx(mean_right(repeats))
    a2 = results.load_table(out, "A2", "predictions").set_index("file_name")
    both = faces.loc[labelled, "file_name"]
    pairs = results.load_table(out, "B2", "pairs").iloc[0]
    assert (pairs["a"], pairs["b"]) == ("NN-FER2013", "SVM-OpenFace")
    assert pairs["accuracy_a"] == pytest.approx(mean_right(table.loc[both]), abs=1e-5)
    assert pairs["accuracy_b"] == pytest.approx(mean_right(a2.loc[both]), abs=1e-5)


@pytest.fixture
def quick_pictures(monkeypatch):
    """Let what explains a network cost nothing."""
    for name in ("attention", "occlusion"):
        monkeypatch.setattr(saliency, name, lambda model, images, _: np.ones((len(images), 48, 48)))
    table = pd.DataFrame({"randomised": ["head"], "correlation": [0.5]})
    monkeypatch.setattr(saliency, "sanity_check", lambda *_, **how: table)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:The least populated")
def test_b3_tunes_every_network_in_the_persons_own_folds(
    execute, given, networks, tmp_path, monkeypatch, quick_pictures
):
    leave_answers(given, "A2")
    b2 = leave_answers(given, "B2", seed=4)
    was = results.load_table(b2.folder, "B2", "repeats").sort_values("p_truth")  # in no order
    was.to_csv(b2.folder / "results" / "B2" / "repeats.csv", index=False)
    tuned_on = []
    fit_on = fine_tuning.Tuner.fit_on

    def noting(self, rows, labels, clips):
        tuned_on.append((self, np.asarray(rows), labels, clips))
        return fit_on(self, rows, labels, clips)

    monkeypatch.setattr(fine_tuning.Tuner, "fit_on", noting)
    names = execute("B3_fine_tuning", **given)
    out, person, labelled = tmp_path / "out", names["person"], names["labelled"]
    assert_tables_are_of_the_folds(names, out, "B3")
    unknown = person.unknown("has_image")
    apart = np.flatnonzero(~np.isin(labelled.clips, person.faces["clip"][unknown]))
    assert len(apart) < len(labelled.clips)
    (_, whole, *_), *blind = tuned_on
    assert whole.tolist() == list(range(len(labelled.clips)))
    assert [rows.tolist() for _, rows, *_ in blind] == [apart.tolist()] * 2
    assert [tuner for tuner, *_ in blind] == names["tuners"]
    for _, rows, truth, clips in tuned_on:
        assert truth.tolist() == labelled.truth[rows].tolist()
        assert clips.tolist() == labelled.clips[rows].tolist()
    predictions = results.load_table(out, "B3", "predictions").set_index("file_name")
    shares = restrict(
        inference.predict(names["answering"][0], person.images[unknown]), person.emotions
    )
    shown = predictions.loc[person.faces["file_name"][unknown], "predicted"]
    assert shown.tolist() == named(shares.argmax(axis=1)).tolist()
    rivals = results.load_table(out, "B3", "rivals")
    for rival, score in names["rival_scores"].items():
        assert score["accuracy"] == pytest.approx(mean_right(rivals[rivals["model"] == rival]))
    read_by_first, read = (inference.embed(one, person.images[labelled.rows]) for one in networks)
    given = read, labelled.truth, labelled.clips, names["dealt"]
    probed, _ = cross_validation.out_of_fold(by_probe, *given)
    np.testing.assert_allclose(names["rivals"]["NN-FER2013 + LR"][1], probed, atol=1e-5)
    for tuner, features in zip(names["tuners"], (read_by_first, read), strict=True):
        np.testing.assert_allclose(tuner.features, features, atol=1e-5)
    assert not np.array_equal(*names["probabilities"])
    gained = mean_right(results.load_table(out, "B3", "repeats")) - mean_right(was)
    assert names["pairs"].loc[0, "difference"] == pytest.approx(gained)
    folds = results.load_table(out, "B3", "repeats").set_index(["file_name", "repeat"])["fold"]
    own = rivals.set_index(["file_name", "repeat"])["fold"]
    assert own.to_dict() == folds.to_dict()
    pairs = results.load_table(out, "B3", "pairs").iloc[0]
    assert pairs["accuracy_b"] == pytest.approx(mean_right(was), abs=1e-5)
    stored = pretrained.load(out / "models" / "B3.keras")
    np.testing.assert_allclose(
        inference.predict(stored, person.images[:3]),
        inference.predict(names["tuned"], person.images[:3]),
        atol=1e-5,
    )
    with np.load(out / "models" / "B3-labelled.npz") as known:
        assert known["labels"].tolist() == labelled.truth.tolist()
        np.testing.assert_allclose(known["NN-FER2013 + LR"], read_by_first, atol=2e-3)
        assert known["NN-FER2013 + prior"].shape == (len(labelled.truth), 7)


@pytest.fixture
def played(monkeypatch):
    """Let the tuning note what it gets, and learn nothing; return the notes."""
    notes = []

    def fit(self, rows, labels, *, epochs, seed=0, **_):
        notes.append((list(rows), list(labels), epochs, seed, self.seed))

    monkeypatch.setattr(fine_tuning.Tuner, "choose_epochs", lambda *given, **_: 1)
    monkeypatch.setattr(fine_tuning.Tuner, "fit", fit)
    return notes


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_ratings_change_no_model_of_b3(
    execute, given, networks, person_folder, tmp_path, quick_pictures, played
):
    learned = []
    for name in ("one", "other"):
        leave_answers(given, "B2", seed=1)
        execute("B3_fine_tuning", **given)
        shutil.copytree(tmp_path / "out", tmp_path / name)
        learned.append(played.copy())
        played.clear()
        rated_otherwise(person_folder)
    assert learned[0] == learned[1] and len(learned[0]) > 6
    assert_truths_of_unknown_faces_alone_differ(tmp_path / "one", tmp_path / "other", "B3")


# C


@pytest.fixture
def answered(given, networks, tmp_path, monkeypatch):
    """All that chapter C reads, drawn; the parts by name."""
    random = np.random.default_rng(7)
    for number, part in enumerate(("A1", "A2", "B2", "B3")):
        chapter = Chapter(part, **given)
        person = chapter.load_person()
        rows = np.flatnonzero(person.faces["has_units" if part == "A2" else "has_image"])
        labelled = np.isin(rows, np.flatnonzero(person.faces["set"] == "labelled"))
        trainings = 2 if part in ("B2", "B3") else 1
        truth = person.faces["label"].to_numpy(str)[rows]
        shares = random.dirichlet(np.ones(7), (trainings, len(rows)))
        lift = np.array([[e == name for e in EMOTIONS] for name in truth]) * number * 0.1
        answers = answers_on_person(chapter, person, shares + lift, rows=rows)
        repeats, scores = answers.repeats, answers.scores
        if part in ("A2", "B3"):
            folds = chapter.person_folds(person, repeats=2)[:, rows[labelled]]
            twice = np.stack([restrict(each, person.emotions) for each in shares + lift])
            twice = np.stack([twice[:, labelled]] * 2, axis=1)
            repeats = repeats_table(person, rows[labelled], twice, folds=folds)
            seen = person.labelled("has_units" if part == "A2" else "has_image")
            given_shares = twice[0] if part == "A2" else twice
            scores = [chapter.score_folds(person, seen, given_shares, folds), *scores[1:]]
        tables = {"repeats": repeats}
        beside = RIVALS | {name: MODELS[name] for name in ("SVM-Blendshapes", "SVM-Measured")}
        own = [name for name, rival in beside.items() if rival.part == part]
        if own:
            seen = person.labelled("has_image")
            folds = chapter.person_folds(person, repeats=2)[:, seen.rows]
            shape = (2, len(seen.rows))
            if part == "B3":
                shape = (2, *shape)
            rivals = {name: random.dirichlet(np.ones(7), shape) for name in own}
            tables["rivals"] = rivals_table(person, seen.rows, rivals, folds=folds)
            scores = [*scores, *chapter.score_rivals(person, seen, rivals, folds).values()]
        if part == "B3":
            maps, seen = np.ones((len(person.emotions), 48, 48)), person.emotions
            tables["attention"] = heat_maps.mean_maps(maps, seen)
        if part in ("A2", "B3"):
            faces = person.faces.loc[rows[labelled], ["file_name", "clip"]]
            faces = faces.assign(model=f"of {part}", loss=1.0)
            tables["curve"] = pd.concat(
                faces.assign(size=size, learned=learned, right=random.random(len(faces)))
                for size, learned in ((4, 8), (0, 30))
            )
        chapter.keep(**tables)
        chapter.note(temperature=1.5)
        unmasked = answers.unrestricted_scores if part in ("A1", "B2") else []
        chapter.seconds |= {"fit": 1.0, "predict": 0.1}
        chapter.save(scores=[*scores, *unmasked], predictions=answers.predictions)
        monkeypatch.setattr(
            Chapter, "stored_model", lambda *_: tmp_path / "out" / "models" / "B1.keras"
        )
    return tmp_path / "out"


def test_c_compares_what_the_chapters_said(execute, given, answered, monkeypatch):
    from mien.report import figures, sentences

    monkeypatch.setattr(sentences, "textbook", lambda _: "")
    monkeypatch.setattr(figures, "unit_importance", lambda _: None)
    a2 = json.loads((answered / "results/A2/metrics.json").read_text()) | {"textbook": {}}
    (answered / "results/A2/metrics.json").write_text(json.dumps(a2))
    (answered / "results/A2/importance.csv").write_text("a\n1\n")
    execute("C_comparison", **given)
    metrics = results.load_metrics(answered, "C")
    scores = {s["model"]: s for s in metrics["scores"] if s["set"] == "target-labelled"}
    tables = {
        part: results.load_table(answered, part, "repeats") for part in ("A1", "A2", "B2", "B3")
    }
    shared = set.intersection(*(set(table["file_name"]) for table in tables.values()))
    for (name, score), table in zip(scores.items(), tables.values(), strict=True):
        assert score["n"] == len(shared), name
        assert score["accuracy"] == pytest.approx(
            mean_right(table[table["file_name"].isin(shared)])
        )
    assert metrics["best"] == max(scores, key=lambda name: scores[name]["accuracy"])
    assert metrics["verdict"][0].startswith(metrics["best"])
    unknown = {s["model"]: s for s in metrics["scores"] if s["set"] == "target-unknown"}
    for part, name in (("A1", "SVM-FER2013"), ("B3", "NN-FineTuned")):
        own = results.scores_by_set(results.load_metrics(answered, part))["target-unknown"]
        assert unknown[name]["accuracy"] == own["accuracy"]
    drawn = results.load_table(answered, "C", "curve").set_index(["model", "size"])
    for part in ("A2", "B3"):
        own = results.load_table(answered, part, "curve")
        own = own[own["file_name"].isin(shared)].groupby("size")["right"].mean()
        for size in (0, 4):
            point = drawn.loc[(f"of {part}", size)]
            assert point["accuracy"] == pytest.approx(own[size], abs=1e-5)
            ahead = own[size] - scores["NN-FER2013"]["accuracy"]
            assert point["ahead"] == pytest.approx(ahead, abs=1e-5)
    pairs = results.load_table(answered, "C", "pairs")
    for row in pairs.itertuples():
        if row.a in scores and row.b in scores:
            difference = scores[row.a]["accuracy"] - scores[row.b]["accuracy"]
            assert row.difference == pytest.approx(difference, abs=1e-5)
    right = {name: table["predicted"] for name, table in tables.items()}
    assert len(metrics["disputed"]) > 0 and right


def test_c_stops_where_a_chapter_says_something_else_of_the_same_faces(execute, given, answered):
    path = answered / "results" / "B3" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["scores"][0]["accuracy"] += 0.01
    path.write_text(json.dumps(metrics))
    with pytest.raises(Exception, match="NN-FineTuned is right on"):
        execute("C_comparison", **given)
