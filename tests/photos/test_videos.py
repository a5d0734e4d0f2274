"""Videos that the test writes, cut into shots."""

import numpy as np
import pytest
from PIL import Image
from scenes import ANN, BEN, WALLS, scene, write_video

from mien.errors import DataError
from mien.photos import videos


def test_every_shot_is_seen_from_its_first_frame_on(tmp_path):
    shots = [
        [scene((who, look, 120, 60 + step, 60), wall=WALLS[look]) for step in range(length)]
        for who, look, length in ((ANN, 0, 12), (BEN, 1, 7), (ANN, 2, 3))
    ]
    path = tmp_path / "film.avi"
    write_video(path, shots)
    assert videos.duration(path) == pytest.approx(2.2)
    numbers, seconds, shots, pictures = zip(*videos.frames(path, every=0.5), strict=True)
    assert list(zip(numbers, shots, strict=True)) == [
        *((0, 1), (5, 1), (10, 1), (12, 2), (17, 2), (19, 3))
    ]
    assert list(seconds) == pytest.approx([0, 0.5, 1, 1.2, 1.7, 1.9])
    for picture, wall in zip(pictures, [WALLS[0]] * 3 + [WALLS[1]] * 2 + [WALLS[2]], strict=True):
        assert np.abs(np.asarray(picture)[5, 5] - np.array(wall, int)).max() < 6, "colours"


def test_light_that_changes_slowly_is_no_cut(tmp_path):
    grey = [Image.new("RGB", (160, 120), (level,) * 3) for level in range(60, 200, 4)]
    write_video(tmp_path / "dawn.avi", [grey])
    assert {shot for _, _, shot, _ in videos.frames(tmp_path / "dawn.avi", every=0.2)} == {1}


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "film.mp4").write_text("no video")
    assert videos.duration(tmp_path / "film.mp4") == 0
    with pytest.raises(DataError, match=r"film\.mp4 is no video"):
        list(videos.frames(tmp_path / "film.mp4", every=1))
