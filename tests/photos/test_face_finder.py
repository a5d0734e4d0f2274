"""Faces that mien draws, found again by the networks and by the cascade."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mien.data.images import to_grey48
from mien.photos import face_finder, landmarks
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face

SIDE = 120


@pytest.fixture(params=["networks", "cascade"])
def finder(request, monkeypatch):
    """Let each test search once with the landmarker's models and once without."""
    if request.param == "networks":
        request.getfixturevalue("landmarker")
    else:
        monkeypatch.setenv(landmarks.VARIABLE, "none")
    return face_finder.find


@pytest.fixture(scope="module")
def faces():
    return [draw_face(units, Identity(), size=SIDE) for units in ({}, {"AU12": 4.0}, {"AU26": 3.0})]


def picture(faces, size=(640, 360)):
    """Paste faces side by side; return the picture and their corners, left to right."""
    canvas = Image.new("RGB", size, (120, 130, 140))
    corners = [(30 + 200 * number, 40 + 60 * number) for number in range(len(faces))]
    for face, corner in zip(faces, corners, strict=True):
        canvas.paste(face, corner)
    return canvas, corners


def is_at(face, corner, side=SIDE):
    centre = face.x - corner[0], face.y - corner[1]
    return np.abs(np.array(centre) - side / 2).max() < 0.2 * side and 0.5 < face.side / side < 1.3


def test_every_face_of_a_picture_is_found_from_left_to_right(finder, faces):
    canvas, corners = picture(faces)
    found = finder(canvas)
    assert len(found) == 3
    assert all(map(is_at, found, corners))


def test_places_are_those_of_the_picture_however_large_it_is(finder, faces):
    canvas, corners = picture(faces)
    large = canvas.resize((4 * canvas.width, 4 * canvas.height))
    found = finder(large)
    assert len(found) == 3
    assert all(is_at(f, (4 * x, 4 * y), 4 * SIDE) for f, (x, y) in zip(found, corners, strict=True))


def test_a_face_that_fills_its_picture_is_found_inside_it(finder, faces):
    tight = faces[0].crop((20, 12, SIDE - 20, SIDE - 8))
    (face,) = finder(tight)
    left, top, width, height = face.box(tight.size)
    assert left >= 0 and top >= 0 and left + width <= tight.width and top + height <= tight.height
    assert min(width, height) > 0.9 * tight.width


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_there_is_no_face_in_a_plain_picture(finder, mode):
    assert finder(Image.new(mode, (300, 200))) == []
    assert finder(Image.new(mode, (3, 1))) == []


def test_threads_do_not_disturb_each_other(finder, faces):
    canvases = [picture(faces[:count])[0] for count in (1, 2, 3)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(finder, canvases))
    assert [len(faces) for faces in found] == [1, 2, 3] * 4


def test_a_face_is_cut_out_as_the_network_takes_it(faces):
    canvas, _ = picture(faces[:1])
    cut = to_grey48(face_finder.Face(30 + SIDE / 2, 40 + SIDE / 2, SIDE).cut_out(canvas))
    assert (cut.shape, cut.dtype) == ((48, 48), np.uint8)
    whole = np.asarray(faces[0].convert("L").resize((48, 48), Image.Resampling.BOX))
    assert np.abs(cut.astype(int) - whole).max() <= 2


def test_beyond_the_edge_of_the_picture_its_edge_goes_on():
    ramp = Image.fromarray(np.tile(np.arange(100, dtype=np.uint8), (100, 1)))
    cut = np.asarray(face_finder.Face(0, 50, 60).cut_out(ramp))
    assert (cut[:, :29] == 0).all() and cut[0, -1] == 29


@pytest.mark.parametrize("degrees", [-25, 20])
@pytest.mark.parametrize("meshed", [False, True])
def test_a_leaning_face_is_cut_out_upright(landmarker, faces, degrees, meshed):
    canvas = Image.new("RGB", (400, 400), (120, 130, 140))
    canvas.paste(faces[0].resize((180, 180)), (110, 110))
    (upright,) = face_finder.find(canvas, meshed=meshed)
    leaning = canvas.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(120, 130, 140))
    (face,) = face_finder.find(leaning, meshed=meshed)
    assert np.degrees(face.tilt) == pytest.approx(degrees, abs=4)
    assert np.degrees(upright.tilt) == pytest.approx(0, abs=2)
    flat = face_finder.Face(face.x, face.y, face.side)
    cuts = [
        to_grey48(found.cut_out(image)).astype(float)[8:40, 8:40].ravel()
        for image, found in ((canvas, upright), (leaning, face), (leaning, flat))
    ]
    alike, unlike = np.corrcoef(cuts)[0, 1:]
    assert alike > 0.8 and alike > unlike + 0.2


def test_the_mesh_confirms_what_blazeface_doubts(landmarker, faces, monkeypatch):
    canvas, _ = picture(faces[:1])
    assert len(face_finder.find(canvas, meshed=True)) == 1
    denied = landmarks.Detection(0.0, np.zeros((478, 2)))
    monkeypatch.setattr(landmarks, "mesh", lambda *args, **options: denied)
    assert face_finder.find(canvas, meshed=True) == []
