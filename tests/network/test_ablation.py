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


WIDTHS = [{"stem": width, "stages": ((width, 0),)} for width in (32, 16, 8)]


@pytest.fixture
def timed(monkeypatch):
    """Play the minutes of an epoch by the width of the stem; the networks that were timed."""
    minutes, asked = {}, []

    def step_seconds(model, recipe):
        asked.append(model.get_layer("stem").filters)
        return 60 * minutes[asked[-1]] / 10 / ablation._BESIDE  # 10 steps an epoch

    monkeypatch.setattr(ablation.training, "step_seconds", step_seconds)
    return minutes, asked


def planned(tmp_path, recipe, minutes):
    path = tmp_path / "plan.json"
    return ablation.plan(WIDTHS, recipe, 10 * recipe.batch_size + 5, minutes=minutes, path=path)


@pytest.mark.parametrize(
    ("an_epoch", "network", "epochs", "expected"),
    [
        ({32: 0.1}, 0, 20, 2.0),  # fast: all epochs of the recipe
        ({32: 1.7}, 0, 11, 18.7),  # still enough of them
        ({32: 6.0, 16: 1.9, 8: 1.0}, 2, 20, 20.0),
        ({32: 6.0, 16: 1.5}, 1, 11, 16.5),
        ({32: 99.0, 16: 60.0, 8: 30.0}, 2, 1, 30.0),  # an epoch at least
    ],
)
def test_a_plan_takes_the_widest_network_that_can_learn_for_long_enough(
    tmp_path, recipe, timed, an_epoch, network, epochs, expected
):
    timed[0].update(an_epoch)
    recipe = dataclasses.replace(recipe, epochs=20)
    found = planned(tmp_path, recipe, 20)
    assert (found["choice"], found["epochs"]) == (network, epochs)
    assert found["expected"] == pytest.approx(expected)
    assert timed[1] == list(an_epoch)
    assert [seen["minutes"] for seen in found["measured"]] == pytest.approx([*an_epoch.values()])


def test_an_interrupted_training_keeps_its_plan_and_another_gets_its_own(tmp_path, recipe, timed):
    timed[0].update({32: 1.0, 16: 0.5, 8: 0.1})
    first = planned(tmp_path, recipe, 20)
    timed[0][32] = 6.0  # the machine is busy now
    again = planned(tmp_path, recipe, 20)
    assert again["epochs"] == first["epochs"] and timed[1] == [32]
    assert planned(tmp_path, dataclasses.replace(recipe, epochs=4), 20)["choice"] == 1
    assert planned(tmp_path, recipe, 10)["minutes"] == 10


def test_without_minutes_nothing_is_timed(tmp_path, recipe, timed):
    found = planned(tmp_path, recipe, 0)
    assert (found["choice"], found["epochs"], timed[1]) == (0, recipe.epochs, [])


def test_a_step_is_timed_at_every_size_that_is_learned_from(recipe, eagerly):
    model = ablation.architecture.build(**NETWORK)
    assert 0 < training.step_seconds(model, recipe) < 60


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
    shares = model.predict(faces[0][..., None], verbose=0)
    right = shares.argmax(axis=1) == faces[1]
    assert told["faces"].tolist() == [64] and told["val_accuracy"].tolist() == [right.mean()]
    assert shares[:2].sum(axis=1) == pytest.approx([1, 1])


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
