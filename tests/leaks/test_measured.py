"""Leaks that can be built around A2: the only way to be right is to have seen the test clip.

Labels are drawn for whole clips, and what is measured tells a clip and nothing of its emotion.
Folds that keep clips whole can then only guess; whatever sees another frame of a tested clip, in
the training, in the choice of the penalty or in a median, is right nearly always. Every leak that
a test is to notice is planted once, and the alarm must go off.
"""

import numpy as np
import pytest

from mien.data.measured import UNITS
from mien.data.person import Labelled
from mien.designed import measured_analysis, measured_svm
from mien.emotions import EMOTIONS
from mien.evaluation.cross_validation import grouped_folds, out_of_fold, plain_folds
from mien.evaluation.probing import clip_orders, label_curve

#: Between what guessing reaches here and what a leak reaches.
ALARM = 0.75
UNIT_COLUMNS = [*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS)]
MODELS = {
    "SVM on Action Units": UNIT_COLUMNS,
    "SVM on any columns": ["jawOpen", *UNIT_COLUMNS[1:]],
}
OF_UNITS = measured_svm.MeasuredSvm(UNIT_COLUMNS, n_splits=3)


@pytest.fixture(scope="module")
def faces():
    """24 clips of four frames: rows (96, 34), labels, clips."""
    random = np.random.default_rng(3)
    labels = random.permutation(["happy", "sad"] * 12)
    rows = np.repeat(random.uniform(0, 5, (24, 34)), 4, axis=0)
    rows[:, 17:] = np.repeat(random.integers(0, 2, (24, 17)), 4, axis=0)
    rows[:, :17] += random.normal(0, 0.05, (96, 17))
    return rows.astype(np.float32), np.repeat(labels, 4), np.repeat(np.arange(24), 4).astype(str)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return measured_svm.MeasuredSvm(MODELS[request.param], n_splits=3)


@pytest.fixture
def name(request):
    return request.node.callspec.params["model"]


def answers(rows, labels, clips, folds, model):
    """Return what the chapter gets."""
    return out_of_fold(measured_svm.asked(model), rows, labels, clips, folds)[0]


def accuracy(rows, labels, clips, folds, model):
    """Return the accuracy of what the chapter calls."""
    shares = answers(rows, labels, clips, folds, model)
    return float((np.array(EMOTIONS)[shares.argmax(axis=2)] == labels).mean())


def ignoring_clips(labels, clips, **how):
    """Folds with their guard taken away."""
    return plain_folds(labels, **how)


def fitted_on_all(rows, labels, clips):
    """Return what asks a model that has learned from every row, for `measured_svm.asked`."""
    asked = measured_svm.asked

    def leaking(model):
        return lambda *given: asked(model)(rows, labels, clips, given[-1])

    return leaking


def test_folds_that_keep_clips_whole_can_only_guess(faces, model, name, alarm):
    rows, labels, clips = faces
    honest, leaking = (
        deal(labels, clips, n_splits=4, n_repeats=2) for deal in (grouped_folds, ignoring_clips)
    )
    alarm(
        f"{name}: a clip on both sides of a fold",
        "accuracy out of fold",
        without=accuracy(rows, labels, clips, honest, model),
        planted=accuracy(rows, labels, clips, leaking, model),
        between=ALARM,
    )


def test_the_choice_inside_a_fold_keeps_clips_whole(faces, model, name, alarm, monkeypatch):
    rows, labels, clips = faces
    without = model.fit(rows, labels, groups=clips).inner_accuracy_
    monkeypatch.setattr(measured_svm, "grouped_folds", ignoring_clips)
    alarm(
        f"{name}: the choice of the penalty ignores clips",
        "accuracy in the inner folds",
        without=without,
        planted=model.fit(rows, labels, groups=clips).inner_accuracy_,
        between=ALARM,
    )


def test_a_tested_row_changes_no_other_answer(faces, model, name, alarm):
    """A scaler or a temperature over all rows would let one tested row move another."""
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4)
    moved = np.flatnonzero(folds[0] == 0)[:5]
    others = np.setdiff1d(np.flatnonzero(folds[0] == 0), moved)
    changed = rows.copy()
    changed[moved, :17] *= 3

    def difference(prepare):
        first, second = (
            answers(prepare(given), labels, clips, folds, model)[0, others]
            for given in (rows, changed)
        )
        return np.abs(first - second).max()

    alarm(
        f"{name}: columns scaled over all rows",
        "largest change of another tested row's probability",
        without=difference(lambda given: given),
        planted=difference(lambda given: given / np.maximum(given.std(axis=0), 1e-6)),
        between=1e-3,
    )


def curve(faces, clips, folds, *, answer=None):
    """Return the accuracy of the learning curve where it ends."""
    rows, labels, _ = faces
    found = label_curve(
        {"SVM": (answer or measured_svm.asked(OF_UNITS), rows)},
        labels,
        clips,
        folds,
        orders=clip_orders(clips, len(folds)),
        names=clips,
        sizes=(),
    )
    return found["right"].mean()


def test_the_learning_curve_can_only_guess_too(faces, alarm):
    rows, labels, clips = faces
    single, folds = np.arange(96).astype(str), grouped_folds(labels, clips, n_splits=4)
    told = {"without": curve(faces, clips, folds), "between": ALARM}
    score = "accuracy where the curve ends"
    planted = curve(faces, single, plain_folds(labels, n_splits=4))
    alarm("the learning curve ignores clips", score, planted=planted, **told)
    knowing = fitted_on_all(rows, labels, clips)(OF_UNITS)
    planted = curve(faces, clips, folds, answer=knowing)
    alarm("the learning curve learns from tested rows", score, planted=planted, **told)


def test_no_unit_matters_where_none_tells_of_the_emotion(faces, alarm, monkeypatch):
    """Shuffling hurts a model that knows the tested rows, and none that has to guess."""
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4)

    def fall():
        found = measured_analysis.unit_importance(
            rows,
            labels,
            clips,
            folds,
            model=OF_UNITS,
            shuffles=3,
        )
        return found.loc[found["emotion"] == "all", "probability_drop"].sum()

    without = fall()
    monkeypatch.setattr(measured_analysis, "asked", fitted_on_all(rows, labels, clips))
    alarm(
        "importance by a model that knows the tested rows",
        "fall of the true emotion's probability, sum over the units",
        without=without,
        planted=fall(),
        between=0.1,
    )


def test_who_answers_unknown_faces_has_not_learned_from_their_clips(faces, model, name, alarm):
    """Every second frame of six clips is unknown; the rest is labelled."""
    rows, labels, clips = faces
    unknown = np.isin(clips, clips[:24]) & (np.arange(96) % 2 == 0)
    labelled = Labelled(np.flatnonzero(~unknown), labels[~unknown], clips[~unknown])

    def right(apart):
        fitted = model.fit(rows[~unknown][apart], labelled.truth[apart], labelled.clips[apart])
        return (fitted.predict(rows[unknown]) == labels[unknown]).mean()

    alarm(
        f"{name}: unknown faces answered by who knows their clips",
        "accuracy on the unknown faces",
        without=right(labelled.outside(clips[unknown])),
        planted=right(np.full(len(labelled.rows), True)),
        between=ALARM,
    )


def test_the_choice_in_a_fold_gets_the_clips_of_its_rows(faces, model, monkeypatch):
    rows, labels, clips = faces
    folds, given = grouped_folds(labels, clips, n_splits=4), []
    fit = measured_svm.MeasuredSvm.fit

    def noting(self, rows, labels, groups=None):
        given.append(groups)
        return fit(self, rows, labels, groups=groups)

    monkeypatch.setattr(measured_svm.MeasuredSvm, "fit", noting)
    accuracy(rows, labels, clips, folds, model)
    for fold, groups in enumerate(given):
        assert groups.tolist() == clips[folds[0] != fold].tolist()
