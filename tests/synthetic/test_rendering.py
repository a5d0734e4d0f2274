"""Does every Action Unit move what its name says, and do pictures show it?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.measured import UNITS
from mien.synthetic.anatomy import STYLES, Identity, creases, shapes, spline
from mien.synthetic.rendering import View, draw_face

WHO = Identity(age=0.0)
REST = shapes({}, WHO)
SIDES = ("left", "right")


def pulled(**units):
    return shapes(units, WHO)


def height(points):
    return np.ptp(points[:, 1])


def corners(curves):
    return curves["mouth_line"][[0, -1]]


def pixels(units=None, who=WHO, **view):
    return np.asarray(draw_face(units or {}, who, size=96, view=View(**view))).astype(int)


@pytest.mark.parametrize("side", SIDES)
def test_brows_rise_inside_outside_and_fall(side):
    def risen(**units):
        inner, outer = (pulled(**units)[f"brow_{side}"] - REST[f"brow_{side}"])[[0, -1], 1]
        return -inner, -outer

    inner, outer = risen(AU01=4)
    assert inner > 0.1 and abs(outer) < 0.02
    inner, outer = risen(AU02=4)
    assert outer > 0.1 and abs(inner) < 0.02
    inner, outer = risen(AU04=4)
    assert inner < outer < 0


def test_a_frown_draws_the_brows_together_and_furrows():
    gap = np.ptp([pulled(AU04=4)[f"brow_{side}"][0, 0] for side in SIDES])
    assert gap < np.ptp([REST[f"brow_{side}"][0, 0] for side in SIDES])
    assert creases({"AU04": 4}, WHO)["furrow"] > creases({}, WHO)["furrow"] + 0.5


def test_grief_tilts_the_brows_upwards_inside():
    brow = pulled(AU01=4, AU04=3)["brow_right"]
    assert brow[0, 1] < REST["brow_right"][0, 1]
    assert brow[0, 1] < brow[-1, 1]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("unit, opens", [("AU05", 1), ("AU06", -1), ("AU07", -1), ("AU45", -1)])
def test_lids_open_and_close(unit, opens, side):
    change = height(pulled(**{unit: 4})[f"eye_{side}"]) - height(REST[f"eye_{side}"])
    assert change * opens > 0.02


@pytest.mark.parametrize("side", SIDES)
def test_a_full_blink_hides_the_iris(side):
    assert height(REST[f"iris_{side}"]) > 0.1
    assert height(pulled(AU45=5)[f"iris_{side}"]) < 0.03


@pytest.mark.parametrize("side", SIDES)
def test_the_upper_lid_raiser_moves_the_upper_lid_more(side):
    moved = {
        lid: np.abs(pulled(AU05=4)[f"{lid}_{side}"] - REST[f"{lid}_{side}"])[:, 1].max()
        for lid in ("upper_lid", "lower_lid")
    }
    assert moved["upper_lid"] > 3 * moved["lower_lid"]


@pytest.mark.parametrize("side", SIDES)
def test_cheeks_rise_under_the_eyes(side):
    assert pulled(AU06=4)[f"cheek_{side}"][:, 1].mean() < REST[f"cheek_{side}"][:, 1].mean() - 0.05
    assert creases({"AU06": 4}, WHO)["crow"] > 0.5


def test_the_nose_wrinkles():
    assert pulled(AU09=4)["nostril_left"][:, 1].mean() < REST["nostril_left"][:, 1].mean() - 0.03
    assert creases({"AU09": 4}, WHO)["bridge"] > 0.5 > creases({}, WHO)["bridge"]


def test_the_upper_lip_rises_and_the_lower_stays():
    up = pulled(AU10=4)
    assert up["upper_lip"][:, 1].min() < REST["upper_lip"][:, 1].min() - 0.05
    assert up["lower_lip"][:, 1].max() == pytest.approx(REST["lower_lip"][:, 1].max(), abs=0.01)


@pytest.mark.parametrize("unit, down", [("AU12", -1), ("AU15", 1)])
def test_lip_corners_rise_and_fall(unit, down):
    moved = corners(pulled(**{unit: 4}))[:, 1] - corners(REST)[:, 1]
    assert (moved * down > 0.1).all()


@pytest.mark.parametrize("unit, wider", [("AU12", 1), ("AU20", 1), ("AU23", -1)])
def test_the_mouth_stretches_and_tightens(unit, wider):
    change = np.ptp(corners(pulled(**{unit: 4}))[:, 0]) - np.ptp(corners(REST)[:, 0])
    assert change * wider > 0.05


def test_lips_thin_when_tightened():
    for lip in ("upper_lip", "lower_lip"):
        assert height(pulled(AU23=4)[lip]) < 0.7 * height(REST[lip])


def test_dimples_show_beside_the_mouth():
    assert creases({"AU14": 4}, WHO)["dimple"] > 0.5
    assert corners(pulled(AU14=5))[1, 0] > corners(REST)[1, 0]


def test_the_chin_raiser_pushes_the_lip_up():
    middle = len(REST["mouth_line"]) // 2
    assert pulled(AU17=4)["mouth_line"][middle, 1] < REST["mouth_line"][middle, 1] - 0.03
    assert creases({"AU17": 4}, WHO)["chin"] > 0.5


def test_lips_part_a_little_and_the_jaw_drops_far():
    assert height(REST["opening"]) < 0.03
    parted, dropped = pulled(AU25=4), pulled(AU26=4)
    assert 0.05 < height(parted["opening"]) < 0.5 * height(dropped["opening"])
    assert dropped["head"][:, 1].max() > REST["head"][:, 1].max() + 0.1
    assert parted["head"][:, 1].max() == REST["head"][:, 1].max()


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.sampled_from(list(UNITS)), st.floats(0, 5)))
def test_whatever_the_muscles_do_the_parts_stay_within_each_other(units):
    curves = shapes(units, WHO)
    assert all(np.isfinite(points).all() for points in curves.values())
    for side in SIDES:
        x, y = curves[f"iris_{side}"].T
        for lid, below in ((f"upper_lid_{side}", 1), (f"lower_lid_{side}", -1)):
            edge = curves[lid][np.argsort(curves[lid][:, 0])]
            assert (below * (y - np.interp(x, *edge.T)) >= -1e-9).all()
    middle = len(curves["teeth"]) // 2
    assert curves["teeth"][:middle, 1].max() <= curves["opening"][:, 1].max() + 1e-9


def test_units_that_are_not_there_or_out_of_range_do_no_harm():
    assert np.array_equal(pulled(AU12=9)["mouth_line"], pulled(AU12=5)["mouth_line"])
    assert np.array_equal(pulled(AU12=-1, AU28=5)["mouth_line"], REST["mouth_line"])


def test_a_spline_passes_through_its_points():
    points = np.array([(0, 0), (1, 2), (3, 1), (4, 4)])
    curve = spline(points, steps=4)
    assert np.allclose(curve[::4], points)
    assert np.allclose(spline(points, closed=True, steps=4)[::4], points)


# rows of a 96 pixel face: brows and eyes above the middle, the mouth below it
@pytest.mark.parametrize("unit", UNITS)
def test_a_picture_changes_where_the_muscle_pulls(unit):
    changed = np.abs(pixels({unit: 5}) - pixels()).sum(axis=(1, 2))
    upper, lower = changed[:54].sum(), changed[54:].sum()
    assert upper + lower > 3000
    if unit in ("AU01", "AU02", "AU04", "AU05", "AU07", "AU45"):
        assert upper > 9 * lower
    elif unit in ("AU14", "AU15", "AU17", "AU20", "AU23", "AU25", "AU26"):
        assert lower > 9 * upper


def test_an_open_mouth_is_dark_and_shows_teeth():
    around = slice(66, 88), slice(38, 58)
    shut, open_ = pixels()[around].sum(axis=2), pixels({"AU25": 4, "AU26": 5})[around].sum(axis=2)
    assert (open_ < 180).sum() > (shut < 180).sum() + 20
    assert (open_ > 660).sum() > (shut > 660).sum() + 10


def test_a_drawing_is_the_same_every_time():
    rng = np.random.default_rng(4)
    who, view = Identity.random(rng), View.random(rng)
    one, two = (draw_face({"AU12": 3}, who, size=48, view=view).tobytes() for _ in range(2))
    assert one == two
    assert one != draw_face({"AU12": 3}, who, size=48, view=View.random(rng)).tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_every_style_can_be_drawn(style):
    picture = draw_face({}, replace(WHO, style=style), size=(50, 65))
    assert picture.size == (50, 65) and picture.mode == "RGB"
    assert np.asarray(picture).std() > 20


def test_turning_the_head_moves_the_nose_over_the_cheek():
    size = (96, 96)
    ahead, turned = (View(yaw=yaw).place(np.array([(0, 0.2), (-0.7, 0)]), size) for yaw in (0, 20))
    nose, cheek = (turned - ahead)[:, 0]
    assert nose > cheek + 4


def test_light_falls_from_where_it_is_said_to():
    bright = {light: pixels(light=light, contrast_light=0.6) for light in (-90, 90)}
    cheeks = {
        light: (p[50:60, 24:34].mean(), p[50:60, 62:72].mean()) for light, p in bright.items()
    }
    assert cheeks[-90][0] > cheeks[-90][1] + 15
    assert cheeks[90][1] > cheeks[90][0] + 15
