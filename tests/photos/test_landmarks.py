"""The models of faces: their file, what BlazeFace and mesh see, and blendshapes of drawn faces."""

import sys

import numpy as np
import pytest

from mien.data.measured import BLENDSHAPES
from mien.errors import DataError
from mien.files import content_hash
from mien.photos import landmarks
from mien.photos.landmarks import Detection
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face

SIDE = 200


def pixels(**units):
    return np.asarray(
        draw_face({name: float(v) for name, v in units.items()}, Identity(), size=SIDE)
    )


def meshed(image):
    found = landmarks.merge(landmarks.detect(image, longest=128, least=0.4, rim=0.25))
    return landmarks.mesh(image, found[0])


def shapes(**units):
    return dict(
        zip(BLENDSHAPES, landmarks.blendshapes(meshed(pixels(**units)).points), strict=True)
    )


def test_blendshapes_follow_what_the_face_does(landmarker):
    calm, smiling, gaping = shapes(), shapes(AU12=5), shapes(AU26=5, AU25=5)
    blinking = shapes(AU45=5)
    assert smiling["mouthSmileLeft"] > calm["mouthSmileLeft"] + 0.3
    assert smiling["mouthSmileRight"] > calm["mouthSmileRight"] + 0.3
    assert gaping["jawOpen"] > calm["jawOpen"] + 0.2
    assert blinking["eyeBlinkLeft"] > calm["eyeBlinkLeft"] + 0.2
    assert all(0 <= value <= 1 for value in smiling.values())


def test_landmarks_lie_where_the_features_are_and_move_with_them(landmarker):
    mesh = meshed(pixels())
    assert mesh.score > 0.9 and mesh.points.shape == (478, 2)
    right, left = (mesh.points[list(corners)].mean(axis=0) for corners in landmarks.EYES)
    assert right[0] < SIDE / 2 < left[0] and abs(right[1] - left[1]) < 0.05 * SIDE
    shifted = np.pad(pixels(), ((40, 0), (70, 0), (0, 0)), mode="edge")
    assert np.abs(meshed(shifted).points - mesh.points - [70, 40]).max() < 0.04 * SIDE


def test_a_picture_of_any_shape_is_searched(landmarker):
    canvas = np.full((SIDE, 5 * SIDE, 3), 128, np.uint8)
    canvas[:, 3 * SIDE : 4 * SIDE] = pixels()
    (found,) = landmarks.merge(landmarks.detect(canvas, longest=330, least=0.6))
    nose = found.points[4]
    assert np.abs(nose - [3.5 * SIDE, 0.55 * SIDE]).max() < 0.15 * SIDE


def test_overlapping_detections_are_averaged_by_score():
    square = np.array([[0.0, 0], [10, 10]])
    near, far = square + 1, square + 30
    first, second = landmarks.merge(
        [Detection(0.5, near), Detection(0.9, far), Detection(0.75, square)]
    )
    assert first == Detection(0.9, pytest.approx(far))
    assert second.score == 0.75
    assert second.points == pytest.approx(square + 0.5 / 1.25)


def test_a_turned_square_is_cut_out_upright():
    y, x = np.mgrid[:100, :100]
    image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    cut, back = landmarks.upright(image, np.array([50.0, 50]), 40, np.pi / 2, pixels_a_side=40)
    assert cut[0, 0].tolist() == [69, 30, 0] and cut[-1, 0].tolist() == [30, 30, 0]
    assert back @ [0.5, 0.5, 1] == pytest.approx([69.5, 30.5])


def test_the_file_that_is_named_must_be_the_models(tmp_path, monkeypatch):
    other = tmp_path / "other.task"
    monkeypatch.setenv(landmarks.VARIABLE, str(other))
    with pytest.raises(DataError, match="other.task, which MIEN_FACE_LANDMARKER names"):
        landmarks.missing()
    other.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"names, is not Google's face_landmarker\.task"):
        landmarks.missing()


@pytest.mark.parametrize(
    "failure", [ConnectionError("no route with url: x"), ValueError("no route\nmore")]
)
def test_without_a_network_one_line_says_which_file_to_put_where(
    cache_folder, monkeypatch, failure
):
    import pooch

    asked = []

    def fail(*args, **options):
        asked.append(args)
        raise failure

    monkeypatch.delenv(landmarks.VARIABLE)
    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.warns(UserWarning, match="cannot be fetched"):
        told = landmarks.missing()
    assert landmarks.missing() == told and len(asked) == 1
    assert landmarks.URL in told and str(cache_folder / "face_landmarker.task") in told
    assert "(no route)" in told and "\n" not in told


def test_the_file_of_the_cache_serves_without_what_would_fetch_it(cache_folder, monkeypatch):
    cache_folder.mkdir()
    path = cache_folder / "face_landmarker.task"
    path.write_bytes(b"models")
    monkeypatch.setattr(landmarks, "SHA256", content_hash(path))
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv(landmarks.VARIABLE, raising=False)
    assert landmarks.missing() == ""
