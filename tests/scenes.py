"""Photos and videos of two drawn people."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien.synthetic.anatomy import Identity, colour
from mien.synthetic.rendering import draw_face

ANN = Identity()
BEN = Identity(skin=colour("eebd95"), hair=colour("d9b36c"), style="long", width=1.08, jaw=1.2)
#: Faces that are no near-duplicates of each other.
LOOKS = (
    {"AU06": 4.0, "AU12": 5.0, "AU25": 3.0},
    {"AU01": 5.0, "AU02": 5.0, "AU05": 5.0, "AU25": 4.0, "AU26": 5.0},
    {"AU04": 5.0, "AU07": 4.0, "AU15": 5.0, "AU17": 3.0},
)
WALLS = ((120, 130, 140), (40, 90, 60), (200, 170, 120))


def scene(*faces: tuple, wall: Sequence[int] = WALLS[0], size=(320, 240)) -> Image.Image:
    """Draw faces, each of (who, look, side, left, top), before a wall."""
    canvas = Image.new("RGB", size, tuple(wall))
    for who, look, side, left, top in faces:
        canvas.paste(draw_face(LOOKS[look], who, size=side), (left, top))
    return canvas


def write_video(path: Path, shots: Sequence[Sequence[Image.Image]], *, rate: int = 10) -> None:
    """Write shots, each of some pictures, as a video of Motion JPEG."""
    pictures = [picture for shot in shots for picture in shot]
    coded = cv2.VideoWriter_fourcc(*"MJPG")
    video = cv2.VideoWriter(str(path), coded, rate, pictures[0].size)
    for picture in pictures:
        video.write(np.asarray(picture)[:, :, ::-1])
    video.release()
