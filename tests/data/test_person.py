"""One person's folder: what is irregular is noted, every face serves where it can."""

import io
import math
import os
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from person_folder import lost, noted
from PIL import Image
from units import intensities, presences

from mien.data import images
from mien.data.measured import UNITS
from mien.data.person import Labelled, load_person
from mien.errors import DataError

INTENSITIES = [f"{unit}_r" for unit in UNITS]
PRESENCES = [f"{unit}_c" for unit in UNITS]
HEADER = ["file_name", " confidence", *INTENSITIES, *PRESENCES, "label"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "person"


def add_image(folder, place, *, size=(60, 72), grey=90):
    path = folder / "images" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path, format="PNG")
    return path


def row(name, label="happy", **changes):
    """Return one row of the csv: intensities 1.0, presences 1, confidence 0.98."""
    values = {"file_name": name, " confidence": "0.98", "label": label}
    values |= dict.fromkeys(INTENSITIES + PRESENCES, "1.0")
    return values | changes


def write_csv(folder, rows, *, columns=HEADER, name="person_AU.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns).to_csv(folder / name, index=False)


def add_person(folder):
    """Write a small person with nothing irregular but the blank in the header."""
    places = {"1_01.jpg": "happy", "1_02.jpg": "happy", "2_01.jpg": "sad", "10_7.jpg": "unknown"}
    for name, label in places.items():
        add_image(folder, f"{label}/{name}")
    rows = [row(name, label) for name, label in places.items()]
    write_csv(folder, rows)
    return rows


def face(person, name):
    return person.faces.set_index("file_name").loc[name]


def told(person, where):
    """Return what is told of a place: reason, remedy, whether something is lost."""
    return [(f.reason, f.remedy, f.lost) for f in person.findings if where in f.where]


def reason(person, where):
    ((found, _, _),) = told(person, where)
    return found


# a regular person


def test_a_regular_person(folder):
    add_person(folder)
    person = load_person(folder)
    assert person.faces["file_name"].tolist() == ["1_01.jpg", "1_02.jpg", "2_01.jpg", "10_7.jpg"]
    assert person.faces["set"].tolist() == ["labelled"] * 3 + ["unknown"]
    assert person.faces["clip"].tolist() == ["1", "1", "2", "10"]
    assert person.faces["label"].tolist() == ["happy", "happy", "sad", "unknown"]
    assert person.faces["has_image"].all()
    assert person.faces["has_units"].all()
    assert person.faces["confidence"].tolist() == [0.98] * 4
    assert person.emotions == ["happy", "sad"]
    assert (person.images.shape, person.images.dtype) == ((4, 48, 48), np.uint8)
    assert (person.images == 90).all()
    for values in (intensities(person), presences(person)):
        assert values.shape == (4, 17)
        assert (values == 1).all()
    assert [crop.size for crop in person.crops] == [(72, 72)] * 4
    assert [crop.mode for crop in person.crops] == ["RGB"] * 4
    assert list(person.ratings) == ["file_name", "rater", "label"]
    assert person.ratings.empty
    assert person.findings == []
    assert list(person.measured) == ["OpenFace 2"]


def test_units_keep_their_columns(folder):
    add_image(folder, "happy/a.jpg")
    values = {f"{unit}_r": f"{number / 4}" for number, unit in enumerate(UNITS)}
    values |= {f"{unit}_c": f"{number % 2}.0" for number, unit in enumerate(UNITS)}
    write_csv(folder, [row("a.jpg", **values)], columns=["label", *reversed(HEADER[:-1])])
    person = load_person(folder)
    assert intensities(person)[0].tolist() == [number / 4 for number in range(17)]
    assert presences(person)[0].tolist() == [number % 2 for number in range(17)]


def test_openfaces_own_header_with_blanks_and_no_label(folder):
    add_image(folder, "sad/a.jpg")
    columns = ["file_name", " success", " confidence", *(f" {unit}_r" for unit in UNITS)]
    columns += [f" {unit}_c" for unit in UNITS]
    write_csv(folder, [["a.jpg", " 1", " 0.9", *[" 2.5"] * 17, *[" 1.0"] * 17]], columns=columns)
    person = load_person(folder)
    assert (intensities(person) == 2.5).all()
    assert face(person, "a.jpg")["label"] == "sad"
    assert person.findings == []


def test_the_order_of_files_and_rows_does_not_matter(folder, tmp_path):
    rows = add_person(folder)
    other = tmp_path / "other"
    for name, label in reversed([(row["file_name"], row["label"]) for row in rows]):
        add_image(other, f"{label}/{name}")
    write_csv(other, rows[::-1])
    first, second = load_person(folder), load_person(other)
    pd.testing.assert_frame_equal(first.faces, second.faces)
    assert first.fingerprint == second.fingerprint


def test_labelled_faces_come_first_then_numbers_count_as_numbers(folder):
    for place in ("happy/10_1.jpg", "sad/2_1.jpg", "unknown/1_1.jpg", "happy/2_x.jpg"):
        add_image(folder, place)
    names = load_person(folder).faces["file_name"].tolist()
    assert names == ["2_1.jpg", "2_x.jpg", "10_1.jpg", "1_1.jpg"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: add_image(folder, "happy/1_01.jpg", grey=91),
        lambda folder: add_image(folder, "happy/1_03.jpg"),
        lambda folder: (folder / "person_AU.csv").write_text(
            (folder / "person_AU.csv").read_text().replace("1_01.jpg,0.98,1.0", "1_01.jpg,0.98,1.1")
        ),
        lambda folder: (folder / "ratings.csv").write_text("file_name,rater,label\n10_7.jpg,a,sad"),
    ],
)
def test_the_fingerprint_follows_the_content(change, folder):
    add_person(folder)
    before = load_person(folder).fingerprint
    change(folder)
    assert load_person(folder).fingerprint != before


# irregular rows and images


def test_a_row_without_image_serves_a2(folder):
    write_csv(folder, [*add_person(folder), row("6_01.jpg", "happy")])
    person = load_person(folder)
    found = face(person, "6_01.jpg")
    assert (found["set"], found["label"], found["clip"]) == ("labelled", "happy", "6")
    assert (found["has_image"], found["has_units"]) == (False, True)
    place = person.faces.index[person.faces["file_name"] == "6_01.jpg"][0]
    assert not person.images[place].any()
    assert person.crops[place] is None
    assert reason(person, "6_01.jpg") == "without an image"
    assert lost(person).empty


def test_labelled_and_unknown_faces_are_found_by_what_they_have(folder):
    rows = add_person(folder)
    write_csv(folder, [rows[0], rows[2], rows[3], row("2_02.jpg", "sad")])
    add_image(folder, "unknown/11_1.jpg")
    person = load_person(folder)
    for what, labelled, unknown in [
        ("has_units", ["1_01.jpg", "2_01.jpg", "2_02.jpg"], ["10_7.jpg"]),
        ("has_image", ["1_01.jpg", "1_02.jpg", "2_01.jpg"], ["10_7.jpg", "11_1.jpg"]),
    ]:
        found = person.labelled(what)
        assert person.faces["file_name"][found.rows].tolist() == labelled
        assert person.faces["file_name"][person.unknown(what)].tolist() == unknown
        assert found.clips.tolist() == [name[0] for name in labelled]
        assert found.truth.tolist() == person.faces["label"][found.rows].tolist()


def test_an_image_without_row_serves_the_networks(folder):
    add_person(folder)
    add_image(folder, "surprise/17_10.jpg")
    person = load_person(folder)
    found = face(person, "17_10.jpg")
    assert (found["has_image"], found["has_units"]) == (True, False)
    assert math.isnan(found["confidence"])
    place = person.faces.index[person.faces["file_name"] == "17_10.jpg"][0]
    assert np.isnan(intensities(person)[place]).all()
    assert np.isnan(presences(person)[place]).all()
    assert reason(person, "17_10.jpg") == "without a row of OpenFace 2"
    assert lost(person).empty


def test_the_folder_wins_over_the_label_of_the_csv(folder):
    add_person(folder)
    write_csv(folder, [row("1_01.jpg", "sad"), row("10_7.jpg", "angry"), row("1_02.jpg", "Joy")])
    person = load_person(folder)
    assert face(person, "1_01.jpg")["label"] == "happy"
    assert face(person, "10_7.jpg")["set"] == "unknown"
    assert reason(person, "1_01.jpg") == "its label is not the folder of the picture"
    assert not told(person, "1_02.jpg")


def test_a_label_that_is_no_emotion(folder):
    add_person(folder)
    write_csv(folder, [row("1_01.jpg", "bored"), row("9_9.jpg", "bored"), row("8_8.jpg", "")])
    person = load_person(folder)
    assert face(person, "1_01.jpg")["label"] == "happy"
    assert "its label is no emotion" in noted(person)["reason"].tolist()
    assert lost(person)[["what", "where", "reason"]].to_numpy().tolist() == [
        [
            *("row", "person_AU.csv, rows 2-3 (9_9.jpg, 8_8.jpg)"),
            "no picture has its name, and it has no label that is an emotion",
        ]
    ]
    assert not person.faces["file_name"].isin(["9_9.jpg", "8_8.jpg"]).any()


def test_a_folder_that_is_no_emotion_is_left_out(folder):
    add_person(folder)
    add_image(folder, "contempt/5_01.jpg")
    person = load_person(folder)
    assert "5_01.jpg" not in set(person.faces["file_name"])
    assert reason(person, "images/contempt") == "names no emotion; 1 image is in it"
    assert lost(person)["what"].tolist() == ["folder"]


def test_aliases_of_emotions_are_understood(folder):
    add_image(folder, "Happiness/a.jpg")
    add_image(folder, " UNKNOWN/b.jpg")
    assert load_person(folder).faces["label"].tolist() == ["happy", "unknown"]


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0\0\x10JFIF", "cut"])
def test_an_unreadable_image_serves_a2_with_its_row_and_nothing_without(content, folder):
    add_person(folder)
    if content == "cut":
        whole = io.BytesIO()
        grain = np.random.default_rng(0).integers(0, 256, (100, 100))
        Image.fromarray(grain.astype(np.uint8)).save(whole, format="JPEG")
        content = whole.getvalue()[:2000]
    (folder / "images" / "happy" / "1_01.jpg").write_bytes(content)
    (folder / "images" / "happy" / "7_01.jpg").write_bytes(content)
    person = load_person(folder)
    found = face(person, "1_01.jpg")
    assert (found["has_image"], found["has_units"]) == (False, True)
    ((why, remedy, unused),) = told(person, "images/happy/1_01.jpg")
    assert why.startswith("is damaged, cut off or no image") and unused
    assert remedy == "save it anew; its measured row is used"
    assert "7_01.jpg" not in set(person.faces["file_name"])
    assert told(person, "images/happy/7_01.jpg")[0][2]


def test_no_note_tells_where_the_folder_lies(folder):
    add_person(folder)
    (folder / "images" / "happy" / "1_01.jpg").write_bytes(b"no image")
    (folder / "images" / "happy" / "x.txt").write_bytes(b"no image")
    (folder / "images" / "sad" / "loop.jpg").symlink_to("loop.jpg")
    assert str(folder) not in str(load_person(folder).findings)


def test_an_image_of_too_many_pixels_is_not_decoded(folder, monkeypatch):
    add_person(folder)
    add_image(folder, "happy/1_01.jpg", size=(200, 200))
    monkeypatch.setattr(images, "MAX_PIXELS", 20_000)
    person = load_person(folder)
    assert not face(person, "1_01.jpg")["has_image"]
    assert "more than 20,000 pixels" in told(person, "images/happy/1_01.jpg")[0][0]


@pytest.mark.parametrize("value", ["", "nan", "inf", "-nan(ind)", "high", "1_0"])
def test_a_value_that_is_no_number_is_unknown_and_the_others_of_its_row_serve(value, folder):
    rows = add_person(folder)
    write_csv(folder, [row("1_01.jpg", AU04_r=value), *rows[1:]])
    person = load_person(folder)
    assert np.isnan(intensities(person)[0]).tolist() == [unit == "AU04" for unit in UNITS]
    assert reason(person, "1_01.jpg") == "some of its values are no numbers"


def test_values_out_of_range_are_cut_and_noted(folder):
    rows = add_person(folder)
    write_csv(folder, [row("1_01.jpg", AU01_r="-0.5", AU02_r="7", AU01_c="0.4"), *rows[1:]])
    person = load_person(folder)
    assert intensities(person)[0, :3].tolist() == [0, 5, 1]
    assert presences(person)[0, :3].tolist() == [0, 1, 1]
    assert reason(person, "person_AU.csv") == "2 values of AU01_r and its like are outside 0..5"


def test_low_confidence_is_kept_and_no_success_is_not(folder):
    add_person(folder)
    columns = [*HEADER, "success"]
    rows = [
        row("1_01.jpg", success="1") | {" confidence": "0.03"},
        row("1_02.jpg", success="0"),
        row("2_01.jpg", "sad", success="1") | {" confidence": "0.8"},
        row("10_7.jpg", "unknown", success="1") | {" confidence": "high"},
    ]
    write_csv(folder, rows, columns=columns)
    person = load_person(folder)
    assert person.faces["has_units"].tolist() == [True, False, True, True]
    assert np.isnan(intensities(person)[1]).all()
    assert reason(person, "1_01.jpg") == "its confidence is under 0.8"
    assert told(person, "1_02.jpg")[0][::2] == ("the tool found no face", True)
    assert not told(person, "2_01.jpg")
    assert math.isnan(person.faces["confidence"][3])
    sure = load_person(folder, min_confidence=0.5)
    assert sure.faces["has_units"].tolist() == [False, False, True, True]
    assert told(sure, "1_01.jpg")[0][::2] == ("its confidence is under 0.5", True)


def test_missing_columns_are_unknown_for_every_face_and_the_others_serve(folder):
    rows = add_person(folder)
    write_csv(folder, rows, columns=[name for name in HEADER if name not in ("AU45_r", "AU01_c")])
    person = load_person(folder)
    assert person.faces["has_units"].all()
    assert np.isnan(intensities(person)[:, 16]).all()
    assert (intensities(person)[:, :16] == 1).all()
    assert np.isnan(presences(person)[:, 0]).all()
    assert (presences(person)[:, 1:] == 1).all()


def test_a_table_without_measured_columns_is_lost_and_every_face_serves_the_networks(folder):
    rows = add_person(folder)
    write_csv(folder, rows, columns=["file_name", "label"])
    person = load_person(folder)
    assert len(person.faces) == 4
    assert person.faces["has_image"].all()
    assert not person.faces["has_units"].any()
    assert np.isnan(intensities(person)).all()
    assert lost(person)[["what", "where"]].to_numpy().tolist() == [["table", "person_AU.csv"]]


def test_a_byte_order_mark_and_a_column_written_twice(folder):
    rows = add_person(folder)
    write_csv(folder, rows, columns=HEADER)
    path = folder / "person_AU.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"\ufeff{head},AU01_r", *(f"{line},9" for line in lines)]))
    person = load_person(folder)
    assert person.faces["has_units"].all()
    assert (intensities(person) == 1).all()
    assert lost(person)[["what", "where"]].to_numpy().tolist() == [
        ["column", "AU01_r in person_AU.csv"]
    ]


def test_without_csv_every_face_still_serves_the_networks(folder):
    add_image(folder, "happy/1_01.jpg")
    person = load_person(folder)
    assert not person.faces["has_units"].any()
    assert reason(person, "*.csv") == "there is no table of measured features"


def test_without_images_every_row_still_serves_a2(folder):
    write_csv(folder, [row("1_01.jpg"), row("2_01.jpg", "unknown")])
    person = load_person(folder)
    assert person.faces["has_units"].all()
    assert not person.faces["has_image"].any()
    assert noted(person)["reason"].tolist() == ["without an image"] * 2


def test_of_rows_that_are_alike_the_first_counts(folder):
    rows = [*add_person(folder), row("1_01.jpg", AU01_r="4"), row("6_6.jpg"), row("6_6.jpg")]
    write_csv(folder, rows)
    person = load_person(folder)
    assert (intensities(person) == 1).all()
    assert person.faces["file_name"].is_unique
    assert "person_AU.csv, rows 5, 7 (1_01.jpg, 6_6.jpg)" in noted(person)["where"].tolist()
    assert lost(person).empty


def test_two_tables_about_the_same_faces_are_two_sources(folder):
    write_csv(folder, add_person(folder))
    write_csv(folder, [row("1_01.jpg", AU01_r="4")], name="z_au.CSV")
    write_csv(folder, [row("1_01.jpg", AU01_r="4")], name="._a_AU.csv")
    person = load_person(folder)
    assert (intensities(person) == 1).all()
    assert list(person.measured) == ["OpenFace 2", "OpenFace 2 (z_au.CSV)"]
    assert person.measured["OpenFace 2 (z_au.CSV)"].has_row.tolist() == [True, *[False] * 3]
    assert person.measured["OpenFace 2 (z_au.CSV)"].values[0, 0] == np.float32(0.8)


def test_rows_of_another_length_are_left_out(folder):
    add_person(folder)
    with (folder / "person_AU.csv").open("a") as stream:
        stream.write("1_01.jpg,0.9\n\n")
    person = load_person(folder)
    ((why, _, unused),) = told(person, "person_AU.csv, row 5")
    assert why == "has not the 37 fields that the header names" and unused


def test_what_is_no_image_is_left_out_and_litter_is_not_mentioned(folder):
    add_person(folder)
    (folder / "images" / "happy" / "notes.txt").write_text("")
    (folder / "images" / "happy" / "more").mkdir()
    (folder / "images" / "stray.jpg").write_text("")
    for litter in (".DS_Store", "Thumbs.db"):
        (folder / "images" / "happy" / litter).write_text("")
    os.mkfifo(folder / "images" / "happy" / "pipe.jpg")
    person = load_person(folder)
    assert len(person.faces) == 4
    assert set(lost(person)["where"]) == {
        f"images/{place}" for place in ("happy/notes.txt", "happy/pipe.jpg", "stray.jpg")
    }


@pytest.mark.parametrize("empty", [False, True])
def test_a_folder_without_anything_is_refused_with_what_belongs_in_it(empty, folder):
    if empty:
        folder.mkdir()
    with pytest.raises(DataError, match="images/<emotion>"):
        load_person(folder)


# names


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("12_0345.jpg", "12"),
        ("monday_2_7.PNG", "monday_2"),
        ("alone.jpeg", "alone"),
        ("a.b_c.d.gif", "a.b"),
        ("_5.bmp", "_5"),
        ("<script>alert('1_2')</script>.jpg".replace("/", "|"), "<script>alert('1"),
        ('"quoted", comma_1.jpg', '"quoted", comma'),
        ("Zoë_😀_1.JPG", "Zoë_😀"),
        ("new\nline_1.jpg", "new\nline"),
    ],
)
def test_any_file_name_is_a_face_and_names_its_clip(name, clip, folder):
    add_image(folder, f"happy/{name}")
    write_csv(folder, [row(name)])
    person = load_person(folder)
    found = face(person, name)
    assert (found["clip"], found["has_image"], found["has_units"]) == (clip, True, True)


def test_names_match_whatever_their_case_and_unicode_form(folder):
    add_image(folder, f"happy/{unicodedata.normalize('NFD', 'Zoë')}_1.JPG")
    write_csv(folder, [row(f"{unicodedata.normalize('NFC', 'zoë')}_1.jpg")])
    person = load_person(folder)
    assert len(person.faces) == 1
    assert person.faces["has_units"].all()


def test_names_that_are_no_unicode_can_be_written_down(folder):
    add_person(folder)
    add_image(folder, os.fsdecode(b"happy/\xff_1.jpg"))
    person = load_person(folder)
    assert r"\xff_1.jpg" in set(person.faces["file_name"])
    person.told.to_csv().encode()


def test_one_name_in_two_folders_is_two_faces(folder):
    add_image(folder, "happy/0001.jpg", grey=10)
    add_image(folder, "sad/0001.jpg", grey=20)
    write_csv(folder, [row("0001.jpg", "sad", AU01_r="2"), row("happy/0001.jpg", "", AU01_r="3")])
    person = load_person(folder)
    assert person.faces["file_name"].tolist() == ["happy/0001.jpg", "sad/0001.jpg"]
    assert person.images[:, 0, 0].tolist() == [10, 20]
    assert intensities(person)[:, 0].tolist() == [3, 2]
    assert person.faces["clip"].tolist() == ["0001", "0001"]


def test_a_row_that_fits_two_images_is_left_out(folder):
    add_image(folder, "happy/0001.jpg")
    add_image(folder, "sad/0001.jpg")
    write_csv(folder, [row("0001.jpg", "angry")])
    person = load_person(folder)
    assert not person.faces["has_units"].any()
    assert told(person, "person_AU.csv")[0][::2] == (
        "yields no row: fits several pictures of this name",
        True,
    )


@pytest.mark.parametrize(
    ("labels", "count"), [(["happy", "sad"], 1), (["happy"], 10)], ids=["labels", "many"]
)
def test_rows_that_nothing_names_are_lost_and_not_one_face(labels, count, folder):
    add_person(folder)
    columns = [name for name in HEADER if name != "file_name"]
    write_csv(folder, [row("", label) for label in labels] * count, columns=columns)
    person = load_person(folder)
    assert not person.faces["has_units"].any() and len(person.faces) == 4
    ((why, _, lost),) = told(person, "person_AU.csv")
    assert why.startswith("yields no row: nothing tells which picture") and lost


OUTSIDE = ["/etc/passwd", "../secret.jpg", "../../secret.jpg", "C:\\secret.jpg", "..", ".", ""]


@pytest.mark.parametrize("name", [*OUTSIDE, "images/../../secret.jpg", "..\\secret.jpg"])
def test_a_name_in_the_csv_never_reaches_outside(name, folder, monkeypatch):
    add_person(folder)
    add_image(folder.parent, "../secret.jpg")
    write_csv(folder, [row(name)])
    person = load_person(folder)
    assert not person.faces["file_name"].isin(["", ".", ".."]).any()
    assert person.faces["has_image"].sum() == 4
    assert not (person.faces["has_image"] & person.faces["has_units"]).any()
    assert len(person.faces) == 5 or lost(person)["what"].tolist() == ["table"]


def test_a_name_with_a_path_is_read_by_its_last_part(folder):
    add_person(folder)
    write_csv(folder, [row("/elsewhere/frames/1_01.jpg")])
    person = load_person(folder)
    assert face(person, "1_01.jpg")["has_units"]
    assert lost(person).empty


def test_links_that_lead_out_are_left_out_and_links_within_are_not(folder):
    add_person(folder)
    outside = add_image(folder.parent, "secret.png")
    (folder / "images" / "happy" / "secret.png").symlink_to(outside)
    (folder / "images" / "sad" / "loop.png").symlink_to("loop.png")
    (folder / "images" / "angry").symlink_to(outside.parent)
    (folder / "images" / "happy" / "again.png").symlink_to("1_01.jpg")
    (folder.parent / "secret.csv").write_text("file_name,rater,label\n10_7.jpg,a,sad\n")
    (folder / "ratings.csv").symlink_to("../secret.csv")
    person = load_person(folder)
    assert person.ratings.empty
    assert set(person.faces["file_name"]) == {
        *("1_01.jpg", "1_02.jpg", "2_01.jpg", "10_7.jpg", "again.png")
    }
    places = ("happy/secret.png", "sad/loop.png", "angry")
    assert set(lost(person)["where"]) == {*(f"images/{place}" for place in places), "ratings.csv"}
    assert set(lost(person)["reason"]) == {"is a link that leads out of the folder"}


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(OUTSIDE)
cells = st.text(st.sampled_from('0123456789.-+einfa _,";\n\0é'), max_size=6)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.tuples(names, cells, cells, cells, cells), max_size=5))
def test_whatever_the_csv_says_images_come_from_the_folder_alone(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any") / "person"
    add_image(folder, "happy/1_01.jpg")
    add_image(folder.parent, "secret.jpg")
    columns = ["file_name", "confidence", "AU01_r", "AU01_c", "label"]
    write_csv(folder, rows, columns=columns)
    person = load_person(folder)
    assert person.faces["has_image"].sum() == 1
    assert person.faces["file_name"].is_unique
    units = np.hstack([intensities(person)[:, :1], presences(person)[:, :1]])
    assert (np.isfinite(units).any(axis=1) == person.faces["has_units"]).all()
    assert not (np.isfinite(units) & ((units < 0) | (units > 5))).any()


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300), where=st.sampled_from(["person_AU.csv", "ratings.csv"]))
def test_any_bytes_for_a_csv_leave_the_images_standing(content, where, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any") / "person"
    add_person(folder)
    (folder / where).write_bytes(content)
    assert load_person(folder).faces["has_image"].sum() == 4


def test_photos_of_one_sitting_are_one_clip_by_their_time(folder):
    for name in ("20240501_100000", "20240501_100130", "20240501_100300", "20240501_101000"):
        add_image(folder, f"happy/{name}.jpg")
    add_image(folder, "sad/20240501_100010.jpg")
    add_image(folder, "sad/film_001.jpg")
    person = load_person(folder)
    clips = dict(zip(person.faces["file_name"], person.faces["clip"], strict=True))
    assert clips == {
        "20240501_100000.jpg": "20240501_100000",
        "20240501_100130.jpg": "20240501_100000",
        "20240501_100300.jpg": "20240501_100000",
        "20240501_101000.jpg": "20240501_101000",
        "20240501_100010.jpg": "20240501_100010",
        "film_001.jpg": "film",
    }
    (why,) = [found.reason for found in person.findings if found.what == "clip"]
    assert why == "5 images have names of a camera, which name no clip"


def test_folders_in_folders_are_read_and_drawings_of_openface_are_not_faces(folder):
    for place in ("happy/day1/a.jpg", "happy/day2/a.jpg", "day3/sad/b.jpg", "sad/processed/b.jpg"):
        add_image(folder, place)
    (folder / "images/sad/processed/b_of_details.txt").write_text("Input: b.jpg")
    person = load_person(folder)
    assert person.faces["file_name"].tolist() == ["b.jpg", "happy/day1/a.jpg", "happy/day2/a.jpg"]
    assert person.faces["label"].tolist() == ["sad", "happy", "happy"]
    assert lost(person).empty


# ratings


def rate(folder, *lines):
    (folder / "ratings.csv").write_text("\n".join(["file_name, rater,label ", *lines, ""]))


def test_the_majority_of_the_raters(folder):
    add_person(folder)
    for name in ("11_1.jpg", "12_1.jpg", "13_1.jpg"):
        add_image(folder, f"unknown/{name}")
    rate(
        folder,
        *("10_7.jpg,a,sad", "10_7.jpg,b,Sadness", "10_7.jpg,c,happy"),
        *("11_1.jpg,a,sad", "11_1.jpg,b,happy"),
        "12_1.jpg,a,fear",
    )
    person = load_person(folder)
    majority = person.majority()
    assert majority.index.equals(person.faces.index)
    assert dict(zip(person.faces["file_name"], majority, strict=True)) == {
        **{"1_01.jpg": "", "1_02.jpg": "", "2_01.jpg": ""},
        **{"10_7.jpg": "sad", "11_1.jpg": "", "12_1.jpg": "fear", "13_1.jpg": ""},
    }


def test_ratings_of_labelled_and_of_unknown_faces_are_told_apart(folder):
    add_person(folder)
    rate(folder, "10_7.jpg,a,sad", "1_01.jpg,a,happy", "1_01.jpg,b,sad")
    person = load_person(folder)
    assert person.ratings_of("labelled")["rater"].tolist() == ["a", "b"]
    assert person.ratings_of("unknown")["file_name"].tolist() == ["10_7.jpg"]


def test_without_ratings_there_is_no_majority(folder):
    add_person(folder)
    assert load_person(folder).majority().tolist() == [""] * 4


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("99_1.jpg,b,sad", "names '99_1.jpg', which is no face of this person"),
        ("10_7.jpg,b,bored", "'bored' is no emotion"),
        ("10_7.jpg,b", "'' is no emotion"),
    ],
)
def test_ratings_that_do_not_fit_are_lost_and_told(line, problem, folder):
    add_person(folder)
    rate(folder, "10_7.jpg,a,sad", line)
    person = load_person(folder)
    assert person.ratings.to_numpy().tolist() == [["10_7.jpg", "a", "sad"]]
    assert told(person, "ratings.csv, row 2")[0][::2] == (problem, True)


@pytest.mark.parametrize("line", ["10_7.jpg,b,unknown", "10_7.jpg,a,happy"])
def test_who_cannot_tell_or_rates_a_face_again_loses_nothing(line, folder):
    add_person(folder)
    rate(folder, "10_7.jpg,a,sad", line)
    person = load_person(folder)
    assert person.ratings.to_numpy().tolist() == [["10_7.jpg", "a", "sad"]]
    assert not [finding for finding in person.findings if finding.what == "rating" and finding.lost]


def test_labels_csv_labels_an_unknown_face_and_no_other(folder):
    add_person(folder)
    before = load_person(folder).faces.set_index("file_name")
    lines = ["10_7.jpg,sad,2 of 2 raters", "99_1.jpg,sad,by hand", "10_7.jpg,bored,by hand"]
    lines += ["1_01.jpg,sad,by hand"]  # its folder says happy, and counts
    (folder / "labels.csv").write_text("\n".join(["file_name,label,how", *lines]))
    person = load_person(folder)
    after = person.faces.set_index("file_name")
    assert before.loc["10_7.jpg", "set"] == "unknown"
    assert after.loc["10_7.jpg", ["set", "label"]].tolist() == ["labelled", "sad"]
    assert (
        after["label"]
        .drop("10_7.jpg")
        .equals(before["label"].drop("10_7.jpg")[after.index.drop("10_7.jpg")])
    )
    wheres = [finding.where for finding in person.findings if finding.lost]
    assert {"labels.csv, row 2", "labels.csv, row 3"} <= set(wheres)


def test_ratings_that_excel_has_saved(folder):
    add_person(folder)
    text = "rater;file_name;label\r\nZoë;10_7;sad\r\n"
    (folder / "ratings.csv").write_bytes(text.encode("cp1252"))
    person = load_person(folder)
    assert person.ratings.to_numpy().tolist() == [["10_7.jpg", "Zoë", "sad"]]
    (folder / "ratings.csv").write_text("file,rater,label\n10_7.jpg,a,sad\n")
    assert told(load_person(folder), "ratings.csv")[0][2]


# the real person


@pytest.mark.real
def test_the_real_person_is_as_known(real_person):
    person = load_person(real_person)
    faces = person.faces
    labelled = faces["set"] == "labelled"
    with_units = faces[labelled & faces["has_units"]]
    assert len(with_units) == 86
    assert with_units["clip"].nunique() == 48
    assert (labelled & faces["has_image"]).sum() == 87
    assert (~labelled).sum() == 12
    assert person.emotions == ["angry", "disgust", "happy", "sad", "surprise"]
    assert with_units["label"].eq("happy").sum() == 33
    assert set(faces.loc[~faces["has_image"], "file_name"]) == {"6_01.jpg", "20_25.jpg"}
    without = faces.loc[~faces["has_units"], "file_name"]
    assert set(without) == {"43_20.jpg", "1_46.jpg", "17_10.jpg"}
    assert lost(person).empty
    assert set(noted(person)["where"]) == {
        "phoebe_AU.csv, rows 96, 98 (53_02.jpg, 43_25.jpg)",
        *("6_01.jpg", "20_25.jpg", "43_20.jpg", "1_46.jpg", "17_10.jpg"),
    }
    assert len(person.ratings) == 24
    assert set(faces.loc[person.majority() != "", "set"]) == {"unknown"}


def test_labelled_faces_outside_some_clips():
    labelled = Labelled(
        np.arange(4), np.array(["sad", "happy", "sad", "happy"]), np.array(["1", "1", "2", "3"])
    )
    assert labelled.outside(["1", "7"]).tolist() == [False, False, True, True]
    assert labelled.outside([]).all()
    # only happy would be left, from which nothing could be told
    assert labelled.outside(["1", "2"]).all()


def test_unknown_faces_are_never_among_the_labelled(folder):
    add_person(folder)
    rate(folder, "10_7.jpg,a,sad", "10_7.jpg,b,sad")
    person = load_person(folder)
    for what in ("has_image", "has_units"):
        labelled = person.labelled(what)
        assert set(labelled.truth) == {"happy", "sad"} and len(labelled.rows) == 3
        assert set(person.faces["set"][labelled.rows]) == {"labelled"}
        assert person.faces["file_name"][person.unknown(what)].tolist() == ["10_7.jpg"]


def test_labels_and_clips_stand_in_the_place_of_their_faces(folder):
    add_image(folder, "happy/1_01.jpg", grey=10)
    write_csv(folder, [row("1_01.jpg"), row("2_01.jpg", "sad"), row("3_01.jpg", "angry")])
    add_image(folder, "angry/3_01.jpg", grey=200)
    person = load_person(folder)
    seen = person.labelled("has_image")
    assert person.faces["file_name"][seen.rows].tolist() == ["1_01.jpg", "3_01.jpg"]
    assert (seen.truth.tolist(), seen.clips.tolist()) == (["happy", "angry"], ["1", "3"])
    assert person.images[seen.rows].mean(axis=(1, 2)).round().tolist() == [10, 200]
