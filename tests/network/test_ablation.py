"""The trials of chapter B1: what they change, what they keep, and what they say."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mien.network import ablation, training


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 7
    images = rng.integers(0, 100, (64, 48, 48), dtype=np.uint8)
    images[np.arange(64), labels * 6] = 255
    return images, labels


@pytest.fixture(scope="module")
def recipe():
    return training.Profile(
        network={"stem": 8, "stages": ((8, 0),)}, training={"batch_size": 32, "sizes": (32, 48)}
    )


def test_an_ablation_changes_one_choice_at_a_time(faces, recipe, monkeypatch):
    asked = []

    def train(network, *data, **settings):
        asked.append({name: settings[name] for name in settings if name != "seed"})
        return pd.DataFrame({"seconds": [1.0, 2.0]})

    monkeypatch.setattr(ablation.training, "train", train)
    names = ("without augmentation", "with mixup", "at full size", "AdamW alone")
    names += ("with a constant learning rate",)
    found = ablation.ablation(faces, faces, recipe, choices=names, epochs=2)
    assert found["choice"].tolist() == ["the recipe", *names]
    plain, *changed = asked
    assert plain["sizes"] == (ablation.TRIAL_SIZE,) and plain["augment"] == recipe.augment
    differing = [{key for key in one if one.get(key) != plain.get(key)} for one in changed]
    assert differing == [{"augment"}, {"mixup"}, {"sizes"}, {"muon"}, {"cosine"}]
    assert found["seconds"].iloc[0] == 3.0 and found["difference"].iloc[0] == 0


def test_the_trials_of_an_ablation_take_no_larger_steps_than_the_recipe(faces, recipe, monkeypatch):
    asked = []
    monkeypatch.setattr(
        ablation.training,
        "train",
        lambda *_, batch_size, **__: asked.append(batch_size) or pd.DataFrame({"seconds": [1]}),
    )
    for own in (32, 512):
        larger = dataclasses.replace(recipe, training={**recipe.training, "batch_size": own})
        ablation.ablation(faces, faces, larger, choices=("with mixup",), epochs=1)
    assert asked == [32, 32, ablation.TRIAL_BATCH, ablation.TRIAL_BATCH]


def test_every_choice_can_be_trained(faces, recipe):
    found = ablation.ablation(faces, faces, recipe, epochs=1)
    assert len(found) == len(ablation.CHOICES) + 1
    assert found["PublicTest accuracy"].between(0, 1).all()


def test_the_sentence_names_only_what_stands_out_of_the_noise():
    found = pd.DataFrame(
        {
            "choice": ["the recipe", "with mixup", "without augmentation"],
            "PublicTest accuracy": [0.5, 0.49, 0.4],
            "difference": [0, -0.01, -0.1],
        }
    )
    said = ablation.ablation_sentence(found, 3589)
    assert "without augmentation (−10.0 points)" in said and "mixup" not in said
    assert "beyond it: none" in ablation.ablation_sentence(found, 50)


def test_the_assignments_network_stops_in_time_and_is_watched(faces):
    model = ablation.build()
    assert model.count_params() > 18e6
    told = ablation.train(model, *faces, seconds=0.01, watch=lambda _: 0.3, steps=3)
    assert told["faces"].tolist() == [64] and told["val_accuracy"].tolist() == [0.3]
    assert ablation.predict(model, faces[0][:2]).sum(axis=1) == pytest.approx([1, 1])


def test_progress_is_told_at_the_same_time():
    progress = pd.DataFrame(
        {
            "network": ["ours"] * 3 + ["assignment's"] * 2,
            "minutes": [1, 2, 3, 1.1, 2.2],
            "PublicTest accuracy": [0.3, 0.4, 0.6, 0.2, 0.25],
        }
    )
    said = ablation.minutes_sentence(progress)
    assert "After 2.2 minutes the assignment's network is right on 25.0 %" in said
    assert "ours on 40.0 %" in said and "ends at 60.0 % after 3.0 minutes" in said
    slow = progress.assign(minutes=[5, 6, 7, 1.1, 2.2])
    assert "had not finished its first epoch" in ablation.minutes_sentence(slow)
