"""Networks that are not mien's own: trained, tuned, explained, and refused where they must be."""

import keras
import numpy as np
import pytest
from keras import layers

from mien.errors import DataError
from mien.network import ablation, architecture, fine_tuning, inference, saliency, training


def sequential():
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            layers.Conv2D(4, 5, strides=2, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )


def functional():
    faces = keras.Input((48, 48, 1))
    flat = layers.Dense(8, activation="relu")(layers.Flatten()(faces))
    return keras.Model(faces, layers.Softmax()(layers.Dense(7)(flat)))


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    labels = np.arange(42) % 7
    images = rng.integers(0, 60, (42, 48, 48), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[6 * label : 6 * label + 6] = 255
    return images, labels


@pytest.fixture
def recipe():
    settings = {"batch_size": 14, "learning_rate": 0.02, "sizes": (32, 48)}
    return training.Recipe(epochs=12, **settings)


@pytest.mark.parametrize("build", [sequential, functional])
def test_another_network_learns_and_is_tuned_and_explained(build, faces, recipe):
    images, labels = faces
    network = architecture.made(build(), seed=1)
    training.train(network, *faces, *faces, recipe.suited(network))
    right = inference.predict(network, images, mirror=False).argmax(axis=1) == labels
    assert right.mean() > 0.5
    emotions = ["angry", "disgust"]
    rows = np.flatnonzero(labels < 2)
    tuning = fine_tuning.Tuning(epochs=2, copies=1, learning_rate=0.01)
    tuner = fine_tuning.Tuner(network, images[rows], emotions, tuning=tuning)
    before = inference.predict(network, images)
    truth = np.array(emotions)[labels[rows]]
    tuned, _ = tuner.fit_on(np.arange(len(rows)), truth, np.arange(len(rows)))
    np.testing.assert_array_equal(inference.predict(network, images), before)
    *early, last = [layer for layer in tuned.layers if layer.get_weights()]
    for layer in early:
        for one, other in zip(
            layer.get_weights(),
            network.get_layer(layer.name.removeprefix("crowd_")).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    assert last.name == "logits"
    maps = saliency.attention(network, images[:2], labels[:2])
    assert maps.shape == (2, 48, 48) and maps.min() >= 0 and maps.max() <= 1
    assert saliency.explains(network) is (build is sequential)
    forgotten = saliency.sanity_check(network, images[:2], labels[:2])
    assert forgotten["randomised"].iloc[0] == last.name
    assert inference.embed(network, images).ndim == 2


def test_the_same_seed_makes_the_same_network_anew():
    first = sequential()
    one, other, third = (architecture.made(first, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.get_weights()[0], other.get_weights()[0])
    assert not np.allclose(one.get_weights()[0], third.get_weights()[0])


def test_trials_leave_out_what_only_concerns_our_network(faces, recipe):
    choices = ("with mixup", "at full size", "AdamW alone", "random first kernels")
    found = ablation.ablation(faces, faces, functional(), recipe, choices=choices, epochs=1)
    assert found["choice"].tolist() == ["the recipe", "with mixup"]


def test_a_wish_becomes_networks(tmp_path):
    sizes = [{"stem": 8}]
    assert ablation.networks("residual", sizes) is sizes
    (assignment,) = ablation.networks("assignment", sizes)
    assert assignment.layers[0].name.startswith("conv2d")
    functional().save(tmp_path / "mine.keras")
    (mine,) = ablation.networks(str(tmp_path / "mine.keras"), sizes)
    assert mine.count_params() == functional().count_params()


@pytest.mark.parametrize(
    ("last", "shape", "said"),
    [
        (layers.Dense(8, activation="softmax"), (48, 48, 1), "answers (None, 8)"),
        (layers.Dense(7), (48, 48, 1), 'layers.Dense(7, activation="softmax")'),
        (layers.Dense(7, activation="softmax"), (48, 48, 3), "reads (None, 48, 48, 3)"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_one_line(last, shape, said):
    network = keras.Sequential([keras.Input(shape), layers.Flatten(), last])
    with pytest.raises(DataError) as refused:
        architecture.made(network)
    assert said in str(refused.value) and "\n" not in str(refused.value)
