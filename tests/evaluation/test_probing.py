import numpy as np
import pytest

from mien.emotions import EMOTIONS, named
from mien.evaluation.cross_validation import grouped_folds
from mien.evaluation.probing import linear_probe


@pytest.fixture(scope="module")
def faces():
    """Labels of 60 faces in 30 clips, their folds, and noise that knows the clip of each."""
    random = np.random.default_rng(0)
    clips = np.repeat(np.arange(30), 2)
    labels = np.array(["happy", "sad", "angry"])[clips % 3]
    folds = grouped_folds(labels, clips, n_repeats=2)
    own = random.standard_normal((30, 40))[clips] + 0.1 * random.standard_normal((60, 40))
    return labels, folds, own


def accuracy(probabilities, labels) -> float:
    return float((named(probabilities.argmax(axis=-1)) == labels).mean())


def test_what_features_say_is_found(faces):
    labels, folds, noise = faces
    telling = np.where(labels[:, None] == ["happy", "sad"], 2.0, 0.0)
    found = linear_probe(np.hstack([telling, noise[:, :3]]), labels, folds)
    assert found.shape == (2, 60, 7)
    assert accuracy(found, labels) > 0.95
    assert found.sum(axis=2) == pytest.approx(np.ones((2, 60)))
    absent = [code for code, name in enumerate(EMOTIONS) if name not in labels]
    assert (found[..., absent] == 0).all()


def test_what_only_the_clip_says_does_not_help(faces):
    labels, folds, noise = faces
    assert accuracy(linear_probe(noise, labels, folds), labels) < 0.5
    leaking = np.stack([np.arange(60) % 2] * 2)
    assert accuracy(linear_probe(noise, labels, leaking), labels) > 0.9


def test_more_copies_of_the_same_features_change_little(faces):
    labels, folds, noise = faces
    features = noise + np.where(labels[:, None] == "sad", 0.5, 0.0)
    once = linear_probe(features, labels, folds[:1])
    often = linear_probe(np.tile(features, 20), labels, folds[:1])
    assert often == pytest.approx(once, abs=0.02)


def test_a_fold_that_teaches_one_emotion_answers_it():
    labels = np.array(["sad"] * 4 + ["happy"] * 2)
    folds = np.array([[0, 0, 0, 0, 1, 1]])
    found = linear_probe(np.arange(6.0)[:, None], labels, folds)
    assert named(found[0].argmax(axis=1)).tolist() == ["happy"] * 4 + ["sad"] * 2


def test_the_scale_of_a_feature_does_not_matter(faces):
    labels, folds, noise = faces
    telling = np.where(labels[:, None] == ["happy", "sad"], 2.0, 0.0)
    features = np.hstack([telling, noise[:, :3]])
    scaled = features * [1e-3, 1e3, 1.0, 1e2, 1e-2]
    found, again = (linear_probe(given, labels, folds[:1]) for given in (features, scaled))
    assert again == pytest.approx(found, abs=1e-3)
