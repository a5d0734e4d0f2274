"""Photos looked at once: their faces, blendshapes and table; a study of uncropped photos."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mien.data.measured import BLENDSHAPES
from mien.data.person import load_person
from mien.errors import DataError
from mien.photos import face_cache, face_finder, landmarks
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


EXPRESSIONS = {"happy": {"AU12": 5.0, "AU06": 3.0}, "sad": {"AU15": 4.0}, "surprise": {"AU26": 5.0}}


@pytest.fixture
def portraits(tmp_path, cache_folder, landmarker):
    for label, units in EXPRESSIONS.items():
        path = tmp_path / "person" / "images" / label / f"{label}_1.png"
        path.parent.mkdir(parents=True)
        draw_face(units, Identity(), size=120).save(path)
    grey = tmp_path / "person" / "images" / "unknown" / "wall_1.png"
    grey.parent.mkdir()
    Image.new("RGB", (200, 150), "grey").save(grey)
    return tmp_path / "person"


def measured(folder):
    return face_cache.measure(face_cache.pictures_of(folder)).set_index("file_name")


def test_the_command_writes_the_table_and_the_reader_reads_it(portraits, mien_here):
    done = mien_here("measure", str(portraits))
    assert done.returncode == 0 and "3 faces" in done.stdout
    assert "wall_1.png: no face found" in done.stderr
    table = pd.read_csv(portraits / "blendshapes.csv")
    assert list(table.columns[:3]) == ["file_name", "success", "presence"]
    assert table["success"].tolist() == [1, 1, 1, 0]
    assert (table["model"] == landmarks.SHA256).all()
    assert table.loc[:2, list(BLENDSHAPES)].to_numpy().min() >= 0
    assert table.loc[3, ["presence", "left", *BLENDSHAPES]].isna().all()
    person = load_person(portraits)
    assert person.measured["blendshapes"].has_row.tolist() == [True, True, True, False]
    said = dict(zip(person.faces["label"], person.measured["blendshapes"].values, strict=True))
    smile = BLENDSHAPES.index("mouthSmileLeft")
    assert said["happy"][smile] > said["sad"][smile] + 0.3


def test_where_no_face_is_found_no_table_is_written(portraits, mien_here):
    for label in EXPRESSIONS:
        (portraits / "images" / label / f"{label}_1.png").unlink()
    done = mien_here("measure", str(portraits))
    assert done.returncode == 2 and "no face was found in any of 1 pictures" in done.stderr
    assert not (portraits / "blendshapes.csv").exists()


def test_a_picture_is_measured_once_whatever_it_is_called(portraits, monkeypatch):
    before = measured(portraits)
    moved = portraits / "images" / "happy" / "other_9.png"
    (portraits / "images" / "happy" / "happy_1.png").rename(moved)
    monkeypatch.setattr(face_finder, "find", lambda *args, **options: pytest.fail("searched"))
    after = measured(portraits)
    same = after.loc["images/happy/other_9.png"]
    assert same.equals(before.loc["images/happy/happy_1.png"].rename(same.name))
    monkeypatch.setattr(face_finder, "find", lambda *args, **options: [])
    draw_face({}, Identity(), size=100).save(moved)
    assert measured(portraits).loc["images/happy/other_9.png", "success"] == 0


def test_of_several_faces_the_largest_is_measured(portraits):
    canvas = Image.new("RGB", (500, 200), (120, 130, 140))
    canvas.paste(draw_face({}, Identity(), size=100), (20, 50))
    canvas.paste(draw_face({"AU12": 5.0}, Identity(), size=160), (300, 20))
    canvas.save(portraits / "images" / "happy" / "two_1.png")
    row = measured(portraits).loc["images/happy/two_1.png"]
    assert row["left"] > 280 and row["mouthSmileLeft"] > 0.4


def test_a_damaged_picture_has_no_face(portraits):
    (portraits / "images" / "sad" / "sad_1.png").write_bytes(b"no picture")
    row = measured(portraits).loc["images/sad/sad_1.png"]
    assert row["success"] == 0 and row["problem"].startswith("is damaged")


def test_without_the_models_nothing_is_measured(portraits, monkeypatch):
    monkeypatch.setenv(landmarks.VARIABLE, "none")
    with pytest.raises(DataError, match="MIEN_FACE_LANDMARKER is none"):
        measured(portraits)


def test_a_study_measures_photos_also_beside_another_tool(portraits):
    person = person_of(study_of(portraits), portraits)
    assert list(person.measured) == ["blendshapes"]
    assert not list(portraits.glob("*.csv"))
    assert person.fingerprint == person_of(study_of(portraits), portraits).fingerprint
    (portraits / "any.csv").write_text("file_name,AU12_r,AU12_c\nhappy_1.png,3,1\n")
    person = person_of(study_of(portraits), portraits)
    assert list(person.measured) == ["OpenFace 2", "blendshapes"]
    both = person.features("both")
    assert both.names == ("AU12_r", *BLENDSHAPES) and both.kind == "Action Units and blendshapes"
    assert person.faces["file_name"][both.has_row].tolist() == ["happy_1.png"]
    assert person.features("openface").names == ("AU12_r", "AU12_c")
    face_cache.write_table(
        face_cache.measure(face_cache.pictures_of(portraits)), portraits / "b.csv"
    )
    own = load_person(portraits)
    assert list(person_of(study_of(portraits), portraits).measured) == list(own.measured)


def test_a_study_without_the_models_says_what_it_lacks(portraits, monkeypatch):
    monkeypatch.setenv(landmarks.VARIABLE, "none")
    person = person_of(study_of(portraits), portraits)
    assert not person.measured
    told = [found for found in person.findings if found.where == "blendshapes.csv"]
    assert [found.lost for found in told] == [False]
