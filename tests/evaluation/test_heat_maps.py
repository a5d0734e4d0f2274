"""Averages of what the network looked at survive the table that carries them to chapter C."""

import numpy as np
import pytest

from mien.evaluation import heat_maps


def test_maps_come_back_from_their_table():
    rng = np.random.default_rng(0)
    maps = rng.random((6, 48, 48))
    labels = ["sad", "happy", "sad", "happy", "happy", "sad"]
    found = heat_maps.maps_of(heat_maps.mean_maps(maps, labels))
    assert list(found) == ["happy", "sad"]
    happy = maps[[1, 3, 4]].mean(axis=0)
    np.testing.assert_allclose(found["happy"][2, 5], happy[8:12, 20:24].mean())
    assert found["sad"].shape == (12, 12)


def test_weight_is_shared_out_to_the_thirds_of_the_face():
    eyes, mouth = np.zeros((12, 12)), np.zeros((12, 12))
    eyes[1], eyes[5], mouth[10] = 3, 1, 1
    found = heat_maps.thirds({"angry": eyes, "happy": mouth, "sad": np.zeros((12, 12))})
    assert found == {"angry": [0.75, 0.25, 0], "happy": [0, 0, 1]}


def test_mean_faces_are_faces_of_their_emotion():
    images = np.stack([np.full((48, 48), value, np.uint8) for value in (10, 20, 200)])
    found = heat_maps.mean_faces(images, ["sad", "sad", "happy"])
    assert found["sad"][0, 0] == 15 and found["happy"].dtype == np.uint8


def test_maps_are_compared_by_emotion_where_there_is_something_to_compare():
    first = {"sad": np.arange(4.0).reshape(2, 2), "happy": np.arange(4.0).reshape(2, 2)}
    assert heat_maps.likeness(first, first) == {"sad": pytest.approx(1), "happy": pytest.approx(1)}
    other = {"sad": -first["sad"], "happy": np.zeros((2, 2))}
    assert heat_maps.likeness(first, other) == {"sad": pytest.approx(-1)}
