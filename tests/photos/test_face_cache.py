"""Photos looked at once, and a study whose photos are not cropped."""

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError
from mien.photos import face_cache, face_finder
from mien.study.data_check import examine, person_of
from mien.study.parameters import make_study
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face

LABELS = {"happy": {"AU12": 5.0}, "sad": {"AU15": 4.0}}


def photo(*faces, size=(640, 480)):
    """Draw faces, each of (units, side, left, top), into a picture."""
    canvas = Image.new("RGB", size, (120, 130, 140))
    for units, side, left, top in faces:
        canvas.paste(draw_face(units, Identity(), size=side), (left, top))
    return canvas


@pytest.fixture
def folder(tmp_path, cache_folder):
    """Photos of 640 x 480 with a face of 120 pixels, sorted by label."""
    for label, units in LABELS.items():
        place = tmp_path / "person" / "images" / label
        place.mkdir(parents=True)
        for clip in range(3):
            photo((units, 120, 60 + 150 * clip, 200)).save(place / f"{label}{clip}_1.png")
    return tmp_path / "person"


def study_of(folder, **parameters):
    given = {"name": "any", "fer2013": "", "target": str(folder), "folds": 3}
    return make_study({**given, **parameters})


@pytest.mark.parametrize("models", ["with", "without"])
def test_a_look_is_remembered_by_content(folder, monkeypatch, request, models):
    if models == "with":
        request.getfixturevalue("landmarker")
    else:
        monkeypatch.setenv("MIEN_FACE_LANDMARKER", "none")
    path = folder / "images" / "happy" / "happy0_1.png"
    first = face_cache.look(path)
    size, faces, shapes = first
    assert size == (640, 480) and len(faces) == 1
    assert len(shapes) == (51 if models == "with" else 0)
    monkeypatch.setattr(face_finder, "find", lambda *args, **options: pytest.fail("searched"))
    again = face_cache.look(path.rename(path.with_name("other_2.png")))
    assert repr(again) == repr(first)


def test_what_is_no_picture_is_refused(tmp_path, cache_folder):
    (tmp_path / "any.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"any\.jpg"):
        face_cache.look(tmp_path / "any.jpg")
    with pytest.raises(DataError, match=r"none\.jpg cannot be read"):
        face_cache.look(tmp_path / "none.jpg")


def test_uncropped_photos_are_told_with_what_to_do(folder):
    study_data = examine(study_of(folder))
    told = [found for found in study_data.lost if found.what == "image"]
    assert len(told) == 6
    assert all("small face in a large picture" in found.reason for found in told)
    assert all("mien collect" in found.remedy for found in told)


def test_several_faces_are_told_and_crops_are_not(folder):
    place = folder / "images" / "happy"
    for path in folder.rglob("*.png"):
        path.unlink()
    photo(({}, 300, 0, 20), ({"AU12": 4.0}, 280, 320, 20), size=(610, 340)).save(place / "a_1.png")
    photo(({}, 300, 0, 0), size=(300, 300)).save(place / "b_1.png")
    photo(({}, 60, 20, 20), size=(120, 100)).save(place / "c_1.png")
    (found,) = face_cache.uncropped(folder)
    assert found.where == "images/happy/a_1.png" and "several faces" in found.reason


def test_a_study_that_finds_faces_sees_crops(folder, landmarker):
    Image.new("RGB", (300, 200), "grey").save(folder / "images" / "sad" / "wall_1.png")
    whole = person_of(study_of(folder), folder)
    cropped = person_of(study_of(folder, find_faces=True), folder)
    faceless = [found for found in cropped.findings if found.reason == "no face was found in it"]
    assert [found.where for found in faceless] == ["images/sad/wall_1.png"]
    assert not any("mien collect" in found.remedy for found in cropped.findings)
    assert len(whole.faces) == 7 and len(cropped.faces) == 6
    assert cropped.fingerprint != whole.fingerprint
    happy = (cropped.faces["label"] == "happy").to_numpy()
    same, other = (
        np.corrcoef(cropped.images[rows][:2].reshape(2, -1).astype(float))[0, 1]
        for rows in (happy, np.array([0, -1]))
    )
    assert same > 0.9 and same > other
    assert cropped.images[happy].std() > 2 * whole.images[:3].std()
