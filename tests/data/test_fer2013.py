"""What is read of FER2013 is remembered truly, split as published, and its copies are known."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from fer2013_csv import assert_same, rows_of, spoiled, text_of, write, zip_of

from mien.data import fer2013
from mien.data.fer2013 import (
    Fer2013,
    constant_images,
    copied_in_training,
    copies,
    load_fer2013,
    nearly_copied_in,
)
from mien.data.fer2013_files import USAGES
from mien.emotions import EMOTIONS
from mien.errors import ParameterError

pytestmark = pytest.mark.usefixtures("cache_folder")


# the cache


@pytest.fixture
def no_reading(monkeypatch):
    def forbid():
        monkeypatch.setattr(fer2013, "read_csv", lambda path: pytest.fail("read again"))

    return forbid


def test_the_second_load_comes_from_the_cache_whatever_the_name(tmp_path, rows, drawn, no_reading):
    path = write(tmp_path, text_of(rows))
    load_fer2013(path)
    no_reading()
    assert_same(load_fer2013(path), drawn)
    assert_same(load_fer2013(path.rename(tmp_path / "moved.csv")), drawn)


def test_changed_content_is_never_answered_from_the_cache(tmp_path, rows):
    path = write(tmp_path, text_of(rows))
    before = load_fer2013(path)
    path.write_bytes(text_of(rows).replace(b"Training", b"PublicTest"))
    after = load_fer2013(path)
    assert set(after.usage) == {"PublicTest", "PrivateTest"}
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_cache_is_noticed_and_made_anew(damage, tmp_path, rows, drawn, cache_folder):
    path = write(tmp_path, text_of(rows))
    load_fer2013(path)
    (kept,) = (cache_folder / "fer2013").iterdir()
    whole = kept.read_bytes()
    spots = np.linspace(0, len(whole) - 1, 40).astype(int) if damage == "flip" else [0]
    for spot in spots:
        if damage == "flip":
            kept.write_bytes(whole[:spot] + bytes([whole[spot] ^ 0xFF]) + whole[spot + 1 :])
        else:
            kept.write_bytes(
                {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"x" * 99}[damage]
            )
        assert_same(load_fer2013(path), drawn)
    assert len(kept.read_bytes()) == len(whole)


def test_a_cache_that_cannot_be_written_does_not_stop_the_load(tmp_path, rows, drawn, cache_folder):
    cache_folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="MIEN_CACHE_DIR"):
        assert_same(load_fer2013(write(tmp_path, text_of(rows))), drawn)


def test_a_full_disk_leaves_no_half_written_cache(tmp_path, rows, drawn, cache_folder, monkeypatch):
    def full(part, **arrays):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert_same(load_fer2013(write(tmp_path, text_of(rows))), drawn)
    assert list((cache_folder / "fer2013").iterdir()) == []


def test_the_fingerprint_is_that_of_the_content_not_of_the_file(tmp_path, rows):
    plain = load_fer2013(write(tmp_path, text_of(rows)))
    packed = load_fer2013(write(tmp_path, zip_of(text_of(rows)), "fer2013.zip"))
    other = load_fer2013(
        write(
            tmp_path,
            text_of(spoiled(rows, 1, emotion=lambda text: "0" if text != "0" else "1")),
            "o.csv",
        )
    )
    assert plain.fingerprint == packed.fingerprint != other.fingerprint
    assert len(plain.fingerprint) == 64


# what is done with it


@pytest.fixture
def crowd(tmp_path, rows):
    return load_fer2013(write(tmp_path, text_of(rows)))


def test_split(crowd, drawn):
    images, labels = crowd.split("PublicTest")
    np.testing.assert_array_equal(images, drawn[0][24:32])
    np.testing.assert_array_equal(labels, drawn[1][24:32])
    with pytest.raises(ParameterError, match="'Test'"):
        crowd.split("Test")


def test_labels_of_private_test_are_for_who_has_answered(crowd, drawn):
    with pytest.raises(ParameterError, match="sealed"):
        crowd.split("PrivateTest")
    private = crowd.private_test()
    np.testing.assert_array_equal(private.images, drawn[0][32:])
    answers = np.array(["sad"] * len(private.images))
    for given in ({}, {"a": answers, "b": answers[1:]}, {"a": answers[None, :-1]}):
        with pytest.raises(ParameterError, match="has not"):
            private.truth_for(given)
    truth = private.truth_for({"a": answers, "b": np.stack([answers] * 2)})
    assert truth.tolist() == [EMOTIONS[code] for code in drawn[1][32:]]
    assert not [name for name in vars(crowd) if "labels" in name and not name.startswith("_")]


def make(images, labels, usage):
    empty = pd.DataFrame({"row": [], "reason": []})
    return fer2013.Fer2013(images, labels, usage, empty, "", "")


def test_a_subset_is_stratified_in_order_and_chosen_by_its_seed():
    labels = np.repeat([0, 3, 6], [600, 300, 100]).astype(np.int8)
    usage = np.tile(np.repeat(USAGES, [8, 1, 1]), 100)
    images = np.zeros((1000, 48, 48), np.uint8)
    images[:, 0, :2] = np.arange(1000)[:, None] // [1, 256]
    crowd = make(images, labels, usage)
    part = crowd.subset(100, seed=1)
    counts = pd.crosstab(part.usage, part._labels)
    assert counts.to_numpy().tolist() == [[6, 3, 1], [6, 3, 1], [48, 24, 8]]
    numbers = part.images[:, 0, 0] + 256 * part.images[:, 0, 1].astype(int)
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(part._labels, labels[numbers])
    np.testing.assert_array_equal(part.usage, usage[numbers])
    assert part.fingerprint == crowd.subset(100, seed=1).fingerprint
    assert part.fingerprint != crowd.subset(100, seed=2).fingerprint
    assert crowd.subset(5000, seed=0) is crowd
    with pytest.raises(ParameterError, match="n is 0"):
        crowd.subset(0, seed=0)


def test_an_empty_split_of_few_images_gets_one_of_each_emotion(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)
    drawn = images, np.repeat([3, 4], 3), np.array(["Training"] * 6)
    crowd = load_fer2013(write(tmp_path, text_of(rows_of(drawn))), public_share=0.1)
    assert [(crowd.usage == usage).sum() for usage in ("PublicTest", "PrivateTest")] == [2, 2]


def test_an_empty_split_is_taken_from_training_by_content(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (200, 48, 48)).astype(np.uint8)
    images[100:120] = images[:20]  # copies, also under other labels
    labels = np.repeat([3, 4], 100)
    drawn = images, labels, np.array(["Training"] * 180 + ["PrivateTest"] * 20)
    path = write(tmp_path, text_of(rows_of(drawn)))
    assert load_fer2013(path).shared_out == ()
    crowd = load_fer2013(path, public_share=0.2)
    assert crowd.shared_out == ("PublicTest",)
    public = crowd.usage == "PublicTest"
    assert 20 <= public[:100].sum() <= 24 and 16 <= public[100:].sum() <= 20
    assert not copied_in_training(crowd, "PublicTest").any()
    np.testing.assert_array_equal(crowd.usage == "PrivateTest", drawn[2] == "PrivateTest")
    turned = write(tmp_path, text_of(rows_of(drawn)[::-1]))
    again = load_fer2013(turned, public_share=0.2)
    np.testing.assert_array_equal(again.usage[::-1], crowd.usage)
    assert crowd.fingerprint != load_fer2013(path).fingerprint


def test_duplicates_copies_and_constant_images_by_hand():
    a, b, grey = (np.random.default_rng(seed).integers(0, 256, (48, 48)) for seed in range(3))
    grey = np.full_like(grey, 7)
    images = np.stack([a, b, grey, b, grey, a, a + 0]).astype(np.uint8)
    images[6, 47, 47] ^= 1
    usage = np.array(["Training", "Training", "Training", "PublicTest"] + ["PrivateTest"] * 3)
    crowd = make(images, np.array([0, 1, 2, 3, 4, 5, 6], np.int8), usage)
    assert np.flatnonzero(copies(crowd)).tolist() == [3, 4, 5]
    assert copied_in_training(crowd, "PrivateTest").tolist() == [True, True, False]
    assert copied_in_training(crowd, "PublicTest").tolist() == [True]
    assert constant_images(crowd).tolist() == [2, 4]


def test_the_same_photo_in_another_print_is_nearly_a_copy():
    random = np.random.default_rng(0)
    blocks = random.integers(0, 200, (3, 12, 12)).repeat(4, axis=1).repeat(4, axis=2)
    training = [*blocks, np.full((48, 48), 7)]
    mirrored = blocks[0, :, ::-1] * 0.8 + 30 + random.integers(0, 5, (48, 48))
    shifted = np.roll(blocks[2], 5, axis=1)
    private = [blocks[1], mirrored, shifted, np.full((48, 48), 9)]
    images = np.array([*training, *private]).astype(np.uint8)
    usage = np.array(["Training"] * 4 + ["PrivateTest"] * 4)
    crowd = Fer2013(images, np.zeros(8, np.int8), usage, pd.DataFrame(), "", "")
    assert copied_in_training(crowd, "PrivateTest").tolist() == [True, False, False, False]
    assert nearly_copied_in(crowd).tolist() == [True, True, False, False]


# the real data


@pytest.fixture(scope="module")
def real(real_fer2013, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield load_fer2013(real_fer2013)


@pytest.mark.real
def test_the_real_data_has_the_official_counts(real):
    counts = pd.crosstab(real.usage, real._labels)
    assert counts.loc["PublicTest"].tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert counts.loc["PrivateTest"].tolist() == [491, 55, 528, 879, 594, 416, 626]
    assert counts.loc["Training"].sum() == 28709
    assert real.skipped.empty


@pytest.mark.real
def test_the_real_data_has_the_known_copies_and_constant_images(real):
    assert copies(real).sum() == 1855
    assert copied_in_training(real, "PrivateTest").sum() == 288
    assert copied_in_training(real, "PublicTest").sum() == 280
    assert len(constant_images(real)) == 12
    assert (nearly_copied_in(real) & ~copied_in_training(real, "PrivateTest")).sum() == 72


@pytest.mark.real
def test_the_real_pixels_are_those_that_numpy_reads(real, real_fer2013):
    texts = pd.read_csv(real_fer2013, usecols=["pixels"], nrows=500)["pixels"]
    expected = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in texts])
    np.testing.assert_array_equal(real.images[:500].reshape(500, -1), expected)


@pytest.mark.real
def test_a_load_of_the_real_data_stays_under_2_gb(real_fer2013, cache_folder):
    program = (
        "import resource, sys; from mien.data.fer2013 import load_fer2013;"
        "load_fer2013(sys.argv[1]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak = subprocess.run(
        [sys.executable, "-c", program, real_fer2013], capture_output=True, text=True, check=True
    ).stdout
    assert int(peak) * (1 if sys.platform == "darwin" else 1024) < 2e9
    assert len(list((cache_folder / "fer2013").iterdir())) == 1


def test_the_fingerprint_tells_labels_and_usage_apart():
    images, labels = np.zeros((3, 48, 48), np.uint8), np.array([0, 1, 2], np.int8)
    usage = np.array(USAGES)
    given = [(labels, usage), (labels[::-1].copy(), usage), (labels, usage[::-1])]
    assert len({fer2013._fingerprint(images, *each) for each in given}) == 3
