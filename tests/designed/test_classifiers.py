"""Other classifiers in the place of ours."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mien.designed import classifiers, image_svm
from mien.designed.measured_svm import MeasuredSvm, measured_pipeline, nearest_faces
from mien.errors import ParameterError

NAMES = tuple(f"AU{unit:02}_{kind}" for kind in "rc" for unit in range(1, 18))
OTHERS = [
    RandomForestClassifier(20),
    GaussianNB(),
    RidgeClassifier(),
    SVC(decision_function_shape="ovo"),
    make_pipeline(StandardScaler(), LogisticRegression()),
    measured_pipeline(NAMES, kernel="linear"),
]


@pytest.fixture
def units():
    """Rows of Action Units of three emotions, one value in ten missing, and their clips."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["happy", "neutral", "sad"], 20)
    rows = rng.uniform(0, 1, (60, 34)).astype(np.float32)
    rows[:20, :6] = 1
    rows[20:, :6] = 0
    rows[40:, 6:12] = 1
    rows[:40, 6:12] = 0
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows, labels, np.arange(60) // 2


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: type(other).__name__)
def test_any_classifier_reads_action_units(units, other):
    rows, labels, clips = units
    model = MeasuredSvm(NAMES, pipeline=other, n_splits=2).fit(rows, labels, groups=clips)
    assert (model.predict(rows) == labels).mean() > 0.8
    shares = model.predict_proba(rows)
    assert (model.classes_[shares.argmax(axis=1)] == model.predict(rows)).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (nearest_faces(model, rows[:5], rows)[:, 0] == np.arange(5)).all()
    again = clone(model).fit(rows, labels, groups=clips)
    np.testing.assert_array_equal(again.predict_proba(rows), shares)


def test_the_model_of_other_columns_is_made_for_them(units):
    rows, labels, clips = units
    names = [f"shape{number}" for number in range(rows.shape[1])]
    plain = MeasuredSvm(names, n_splits=2).fit(rows, labels, groups=clips)
    ours = MeasuredSvm(NAMES, pipeline=measured_pipeline(NAMES), n_splits=2).reading(names)
    found = ours.fit(rows, labels, groups=clips)
    np.testing.assert_array_equal(found.decision_function(rows), plain.decision_function(rows))
    linear = MeasuredSvm(NAMES, pipeline=measured_pipeline(NAMES, kernel="linear")).reading(names)
    assert linear.pipeline["svm"].kernel == "linear"
    forest = RandomForestClassifier(5)
    assert MeasuredSvm(NAMES, pipeline=forest).reading(names).pipeline.n_estimators == 5


def test_inner_folds_choose_what_the_classifier_has(units):
    assert list(MeasuredSvm(NAMES).choices) == ["svm__C"]
    forest = RandomForestClassifier(5)
    assert MeasuredSvm(NAMES, pipeline=forest).choices == {}
    depths = {"classifier__max_depth": (1, 3)}
    model = MeasuredSvm(NAMES, pipeline=make_pipeline(GaussianNB()), candidates=depths)
    with pytest.raises(ParameterError, match="has no 'classifier__max_depth'"):
        _ = model.choices
    model = MeasuredSvm(NAMES, pipeline=forest, candidates={"max_depth": (1, 3)}, n_splits=2)
    assert model.fit(*units[:2]).chosen_["max_depth"] in (1, 3)


@pytest.mark.parametrize("model", [image_svm.hog_svm(), measured_pipeline(NAMES)])
def test_a_wrong_parameter_is_answered_by_the_nearest(model):
    with pytest.raises(ParameterError, match="no 'svc__kernel'; did you mean 'svm__kernel'"):
        model.set_params(svc__kernel="linear")
    assert model.set_params(svm__kernel="linear")["svm"].kernel == "linear"


def test_what_is_no_classifier_is_refused_and_the_nearest_one_named():
    with pytest.raises(ParameterError, match=r"mean RandomForestClassifier\(\)"):
        classifiers.of_images(RandomForestRegressor())
    with pytest.raises(ParameterError, match=r"mean SVC\(\)"):
        classifiers.of_measured(SVC)


@pytest.mark.parametrize("other", [RandomForestClassifier(20), NearestCentroid()])
def test_any_classifier_reads_images_and_is_calibrated(other):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 60, (60, 48, 48), dtype=np.uint8)
    images[np.arange(60), 16 * labels] = 255
    model = classifiers.of_images(other).fit(images, labels)
    final = image_svm.Calibrated(model).fit(images, labels)
    assert (final.predict_proba(images).argmax(axis=1) == model.predict(images)).all()
    assert (model.predict(images) == labels).mean() > 0.9
    assert classifiers.described(model, images).shape == (60, 48 * 48)
    assert image_svm.losses_compared(model, C=1.0) == {}


def test_a_pipeline_of_ours_keeps_the_images():
    recipe = {"atoms": 2, "even": 1, "odd": 1, "sample": 1, "gamma": 1.0, "penalty": 1.0}
    for ours in (image_svm.hog_svm(), image_svm.strong_svm(patches={6: 4, 8: 4}, **recipe)):
        assert classifiers.of_images(ours) is ours
