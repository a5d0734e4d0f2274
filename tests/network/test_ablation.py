"""The trials of chapter B1: what they change, what they keep, and what they show."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mien.network import ablation, training

NETWORK = {"stem": 8, "stages": ((8, 0),)}


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 7
    images = rng.integers(0, 100, (64, 48, 48), dtype=np.uint8)
    images[np.arange(64), labels * 6] = 255
    return images, labels


@pytest.fixture(scope="module")
def recipe():
    return training.Recipe(epochs=9, batch_size=32, sizes=(32, 48), augment=training.Augment())


def test_an_ablation_changes_one_choice_at_a_time(faces, recipe, monkeypatch):
    asked = []

    def train(model, *data, seed):
        asked.append(dataclasses.asdict(data[-1]))
        return pd.DataFrame({"seconds": [1.0, 2.0]})

    monkeypatch.setattr(ablation.training, "train", train)
    names = ("without augmentation", "with mixup", "at full size", "AdamW alone")
    names += ("with a constant learning rate",)
    found = ablation.ablation(faces, faces, NETWORK, recipe, choices=names, epochs=2)
    assert found["choice"].tolist() == ["the recipe", *names]
    plain, *changed = asked
    assert plain["sizes"] == (ablation.TRIAL_SIZE,) and plain["epochs"] == 2
    assert plain["augment"] == dataclasses.asdict(recipe.augment)
    differing = [{key for key in one if one[key] != plain[key]} for one in changed]
    assert differing == [{"augment"}, {"mixup"}, {"sizes"}, {"muon"}, {"cosine"}]
    assert found["seconds"].iloc[0] == 3.0 and found["difference"].iloc[0] == 0


def test_the_trials_of_an_ablation_take_no_larger_steps_than_the_recipe(faces, recipe, monkeypatch):
    asked = []
    monkeypatch.setattr(
        ablation.training,
        "train",
        lambda *given, seed: asked.append(given[-1].batch_size) or pd.DataFrame({"seconds": [1]}),
    )
    for own in (32, 512):
        larger = dataclasses.replace(recipe, batch_size=own)
        ablation.ablation(faces, faces, NETWORK, larger, choices=("with mixup",), epochs=1)
    assert asked == [32, 32, ablation.TRIAL_BATCH, ablation.TRIAL_BATCH]


def test_every_choice_can_be_trained(faces, recipe, eagerly):
    found = ablation.ablation(faces, faces, NETWORK, recipe, epochs=1)
    assert len(found) == len(ablation.CHOICES) + 1
    assert found["PublicTest accuracy"].between(0, 1).all()


def test_every_batch_size_is_trained_and_the_best_one_named(faces, recipe):
    found = ablation.batch_size_trials(
        faces, faces, NETWORK, recipe, batch_sizes=(16, 32), epochs=2
    )
    assert found["batch size"].tolist() == [16, 16, 32, 32]
    assert found["epoch"].tolist() == [1, 2, 1, 2]
    told = found.assign(**{"PublicTest accuracy": [0.3, 0.4, 0.2, 0.5]})
    assert ablation.best_trial(told) == {
        "epochs": 2,
        "batch_size": 32,
        "accuracy": 0.5,
        "worst": 16,
        "lead": pytest.approx(0.1),
        "gain": pytest.approx(0.3),
    }


def test_noise_is_the_standard_error_of_two_proportions():
    assert ablation.noise(0.5, 200) == pytest.approx(0.05)


def test_the_assignments_network_stops_in_time_and_is_watched(faces):
    model = ablation.build()
    assert model.count_params() > 18e6
    told = ablation.train(model, faces, faces, seconds=0.01)
    right = ablation.predict(model, faces[0]).argmax(axis=1) == faces[1]
    assert told["faces"].tolist() == [64] and told["val_accuracy"].tolist() == [right.mean()]
    assert ablation.predict(model, faces[0][:2]).sum(axis=1) == pytest.approx([1, 1])


def test_progress_is_told_at_the_same_time():
    progress = pd.DataFrame(
        {
            "network": ["ours"] * 3 + ["assignment's"] * 2,
            "minutes": [1, 2, 3, 1.1, 2.2],
            "PublicTest accuracy": [0.3, 0.4, 0.6, 0.2, 0.25],
        }
    )
    assert ablation.at_the_same_time(progress) == {
        "minutes": 2.2,
        "theirs": 0.25,
        "ours": 0.4,
        "our_minutes": 3,
        "our_end": 0.6,
    }
    slow = progress.assign(minutes=[5, 6, 7, 1.1, 2.2])
    assert ablation.at_the_same_time(slow)["ours"] is None
