import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.network.training import Augment

STILL = {"mirror": False, "shift": 0, "rotation": 0, "zoom": 0}


def faces(n=6, seed=0):
    """Smooth random pictures: a few waves each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48] / 48
    waves = [
        np.sin(9 * rng.random() * x + 9 * rng.random() * y + 6 * rng.random()) for _ in range(n)
    ]
    return (128 + 100 * np.array(waves)).astype(np.uint8)


def test_nothing_asked_nothing_changed():
    images = faces()
    changed = Augment(**STILL)(images, np.random.default_rng(0))
    np.testing.assert_array_equal(changed, images)


def test_mirror_alone_gives_each_face_or_its_mirror_image():
    images = faces(40)
    changed = Augment(**STILL | {"mirror": True})(images, np.random.default_rng(0))
    same = [np.array_equal(one, other) for one, other in zip(changed, images, strict=True)]
    flipped = [
        np.array_equal(one, other[:, ::-1]) for one, other in zip(changed, images, strict=True)
    ]
    assert np.logical_or(same, flipped).all()
    assert 10 < sum(flipped) < 30


@pytest.mark.parametrize("name", ["shift", "rotation", "zoom", "light", "erase"])
def test_every_change_changes_faces_and_leaves_the_input_alone(name):
    amount = {"shift": 0.1, "rotation": 10, "zoom": 0.2, "light": 0.5, "erase": 1.0}[name]
    images = faces()
    before = images.copy()
    changed = Augment(**STILL | {name: amount})(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert (changed != images).mean() > 0.01
    assert np.abs(changed.astype(int) - images).mean() < 60


def test_zoom_keeps_the_centre_and_shift_moves_it():
    images = np.zeros((20, 48, 48), np.uint8)
    images[:, 22:26, 22:26] = 255
    rng = np.random.default_rng(0)
    zoomed = Augment(**STILL | {"zoom": 0.3})(images, rng)
    assert (zoomed[:, 23:25, 23:25] > 200).all()
    shifted = Augment(**STILL | {"shift": 0.2})(images, rng)
    places = np.array([np.argwhere(face > 127).mean(axis=0) for face in shifted]) - 23.5
    assert 4 < np.abs(places).max() <= 0.2 * 48 + 1


def test_smaller_faces_show_the_same_picture():
    images = faces()
    small = Augment(**STILL)(images, np.random.default_rng(0), size=24)
    means = images.reshape(6, 24, 2, 24, 2).mean(axis=(2, 4))
    assert small.shape == (6, 24, 24)
    assert np.abs(small - means).mean() < 2


@given(seed=st.integers(0, 2**32 - 1), grey=st.integers(0, 255))
@settings(deadline=None, max_examples=25)
def test_a_blank_face_stays_blank_and_a_seed_decides_all(seed, grey):
    blank = np.full((3, 48, 48), grey, np.uint8)
    augment = Augment(shift=0.3, rotation=30, zoom=0.3, erase=0.5)
    assert (augment(blank, np.random.default_rng(seed)) == grey).all()
    images = faces(3)
    first, second = (augment(images, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
