"""Grad-CAM on a network that must look at one known corner."""

import keras
import numpy as np
import pytest

from mien.data.images import prepare
from mien.errors import DataError
from mien.network import architecture, saliency, training


def corners(n, seed=0):
    """Noise with a chequered square in one of four corners, which is the class."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, n)
    images = rng.normal(128, 20, (n, 48, 48))
    board = 90 * ((np.indices((12, 12)).sum(axis=0) // 2) % 2 * 2 - 1)
    for image, code in zip(images, codes, strict=True):
        top, left = 30 * (code // 2) + 3, 30 * (code % 2) + 3
        image[top : top + 12, left : left + 12] += board
    return images.clip(0, 255).astype(np.uint8), codes


def in_corner(maps, codes):
    """Return the share of each map's heat that lies in the quarter of its class."""
    shares = []
    for heat, code in zip(maps, codes, strict=True):
        quarter = heat[24 * (code // 2) :, 24 * (code % 2) :][:24, :24]
        shares.append(np.maximum(quarter, 0).sum() / max(np.maximum(heat, 0).sum(), 1e-9))
    return np.array(shares)


@pytest.fixture(scope="module")
def trained():
    """A network with a dense view of places: flattening is not in it, so it sees by stripes."""
    faces, codes = corners(600)
    model = architecture.build(stem=8, stages=((16, 1), (16, 0), (32, 0), (32, 0)), dropout=0.0)
    check = corners(100, seed=1)
    recipe = training.Recipe(epochs=10, batch_size=32, learning_rate=1e-2)
    history = training.train(model, faces, codes, *check, recipe)
    assert history["val_accuracy"].max() > 0.9
    return model


def test_the_map_lies_on_what_decides(trained):
    faces, codes = corners(80, seed=2)  # more than one batch
    maps = saliency.attention(trained, faces, codes)
    assert maps.shape == (80, 48, 48) and maps.min() >= 0 and maps.max() <= 1 + 1e-6
    assert np.median(in_corner(maps, codes)) > 0.5


def test_covering_what_decides_lowers_the_answer(trained):
    faces, codes = corners(10, seed=3)
    falls = saliency.occlusion(trained, faces, codes, patch=12, step=6)
    assert falls.shape == (10, 48, 48)
    assert np.median(in_corner(falls, codes)) > 0.5


def one_corner():
    """A network that sees the upper right corner only: the rougher it is, the surer of class 0."""
    faces = keras.Input((48, 48, 1))
    corner = keras.layers.Cropping2D(((0, 40), (40, 0)))(faces)
    rough = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(corner))
    head = keras.layers.Dense(7, activation="softmax")
    model = keras.Model(faces, head(rough))
    head.set_weights([np.eye(1, 7, dtype=np.float32), np.zeros(7, np.float32)])
    return model


def test_only_covering_the_place_that_counts_lowers_the_answer():
    """Exact: elsewhere the faces have their mean grey already, so a patch there changes nothing."""
    faces = np.full((3, 48, 48), 128, np.uint8)
    faces[:, :8, 40:] += 60 * (np.indices((8, 8)).sum(axis=0) % 2 * 2 - 1).astype(np.uint8)
    falls = saliency.occlusion(one_corner(), faces, [0, 0, 1], patch=8, step=8)
    np.testing.assert_array_equal(falls[:, 8:], 0)
    np.testing.assert_array_equal(falls[:, :, :40], 0)
    assert (falls[:2, :8, 40:] > 0.05).all() and (falls[2, :8, 40:] < 0).all()
    finer = saliency.occlusion(one_corner(), faces, [0, 0, 1], patch=8, step=4)
    assert (finer[0, :4, 44:] > finer[0, 8:12, 44:]).all() and finer[0, 12:].max() == 0
    assert finer[0].max() <= falls[0].max() + 1e-6  # a mean over patches, not a sum


def test_a_network_that_forgot_looks_elsewhere(trained):
    faces, codes = corners(20, seed=4)
    frame = saliency.sanity_check(trained, faces, codes)
    assert list(frame["randomised"]) == ["logits", "stage4", "stage3", "stage2", "stage1", "stem"]
    assert frame["correlation"].iloc[-1] < 0.7


def test_the_gradient_is_the_gradient(trained):
    """Against central differences of the logit itself.

    A step over a kink of a ReLU measures the mean of two slopes, a short one is rounded: the step
    is short enough that few faces meet a kink, and those few are let pass.
    """
    early, late = saliency._halves(trained)
    faces, codes = corners(64, seed=5)
    seen = np.asarray(early.predict_on_batch(prepare(faces)))
    wanted = np.eye(7, dtype=np.float32)[codes]
    slope = saliency._Probe(late).gradient(seen, wanted)
    rng = np.random.default_rng(0)
    way = rng.normal(size=seen.shape).astype(np.float32)
    step = 1e-4
    up, down = (np.asarray(late.predict_on_batch(seen + s * way)) for s in (step, -step))
    measured = ((up - down) * wanted).sum(axis=1) / (2 * step)
    errors = np.abs((slope * way).sum(axis=(1, 2, 3)) - measured) / (1 + np.abs(measured))
    assert np.quantile(errors, 0.9) < 0.02


def test_maps_leave_the_network_alone(trained):
    before = trained.get_weights()
    faces, codes = corners(3, seed=6)
    saliency.attention(trained, faces, codes)
    for one, other in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_explained_is_refused(trained):
    faces, codes = corners(3)
    with pytest.raises(DataError, match="3 faces and 2 classes"):
        saliency.attention(trained, faces, codes[:2])
    foreign = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten()])
    with pytest.raises(DataError, match="not one probability"):
        saliency.attention(foreign, faces, codes)
