"""Finding the faces in a picture, and framing them as FER2013 frames a face.

Faces are found by BlazeFace in two views of the picture, a coarse one with its edges repeated
around it and a fine one, and where it is in doubt confirmed by the face mesh
(`mien.photos.landmarks`). Where the file of these models is not to be had, a cascade of boosted
Haar features that OpenCV 4 ships finds them (Viola and Jones 2004, "Robust real-time face
detection"; ``haarcascade_frontalface_alt2``, Lienhart and Maydt 2002, the best of those whose model
lies in a package): upright frontal faces; profiles, turned and half-hidden heads it misses.
``benchmarks/find_faces.py`` compares the two (guides/collect.md).
"""

import math
import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.data.images import LONGEST, plain_image
from mien.photos import landmarks

#: Pixels of the smallest face, in a picture of at most `mien.data.images.LONGEST` pixels a side.
SMALLEST = 24

# What BlazeFace sees, and how sure it must be: the whole picture on 128 pixels with a rim, and a
# third of the size, at which a face of 50 pixels has 17; where that shows no face, the whole again
# without a rim.
_COARSE, _RIM, _LIKELY = 128, 0.25, 0.4
_FINE, _SURE = 1 / 3, 0.6
# How many sides of its box the mesh sees of a face; the second, where the first shows it none,
# suits a box that is too loose.
_VIEWS = (1.5, 1.25)
_PRESENT = 0.5

_CERTAIN = 0.85  # BlazeFace needs no confirmation
# FER2013's frame of an upright face, in heights of the mesh: the side of the square, and how far
# its middle is above the mean of the landmarks. Medians over 3,212 faces of PublicTest, half of
# which lie within 7 % of that side, and within 2 and 2.4 % of that middle (across, down);
# benchmarks/find_faces.py. And the same from BlazeFace's six points, in sizes (root mean square
# distances from their mean): 8 %, 2.2 and 2.7 %.
_BY_MESH, _BY_POINTS = (1.10, 0.077), (3.53, 0.06)
_own = threading.local()  # a cascade must not be used by two threads at once


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture, and the square around it that is FER2013's frame of a face.

    ``x``, ``y``, ``side`` are middle and side of the square, in pixels of the picture; ``tilt`` how
    far its upper edge falls to the right, in radians; ``presence`` how sure the mesh is that there
    is a face, 0.5 to 1, and ``points`` its landmarks, float64 (478, 2) in pixels of the picture:
    NaN and None where the mesh was not asked.
    """

    x: float
    y: float
    side: float
    tilt: float = 0.0
    presence: float = math.nan
    points: np.ndarray | None = None

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the square, not turned, inside a picture."""
        corners = [(middle - self.side / 2, middle + self.side / 2) for middle in (self.x, self.y)]
        ends = [np.clip(pair, 0, most) for pair, most in zip(corners, size, strict=True)]
        (left, right), (top, bottom) = (np.rint(pair).astype(int).tolist() for pair in ends)
        return left, top, right - left, bottom - top

    def cut_out(self, image: Image.Image) -> Image.Image:
        """Return the face upright in its frame, at the picture's resolution, edges repeated."""
        pixels = np.asarray(plain_image(image))
        side = max(1, round(self.side))
        cut, _ = landmarks.upright(
            pixels, np.array([self.x, self.y]), self.side, self.tilt, pixels_a_side=side
        )
        return Image.fromarray(cut)


def find(image: Image.Image, *, meshed: bool = False) -> list[Face]:
    """Return the faces in a picture, searched at most `LONGEST` pixels wide, from left to right.

    ``meshed`` asks the mesh for the landmarks of every face: half as fast, and framed a little
    better.
    """
    picture = plain_image(image).convert("RGB")
    shrink = min(1.0, LONGEST / max(picture.size))
    if shrink < 1:
        size = [max(1, round(side * shrink)) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BOX)
    pixels = np.asarray(picture)
    faces = _by_cascade(pixels) if landmarks.missing() else _by_network(pixels, meshed)
    return sorted((_enlarged(face, 1 / shrink) for face in faces), key=lambda face: face.x)


def _by_network(pixels: np.ndarray, meshed: bool) -> list[Face]:
    """Return the faces that BlazeFace finds and, where it is in doubt, the mesh confirms."""
    found = landmarks.detect(pixels, longest=_COARSE, least=_LIKELY, rim=_RIM)
    fine = round(_FINE * max(pixels.shape[:2]))
    if fine > _COARSE / (1 + 2 * _RIM):
        found += landmarks.detect(pixels, longest=fine, least=_SURE)
    certain = 1.0 if meshed else _CERTAIN
    faces = _confirmed(pixels, found, certain)
    if not faces:
        again = landmarks.detect(pixels, longest=_COARSE, least=_LIKELY)
        faces = _confirmed(pixels, again, certain)
    return faces


def _confirmed(pixels: np.ndarray, found: list[landmarks.Detection], certain: float) -> list[Face]:
    """Return the faces among what BlazeFace found, each once, the surest first."""
    faces: list[Face] = []
    for detection in landmarks.merge(found):
        if detection.score > certain:
            face = _framed(detection.points[2:])
        else:
            views = (landmarks.mesh(pixels, detection, grow=grow) for grow in _VIEWS)
            mesh = next((mesh for mesh in views if mesh.score > _PRESENT), None)
            face = _framed(mesh.points, mesh.score) if mesh else None
        if face and face.side >= SMALLEST and not any(_same(face, other) for other in faces):
            faces.append(face)
    return faces


def _framed(points: np.ndarray, presence: float = math.nan) -> Face:
    """Return the face that has these landmarks, or BlazeFace's six points (its eyes first)."""
    eyes = landmarks.EYES if len(points) > 6 else ((0,), (1,))
    right, left = (points[list(places)].mean(axis=0) for places in eyes)
    tilt = math.atan2(left[1] - right[1], left[0] - right[0])
    down = np.array([-math.sin(tilt), math.cos(tilt)])
    middle = points.mean(axis=0)
    if len(points) > 6:
        size, (sides, above) = np.ptp(points @ down), _BY_MESH
    else:
        size, (sides, above) = np.sqrt(((points - middle) ** 2).sum(axis=1).mean()), _BY_POINTS
    x, y = (middle - above * size * down).tolist()
    return Face(x, y, float(sides * size), tilt, presence, points if len(points) > 6 else None)


def _same(face: Face, other: Face) -> bool:
    """Return whether two frames are of one face: the middle of one lies well inside the other."""
    return math.hypot(face.x - other.x, face.y - other.y) < max(face.side, other.side) / 3


def _enlarged(face: Face, factor: float) -> Face:
    points = None if face.points is None else face.points * factor
    x, y, side = (length * factor for length in (face.x, face.y, face.side))
    return Face(x, y, side, face.tilt, face.presence, points)


def _by_cascade(pixels: np.ndarray) -> list[Face]:
    """Return the faces that the Haar cascade finds, if none with the edges repeated outwards."""
    import cv2  # here, because it takes a moment, and only those who search need it

    if not hasattr(_own, "cascade"):
        cv2.setNumThreads(1)  # pictures are searched side by side already
        name = cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
        _own.cascade = cv2.CascadeClassifier(name)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    rim, smallest = 0, (40, 40)
    boxes = _own.cascade.detectMultiScale(grey, 1.1, 3, minSize=smallest)
    if not len(boxes):
        rim = max(grey.shape) // 2
        grey = np.pad(grey, rim, mode="edge")
        boxes = _own.cascade.detectMultiScale(grey, 1.1, 3, minSize=smallest)
    # Its boxes are FER2013's frame: on 300 of PublicTest's faces they are 97 % as wide as the frame
    # (median), centred at 50 and 49 % of it.
    return [
        Face(left + width / 2 - rim, top + height / 2 - rim, float(width))
        for left, top, width, height in np.reshape(boxes, (-1, 4)).tolist()
    ]
