"""The demo data: drawn faces in the layouts of the real data, alike for a seed."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mien import system
from mien.data.fer2013 import constant_images, copies, load_fer2013
from mien.data.measured import UNITS
from mien.data.person import load_person
from mien.emotions import EMOTIONS
from mien.errors import ParameterError
from mien.synthetic import dataset

CROWD, LABELLED = 250, 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "demo"
    dataset.write_demo(path, seed=3, crowd=CROWD, labelled=LABELLED)
    return path


@pytest.fixture(scope="module")
def crowd(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE_DIR", str(folder.parent / "cache"))
        return load_fer2013(folder / "fer2013.csv")


@pytest.fixture(scope="module")
def person(folder):
    return load_person(folder / "person")


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        dataset.write_demo(tmp_path / name, seed=seed, crowd=100, labelled=25)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b
    assert a["fer2013.csv"] != c["fer2013.csv"]
    assert a["person/person_AU.csv"] != c["person/person_AU.csv"]


def test_the_crowd_has_the_layout_and_the_proportions_of_fer2013(folder, crowd):
    with (folder / "fer2013.csv").open() as file:
        assert file.readline() == "emotion,pixels,Usage\n"
    sizes = {usage: (crowd.usage == usage).sum() for usage in dataset.SPLITS}
    assert sizes == {"Training": 200, "PublicTest": 25, "PrivateTest": 25}
    assert crowd.images.shape == (CROWD, 48, 48) and len(crowd.skipped) == 0
    counts = np.bincount(crowd._labels, minlength=7)
    assert counts.argmax() == EMOTIONS.index("happy")
    assert counts.argmin() == EMOTIONS.index("disgust")
    assert counts.min() >= 0.05 * CROWD
    for usage in dataset.SPLITS:
        assert set(crowd._labels[crowd.usage == usage]) == set(range(7))


def test_the_crowd_has_copies_and_an_empty_picture_to_find(crowd):
    copied = copies(crowd)
    assert 4 <= copied.sum() <= 0.1 * CROWD
    assert {"Training", "PublicTest", "PrivateTest"} <= set(crowd.usage[copied])
    assert len(constant_images(crowd)) == 1


def test_the_person_has_clips_of_one_emotion(person):
    faces = person.faces
    assert (faces["set"] == "labelled").sum() == LABELLED
    assert (faces["set"] == "unknown").sum() == 12
    frames = faces.groupby("clip").size()
    assert frames.between(1, 3).all() and (frames > 1).sum() > 10
    assert (faces.groupby("clip")["label"].nunique() == 1).all()
    assert person.emotions == ["angry", "disgust", "happy", "sad", "surprise"]
    assert faces.loc[faces["set"] == "labelled", "label"].value_counts().index[0] == "happy"


def test_frames_of_a_clip_are_near_copies_and_clips_are_not(person):
    faces = person.faces[person.faces["has_image"]]
    images = person.images[faces.index].reshape(len(faces), -1).astype(float)
    clips = faces["clip"].to_numpy()
    apart = np.abs(images[:, None] - images[None]).mean(axis=2)
    same = clips[:, None] == clips[None]
    other = ~np.eye(len(clips), dtype=bool)
    within, between = apart[same & other], apart[~same]
    assert within.min() > 0
    assert np.median(within) < 0.4 * np.median(between)


def test_muscles_hardly_move_within_a_clip(tmp_path):
    taken = dataset._film(tmp_path, 1, 3, "happy", np.random.default_rng(0))
    assert len({name for name, _ in taken}) == 3
    frames = np.array([[units.get(unit, 0.0) for unit in UNITS] for _, units in taken])
    assert 0 < np.ptp(frames, axis=0).max() < 1


def test_the_crops_are_colour_jpegs(folder):
    for path in (folder / "person" / "images").rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", dataset.CROP)


def test_the_units_are_measured_as_openface_would_and_follow_the_emotion(folder, person):
    table = pd.read_csv(folder / "person" / "person_AU.csv")
    units = [*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS)]
    assert list(table.columns) == ["file_name", "confidence", *units, "label"]
    intensities = table[units[: len(UNITS)]]
    assert intensities.to_numpy().min() >= 0 and intensities.to_numpy().max() <= 5
    assert np.allclose(intensities, intensities.round(2))
    assert set(np.unique(table[units[len(UNITS) :]])) == {0.0, 1.0}
    by_label = table.groupby("label")[units[: len(UNITS)]].mean()
    assert by_label["AU12_r"].drop("unknown").idxmax() == "happy"
    assert by_label["AU04_r"].drop("unknown").idxmax() == "angry"


def test_where_the_cache_cannot_be_written_the_demo_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(system.tempfile, "gettempdir", lambda: str(tmp_path / "spare"))
    monkeypatch.setattr(dataset, "write_demo", lambda folder, seed: (folder / "drawn").touch())
    with pytest.warns(UserWarning, match="cannot be written.*set MIEN_CACHE_DIR"):
        folder = dataset.demo_folder(7)
    assert folder.is_relative_to(tmp_path / "spare") and (folder / "drawn").is_file()


def test_there_is_an_image_without_row_a_row_without_image_and_a_doubt(person):
    faces = person.faces
    assert (~faces["has_image"]).sum() == 1
    assert (~faces["has_units"]).sum() == 1
    assert person.told["lost"].tolist() == [False] * 3


def test_raters_know_every_unknown_face_and_differ_now_and_then(tmp_path, person):
    rng = np.random.default_rng(0)
    unknown = person.faces.loc[person.faces["set"] == "unknown", "file_name"]
    assert set(person.ratings["file_name"]) == set(unknown)
    assert (person.ratings.groupby("file_name")["rater"].nunique() == 2).all()
    clips = [emotion for emotion, frames in dataset.UNKNOWN_CLIPS.items() for _ in frames]
    shown = {f"{i}_01.jpg": emotion for i, emotion in enumerate(clips)}
    differ = [
        (dataset._ratings(shown, rng).groupby("file_name")["label"].nunique() > 1).sum()
        for _ in range(30)
    ]
    assert set(differ) == {1, 2, 3}


def test_emotions_pull_their_prototypes_strongly_and_weakly():
    rng = np.random.default_rng(0)
    smiles = np.array([dataset.random_units("happy", rng).get("AU12", 0.0) for _ in range(200)])
    frowns = np.array([dataset.random_units("sad", rng).get("AU12", 0.0) for _ in range(200)])
    assert smiles.mean() > frowns.mean() + 2
    assert smiles.min() < 2 and smiles.max() == 5
    assert set(dataset.VARIANTS) == set(dataset.CONFUSED) == set(EMOTIONS)


def test_a_folder_in_use_is_refused(folder):
    before = digests(folder)
    with pytest.raises(ParameterError, match="is there already"):
        dataset.write_demo(folder)
    assert digests(folder) == before


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Point the cache at an empty folder and make its demo data small."""
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path / "cache"))
    write = dataset.write_demo

    def write_small(folder, *, seed=0):
        write(folder, seed=seed, crowd=100, labelled=25)

    monkeypatch.setattr(dataset, "write_demo", write_small)
    return tmp_path / "cache"


def test_the_cached_folder_is_drawn_once(small):
    folder = dataset.demo_folder(1)
    assert folder.parent == small and str(dataset.VERSION) in folder.name
    stamp = (folder / "fer2013.csv").stat().st_mtime_ns
    assert dataset.demo_folder(1) == folder
    assert (folder / "fer2013.csv").stat().st_mtime_ns == stamp
    assert dataset.demo_folder(2) != folder


def test_two_at_once_do_no_harm(small):
    folders, threads = [], []
    for _ in range(2):
        thread = threading.Thread(target=lambda: folders.append(dataset.demo_folder(1)))
        threads.append(thread)
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2 and len(set(folders)) == 1
    assert [path.name for path in small.iterdir()] == [folders[0].name]
    assert load_person(folders[0] / "person").emotions


def test_a_failure_leaves_nothing_behind(small, tmp_path, monkeypatch):
    def fail(folder, *, seed=0):
        (folder / "fer2013.csv").write_text("emotion")
        raise OSError("no space left on device")

    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(dataset.system, "spare_folder", lambda: spare)
    monkeypatch.setattr(dataset, "write_demo", fail)
    with pytest.warns(UserWarning, match="be written"), pytest.raises(OSError, match="no space"):
        dataset.demo_folder(1)
    assert [*small.iterdir(), *spare.iterdir()] == []
