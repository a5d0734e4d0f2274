"""Chapter C's side-by-side, on answers small enough to count by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation import paired_tests
from mien.evaluation.intervals import corrected_resampled
from mien.models import MODELS, RIVALS, declared
from mien.study import comparison, provenance


def answered(*names: str, unknown: int = 1) -> pd.DataFrame:
    """Return predictions of labelled faces of these names, and of some unknown ones."""
    rows = [(name, "labelled", "happy", "happy") for name in names]
    rows += [(f"u{number}", "unknown", "sad", "happy") for number in range(unknown)]
    frame = pd.DataFrame(rows, columns=["file_name", "set", "truth", "predicted"])
    shares = {f"p_{emotion}": 1.0 if emotion == "happy" else 0.0 for emotion in EMOTIONS}
    return frame.assign(clip=frame["file_name"], **shares)


def every_answer(*names: str, fold: int = -1, **more) -> pd.DataFrame:
    """Return the repeats of labelled faces of these names."""
    return pd.DataFrame(
        {"file_name": names, "clip": names, "truth": "happy", "training": 0, "repeat": 0,
         "fold": fold, "predicted": "happy", "probability": 0.5, "p_truth": 0.5, **more}
    )  # fmt: skip


@pytest.fixture
def chapter(tmp_path):
    """A study without FER2013, whose Action Units lack one of three labelled faces."""
    frames = {"A2": answered("a", "b"), "B2": answered("a", "b", "c"), "B3": answered(*"abc")}
    rivals = [every_answer(*"abc", fold=1, model=name) for name in RIVALS if "NN" in name]
    tables = {
        ("A2", "repeats"): every_answer("a", "b", fold=1),
        ("A2", "rivals"): every_answer("a", "b", fold=1, model="SVM-Blendshapes"),
        ("B2", "repeats"): every_answer(*"abc"),
        ("B3", "repeats"): every_answer(*"abc", fold=1),
        ("B3", "rivals"): pd.concat(rivals),
    } | {(part, "predictions"): frame for part, frame in frames.items()}
    seconds = {
        "A2": {"fit": 0.5, "predict": 0.002},
        "B2": {"predict": 0.008},
        "B3": {"fit": 24.0, "predict": 0.01},
    }
    unknown = {"set": "target-unknown", "trainings": 1}
    right = [{"set": "target-labelled", "n": n, "accuracy": 1.0} for n in (2, 3)]
    rival_scores = [
        {"set": "target-labelled-rival", "model": name, "n": 3, "accuracy": 1.0}
        for name in RIVALS
        if "NN" in name
    ]
    scores = {
        "A2": [right[0], {**right[0], "set": "target-labelled-rival", "model": "SVM-Blendshapes"}],
        "B2": [unknown, right[1]],
        "B3": [{**unknown}, right[1], *rival_scores],
    }
    (tmp_path / "model").write_bytes(b"12345")
    return SimpleNamespace(
        missing={"A1": "the study names no FER2013", "B1": "the study names no FER2013"},
        competitor="SVM-OpenFace",
        table=lambda part, name: tables[part, name],
        tables=tables,
        metrics=lambda part: {
            "seconds": seconds[part],
            "scores": scores.get(part, [unknown]),
            "temperature": 2.0,
        },
        stored_model=lambda part, file: tmp_path / "model",
        seconds=seconds,
        scores=scores,
    )


def test_models_are_compared_on_the_faces_that_all_could_read(chapter):
    answers = comparison.labelled_answers(chapter)
    assert answers.file_name.tolist() == ["a", "b"]
    assert {model: given.shape for model, given in answers.given.items()} == {
        "SVM-OpenFace": (1, 1, 2),
        "NN-FER2013": (1, 1, 2),
        "NN-FineTuned": (1, 1, 2),
        "SVM-Blendshapes": (1, 1, 2),  # and no SVM-Measured, which this study does not have
        **{name: (1, 1, 2) for name, rival in RIVALS.items() if rival.part == "B3"},
    }
    assert answers.of_truth["NN-FineTuned"].tolist() == [[[0.5, 0.5]]]
    assert "NN-FER2013" not in answers.folds and "NN-FER2013 + LR" in answers.folds
    assert answers.folds["SVM-OpenFace"].tolist() == [[1, 1]]


def test_a_score_is_taken_as_its_chapter_has_saved_it(chapter):
    found = comparison.scores_of(chapter, "target-unknown")
    assert list(found) == ["NN-FER2013", "NN-FineTuned"]
    assert found["NN-FER2013"] == {"model": "NN-FER2013", **chapter.scores["B2"][0]}


def test_what_two_networks_took_to_read_a_face_is_halved(chapter):
    chapter.scores["B2"][0]["trainings"] = 2
    assert comparison.costs(chapter)["NN-FER2013"]["milliseconds"] == pytest.approx(1.0)


def test_what_is_missing_is_named_with_its_reason(chapter):
    found = comparison.compared(chapter)
    assert found["models"] == ["SVM-OpenFace", "NN-FER2013", "NN-FineTuned"]
    assert found["missing"] == {"SVM-FER2013": "the study names no FER2013"}
    assert found["came_trained"] == ["NN-FER2013"]


def test_labels_count_every_face_from_which_a_model_learned(chapter):
    prices = comparison.costs(chapter)
    assert {model: price["labels"] for model, price in prices.items()} == {
        "SVM-OpenFace": 2,
        "NN-FER2013": 0,
        "NN-FineTuned": 3,
    }


def test_a_network_that_came_trained_cost_no_training_here(chapter):
    prices = comparison.costs(chapter)
    assert not prices["NN-FER2013"]["trained_here"] and prices["NN-FER2013"]["seconds"] is None
    assert prices["NN-FER2013"]["bytes"] > 1e6  # mien's own file, not the study's
    assert prices["NN-FineTuned"]["trained_here"] and prices["NN-FineTuned"]["seconds"] == 24.0
    assert prices["NN-FER2013"]["milliseconds"] == pytest.approx(2.0)  # four faces
    assert prices["NN-FineTuned"]["milliseconds"] == pytest.approx(10.0)  # the unknown one


def test_fine_tuning_costs_also_the_training_that_it_starts_from(chapter):
    del chapter.missing["B1"]
    chapter.seconds["B1"] = {"fit": 100.0}
    prices = comparison.costs(chapter)
    assert prices["NN-FER2013"]["seconds"] == 100.0
    assert prices["NN-FineTuned"]["seconds"] == 124.0


def test_a_cost_that_no_chapter_declares_is_unknown_and_not_nothing(chapter):
    chapter.seconds["A2"] = {"fit on all": 0.5}
    del chapter.missing["B1"]
    chapter.seconds["B1"] = {}
    prices = comparison.costs(chapter)
    assert prices["SVM-OpenFace"]["seconds"] is None
    assert prices["SVM-OpenFace"]["milliseconds"] is None
    assert prices["NN-FineTuned"]["seconds"] is None
    assert prices["NN-FineTuned"]["trained_here"]


def test_models_dispute_a_face_where_one_answers_otherwise():
    answers = comparison.Answers(
        file_name=np.array(["a", "b", "c"]),
        clip=np.array(["a", "b", "c"]),
        truth=np.array(["sad", "sad", "happy"]),
        given={
            "NN-FER2013": np.array([[["sad"] * 3]]),
            "NN-FineTuned": np.array([[["sad", "happy", "sad"], ["sad"] * 3]]),
            "HOG + LR": np.array([[["happy"] * 3]]),  # a rival disputes nothing
            "SVM-OpenFace": np.array([[["happy"] * 3]]),  # which is a rival here
        },
        probability={},
        of_truth={},
        folds={},
        designed="SVM-Blendshapes",
    )
    assert answers.disputed == ["b"]
    assert answers.chance == pytest.approx(2 / 3)


def test_the_gallery_shows_the_faces_that_every_model_could_read(chapter):
    person = SimpleNamespace(
        faces=pd.DataFrame({"file_name": ["a", "b", "c", "u0"]}),
        crops=[None] * 4,
        ratings=pd.DataFrame({"file_name": ["u0"], "rater": ["Ann"], "label": ["sad"]}),
    )
    items = comparison.gallery_items(chapter, person, ["a", "c", "u0"])
    assert [(item.file_name, item.truth) for item in items] == [("a", "happy"), ("u0", "sad")]
    assert items[1].raters == {"Ann": "sad"}
    assert items[1].answers["NN-FER2013"] == ("happy", 1.0)


def answers_of(trainings: int, *, seed: int = 0) -> comparison.Answers:
    """Answers of all four models to 60 faces of 30 clips, the networks trained so often."""
    random = np.random.default_rng(seed)
    truth = np.where(np.arange(60) < 40, "sad", "happy")
    shapes = {"SVM-FER2013": (1, 1), "SVM-OpenFace": (1, 3), "NN-FER2013": (trainings, 1),
              "NN-FineTuned": (trainings, 2)}  # fmt: skip
    skills = dict(zip(shapes, (0.5, 0.6, 0.8, 0.9), strict=True))
    given = {
        name: np.where(random.random((*shape, 60)) < skills[name], truth, "angry")
        for name, shape in shapes.items()
    }
    fold = np.arange(60) // 2 % 5
    return comparison.Answers(
        file_name=np.arange(60).astype(str),
        clip=(np.arange(60) // 2).astype(str),
        truth=truth,
        given=given,
        probability={name: np.where(answers == truth, 0.9, 0.5) for name, answers in given.items()},
        of_truth={name: np.where(answers == truth, 0.9, 0.05) for name, answers in given.items()},
        folds={"SVM-OpenFace": np.stack([fold] * 3), "NN-FineTuned": np.stack([fold] * 2)},
        designed="SVM-OpenFace",
    )


def test_only_networks_have_trainings_and_all_have_a_log_loss():
    how = {"labels": ["sad", "happy"], "seed": 0, "resamples": 100}
    one = comparison.labelled_scores(answers_of(1), **how)
    assert {name: score.get("trainings") for name, score in one.items()} == {
        "SVM-FER2013": None, "SVM-OpenFace": None, "NN-FER2013": 1, "NN-FineTuned": 1,
    }  # fmt: skip
    three = comparison.labelled_scores(answers_of(3), **how)
    assert len(three["NN-FineTuned"]["accuracy_by_training"]) == 3
    assert three["NN-FER2013"]["accuracy_ci95_method"] == "t over clips and trainings"
    assert all(score["log_loss"] > 0 for score in three.values())


def test_the_declared_pairs_make_one_family_with_what_each_can_tell():
    answers = answers_of(2)
    pairs = comparison.declared_pairs(answers)
    told = declared("SVM-OpenFace")
    four = [pair for pair in told if set(pair) <= set(answers.given)]
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == four
    assert pairs["question"].tolist() == [told[pair] for pair in four]
    assert pairs["trainings"].tolist().count(1) == 1  # of the two SVMs
    assert pairs["p_holm"].min() == pytest.approx(min(1, len(pairs) * pairs["p"].min()))
    del answers.given["SVM-FER2013"]
    assert len(comparison.declared_pairs(answers)) == 3


def test_what_could_have_been_seen_is_said_for_one_pair_and_for_the_family():
    found = paired_tests.detectable(comparison.declared_pairs(answers_of(1)))
    assert found["pairs"] == 6
    assert found["alone_50"] < found["alone_80"] < found["holm_80"]
    assert found["alone_50"] < found["holm_50"] < found["holm_80"]
    low, high = found["design_effect"]
    assert 0.3 < low < high < 3


def test_folds_that_two_models_share_are_tested_fold_by_fold():
    answers = answers_of(2)
    test = comparison.same_folds(answers, "SVM-OpenFace", "NN-FineTuned")
    right = {
        name: (answers.given[name][:, :2] == answers.truth).mean(axis=0)
        for name in ("SVM-OpenFace", "NN-FineTuned")
    }
    expected = (right["SVM-OpenFace"] - right["NN-FineTuned"]).mean()
    assert test["mean"] == pytest.approx(expected)
    assert test["ci95"][0] < test["mean"] < test["ci95"][1]
    difference = right["SVM-OpenFace"] - right["NN-FineTuned"]
    fold = np.arange(60) // 2 % 5
    means = [difference[:, fold == number].mean(axis=1) for number in range(5)]
    by_hand = corrected_resampled(np.stack(means, axis=1).ravel(), n_train=48, n_test=12)
    assert test["p"] == pytest.approx(by_hand["p"])


def test_other_trainings_are_on_record():
    recorded = provenance.other_trainings()
    assert recorded["as_it_is"].tolist() == [0.77, 0.69]
    assert recorded["private"].max() - recorded["private"].min() < 0.002


def test_answers_are_aligned_by_name(chapter):
    truths, clips = {"a": "happy", "b": "sad", "c": "angry"}, {"a": "1", "b": "2", "c": "2"}

    def table(names, model="", **more):
        return every_answer(*names, **more).assign(
            truth=[truths[name] for name in names],
            clip=[clips[name] for name in names],
            predicted=[truths[name] for name in names],
        )

    tables = {
        ("A2", "repeats"): table("ba", fold=1),
        ("A2", "rivals"): table("ba", fold=1).assign(model="SVM-Blendshapes"),
        ("B2", "repeats"): table("cab"),
        ("B3", "repeats"): table("bca", fold=1),
        ("B3", "rivals"): pd.concat(
            [table("acb", fold=1).assign(model=name) for name in RIVALS if "NN" in name]
        ),
    }
    chapter.table = lambda part, name: tables[part, name]
    answers = comparison.labelled_answers(chapter)
    assert set(answers.file_name) == {"a", "b"}
    assert answers.truth.tolist() == [truths[name] for name in answers.file_name]
    assert answers.clip.tolist() == [clips[name] for name in answers.file_name]
    for given in answers.given.values():
        assert given[0, 0].tolist() == answers.truth.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"truth": "sad"}, "the chapters differ about a: .*'sad'.*'happy'"),
        ({"clip": "b"}, "the chapters differ about a: .*in clip b; .*in clip a"),
        ({"file_name": "b", "clip": "b"}, "SVM-OpenFace has not answered the same faces once"),
        ({"predicted": "sad"}, "SVM-OpenFace is right on 50.0000% of 2 faces .* says 100.0000% of"),
    ],
)
def test_answers_that_do_not_fit_stop_the_comparison(chapter, change, said):
    table = chapter.tables["A2", "repeats"]
    for column, value in change.items():
        table.loc[0, column] = value
    with pytest.raises(DataError, match=said):
        comparison.labelled_answers(chapter)


def test_a_face_too_many_or_a_score_that_is_missing_stops_the_comparison(chapter):
    chapter.scores["B3"][1]["n"] = 4
    with pytest.raises(DataError, match=r"NN-F\w+ is right on .* of 3 faces .* of 4"):
        comparison.labelled_answers(chapter)
    chapter.scores["B3"][1]["n"] = 3
    del chapter.scores["B3"][-1]
    with pytest.raises(DataError, match="chapter B3 says nothing; run that"):
        comparison.labelled_answers(chapter)


def test_a_repeat_that_lacks_a_face_stops_the_comparison(chapter):
    table = chapter.tables["B3", "repeats"]
    chapter.tables["B3", "repeats"] = pd.concat([table, table.iloc[:2].assign(repeat=1)])
    with pytest.raises(DataError, match="NN-FineTuned has not answered the same faces once"):
        comparison.labelled_answers(chapter)


def test_what_was_set_with_the_person_in_view_is_named_for_the_models_of_the_study():
    for name in provenance.set_in_view([*MODELS, *RIVALS])["models"]:
        assert set(name.split(";")) <= {*MODELS, *RIVALS}
    own = provenance.set_in_view(["SVM-OpenFace"])
    assert len(own) == 3 and own["choice"].str.contains("UnitFeatures").any()
    assert (own["worth"] != "").all()
    assert provenance.set_in_view([]).empty


def test_the_stored_model_that_is_right_most_often_is_kept(chapter):
    answers, person = answers_of(1), SimpleNamespace(emotions=["happy", "sad"])
    chapter.study = SimpleNamespace(find_faces=True)
    scores = {
        name: {"accuracy": share, "accuracy_ci95": [0.1, 0.9], "n": 60}
        for name, share in (
            ("SVM-OpenFace", 0.6), ("NN-FER2013", 0.5), ("NN-FineTuned", 0.7), ("HOG + LR", 0.9),
            ("SVM-Blendshapes", 0.9),
        )
    }  # fmt: skip
    card, stored = comparison.winner(chapter, person, answers, scores)  # what is stored, alone
    assert (card["model"], card["clips"], card["columns"]) == ("NN-FineTuned", 30, [])
    assert stored["model"].read_bytes() == b"12345" and card["find_faces"]
    assert (card["threshold"], card["temperature"]) == (0.9, 1.0)
    right = (answers.given["NN-FineTuned"] == answers.truth).mean()
    assert card["coverage"][2]["coverage"] == pytest.approx(right)  # the right ones have 0.9
    assert card["coverage"][-1]["error"] == pytest.approx(1 - right)
    answers.given["NN-FER2013 + LR"] = answers.given["NN-FineTuned"]
    answers.probability["NN-FER2013 + LR"] = answers.probability["NN-FineTuned"]
    scores["NN-FER2013 + LR"] = {**scores["NN-FineTuned"], "accuracy": 0.8}
    card, stored = comparison.winner(chapter, person, answers, scores)
    assert card["model"] == "NN-FER2013 + LR" and {*stored} == {"model", "network"}


def test_models_are_held_against_a_second_look_at_the_labels():
    answers = answers_of(1)
    again = answers.truth.astype(object)
    again[:20], again[20:30] = "", "disgust"  # not seen again, and seen as something else
    person = SimpleNamespace(
        faces=pd.DataFrame({"file_name": [*answers.file_name[::-1], "u0"]}),
        majority=lambda: pd.Series([*again[::-1], "sad"]),
    )
    found = comparison.second_labels(person, answers).set_index("who")
    assert found.loc["the folder"].tolist() == [40, 0.75, 1]
    right = (answers.given["NN-FER2013"] == answers.truth)[..., 20:]
    assert found.loc["NN-FER2013", "folder"] == pytest.approx(right.mean())
    assert found.loc["NN-FER2013", "raters"] == pytest.approx(right[..., 10:].mean() * 0.75)
    again[:] = ""
    assert comparison.second_labels(person, answers).empty
