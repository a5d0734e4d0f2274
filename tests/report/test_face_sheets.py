import base64
import io

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from mien.report.face_sheets import GalleryItem, gallery


def item(truth="happy", name="a_1.jpg", mode="RGB", **answers) -> GalleryItem:
    image = Image.new(mode, (96, 96), 100 if mode == "L" else (10, 20, 30))
    given = answers or {"SVM": "happy", "CNN": "sad"}
    return GalleryItem(image, name, truth, {model: (said, 0.714) for model, said in given.items()})


def parsed(*faces, caption="Faces") -> BeautifulSoup:
    return BeautifulSoup(gallery(faces, caption)._repr_html_(), "html.parser")


def test_right_and_wrong_are_said_by_sign_and_by_word():
    card = parsed(item()).select_one(".mien-card")
    right, wrong = card.select("[role=img]")
    assert (right["aria-label"], right.get_text()) == ("right", "✓")
    assert (wrong["aria-label"], wrong.get_text()) == ("wrong", "✗")
    assert card["data-erred"] == "1"
    assert "71 %" in card.get_text()


def test_without_a_majority_nobody_is_right_or_wrong():
    card = parsed(item(truth="")).select_one(".mien-card")
    assert not card.select("[role=img]")
    assert card["data-erred"] == ""
    assert "no majority" in card.get_text()


def test_emotions_to_filter_by_stand_in_their_usual_order():
    page = parsed(item("sad"), item(""), item("angry"), item("zest"))
    assert [option.get_text() for option in page.select("option")] == [
        "all",
        "angry",
        "sad",
        "zest",
        "no majority",
    ]
    values = {option.get_text(): option["value"] for option in page.select("option")}
    cards = [card["data-emotion"] for card in page.select(".mien-card")]
    assert cards == [values[name] for name in ("sad", "no majority", "angry", "zest")]


def test_raters_are_named():
    face = GalleryItem(None, "a.jpg", "sad", {}, {"Ann": "sad", "Bo": "fear"})
    text = parsed(face).select_one(".mien-card").get_text(" ")
    assert "Ann sad" in text
    assert "Bo fear" in text
    assert "no image" in text


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "jpeg"), ("L", "png")])
def test_faces_are_embedded_with_alt_text_and_a_class_to_leave_them_out(mode, kind):
    image = parsed(item(mode=mode)).select_one("img")
    assert image["class"] == ["mien-faces"]
    assert image["alt"] == "Face a_1.jpg, happy"
    head, _, data = image["src"].partition(",")
    assert head == f"data:image/{kind};base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert shown.size == (96, 96)


def test_every_text_is_escaped():
    bad = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
    face = GalleryItem(Image.new("L", (9, 9)), bad, bad, {bad: (bad, 0.5)}, {bad: bad})
    page = parsed(face, caption=bad)
    assert not page.select("script, [onerror]")
    assert len(page.select("img")) == 1
    assert page.select_one("img")["alt"] == f"Face {bad}, {bad}"
    assert page.select_one("ul")["aria-label"] == bad


def test_plain_text_form():
    assert repr(gallery([item()], "Faces")) == "Faces\na_1.jpg (happy): SVM happy, CNN sad"
