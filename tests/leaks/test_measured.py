"""Leaks that can be built around A2: the only way to be right is to have seen the test clip.

Labels are drawn for whole clips, and what is measured tells a clip and nothing of its emotion.
Folds that keep clips whole can then only guess; whatever sees another frame of a tested clip, in
the training, in the choice of the penalty or in a median, is right nearly always. Every leak that
a test is to notice is planted once, and the alarm must go off.
"""

import numpy as np
import pytest

from mien.data.measured import UNITS
from mien.designed import measured_analysis, measured_svm
from mien.emotions import EMOTIONS
from mien.evaluation.cross_validation import grouped_folds, plain_folds

#: Between what guessing reaches here and what a leak reaches.
ALARM = 0.75


@pytest.fixture(scope="module")
def faces():
    """24 clips of four frames: rows (96, 34), labels, clips."""
    random = np.random.default_rng(3)
    labels = random.permutation(["happy", "sad"] * 12)
    rows = np.repeat(random.uniform(0, 5, (24, 34)), 4, axis=0)
    rows[:, 17:] = np.repeat(random.integers(0, 2, (24, 17)), 4, axis=0)
    rows[:, :17] += random.normal(0, 0.05, (96, 17))
    return rows.astype(np.float32), np.repeat(labels, 4), np.repeat(np.arange(24), 4).astype(str)


@pytest.fixture(scope="module", params=["Action Units", "any columns"])
def model(request):
    names = [*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS)]
    if request.param == "any columns":
        names[0] = "jawOpen"
    return measured_svm.MeasuredSvm(names, n_splits=3)


def accuracy(rows, labels, clips, folds, model):
    """Return the accuracy of what the chapter calls."""
    shares, _ = measured_svm.cross_validate(rows, labels, clips, folds, model=model)
    return float((np.array(EMOTIONS)[shares.argmax(axis=2)] == labels).mean())


def test_folds_that_keep_clips_whole_can_only_guess(faces, model):
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4, n_repeats=2)
    assert accuracy(rows, labels, clips, folds, model) < ALARM


def test_the_alarm_goes_off_where_a_clip_stands_on_both_sides(faces, model):
    rows, labels, clips = faces
    folds = plain_folds(labels, n_splits=4, n_repeats=2)
    assert accuracy(rows, labels, clips, folds, model) > ALARM


def test_the_choice_inside_a_fold_keeps_clips_whole(faces, model):
    rows, labels, clips = faces
    assert model.fit(rows, labels, groups=clips).inner_accuracy_ < ALARM


def test_the_alarm_goes_off_where_the_choice_ignores_clips(faces, model, monkeypatch):
    rows, labels, clips = faces
    monkeypatch.setattr(
        measured_svm,
        "grouped_folds",
        lambda labels, clips, **how: plain_folds(labels, **how),
    )
    assert model.fit(rows, labels, groups=clips).inner_accuracy_ > ALARM


def test_a_tested_row_changes_no_other_answer(faces, model):
    """A scaler or a temperature over all rows would let one tested row move another."""
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4)
    before, _ = measured_svm.cross_validate(rows, labels, clips, folds, model=model)
    moved = np.flatnonzero(folds[0] == 0)[:5]
    changed = rows.copy()
    changed[moved, :17] = 5 - changed[moved, :17]
    after, _ = measured_svm.cross_validate(changed, labels, clips, folds, model=model)
    others = np.setdiff1d(np.flatnonzero(folds[0] == 0), moved)
    np.testing.assert_array_equal(after[0, others], before[0, others])


def test_the_alarm_goes_off_where_columns_are_scaled_over_all_rows(faces, model):
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4)
    moved = np.flatnonzero(folds[0] == 0)[:5]
    others = np.setdiff1d(np.flatnonzero(folds[0] == 0), moved)

    def answers(rows):
        scaled = rows / np.maximum(rows.std(axis=0), 1e-6)
        return measured_svm.cross_validate(scaled, labels, clips, folds, model=model)[0]

    changed = rows.copy()
    changed[moved, :17] *= 3
    assert np.abs(answers(changed)[0, others] - answers(rows)[0, others]).max() > 1e-3


def test_the_learning_curve_can_only_guess_too(faces, model):
    rows, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=4)
    curve = measured_analysis.learning_curve(rows, labels, clips, folds, model=model)
    assert curve["accuracy"].max() < ALARM


def test_the_alarm_goes_off_where_the_curve_leaks(faces, model):
    rows, labels, _ = faces
    folds = plain_folds(labels, n_splits=4)
    single = np.arange(len(labels)).astype(str)
    curve = measured_analysis.learning_curve(rows, labels, single, folds, model=model)
    assert curve["accuracy"].max() > ALARM


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
