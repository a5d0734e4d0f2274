"""Checks of exercises: what is right passes, and every wrong way meets the check that names it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from mien.data.person import load_person
from mien.data.summary import person_counts
from mien.designed.descriptors import Pixels
from mien.designed.measured_svm import MeasuredSvm, asked
from mien.emotions import EMOTIONS, spread
from mien.evaluation.cross_validation import grouped_folds, out_of_fold, plain_folds
from mien.exercises import checks
from mien.synthetic.dataset import write_demo


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=100, labelled=40)
    return load_person(folder / "person")


@pytest.fixture(scope="module")
def given(person):
    """Rows, truth and clips of the labelled faces, their folds, and an unfitted model."""
    features = person.features("openface")
    labelled = person.labelled(features.has_row)
    model = MeasuredSvm(features.names, n_splits=2, candidates={"svm__C": (1.0,)})
    rows, truth, clips = features.values[labelled.rows], labelled.truth, labelled.clips
    return rows, truth, clips, grouped_folds(truth, clips, n_splits=3), model


def test_folds_that_keep_clips_whole_pass_and_others_leak(given):
    _, truth, clips, dealt, _ = given
    checks.folds(dealt, truth, clips, n_splits=3)
    with pytest.raises(AssertionError, match="the folds leak: frames of"):
        checks.folds(plain_folds(truth, n_splits=3), truth, clips, n_splits=3)
    with pytest.raises(AssertionError, match="number its 5 folds"):
        checks.folds(dealt, truth, clips, n_splits=5)
    with pytest.raises(AssertionError, match="a row for each deal"):
        checks.folds(dealt[0], truth, clips, n_splits=3)


def test_answers_of_a_model_that_has_seen_the_faces_are_told(given):
    rows, truth, clips, dealt, model = given
    right, _ = out_of_fold(asked(model), rows, truth, clips, dealt)
    checks.out_of_fold(right, dealt, model, rows, truth, clips)
    fitted = clone(model).fit(rows, truth, groups=clips)
    seen = spread(fitted.predict_proba(rows), fitted.classes_)[None]
    with pytest.raises(AssertionError, match="learned from the very faces"):
        checks.out_of_fold(seen, dealt, model, rows, truth, clips)
    with pytest.raises(AssertionError, match="is anything fitted, chosen or changed"):
        checks.out_of_fold(right[:, ::-1], dealt, model, rows, truth, clips)
    with pytest.raises(AssertionError, match="must sum to 1"):
        checks.out_of_fold(right * 2, dealt, model, rows, truth, clips)


def test_unknown_is_no_emotion(given, person):
    rows, truth, clips, _, model = given
    taught = np.where(np.arange(len(truth)) % 5, truth, "unknown")
    with pytest.raises(AssertionError, match="has learned unknown as if it were an emotion"):
        checks.emotions_alone(clone(model).fit(rows, taught, groups=clips).classes_)
    checks.emotions_alone(clone(model).fit(rows, truth, groups=clips).classes_)
    with pytest.raises(AssertionError, match="some of angry"):
        checks.emotions_alone(["smile"])
    with pytest.raises(AssertionError, match="frames of 1 clips"):
        checks.apart(clips, [clips[0], "other"])
    checks.apart(clips, ["other"])


def test_counts_by_label_stand_in_order_and_are_right(person):
    right = person_counts(person)
    checks.counts(right, person.faces)
    with pytest.raises(AssertionError, match="which is no emotion"):
        checks.counts(right.iloc[::-1], person.faces)
    with pytest.raises(AssertionError, match="the clips of .* are missing"):
        checks.counts(right.drop(columns="clips"), person.faces)
    with pytest.raises(AssertionError, match="the clips of happy"):
        checks.counts(
            right.assign(clips=right["clips"].where(right.index != "happy", 0)), person.faces
        )


def test_columns_in_another_order_are_told_from_other_answers(given):
    rows, truth, *_ = given
    model = LogisticRegression().fit(np.nan_to_num(rows), truth)
    rows = np.nan_to_num(rows)
    right = spread(model.predict_proba(rows), model.classes_)
    checks.answers_of(model, rows, right)
    alphabetical = right[:, np.argsort(EMOTIONS)]
    with pytest.raises(AssertionError, match=r"another order than mien\.emotions\.EMOTIONS"):
        checks.answers_of(model, rows, alphabetical)
    with pytest.raises(AssertionError, match="the model itself answers otherwise"):
        checks.answers_of(model, rows, np.roll(right, 7, axis=0))
    with pytest.raises(AssertionError, match="a column for each"):
        checks.answers_of(model, rows, model.predict_proba(rows))


def test_a_classifier_must_learn_from_faces():
    labels = np.arange(600) % 3
    images = np.tile(labels[:, None, None] * 80, (1, 48, 48)).astype(np.uint8)
    learns = make_pipeline(Pixels(), LogisticRegression())
    checks.classifier(learns, images, labels)
    with pytest.raises(AssertionError, match="no better than"):
        checks.classifier(make_pipeline(Pixels(), DummyClassifier()), images, labels)
    with pytest.raises(AssertionError, match="no label of Training"):
        checks.classifier(make_pipeline(Pixels(), LinearRegression()), images, labels)


def test_the_best_is_the_highest_on_the_labelled_faces():
    scores = {"A": {"accuracy": 0.6, "set": "x"}, "B": {"accuracy": 0.7, "set": "x"}}
    checks.best(scores["B"], scores)
    with pytest.raises(AssertionError, match="another model is right more often"):
        checks.best(scores["A"], scores)
    with pytest.raises(AssertionError, match="by a score on the labelled faces"):
        checks.best({"accuracy": 0.9, "set": "target-unknown"}, scores)


@pytest.fixture(scope="module")
def crowds():
    """A network of the crowd, not trained."""
    return pytest.importorskip("mien.network.architecture").build(stem=8, stages=((8, 0),))


def copied(network):
    keras = pytest.importorskip("keras")
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return keras, copy


def with_head(keras, network, below, units=7):
    """Return a network with a new head on what a layer of it says."""
    head = keras.layers.Dense(units, activation="softmax")
    return keras.Model(network.input, head(network.get_layer(below).output))


def test_a_new_head_stands_in_the_place_of_the_old_one(crowds):
    keras, copy = copied(crowds)
    checks.tuned(with_head(keras, copy, "pooled"), crowds)
    checks.tuned(copy, crowds)
    copy.layers.pop()  # as one reads it in old answers: nothing happens
    copy.layers.pop()
    popped = with_head(keras, copy, copy.layers[-1].name)
    stacked = keras.Sequential([copy, keras.layers.Dense(7)])
    for wrong in (popped, with_head(keras, copy, "softmax", 5), stacked):
        with pytest.raises(
            AssertionError, match=r"the old head is still in the network .* model\.layers"
        ):
            checks.tuned(wrong, crowds)


def test_early_layers_are_frozen_and_the_crowds_network_stays(crowds):
    keras, copy = copied(crowds)
    with pytest.raises(AssertionError, match="shares its layers with the crowd's"):
        checks.tuned(with_head(keras, crowds, "pooled"), crowds)
    with pytest.raises(AssertionError, match=r"the shape \(None, 5\)"):
        checks.tuned(with_head(keras, copy, "pooled", 5), crowds)
    copy.set_weights([weight + 0.1 for weight in copy.get_weights()])
    with pytest.raises(AssertionError, match="which layers were to be frozen"):
        checks.tuned(copy, crowds)


def test_a_network_is_what_the_assignment_asks_for(crowds):
    keras, copy = copied(crowds)
    checks.network(crowds)
    with pytest.raises(AssertionError, match="no dropout"):
        checks.network(with_head(keras, copy, "pooled"))
    flat = [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(7)]
    with pytest.raises(AssertionError, match="the first layer is Dense, not Conv2D"):
        checks.network(keras.Sequential(flat))
    with pytest.raises(AssertionError, match="the last layer with weights is Batch"):
        checks.network(keras.Sequential([copy, keras.layers.BatchNormalization()]))


def test_the_networks_own_answers_are_asked_for(crowds, person):
    inference = pytest.importorskip("mien.network.inference")
    images, networks = person.images[:30], [(crowds, 1.0)]
    right = inference.predict(crowds, images, mirror=False)[None]
    checks.answers_of_networks(networks, images, right)
    with pytest.raises(AssertionError, match="of 1 networks 2 have answered"):
        checks.answers_of_networks(networks, images, np.repeat(right, 2, axis=0))
    with pytest.raises(AssertionError, match="another order"):
        checks.answers_of_networks(networks, images, np.roll(right, 1, axis=2))
