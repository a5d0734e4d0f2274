"""Fine-tuning on a person whose patterns differ from the crowd's: darker, smaller, five classes."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from mien.emotions import EMOTIONS, codes, restrict
from mien.errors import DataError, ParameterError
from mien.evaluation.cross_validation import grouped_folds, out_of_fold
from mien.evaluation.probing import by_probe
from mien.network import architecture, fine_tuning, inference, pretrained, training
from mien.network.training import Augment

PERSON = ["angry", "disgust", "happy", "sad", "surprise"]
STILL = Augment(mirror=False, shift=0.02, rotation=0, zoom=0)
TUNING = fine_tuning.Tuning(
    frozen=1, epochs=6, learning_rate=3e-3, l2_to_start=1e-3, copies=2, augment=STILL
)


def waves(codes, rng, more=0.0):
    """Level stripes, alike in the mirror, whose number is the class; ``more`` of them for all."""
    y = np.mgrid[:48, :48][0] / 48
    stripes = 3 + 1.5 * codes[:, None, None] + more
    images = 128 + 60 * np.sin(2 * np.pi * (stripes * y + rng.random((len(codes), 1, 1))))
    return (images + rng.normal(0, 15, images.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(0)
    truth = np.arange(420) % 7
    model = architecture.build(stem=8, stages=((16, 0), (16, 0)), dropout=0.1)
    faces = waves(truth, rng)
    recipe = training.Recipe(epochs=6, batch_size=32, learning_rate=1e-2)
    training.train(model, faces, truth, faces, truth, recipe)
    return model


@pytest.fixture(scope="module")
def person():
    """60 faces of five emotions in 30 clips; more stripes in all."""
    rng = np.random.default_rng(1)
    labels = np.array([PERSON[i // 2 % 5] for i in range(60)])
    clips = np.array([f"clip{i // 2}" for i in range(60)])
    return waves(codes(labels), rng, more=0.9), labels, clips


@pytest.fixture(scope="module")
def tuner(crowd, person):
    return fine_tuning.Tuner(crowd, person[0], PERSON, tuning=TUNING)


def tuned_on_all(model, faces, labels, *, epochs, tuning):
    tuner = fine_tuning.Tuner(model, faces, PERSON, tuning=tuning)
    tuner.fit(np.arange(len(faces)), labels, epochs=epochs)
    return tuner.network()


def test_zero_epochs_is_the_network_as_it_is_masked_to_the_person(crowd, person, tuner):
    faces, labels, _ = person
    tuner.fit(np.arange(60), labels, epochs=0)
    answers = tuner.predict(np.arange(60))
    np.testing.assert_allclose(
        answers, restrict(inference.predict(crowd, faces), PERSON), atol=1e-4
    )
    absent = [code for code, emotion in enumerate(EMOTIONS) if emotion not in PERSON]
    assert not answers[:, absent].any()
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_zero_epochs_from_the_probe_is_the_probe_of_the_faces_learned_from(person, tuner):
    _, labels, _ = person
    rows, learn, probing = np.arange(60), np.arange(40), tuner.from_other_start()
    probing.fit(learn, labels[:40], epochs=0)
    probed, _ = by_probe(tuner.features[:40], labels[:40], None, tuner.features)
    np.testing.assert_allclose(probing.predict(rows), probed, atol=0.05)
    tuner.fit(learn, labels[:40], epochs=0)
    assert np.abs(tuner.predict(rows) - probed).max() > 0.1
    assert not tuner.tuning.from_probe and probing.tuning.from_probe


def test_a_network_that_started_from_the_probe_has_one_head(person, tuner):
    faces, labels, _ = person
    rows, probing = np.arange(60), tuner.from_other_start()
    probing.fit(rows, labels, epochs=2)
    alone = restrict(inference.predict(probing.network(), faces), PERSON)
    np.testing.assert_allclose(alone, probing.predict(rows), atol=1e-4)


def test_tuning_helps_out_of_fold(crowd, person, tuner):
    faces, labels, clips = person
    folds = grouped_folds(labels, clips, n_splits=3)
    answers, epochs = out_of_fold(tuner.answer, np.arange(60), labels, clips, folds)
    before = restrict(inference.predict(crowd, faces), PERSON).argmax(axis=1) == codes(labels)
    after = answers[0].argmax(axis=1) == codes(labels)
    assert after.mean() > before.mean() + 0.1
    assert len(epochs) == 3 and min(epochs) > 0


def test_the_starting_network_and_the_frozen_layers_stay_as_they_were(crowd, person):
    faces, labels, _ = person
    before = crowd.get_weights()
    tuned = tuned_on_all(crowd, faces, labels, epochs=2, tuning=TUNING)
    for one, other in zip(before, crowd.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    start = architecture.fuse(crowd)
    for layer in start.layers:
        changed = [
            not np.array_equal(one, other)
            for one, other in zip(
                layer.get_weights(), tuned.get_layer(layer.name).get_weights(), strict=True
            )
        ]
        assert any(changed) == (bool(changed) and not layer.name.startswith("stem"))


def test_the_tuned_weights_are_the_mean_of_those_after_every_epoch(person, tuner):
    seen, put = [], tuner._put

    def spy(weights):
        seen.append([np.array(weight) for weight in weights])
        put(weights)

    tuner._put = spy
    try:
        tuner.fit(np.arange(60), person[1], epochs=3, on_epoch=lambda epoch: None)
    finally:
        tuner._put = put
    _, _, _, first, mean, second, _ = seen
    for place, weight in enumerate(mean):
        np.testing.assert_allclose(weight, (first[place] + second[place]) / 2, atol=1e-6)
    assert any(not np.allclose(one, other) for one, other in zip(first, second, strict=True))


def test_folds_start_from_the_same_network(person, tuner):
    rows, labels = np.arange(60), person[1]
    tuner.fit(rows, labels, epochs=2, seed=3)
    first = tuner.predict(rows)
    tuner.fit(rows[::2], labels[::2], epochs=1, seed=4)
    tuner.fit(rows, labels, epochs=2, seed=3)
    np.testing.assert_allclose(tuner.predict(rows), first, atol=1e-4)


def test_a_strong_pull_holds_the_network_where_it_started(crowd, person):
    faces, labels, _ = person

    def moved(pull):
        tuning = replace(TUNING, frozen=3, learning_rate=1e-2, l2_to_start=pull)
        tuned = tuned_on_all(crowd, faces, labels, epochs=9, tuning=tuning)
        start = crowd.get_layer("logits").get_weights()[0]
        return np.abs(tuned.get_layer("logits").get_weights()[0] - start).max()

    assert moved(100.0) < moved(0.0) / 2


def test_the_network_tuned_on_some_has_not_seen_the_others(person, tuner):
    faces, labels, clips = person
    known = np.arange(40), labels[:40], clips[:40]
    first, _ = tuner.fit_on(*known)
    tuner.answers[:, 40:] = 0  # what it must not look at
    again, _ = tuner.fit_on(*known)
    assert inference.predict(again, faces) == pytest.approx(inference.predict(first, faces))


def test_the_network_tuned_on_all_still_answers_seven_and_can_be_saved(person, tuner, tmp_path):
    faces, labels, clips = person
    model, epochs = tuner.fit_on(np.arange(60), labels, clips)
    pretrained.save(model, tmp_path / "tuned.keras")
    answers = inference.predict(pretrained.load(tmp_path / "tuned.keras"), faces)
    assert answers.shape == (60, 7) and 0 <= epochs <= TUNING.epochs
    right = restrict(answers, PERSON).argmax(axis=1) == codes(labels)
    assert right.mean() > 0.5


def test_what_cannot_be_tuned_is_refused(crowd, person):
    faces, labels, _ = person
    with pytest.raises(DataError, match="60 faces and 3 labels"):
        tuned_on_all(crowd, faces, labels[:3], epochs=1, tuning=TUNING)
    with pytest.raises(ParameterError, match="the network has 3 stages"):
        fine_tuning.Tuner(crowd, faces, PERSON, tuning=fine_tuning.Tuning(frozen=4))
    with pytest.raises(ValidationError, match="copies\n.* greater than or equal to 1"):
        fine_tuning.Tuning(copies=0)


def test_no_epoch_at_all_gives_the_starting_network_back(person, tuner):
    rows, labels = np.arange(60), person[1]
    tuner.fit(rows, labels, epochs=0)
    first = tuner.predict(rows)
    tuner.fit(rows, labels, epochs=2)
    tuner.fit(rows, labels, epochs=0)
    np.testing.assert_allclose(tuner.predict(rows), first, atol=1e-6)
