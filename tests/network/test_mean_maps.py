"""Averages of what the network looked at survive the table that carries them to chapter C."""

import numpy as np

from mien.network import saliency


def test_maps_come_back_from_their_table():
    rng = np.random.default_rng(0)
    maps = rng.random((6, 48, 48))
    labels = ["sad", "happy", "sad", "happy", "happy", "sad"]
    found = saliency.maps_of(saliency.mean_maps(maps, labels))
    assert list(found) == ["happy", "sad"]
    happy = maps[[1, 3, 4]].mean(axis=0)
    np.testing.assert_allclose(found["happy"][2, 5], happy[8:12, 20:24].mean())
    assert found["sad"].shape == (12, 12)


def test_the_sentence_names_the_third_that_carries_the_weight():
    eyes, mouth = np.zeros((12, 12)), np.zeros((12, 12))
    eyes[1], mouth[10] = 1, 1
    said = saliency.thirds_sentence({"angry": eyes, "happy": mouth})
    assert "*angry* the upper third (100%)" in said and "*happy* the lower third (100%)" in said
    assert saliency.thirds_sentence({"sad": np.zeros((12, 12))}).startswith("No place")


def test_mean_faces_are_faces_of_their_emotion():
    images = np.stack([np.full((48, 48), value, np.uint8) for value in (10, 20, 200)])
    found = saliency.mean_faces(images, ["sad", "sad", "happy"])
    assert found["sad"][0, 0] == 15 and found["happy"].dtype == np.uint8


def test_likeness_is_told_by_emotion_where_there_is_something_to_compare():
    maps = np.random.default_rng(0).random((2, 48, 48))
    first = saliency.mean_maps(maps, ["sad", "happy"])
    flat = saliency.mean_maps(np.stack([maps[0], np.zeros((48, 48))]), ["sad", "happy"])
    assert saliency.likeness_sentence(first, first).endswith("*happy* 1.00, *sad* 1.00.")
    assert saliency.likeness_sentence(first, flat).endswith("by *sad* 1.00.")
    nothing = saliency.mean_maps(np.zeros((1, 48, 48)), ["sad"])
    assert "cannot be compared" in saliency.likeness_sentence(nothing, nothing)
