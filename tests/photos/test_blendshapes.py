"""Blendshapes of photos: the table that mien writes, remembered by content, read again."""

import pandas as pd
import pytest
from PIL import Image

from mien.data.measured import BLENDSHAPES
from mien.data.person import load_person
from mien.errors import DataError
from mien.photos import face_cache, face_finder, landmarks
from mien.study.data_check import person_of
from mien.study.parameters import make_study
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face

FACES = {"happy": {"AU12": 5.0, "AU06": 3.0}, "sad": {"AU15": 4.0}, "surprise": {"AU26": 5.0}}


@pytest.fixture
def folder(tmp_path, cache_folder, landmarker):
    for label, units in FACES.items():
        path = tmp_path / "person" / "images" / label / f"{label}_1.png"
        path.parent.mkdir(parents=True)
        draw_face(units, Identity(), size=120).save(path)
    grey = tmp_path / "person" / "images" / "unknown" / "wall_1.png"
    grey.parent.mkdir()
    Image.new("RGB", (200, 150), "grey").save(grey)
    return tmp_path / "person"


def measured(folder):
    return face_cache.measure(face_cache.pictures_of(folder)).set_index("file_name")


def test_the_command_writes_the_table_and_the_reader_reads_it(folder, mien_here):
    done = mien_here("measure", str(folder))
    assert done.returncode == 0 and "3 faces" in done.stdout
    assert "wall_1.png: no face found" in done.stderr
    table = pd.read_csv(folder / "blendshapes.csv")
    assert list(table.columns[:3]) == ["file_name", "success", "presence"]
    assert table["success"].tolist() == [1, 1, 1, 0]
    assert (table["model"] == landmarks.SHA256).all()
    assert table.loc[:2, list(BLENDSHAPES)].to_numpy().min() >= 0
    assert table.loc[3, ["presence", "left", *BLENDSHAPES]].isna().all()
    person = load_person(folder)
    assert person.measured["blendshapes"].has_row.tolist() == [True, True, True, False]
    said = dict(zip(person.faces["label"], person.measured["blendshapes"].values, strict=True))
    smile = BLENDSHAPES.index("mouthSmileLeft")
    assert said["happy"][smile] > said["sad"][smile] + 0.3


def test_where_no_face_is_found_no_table_is_written(folder, mien_here):
    for label in FACES:
        (folder / "images" / label / f"{label}_1.png").unlink()
    done = mien_here("measure", str(folder))
    assert done.returncode == 2 and "no face was found in any of 1 pictures" in done.stderr
    assert not (folder / "blendshapes.csv").exists()


def test_a_picture_is_measured_once_whatever_it_is_called(folder, monkeypatch):
    before = measured(folder)
    moved = folder / "images" / "happy" / "other_9.png"
    (folder / "images" / "happy" / "happy_1.png").rename(moved)
    monkeypatch.setattr(face_finder, "find", lambda *args, **options: pytest.fail("searched"))
    after = measured(folder)
    same = after.loc["images/happy/other_9.png"]
    assert same.equals(before.loc["images/happy/happy_1.png"].rename(same.name))
    monkeypatch.setattr(face_finder, "find", lambda *args, **options: [])
    draw_face({}, Identity(), size=100).save(moved)
    assert measured(folder).loc["images/happy/other_9.png", "success"] == 0


def test_of_several_faces_the_largest_is_measured(folder):
    canvas = Image.new("RGB", (500, 200), (120, 130, 140))
    canvas.paste(draw_face({}, Identity(), size=100), (20, 50))
    canvas.paste(draw_face({"AU12": 5.0}, Identity(), size=160), (300, 20))
    canvas.save(folder / "images" / "happy" / "two_1.png")
    row = measured(folder).loc["images/happy/two_1.png"]
    assert row["left"] > 280 and row["mouthSmileLeft"] > 0.4


def test_a_damaged_picture_has_no_face(folder):
    (folder / "images" / "sad" / "sad_1.png").write_bytes(b"no picture")
    row = measured(folder).loc["images/sad/sad_1.png"]
    assert row["success"] == 0 and row["problem"].startswith("is damaged")


def test_without_the_models_nothing_is_measured(folder, monkeypatch):
    monkeypatch.setenv(landmarks.VARIABLE, "none")
    with pytest.raises(DataError, match="MIEN_FACE_LANDMARKER is none"):
        measured(folder)


def study_of(folder):
    return make_study({"name": "any", "fer2013": "", "target": str(folder)})


def test_a_study_measures_photos_also_beside_another_tool(folder):
    person = person_of(study_of(folder), folder)
    assert list(person.measured) == ["blendshapes"]
    assert not list(folder.glob("*.csv"))
    assert person.fingerprint == person_of(study_of(folder), folder).fingerprint
    (folder / "any.csv").write_text("file_name,AU12_r,AU12_c\nhappy_1.png,3,1\n")
    person = person_of(study_of(folder), folder)
    assert list(person.measured) == ["OpenFace 2", "blendshapes"]
    both = person.features("both")
    assert both.names == ("AU12_r", *BLENDSHAPES) and both.kind == "Action Units and blendshapes"
    assert person.faces["file_name"][both.has_row].tolist() == ["happy_1.png"]
    assert person.features("openface").names == ("AU12_r", "AU12_c")
    face_cache.write_table(face_cache.measure(face_cache.pictures_of(folder)), folder / "b.csv")
    own = load_person(folder)
    assert list(person_of(study_of(folder), folder).measured) == list(own.measured)


def test_a_study_without_the_models_says_what_it_lacks(folder, monkeypatch):
    monkeypatch.setenv(landmarks.VARIABLE, "none")
    person = person_of(study_of(folder), folder)
    assert not person.measured
    told = [found for found in person.findings if found.where == "blendshapes.csv"]
    assert [found.lost for found in told] == [False]
