"""A course's exercises: the solutions pass every check, typical wrong ways meet the right one."""

import pytest

from mien.exercises import tasks

A2 = "A2_svm_action_units"
FOLDS = """
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
{rows}
dealt, probabilities = np.empty((1, len(rows)), int), np.empty((1, len(rows), 7))
for number, (learn, test) in enumerate({dealer}):
    fitted = clone(model).fit(rows[learn], labelled.truth[learn], groups=labelled.clips[learn])
    dealt[0, test] = number
    probabilities[0, test] = spread(fitted.predict_proba(rows[test]), fitted.classes_)
{then}
"""
GROUPED = "StratifiedGroupKFold(folds).split(rows, labelled.truth, labelled.clips)"
PLAIN = "StratifiedKFold(folds, shuffle=True).split(rows, labelled.truth)"


def by_hand(rows="", dealer=GROUPED, then=""):
    return {"a2-10": FOLDS.format(rows=rows, dealer=dealer, then=then)}


@pytest.fixture(scope="session")
def exercises(tmp_path_factory):
    return tasks.write(tmp_path_factory.mktemp("course"), solved=False)


def test_a2_as_it_is_solved_passes_every_check(execute, tmp_path):
    solutions = tasks.write(tmp_path, solved=True)
    names = execute(A2, folder=solutions, folds=3)
    assert names["checks"].__name__ == "mien.exercises.checks"
    assert (tmp_path / "out" / "results" / "A2" / "metrics.json").is_file()


def test_an_exercise_is_not_solved_yet(execute, exercises):
    with pytest.raises(NotImplementedError):
        execute(A2, folder=exercises, folds=3)


@pytest.mark.parametrize(
    "wrong, said",
    [
        (by_hand(dealer=PLAIN), "the folds leak: frames of [0-9]+ clips"),
        (by_hand(rows="rows = StandardScaler().fit_transform(rows)"), "a scaler was fitted"),
        (by_hand(then="probabilities = probabilities[:, :, [6, 0, 1, 2, 3, 4, 5]]"), "order"),
        (by_hand(then="probabilities = probabilities[:, :, :5]"), "shape"),
    ],
    ids=["leaking folds", "scaler outside", "label order", "missing columns"],
)
def test_a_wrong_cross_validation_meets_its_check(execute, exercises, wrong, said):
    with pytest.raises(AssertionError, match=said):
        execute(A2, wrong, folder=exercises, folds=3)
