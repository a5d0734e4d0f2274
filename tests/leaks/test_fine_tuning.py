"""Leaks that can be built around B3: the only way to be right is to have seen the test clip.

Labels are drawn for whole clips, and a picture tells its clip and nothing of its emotion. Every
leak that a test is to notice is planted once, and the alarm must go off.
"""

from dataclasses import replace

import numpy as np
import pytest

from mien.emotions import EMOTIONS, codes, in_order, named
from mien.evaluation import probing
from mien.evaluation.cross_validation import grouped_folds, out_of_fold, plain_folds
from mien.network import architecture, fine_tuning, inference
from mien.network.training import Augment

#: Between what guessing reaches here and what a leak reaches.
ALARM = 0.75
TUNING = fine_tuning.Tuning(
    frozen=0,
    epochs=25,
    learning_rate=1e-2,
    l2_to_start=0.0,
    label_smoothing=0.0,
    copies=1,
    augment=Augment(mirror=False, shift=0, rotation=0, zoom=0, light=0),
)


@pytest.fixture(scope="module")
def faces():
    """16 clips of four frames: images (64, 48, 48), labels, clips."""
    random = np.random.default_rng(5)
    labels = random.permutation(["happy", "sad"] * 8)
    coarse = random.integers(0, 255, (16, 6, 6)).astype(float)
    clips = np.kron(coarse, np.ones((1, 8, 8)))
    frames = np.repeat(clips, 4, axis=0) + random.normal(0, 4, (64, 48, 48))
    images = frames.clip(0, 255).astype(np.uint8)
    return images, np.repeat(labels, 4), np.repeat(np.arange(16), 4).astype(str)


@pytest.fixture(scope="module")
def network():
    return architecture.build(stem=16, stages=((16, 0),), dropout=0.0)


@pytest.fixture(scope="module")
def tuner(network, faces):
    return fine_tuning.Tuner(network, faces[0], ["happy", "sad"], tuning=TUNING)


def accuracy(tuner, folds, clips, labels):
    shares, _ = out_of_fold(tuner.answer, np.arange(len(labels)), labels, clips, folds)
    return float((np.array(EMOTIONS)[shares.argmax(axis=2)] == labels).mean())


def ignoring_clips(labels, clips, **how):
    """The inner folds with their guard taken away."""
    return plain_folds(labels, **how)


def test_folds_that_keep_clips_whole_can_only_guess(tuner, faces, alarm):
    _, labels, clips = faces
    whole, single = grouped_folds(labels, clips, n_splits=2), np.arange(64).astype(str)
    alarm(
        "fine-tuning: a clip on both sides of a fold",
        "accuracy out of fold",
        without=accuracy(tuner, whole, clips, labels),
        planted=accuracy(tuner, plain_folds(labels, n_splits=2), single, labels),
        between=ALARM,
    )


def test_tuning_that_starts_from_the_probe_can_only_guess_and_its_alarm_goes_off(network, faces):
    images, labels, clips = faces
    probed = replace(TUNING, epochs=0, from_probe=True)
    tuner = fine_tuning.Tuner(network, images, in_order(labels), tuning=probed)
    assert accuracy(tuner, grouped_folds(labels, clips, n_splits=4), clips, labels) < 0.65
    single = np.arange(64).astype(str)
    assert accuracy(tuner, plain_folds(labels, n_splits=4), single, labels) > 0.65


def splits_of(tuner, rows, labels, clips, monkeypatch):
    """Return the faces learned from and looked at in every inner split of the choice of epochs."""
    splits = []

    def fit(learned, truth, *, epochs, on_epoch, **_):
        splits.append((set(learned), set()))
        for epoch in range(epochs + 1):
            on_epoch(epoch)

    def predict(looked_at):
        splits[-1][1].update(looked_at)
        return np.full((len(looked_at), len(EMOTIONS)), 1 / len(EMOTIONS), np.float32)

    with monkeypatch.context() as patched:
        patched.setattr(tuner, "fit", fit)
        patched.setattr(tuner, "predict", predict)
        tuner.choose_epochs(rows, labels[rows], clips[rows])
    return splits


def shared_clips(splits, clips):
    """Return how many clips stand on both sides of an inner split."""
    return sum(len(set(clips[list(a)]) & set(clips[list(b)])) for a, b in splits)


def test_epochs_are_chosen_on_clips_that_were_not_learned_from(tuner, faces, alarm, monkeypatch):
    _, labels, clips = faces
    splits = splits_of(tuner, np.arange(64), labels, clips, monkeypatch)
    assert len(splits) > 1
    monkeypatch.setattr(fine_tuning, "grouped_folds", ignoring_clips)
    leaking = splits_of(tuner, np.arange(64), labels, clips, monkeypatch)
    alarm(
        "fine-tuning: the choice of epochs ignores clips",
        "clips on both sides of an inner fold",
        without=shared_clips(splits, clips),
        planted=shared_clips(leaking, clips),
        between=0.5,
    )


def test_epochs_are_chosen_without_the_tested_faces(tuner, faces, monkeypatch):
    learn = np.arange(32)
    for learned, looked_at in splits_of(tuner, learn, *faces[1:], monkeypatch):
        assert learned | looked_at == set(learn)


def change_by_tested_faces(answers, images, folds):
    """Return how far other tested faces' answers move when some tested faces change."""
    moved = np.flatnonzero(folds[0] == 0)[:4]
    changed = images.copy()
    changed[moved] = 255 - changed[moved] // 4
    others = np.setdiff1d(np.flatnonzero(folds[0] == 0), moved)
    return np.abs(answers(images)[0, others] - answers(changed)[0, others]).max()


def less_mean_of_all(images):
    """Faces from which what all of them have in common is taken: the leak of a careless scaler."""
    return (128 + images - images.mean(axis=0)).clip(0, 255).astype(np.uint8)


def test_a_tested_face_changes_no_other_answer(network, faces, alarm):
    images, labels, clips = faces
    folds, short = grouped_folds(labels, clips, n_splits=2), replace(TUNING, epochs=2)

    def tuned(images):
        tuner = fine_tuning.Tuner(network, images, ["happy", "sad"], tuning=short)
        return out_of_fold(tuner.answer, np.arange(len(labels)), labels, clips, folds)[0]

    alarm(
        "fine-tuning: the mean of all faces is taken from each",
        "largest change of another tested face's probability",
        without=change_by_tested_faces(tuned, images, folds),
        planted=change_by_tested_faces(lambda seen: tuned(less_mean_of_all(seen)), images, folds),
        between=1e-4,
    )


def test_a_tested_face_changes_no_other_answer_of_the_linear_probe(network, faces, alarm):
    images, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=2)

    def probed(images):
        features = inference.embed(network, images)
        return out_of_fold(probing.by_probe, features, labels, clips, folds)[0]

    alarm(
        "linear probe: the mean of all faces is taken from each",
        "largest change of another tested face's probability",
        without=change_by_tested_faces(probed, images, folds),
        planted=change_by_tested_faces(lambda seen: probed(less_mean_of_all(seen)), images, folds),
        between=1e-4,
    )


def test_the_linear_probe_can_only_guess(network, faces, alarm):
    images, labels, clips = faces
    features = inference.embed(network, images)
    shares = (
        out_of_fold(probing.by_probe, features, labels, clips, folds)[0]
        for folds in (grouped_folds(labels, clips, n_splits=4), plain_folds(labels, n_splits=4))
    )
    honest, leaking = ((named(each.argmax(axis=2)) == labels).mean() for each in shares)
    alarm(
        "linear probe: a clip on both sides of a fold",
        "accuracy out of fold",
        without=honest,
        planted=leaking,
        between=0.65,
    )


@pytest.mark.parametrize(
    ("name", "way"),
    [("prototypes", probing.by_prototypes), ("measured and NN, fused", probing.fused(12))],
    ids=["prototypes", "fused"],
)
def test_other_ways_to_use_a_network_can_only_guess(name, way, faces, alarm):
    images, labels, clips = faces
    seen = images.reshape(64, 6, 8, 6, 8).mean(axis=(2, 4)).reshape(64, 36)
    honest, leaking = (
        (named(out_of_fold(way, seen, labels, clips, folds)[0].argmax(axis=2)) == labels).mean()
        for folds in (grouped_folds(labels, clips, n_splits=4), plain_folds(labels, n_splits=4))
    )
    alarm(
        f"{name}: a clip on both sides of a fold",
        "accuracy out of fold",
        without=honest,
        planted=leaking,
        between=0.7,
    )


def test_a_tested_face_changes_no_other_answer_by_the_persons_prior(network, faces, alarm):
    images, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=2)

    def corrected(images):
        answers = inference.predict(network, images)
        return out_of_fold(probing.by_prior, answers, labels, clips, folds)[0]

    def of_all(images):
        answers = inference.predict(network, images)
        return probing.by_prior(answers, labels, clips, answers)[0][None]

    alarm(
        "prior: the mean answer of all faces is corrected",
        "largest change of another tested face's probability",
        without=change_by_tested_faces(corrected, images, folds),
        planted=change_by_tested_faces(of_all, images, folds),
        between=1e-5,
    )


def test_epochs_are_chosen_on_faces_that_were_not_learned_from(tuner, faces, monkeypatch):
    for learned, looked_at in splits_of(tuner, np.arange(64), *faces[1:], monkeypatch):
        assert looked_at and not learned & looked_at


def test_the_epochs_with_the_lowest_held_out_loss_are_chosen(tuner, faces, monkeypatch):
    """A network that is sure of the truth after three epochs, and of nothing before and after."""
    done, (_, labels, clips) = [], faces

    def fit(learned, truth, *, epochs, on_epoch, **_):
        for epoch in range(epochs + 1):
            done[:] = [epoch]
            on_epoch(epoch)

    def predict(rows):
        sure = np.eye(len(EMOTIONS))[codes(labels[rows])]
        return sure if done == [3] else np.full(sure.shape, 1 / 7)

    monkeypatch.setattr(tuner, "fit", fit)
    monkeypatch.setattr(tuner, "predict", predict)
    assert tuner.choose_epochs(np.arange(64), labels, clips) == 3


def test_every_fold_chooses_its_epochs_and_learns_without_its_faces(tuner, faces, monkeypatch):
    _, labels, clips = faces
    folds = grouped_folds(labels, clips, n_splits=2)
    chosen, learned = [], []
    monkeypatch.setattr(tuner, "known", {})  # what other tests have asked
    monkeypatch.setattr(tuner, "choose_epochs", lambda *given, **_: chosen.append(given) or 1)
    monkeypatch.setattr(tuner, "fit", lambda *given, **_: learned.append(given))
    out_of_fold(tuner.answer, np.arange(len(labels)), labels, clips, folds)
    for fold, given, again in zip((0, 1), chosen, learned, strict=True):
        rows = np.flatnonzero(folds[0] != fold)
        for found, expected in zip(given, (rows, labels[rows], clips[rows]), strict=True):
            assert found.tolist() == expected.tolist()
        assert [part.tolist() for part in again] == [part.tolist() for part in given[:2]]
