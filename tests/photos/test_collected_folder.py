"""Faces that are kept: their names, their near-duplicates, their page."""

from pathlib import Path

import browser
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scenes import ANN, BEN, LOOKS

from mien.data.images import CAMERA_NAME
from mien.data.person import load_person
from mien.photos.collection import CollectedFolder, Cut, Picture
from mien.synthetic.rendering import draw_face

CAMERA = ("Screenshot 2024-05-01", "WhatsApp Image 2024-05-01 at 12.00.01", "IMG_0123", "P1010123")


def cut_of(image):
    return Cut(image, (0, 0, *image.size), 0.9, 10.0)


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8))


def photo(place, clip, frame="1", label="unknown"):
    return Picture(Path("/nowhere", place), "", label, clip, frame)


def test_near_duplicates_are_left_out_also_in_a_later_call(tmp_path):
    face = draw_face(LOOKS[0], ANN, size=100)
    album = CollectedFolder(tmp_path)
    assert album.add(photo("a.jpg", "a"), [cut_of(face)]) == 1
    darker = face.point(lambda value: value * 0.8).resize((70, 70))
    other = draw_face(LOOKS[1], ANN, size=100)
    assert album.add(photo("b.jpg", "b"), [cut_of(darker), cut_of(other)]) == 1
    assert CollectedFolder(tmp_path).add(photo("c.jpg", "c"), [cut_of(other), cut_of(darker)]) == 0
    assert len(album.table()) == 2


def test_images_of_ones_own_are_neither_replaced_nor_struck(tmp_path):
    own = tmp_path / "images" / "unknown" / "a_1.jpg"
    own.parent.mkdir(parents=True)
    noise(0).save(own)
    before = own.read_bytes()
    album = CollectedFolder(tmp_path)
    album.add(photo("a.jpg", "a"), [cut_of(noise(1))])
    assert list(album.table()["file_name"]) == ["images/unknown/a_1-2.jpg"]
    with pytest.raises(Exception, match="a_1.jpg"):
        album.strike(["images/unknown/a_1.jpg"])
    assert own.read_bytes() == before


def test_a_face_that_was_written_but_not_recorded_is_written_again(tmp_path):
    album = CollectedFolder(tmp_path)
    for number in (1, 2):
        album.add(photo(f"{number}.jpg", "a", str(number)), [cut_of(noise(number))])
    record = tmp_path / ".collected.jsonl"
    record.write_text(record.read_text().rpartition("\n")[0])
    again = CollectedFolder(tmp_path)
    assert len(again.table()) == 1
    assert again.add(photo("2.jpg", "a", "2"), [cut_of(noise(2))]) == 1
    assert [path.name for path in sorted((tmp_path / "images/unknown").iterdir())] == [
        *again.table()["file_name"].str.removeprefix("images/unknown/")
    ]


def test_clips_of_one_name_are_one_but_those_of_videos(tmp_path):
    sources = ("x/happy/a_1.jpg", "y/a_1.jpg", "x/a.mp4", "y/a.mp4", "x/a.mp4")
    for number, place in enumerate(sources):
        album = CollectedFolder(tmp_path)  # as a call of its own
        picture = photo(place, "a", str(number))._replace(time=str(number))
        album.add(picture, [cut_of(noise(number))])
    clips = CollectedFolder(tmp_path).table().sort_values("time")["clip"]
    assert list(clips) == ["a", "a", "a-2", "a-3", "a-2"]


CLIPS = st.text(min_size=1) | st.sampled_from(CAMERA) | st.from_regex(CAMERA_NAME)


@settings(max_examples=8, deadline=None)
@given(names=st.lists(st.tuples(CLIPS, st.text(min_size=1)), min_size=6, max_size=6))
def test_whatever_a_clip_is_called_it_is_read_again(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("person")
    album = CollectedFolder(folder)
    for number, (clip, frame) in enumerate(names):
        album.add(photo(f"{number}.jpg", clip, frame), [cut_of(noise(number))])
    faces = album.table()
    assert len(faces) == 6
    loaded = load_person(folder).faces
    clips = dict(zip(loaded["file_name"], loaded["clip"], strict=True))
    assert [clips[name.rpartition("/")[2]] for name in faces["file_name"]] == list(faces["clip"])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collected") / "ann <b>"
    album = CollectedFolder(folder)
    for number, (who, look) in enumerate(((ANN, 0), (ANN, 1), (BEN, 0), (BEN, 2), (BEN, 1))):
        cut = cut_of(draw_face(LOOKS[look], who, size=120))
        album.add(photo(f"{number}.jpg", "night" if number > 1 else "day", str(number)), [cut])
    album.write_pages()
    return folder / "contact.html"


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_contact_sheet_is_quiet_accessible_and_narrow(chromium, page, scheme):
    browser.check_quiet(chromium, page)
    browser.check_axe(chromium, page, scheme)
    browser.check_narrow(chromium, page)


def test_the_contact_sheet_saves_what_is_struck_out(chromium, page):
    with browser.open_page(chromium, page) as (sheet, troubles):
        assert sheet.locator("label img").count() == 5
        assert sheet.locator("img").evaluate_all("all => all.every(i => i.naturalWidth == 96)")
        save = sheet.get_by_role("button", name="Save struck_out.txt")
        assert save.is_disabled()
        sheet.get_by_label("day_1").check()
        sheet.get_by_role("button", name="tick all of clip night").click()
        sheet.get_by_label("night_3").uncheck()
        assert sheet.get_by_role("status").inner_text() == "Struck out: 3."
        with sheet.expect_download() as saved:
            save.click()
        listed = saved.value.path().read_text().split()
        assert saved.value.suggested_filename == "struck_out.txt" and troubles == []
    folder = page.parent
    assert listed == [f"images/unknown/{name}.jpg" for name in ("day_1", "night_2", "night_4")]
    assert CollectedFolder(folder).strike(listed) == 3
    assert list(CollectedFolder(folder).table()["clip"]) == ["day", "night"]
