"""Faces that mien draws, found again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mien.photos import face_finder
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face

SIDE = 120


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


def is_at(box, corner, side=SIDE):
    left, top, width, height = box
    centre = left + width / 2 - corner[0], top + height / 2 - corner[1]
    return np.abs(np.array(centre) - side / 2).max() < 0.2 * side and 0.5 < width / side < 1.3


def test_every_face_of_a_picture_is_found_from_left_to_right(faces):
    canvas, corners = picture(faces)
    boxes = face_finder.find(canvas)
    assert len(boxes) == 3
    assert all(map(is_at, boxes, corners))


def test_boxes_are_those_of_the_picture_however_large_it_is(faces):
    canvas, corners = picture(faces)
    large = canvas.resize((4 * canvas.width, 4 * canvas.height))
    boxes = face_finder.find(large)
    assert len(boxes) == 3
    assert all(is_at(b, (4 * x, 4 * y), 4 * SIDE) for b, (x, y) in zip(boxes, corners, strict=True))


def test_a_face_that_fills_its_picture_is_found_inside_it(faces):
    tight = faces[0].crop((20, 12, SIDE - 20, SIDE - 8))
    (box,) = face_finder.find(tight)
    assert box[0] >= 0 and box[1] >= 0
    assert box[0] + box[2] <= tight.width and box[1] + box[3] <= tight.height
    assert min(box[2:]) > 0.9 * tight.width


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_there_is_no_face_in_a_plain_picture(mode):
    assert face_finder.find(Image.new(mode, (300, 200))) == []
    assert face_finder.find(Image.new(mode, (3, 1))) == []


def test_a_face_is_cut_out_as_the_network_takes_it(faces):
    canvas, _ = picture(faces[:1])
    cut = face_finder.cut_out(canvas, (30, 40, SIDE, SIDE))
    assert (cut.shape, cut.dtype) == ((48, 48), np.uint8)
    whole = np.asarray(faces[0].convert("L").resize((48, 48), Image.Resampling.BOX))
    assert np.abs(cut.astype(int) - whole).max() <= 2


def test_threads_do_not_disturb_each_other(faces):
    canvases = [picture(faces[:count])[0] for count in (1, 2, 3)] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(face_finder.find, canvases))
    assert [len(boxes) for boxes in found] == [1, 2, 3] * 8
