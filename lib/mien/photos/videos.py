"""Frames of a video, shot by shot.

A cut is where the colours of two frames that follow each other differ at once (Zhang, Kankanhalli
and Smoliar 1993, "Automatic partitioning of full-motion video", Multimedia Systems 1; Boreczky and
Rowe 1996, "Comparison of video shot boundary detection techniques"). A dissolve is not seen: its
two shots are one clip, which is the safe side, for a clip stays whole in every fold.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mien.errors import DataError

#: Two frames are of two shots where this share of the pixels is in other bins of colour, and pixels
#: differ by so much of 255 in the mean: a wall that grows a little lighter changes bins, too.
_CUT, _APART = 0.35, 8
_SEEN = (64, 36)  # pixels of a frame that is compared


def duration(path: Path) -> float:
    """Return how long a video says it is, in seconds; 0 where it does not say, or is none."""
    import cv2

    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    return max(0.0, video.get(cv2.CAP_PROP_FRAME_COUNT) / rate) if rate > 0 else 0.0


def frames(path: Path, *, every: float) -> Iterator[tuple[int, float, int, Image.Image]]:
    """Yield the first frame of every shot, and one ``every`` so many seconds after it, upright.

    With it its number (from 0), seconds since the start (at 25 frames a second where the file does
    not say how many), and the number of its shot (from 1). `DataError` if it is no video.
    """
    import cv2

    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    rate = rate if np.isfinite(rate) and rate > 0 else 25.0
    shot, before, due = 0, None, 0.0
    for number in itertools.count():
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
            yield number, seconds, shot, picture
        before = small
    if not shot:
        raise DataError(f"{path} is no video that OpenCV can read")


def _is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    import cv2

    if np.abs(before.astype(int) - after).mean() < _APART:
        return False
    bins = [[0, 1, 2], None, [8] * 3, [0, 256] * 3]  # eight of each of the three colours
    moved = cv2.calcHist([before], *bins) - cv2.calcHist([after], *bins)
    return np.abs(moved).sum() / 2 > _CUT * math.prod(_SEEN)
