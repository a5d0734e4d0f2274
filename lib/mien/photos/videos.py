"""Frames of a video, shot by shot.

A cut is where the colours of two frames that follow each other differ at once (Zhang, Kankanhalli
and Smoliar 1993, "Automatic partitioning of full-motion video", Multimedia Systems 1; Boreczky and
Rowe 1996, "Comparison of video shot boundary detection techniques"). A dissolve is not seen: its
two shots are one clip, which is the safe side, for a clip stays whole in every fold.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.errors import DataError

#: Two frames are of two shots where this share of the pixels is in other bins of colour, and pixels
#: differ by so much of 255 in the mean: a wall that grows a little lighter changes bins, too.
_CUT, _APART = 0.35, 8
_BINS = 8  # of each of the three colours
_SEEN = (64, 36)  # pixels of a frame that is compared


class Frame(NamedTuple):
    """A frame of a video."""

    number: int  # from 0
    seconds: float  # since the start
    shot: int  # from 1
    picture: Image.Image


def duration(path: Path) -> float:
    """Return how long a video says it is, in seconds; 0 where it does not say."""
    import cv2

    video = _open(path)
    return max(0.0, video.get(cv2.CAP_PROP_FRAME_COUNT) / _rate(video))


def frames(path: Path, *, every: float) -> Iterator[Frame]:
    """Yield the first frame of every shot, and one ``every`` so many seconds after it, upright."""
    import cv2

    video = _open(path)
    rate = _rate(video)
    number, shot, before, due = 0, 0, None, 0.0
    while True:
        read, pixels = video.read()
        if not read:
            break
        seconds = number / rate
        small = cv2.resize(pixels, _SEEN, interpolation=cv2.INTER_AREA)
        if before is None or _is_cut(before, small):
            shot, due = shot + 1, seconds
        if seconds >= due:
            due = seconds + every
            picture = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
            yield Frame(number, seconds, shot, picture)
        number, before = number + 1, small
    if not number:
        raise DataError(f"{path} is no video that OpenCV can read")


def _open(path: Path):
    import cv2

    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise DataError(f"{path} is no video that OpenCV can read")
    return video


def _rate(video) -> float:
    """Return frames a second; 25 where the file does not say."""
    import cv2

    rate = video.get(cv2.CAP_PROP_FPS)
    return rate if np.isfinite(rate) and rate > 0 else 25.0


def _is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    if np.abs(before.astype(int) - after).mean() < _APART:
        return False
    return np.abs(_colours(before) - _colours(after)).sum() / 2 > _CUT


def _colours(pixels: np.ndarray) -> np.ndarray:
    """Return the shares of a frame's pixels in 512 bins of colour."""
    bins = (pixels // (256 // _BINS)).reshape(-1, 3).astype(int) @ [_BINS * _BINS, _BINS, 1]
    return np.bincount(bins, minlength=_BINS**3) / len(bins)
