"""A picture of a face, of whatever size, mode and format, becomes the same 48 x 48 grey input."""

import io
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from mien.data import images
from mien.data.images import (
    CAMERA_NAME,
    IMAGE_SUFFIXES,
    LONGEST,
    find_images,
    open_image,
    plain_image,
    shooting_time,
    square,
    thumbnail,
    to_grey48,
)
from mien.errors import DataError


def noise(shape):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))


def ellipse(size):
    """Draw a white ellipse that touches the edges of its box, on black."""
    image = Image.new("L", size)
    ImageDraw.Draw(image).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
    return image


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"]),
)
def test_any_size_and_mode_becomes_48_x_48_and_flat_stays_flat(size, mode):
    found = to_grey48(Image.new(mode, size))
    assert (found.shape, found.dtype) == ((48, 48), np.uint8)
    assert (found == found[0, 0]).all()


@settings(max_examples=60, deadline=None)
@given(
    short=st.integers(1, 80),
    more=st.integers(0, 80),
    turned=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_whole_picture_counts_and_its_edges_are_repeated(short, more, turned, seed):
    tall = np.random.default_rng(seed).integers(0, 256, (short + more, short)).astype(np.uint8)
    left, right = tall[:, :1].repeat(more // 2, axis=1), tall[:, -1:].repeat(-(-more // 2), axis=1)
    whole = np.hstack([left, tall, right])
    if turned:
        tall, whole = tall.T, whole.T
    np.testing.assert_array_equal(
        to_grey48(Image.fromarray(tall)), to_grey48(Image.fromarray(whole))
    )


def test_a_face_is_never_squashed():
    image = Image.new("L", (100, 200))
    image.paste(ellipse((80, 80)), (10, 60))
    found = to_grey48(image) > 127
    assert found.any(axis=0).sum() == found.any(axis=1).sum() == pytest.approx(80 * 48 / 200, abs=1)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_strip_of_pixels_does_not_unfold_into_gigabytes(mode):
    strip = Image.new(mode, (400_000, 1), "white")
    assert square(strip).size == (LONGEST, LONGEST)
    assert (to_grey48(strip) == 255).all()


def test_a_large_picture_is_read_as_a_small_one():
    small = ellipse((300, 400))
    large = to_grey48(small.resize((2400, 3200), Image.Resampling.NEAREST))
    assert np.abs(large.astype(int) - to_grey48(small)).max() <= 6


def test_pixels_are_averaged_by_area():
    picture = np.random.default_rng(0).integers(0, 256, (192, 192)).astype(np.uint8)
    mean = picture.reshape(48, 4, 48, 4).mean(axis=(1, 3))
    assert np.abs(to_grey48(Image.fromarray(picture)) - mean).max() <= 1
    same = picture[:48, :48]
    np.testing.assert_array_equal(to_grey48(Image.fromarray(same)), same)


def test_a_smaller_image_is_enlarged_without_new_extremes():
    picture = np.random.default_rng(0).integers(50, 200, (20, 20)).astype(np.uint8)
    found = to_grey48(Image.fromarray(picture))
    assert picture.min() <= found.min() <= found.max() <= picture.max()
    assert found.std() > 20


def test_colours_become_grey_by_rec_601():
    for colour, luma in (("red", 76), ("lime", 150), ("blue", 29), ("white", 255)):
        assert to_grey48(Image.new("RGB", (50, 60), colour))[5, 5] == luma


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        *((".jpg", mode) for mode in ("L", "RGB", "CMYK")),
        *((".png", mode) for mode in ("L", "RGB", "P", "RGBA", "LA", "I;16")),
        *((".bmp", mode) for mode in ("L", "RGB", "P")),
        *((".gif", mode) for mode in ("L", "P")),
        *((".webp", mode) for mode in ("RGB", "RGBA")),
        *((".tiff", mode) for mode in ("L", "RGB", "CMYK", "I;16")),
        *((".jfif", mode) for mode in ("L", "RGB")),
        *((".avif", mode) for mode in ("RGB", "RGBA")),
        *((".jp2", mode) for mode in ("L", "RGB")),
    ],
)
def test_one_picture_in_any_mode_and_format_is_the_same_input(mode, suffix, tmp_path):
    picture = Image.fromarray(np.add.outer(np.arange(120), np.arange(100)).astype(np.uint8))
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(picture, np.uint16) * 257)
    else:
        stored = picture.convert("RGB").convert(mode) if mode != "P" else picture.convert("P")
    options = {".jpg": 98, ".jfif": 98, ".webp": 98, ".avif": 98}
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    stored.save(
        tmp_path / f"face{suffix}", **{"quality": options[suffix]} if suffix in options else {}
    )
    difference = to_grey48(open_image(tmp_path / f"face{suffix}")).astype(int) - to_grey48(picture)
    assert np.abs(difference).max() <= 2


def test_16_bit_grey_spans_the_range(tmp_path):
    deep = np.linspace(0, 65535, 48 * 48).reshape(48, 48).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(to_grey48(open_image(tmp_path / "deep.png")), np.rint(deep / 257))


def test_what_is_transparent_shows_middle_grey():
    assert (to_grey48(Image.new("RGBA", (60, 60), (255, 0, 0, 0))) == 128).all()
    half = to_grey48(Image.new("RGBA", (60, 60), (255, 255, 255, 128)))
    assert (np.abs(half.astype(int) - 192) <= 1).all()
    palette = Image.new("P", (60, 60), 3)
    palette.putpalette([250] * 768)
    assert (to_grey48(palette) == 250).all()
    palette.info["transparency"] = 3
    assert (to_grey48(palette) == 128).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_exif_orientation_is_applied_once(orientation, undo, tmp_path):
    upright = noise((120, 90))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    stored.save(tmp_path / "face.png", exif=exif)
    np.testing.assert_array_equal(to_grey48(open_image(tmp_path / "face.png")), to_grey48(upright))
    assert thumbnail(open_image(tmp_path / "face.png")).tobytes() == thumbnail(upright).tobytes()


def test_a_thumbnail_is_the_square_that_the_models_see():
    image = Image.new("RGB", (192, 96), "red")
    image.paste("blue", (0, 0, 192, 48))
    found = thumbnail(image)
    assert (found.size, found.mode) == ((96, 96), "RGB")
    assert set(found.getcolors()) == {(96 * 48, (0, 0, 255)), (96 * 48, (255, 0, 0))}
    assert thumbnail(Image.new("L", (40, 70))).size == (70, 70)


def test_a_plain_image_is_grey_or_rgb():
    modes = {"1": "L", "L": "L", "I;16": "L", "P": "RGB", "CMYK": "RGB", "LA": "RGB", "RGB": "RGB"}
    assert {mode: plain_image(Image.new(mode, (9, 9))).mode for mode in modes} == modes


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("L", (50, 50), grey) for grey in (40, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (to_grey48(open_image(tmp_path / "moving.gif")) == 40).all()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "BMP", "GIF"]))
def test_a_damaged_image_is_refused_or_read_never_worse(data, kind, tmp_path):
    whole = io.BytesIO()
    noise((60, 60)).save(whole, format=kind)
    content = bytearray(whole.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "face").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert to_grey48(open_image(tmp_path / "face")).shape == (48, 48)
    except DataError as error:
        assert "face" in str(error)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jpg does not exist"):
        to_grey48(open_image(tmp_path / "nowhere.jpg"))


# pictures that people have


BROKEN = [
    b"Exif\0\0garbage",
    b"garbage",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\0\0\0\x63\0\0\0\0\0\0\0",
]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("exif", BROKEN)
def test_a_broken_exif_is_ignored(exif, suffix, tmp_path):
    upright = ellipse((60, 80)).convert("RGB")
    path = tmp_path / f"face{suffix}"
    upright.save(path, exif=exif)
    image = open_image(path)
    assert image.size == (60, 80) and thumbnail(image).size == (80, 80)
    assert np.abs(to_grey48(image).astype(int) - to_grey48(upright)).max() <= 40


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_that_pillow_refuses_for_its_exif_is_read(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    path = tmp_path / "face.avif"
    ellipse((60, 80)).convert("RGB").save(path, exif=exif.tobytes())
    content = path.read_bytes()
    assert content.count(b"II*\0") + content.count(b"MM\0*") == 1
    path.write_bytes(content.replace(b"II*\0", b"rot!").replace(b"MM\0*", b"rot!"))
    with pytest.raises(Exception, match=r"Exif|identify"):
        Image.open(path)
    assert open_image(path).size == (60, 80)


def test_a_float_tiff_of_0_to_1_spans_the_range(tmp_path):
    shares = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    Image.fromarray(shares).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(
        to_grey48(open_image(tmp_path / "grey.tif")), np.rint(shares * 255)
    )
    import cv2

    cv2.imwrite(str(tmp_path / "colour.tif"), np.stack([shares] * 3, axis=2))
    difference = to_grey48(open_image(tmp_path / "colour.tif")) - np.rint(shares * 255)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_large_image_is_reduced_not_refused(suffix, tmp_path, monkeypatch):
    small = ellipse((60, 80)).resize((600, 800)).convert("RGB")
    small.save(tmp_path / f"face{suffix}")
    whole = open_image(tmp_path / f"face{suffix}")
    monkeypatch.setattr(images, "LARGE", 50_000)
    reduced = open_image(tmp_path / f"face{suffix}")
    assert whole.size == (600, 800) and reduced.size == (150, 200)
    assert np.abs(to_grey48(reduced).astype(int) - to_grey48(whole)).mean() < 1


def test_an_iphones_photo_is_read_or_told_what_to_do(tmp_path):
    try:
        import pillow_heif
    except ImportError:
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99)
        with pytest.raises(
            DataError, match=r"is a HEIC photo: convert it to JPEG, or install mien"
        ):
            open_image(tmp_path / "a.heic")
        return
    pillow_heif.from_pillow(ellipse((64, 80)).convert("RGB")).save(
        tmp_path / "a.jpg", format="HEIF"
    )
    difference = to_grey48(open_image(tmp_path / "a.jpg")).astype(int) - to_grey48(
        ellipse((64, 80))
    )
    assert np.abs(difference).max() <= 30


def test_a_folder_is_read_by_every_ending_without_what_systems_hide(tmp_path):
    for place in (".thumbs/a.jpg", "@eaDir/b.jpg", "__MACOSX/c.jpg", "._d.jpg", "notes.txt"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    seen = [tmp_path / f"face{suffix.upper()}" for suffix in IMAGE_SUFFIXES]
    for path in seen:
        path.write_bytes(b"")
    assert find_images([tmp_path]) == sorted(seen)


CAMERAS = """
    IMG_0123 IMG_E0123 DSC_0001 DSC00123 _MG_1234 P1010123 PXL_20240501_101112123
    IMG_20240501_101112 20240501_101112 MVIMG_20240501_101112 photo_2024-05-01_10-11-12
"""
TAILED = """
    IMG-20240501-WA0001 WIN_20240501_10_11_12_Pro Screenshot_20240501-101112_App IMG_0123(2)
"""


@pytest.mark.parametrize("stem", CAMERAS.split())
def test_the_names_of_cameras_are_known_and_frames_of_their_videos_are_none(stem):
    assert CAMERA_NAME.fullmatch(stem)
    assert not CAMERA_NAME.fullmatch(f"{stem}_031")


@pytest.mark.parametrize("stem", [*TAILED.split(), "Screen Shot 2024-05-01 at 10.11.12"])
def test_what_phones_add_to_a_name_is_passed_over(stem):
    assert CAMERA_NAME.fullmatch(stem)


@pytest.mark.parametrize("stem", ["1_01", "clip7_0031", "P0012_034", "monday_2_7", "s01_e02_0034"])
def test_names_of_clips_are_no_names_of_cameras(stem):
    assert not CAMERA_NAME.fullmatch(stem)


@pytest.mark.parametrize(
    "stem", ["PXL_20240501_101112123", "WIN_20240501_10_11_12_Pro", "Bild 2024-05-01 um 10.11.12"]
)
def test_a_name_tells_the_time(stem):
    assert shooting_time(None, stem) == datetime(2024, 5, 1, 10, 11, 12)


def test_exif_tells_the_time_before_the_name(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:01:02 03:04:05"
    noise((9, 9)).save(tmp_path / "a.jpg", exif=exif)
    found = shooting_time(tmp_path / "a.jpg", "IMG_20240501_101112")
    assert found == datetime(2023, 1, 2, 3, 4, 5)
    noise((9, 9)).save(tmp_path / "b.jpg", exif=b"Exif\0\0garbage")
    assert shooting_time(tmp_path / "b.jpg", "IMG_0001") is None
