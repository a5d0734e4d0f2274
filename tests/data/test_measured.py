"""Every tool's table, written by hand, meets its pictures and gives the right numbers."""

import numpy as np
import pytest
from person_folder import add_pictures, add_table, lost, noted
from units import intensities, presences

from mien.data.measured import BLENDSHAPES, unit_of
from mien.data.person import load_person

HAPPY, SAD = "happy/1_01.png", "sad/2_07.png"


@pytest.fixture
def folder(tmp_path):
    add_pictures(tmp_path, HAPPY, SAD)
    return tmp_path


def measured(folder, source, **options):
    """Return names, values (by file name) and the source itself, where nothing was lost."""
    person = load_person(folder, **options)
    assert lost(person).empty, lost(person).to_string()
    own = person.measured[source]
    return {
        name: dict(zip(own.names, values.tolist(), strict=True))
        for name, values in zip(person.faces["file_name"], own.values, strict=True)
    }


def near(value):
    return pytest.approx(value, abs=1e-6)


OPENFACE = (
    "face, confidence, gaze_0_x, pose_Tx, x_0, x_1, X_0, p_scale, AU01_r, AU45_r, AU01_c, AU28_c"
)


def test_openface_2_one_csv_a_picture_with_blanks_and_several_faces(folder):
    small = "0, 0.98, 0.1, 3, 10, 40, 1, .5, 4.00, 4.00, 1, 1"
    large = "1, 0.95, 0.1, 3, 50, 250, 1, .5, 2.50, 0.30, 0, 1"
    failed = "2, 0.02, 0.1, 3, 0, 900, 1, .5, -nan(ind), -nan(ind), 0, 0"
    add_table(folder, "processed/1_01.csv", "\n".join([OPENFACE, small, large, failed, ""]))
    add_table(folder, "processed/2_07.csv", "\r\n".join([OPENFACE, large.replace("2.50", "1.00")]))
    add_table(folder, "processed/1_01_of_details.txt", "Input: 1_01.png")
    add_table(folder, "processed/1_01.hog", "\0\1")
    add_pictures(folder, "../processed/1_01.jpg", "../processed/1_01_aligned/face_det_000000.bmp")
    found = measured(folder, "OpenFace 2")
    assert found["1_01.png"] == {
        **{"AU01_r": near(0.5), "AU45_r": near(0.06), "AU01_c": 0, "AU28_c": 1}
    }
    assert found["2_07.png"]["AU01_r"] == near(0.2)
    person = load_person(folder)
    assert intensities(person)[0, 0] == 2.5 and presences(person)[0, 0] == 0
    assert person.measured["OpenFace 2"].scale == "0..5, 0..1"
    assert person.faces["confidence"].tolist() == [0.95, 0.95]


SEQUENCE = "frame, face_id, timestamp, confidence, success, AU01_r, AU01_c"


def test_openface_2_one_csv_a_folder_has_its_rows_in_the_order_of_the_names(tmp_path):
    add_pictures(tmp_path, "happy/10.png", "happy/9.png", "happy/8.png", "sad/3.png")
    rows = ["1, 0, 0, .9, 1, 1.0, 0", "2, 0, .1, .9, 1, 2.0, 0", "3, 0, .2, .9, True, 3.0, 1"]
    add_table(tmp_path, "processed/happy.csv", "\n".join([SEQUENCE, *rows]))
    add_table(tmp_path, "processed/sad.csv", "\n".join([SEQUENCE, rows[0]]))
    found = measured(tmp_path, "OpenFace 2")
    ones = {name: round(5 * values["AU01_r"]) for name, values in found.items()}
    assert ones == {"10.png": 1, "8.png": 2, "9.png": 3, "3.png": 1}
    told = noted(load_person(tmp_path))["where"].tolist()
    assert told == ["processed/sad.csv", "processed/happy.csv"]


def test_frames_of_a_video_in_a_folder_of_its_name(tmp_path):
    add_pictures(tmp_path, "happy/clip/frame_0002.png", "sad/clip/frame_0004.png", "sad/9.png")
    rows = [f"{frame}, 0, 0, .9, 1, {frame}.0, 0" for frame in range(1, 5)]
    add_table(tmp_path, "clip.csv", "\n".join([SEQUENCE, *rows]))
    assert intensities(load_person(tmp_path))[1:, 0].tolist() == [2, 4]


def test_openface_2_frames_of_a_video_and_a_failure_beside_a_good_row(tmp_path):
    add_pictures(tmp_path, "happy/clip_2.png", "sad/clip_003.png")
    rows = [
        *("1, 0, 0, .9, 1, 1.0, 0", "2, 0, .1, .9, 1, 2.0, 0", "2, 1, .1, .9, 0, 5.0, 0"),
        *("3, 0, .2, .9, False, 5.0, 1", "3, 1, .2, .2, 1, 3.0, 1", "4, 0, .3, .9, 1, 4.0, 0"),
    ]
    add_table(tmp_path, "clip.csv", "\n".join([SEQUENCE, *rows]))
    person = load_person(tmp_path)
    assert intensities(person)[:, 0].tolist() == [2, 3]
    assert lost(person)["where"].tolist() == ["clip.csv, rows 1, 6"]


def test_a_table_with_more_or_fewer_rows_than_pictures_is_not_guessed(tmp_path):
    add_pictures(tmp_path, "happy/1.png", "happy/2.png", "sad/3.png")
    rows = [f"{frame},0,0,.9,1,{frame}.0,0" for frame in range(1, 5)]
    for number, place in ((2, "all.csv"), (4, "happy.csv")):
        add_table(tmp_path, place, "\n".join([SEQUENCE, *rows[:number]]))
    assert lost(load_person(tmp_path))["what"].tolist() == ["table", "table"]
    add_table(tmp_path, "any.csv", "\n".join([SEQUENCE, *rows[:3]]))  # as many as all pictures
    person = load_person(tmp_path)
    assert intensities(person)[:, 0].tolist() == [1, 2, 3]
    assert lost(person)["where"].tolist() == ["all.csv", "happy.csv"]


@pytest.mark.parametrize("version", [1, 2])
def test_py_feat(version, folder):
    box = "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore"
    emotions = "anger,happiness" if version == 1 else "Neutral,Happy,valence,gaze_pitch,Identity_1"
    extra = ",".join("0" for _ in emotions.split(","))
    header = f",frame,{box},x_0,Pitch,AU01,AU43,{emotions},input"
    rows = [
        f"0,0,1,1,20,20,0.99,3,0,0.9,0.9,{extra},/home/me/images/happy/1_01.png",
        f"1,0,1,1,90,80,0.98,3,0,0.25,0.5,{extra},/home/me/images/happy/1_01.png",
        f"2,1,1,1,90,80,0.98,3,0,0.75,,{extra},C:\\me\\2_07.png",
    ]
    add_table(folder, "detected.csv", "\n".join([header, *rows]))
    found = measured(folder, "py-feat")
    assert found["1_01.png"] == {"AU01": near(0.25), "AU43": near(0.5)}
    assert found["2_07.png"]["AU01"] == near(0.75) and np.isnan(found["2_07.png"]["AU43"])


def test_py_feat_without_a_face(folder):
    header = "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,AU01,AU43,input"
    add_table(folder, "a.csv", f"{header}\n,,,,0.0,,,1_01.png\n1,1,9,9,.9,.5,.5,2_07.png")
    unused = lost(load_person(folder))
    assert unused["reason"].tolist() == ["holds no number in any measured column"]


@pytest.mark.parametrize("top", [5, 1])
def test_libreface_and_a_scale_that_does_not_fit_it(top, folder):
    columns = [f"au_{unit}_intensity" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)]
    header = ["", "input_image_path", "aligned_image_path", "facial_expression", "au_7", "au_24"]
    values = [[number * top / 12 for number in range(1, 13)], [top / 2] * 12]
    lines = [
        ["0", name, f"tmp/{name}_aligned.png", "Happiness", "1", "0", *map(str, own)]
        for name, own in zip(("pics/1_01.png", "pics/2_07.png"), values, strict=True)
    ]
    text = "\n".join(",".join(line) for line in [[*header, *columns], *lines])
    add_table(folder, "image_results.csv", text)
    found = measured(folder, "LibreFace")
    assert found["1_01.png"]["AU01_r"] == near(1 / 12) and found["1_01.png"]["AU26_r"] == near(1)
    assert found["2_07.png"]["AU12_r"] == near(0.5) and found["2_07.png"]["AU07_c"] == 1
    person = load_person(folder)
    assert person.measured["LibreFace"].scale == ("0..1, 0..5" if top == 5 else "0..1")
    scale = ["LibreFace gives 0..5, AU01_r and its like are 0..1 here"] if top == 1 else []
    assert noted(person)["reason"].tolist() == scale


def test_openface_3(folder):
    header = (
        "timestamp,image_path,face_id,face_detection,landmarks,emotion,gaze_yaw,gaze_pitch,"
        "action_units"
    )
    row = (
        '2025-01-01,{},{},"[1.0, 2.0, {}, 90.5, {}]","[[1, 2], [3, 4]]",3,0.1,0.2,'
        '"[[{}, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1e-1]]"'
    )
    rows = [
        row.format("a/1_01.png", 0, "30.0", "0.99", "0.9"),
        row.format("a/1_01.png", 1, "200.0", "0.98", "0.1"),
        row.format("a/2_07.png", 0, "200.0", "0.98", "0.8"),
    ]
    add_table(folder, "output/results.csv", "\n".join([header, *rows]))
    found = measured(folder, "OpenFace 3")
    assert list(found["1_01.png"]) == [f"AU{n:02d}" for n in (1, 2, 4, 6, 9, 12, 25, 26)]
    assert found["1_01.png"]["AU01"] == near(0.1) and found["1_01.png"]["AU26"] == near(0.1)
    assert found["2_07.png"]["AU01"] == near(0.8)


def test_pyafar(tmp_path):
    add_pictures(tmp_path, "happy/talk_0.png", "sad/talk_5.png")
    header = "Frame,Person_ID,Occ_au_1,Occ_au_24,Int_au_6,Int_au_17,Pitch,Eye Aspect Ratio"
    rows = ["0,0,0.25,0.5,2.5,0,1,1", "5,0,1,0,5,1,1,1"]
    add_table(tmp_path, "talk.csv", "\n".join([header, *rows]))
    found = measured(tmp_path, "PyAFAR")
    assert found["talk_0.png"] == {
        **{"AU01_c": near(0.25), "AU24_c": near(0.5), "AU06_r": near(0.5), "AU17_r": 0}
    }
    assert found["talk_5.png"]["AU06_r"] == 1
    assert intensities(load_person(tmp_path))[:, 4].tolist() == [2.5, 5]  # of AU06
    add_table(tmp_path, "talk.csv", "Frame,Occ_au_1,Occ_au_24\n0,0.25,0.5\n5,1,0")
    assert intensities(load_person(tmp_path))[:, 0].tolist() == [1.25, 5]  # of presences of AU01


def test_facereader(tmp_path):
    add_pictures(tmp_path, "happy/talk_1.png", "sad/talk_03.png", "sad/talk_5.png")
    lines = [
        *("Video analysis detailed log", "", "Face Model:\tGeneral", "Filename:\tC:\\v\\talk.mp4"),
        *("Frame rate:\t25", "", ""),
        "Video Time\tNeutral\tHappy\tAction Unit 01 - Inner Brow Raiser\t"
        "Action Unit 12 - Lip Corner Puller\tHeart Rate",
        *("00:00:00.000\t0,1\t0,9\tNotActive\tE\t", "00:00:00.040\t0\t0\tB\tB\tUnknown"),
        *("00:00:00.080\t0\t0\tA\tC\t", "00:00:00.160\tFIND_FAILED\t" + "FIT_FAILED\t" * 3),
    ]
    add_table(tmp_path, "log.txt", "\r\n".join(lines), "utf-16")
    person = load_person(tmp_path)
    own = person.measured["FaceReader"]
    assert own.names == ("AU01", "AU12")
    assert own.values[:2].round(6).tolist() == [near([0.2, 0.6]), near([0, 1])][::-1]
    assert not own.has_row[2]
    assert lost(person)["where"].tolist() == ["log.txt, row 2", "log.txt, row 4"]


def test_facereader_with_numbers(folder):
    lines = [
        *("Filename\t1_01.png", "Video Time\tAction Unit 01 - Inner Brow Raiser"),
        "00:00:00.000\t0,35",
    ]
    add_table(folder, "a.txt", "\n".join(lines))
    add_table(folder, "b.txt", "\n".join(lines).replace("1_01", "2_07").replace("0,35", "0.5"))
    found = measured(folder, "FaceReader")
    assert found == {"1_01.png": {"AU01": near(0.35)}, "2_07.png": {"AU01": near(0.5)}}


def test_imotions(folder):
    lines = [
        "#METADATA\tiMotions 7\t",
        "Name\tAge\tStimulusName\tFrameNo\tNoOfFaces\tJoy Evidence\tAU1 Evidence\tAU43 Evidence",
        *("p1\t33\t1_01.png\t1\t1\t2\t0\t-1", "p1\t33\t2_07.png\t1\t1\t2\t1\t6"),
    ]
    add_table(folder, "export.txt", "\n".join(lines))
    found = measured(folder, "iMotions")
    assert found["1_01.png"] == {"AU01": near(0.5), "AU43": near(1 / 11)}
    assert found["2_07.png"] == {"AU01": near(10 / 11), "AU43": near(1 / (1 + 1e-6))}


def test_blendshapes_stand_beside_action_units(folder):
    header = ["file_name", "presence", "left", "top", "width", "height", *BLENDSHAPES]
    values = [str(number / 100) for number in range(51)]
    lines = [header, *(["1_01.png", ".9", "0", "0", "9", "9", *values] for _ in range(1))]
    add_table(folder, "blendshapes.csv", "\n".join(map(",".join, lines)))
    add_table(folder, "1_01.csv", f"{OPENFACE}\n0,.9,0,0,0,0,0,0,1,1,1,1")
    person = load_person(folder)
    assert list(person.measured) == ["OpenFace 2", "blendshapes"]
    assert person.action_units == "OpenFace 2"
    shapes = person.measured["blendshapes"]
    assert (shapes.kind, shapes.names, shapes.scale) == ("blendshapes", BLENDSHAPES, "0..1")
    assert shapes.values[0].tolist() == near([number / 100 for number in range(51)])
    assert shapes.confidence[0] == 0.9 and np.isnan(shapes.values[1]).all()


@pytest.mark.parametrize(("top", "scale"), [(1, "0..1"), (5, "0..5"), (100, "0..100")])
def test_action_units_of_nobody_knows_which_tool(top, scale, folder):
    rows = [f"1_01,{top},{top / 4}", f"2_07,0,{top / 2}"]
    add_table(folder, "units.csv", "\n".join(["who,AU1,AU12", *rows]))
    found = measured(folder, "Action Units")
    assert found["1_01.png"] == {"AU01": 1, "AU12": near(0.25)}
    assert load_person(folder).measured["Action Units"].scale == scale


def test_numbers_under_any_name_are_names_of_pictures_if_they_differ(tmp_path):
    add_pictures(tmp_path, "happy/007.png", "sad/012.png")
    add_table(tmp_path, "t.csv", "Bild;Seite;AU01_r\n7;1;2,5\n12;1;1,0\n")
    person = load_person(tmp_path)
    assert intensities(person)[:, 0].tolist() == [2.5, 1.0]
    assert lost(person)["where"].tolist() == ["Seite in t.csv"]


def test_columns_that_are_not_used_are_named(folder):
    add_table(
        folder, "t.csv", "file,AU01_r,AU01_c,AU01_x,mood,pose_Tx\n1_01,1,1,1,1,1\n2_07,1,1,1,1,1"
    )
    unused = lost(load_person(folder))
    assert unused["where"].tolist() == ["AU01_x in t.csv", "mood in t.csv"]


def test_a_table_whose_decimal_commas_are_its_delimiters_says_so(folder):
    (folder / "a.csv").write_text("file_name,AU01_r,AU12_r\n1_01.png,1,5,2,0\n2_07.png,0,1,3,0\n")
    (told,) = lost(load_person(folder)).to_dict("records")
    assert (told["what"], told["where"]) == ("table", "a.csv")
    assert "not the 3 fields" in told["reason"] and "decimal comma" in told["remedy"]


def test_a_confidence_in_percent_counts_as_a_share(folder):
    (folder / "a.csv").write_text("file_name,confidence,AU12_r\n1_01.png,98,1\n2_07.png,40,2\n")
    assert load_person(folder).faces["confidence"].tolist() == [0.98, 0.4]
    assert load_person(folder, min_confidence=0.5).faces["has_units"].tolist() == [True, False]


def test_columns_of_both_sides_and_kinds_are_about_one_unit():
    names = ("AU01_r", "AU12_left", "browDownLeft", "jawLeft", "jawOpen")
    assert list(map(unit_of, names)) == ["AU01", "AU12", "browDown", "jawLeft", "jawOpen"]
