"""Faces, 478 landmarks and 51 blendshapes of a picture, by the models of Google's face landmarker.

``face_landmarker.task`` (Apache 2.0 by its model cards) is a zip of three TFLite models, which
OpenCV runs. BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) finds faces; the face mesh
(Kartynnik et al. 2019, arXiv:1907.06724; Grishchenko et al. 2020, arXiv:2006.10962) places
landmarks and tells whether there is a face at all; the third (Grishchenko et al. 2023,
arXiv:2309.05782) reads blendshapes from 146 of the landmarks. The pipeline is Google's
(github.com/google-ai-edge/mediapipe, ``tasks/cc/vision/face_landmarker``), but BlazeFace, which is
fully convolutional, searches a picture of any size at once.

Blendshapes are how far an animator's face would have to be bent, each 0 to 1; they are no Action
Units, which are movements of muscles as a trained person codes them.
"""

import functools
import itertools
import os
import threading
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mien.data.measured import BLENDSHAPES
from mien.errors import DataError
from mien.files import cache_dir, content_hash

#: Where Google offers the file, and the SHA-256 of its 3,758,596 bytes.
URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
#: Names the file where it lies elsewhere; ``none``: do without it.
VARIABLE = "MIEN_FACE_LANDMARKER"

#: Landmarks at the corners of the person's right and left eye, which is on the right of a picture.
EYES = ((33, 133), (362, 263))

# The landmarks that the blendshape model reads, in its order.
_READ = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65),
    *(66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136),
    *(144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168),
    *(172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276),
    *(282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318),
    *(321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380),
    *(381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466),
    *range(468, 478),
)
_MESH_SIDE = 256  # pixels that the mesh sees
_own = threading.local()  # a network must not be used by two threads at once


class Detection(NamedTuple):
    """Where a network sees a face, and how sure it is."""

    score: float  # 0..1
    #: float64 (n, 2), x and y in pixels of the picture. BlazeFace's eight: left top and right
    #: bottom of a box, right eye, left eye, nose, mouth, ears; the mesh's 478 landmarks.
    points: np.ndarray


def missing() -> str:
    """Return why there are no landmarks here, else ``""``; `DataError` if another file is named."""
    models = _models(os.environ.get(VARIABLE, ""), cache_dir())
    return models if isinstance(models, str) else ""


@functools.cache
def _models(chosen: str, cache: Path) -> Path | str:
    """Return the models' file, fetched if it must be, or why not; asked once, not by picture."""
    if chosen == "none":
        return f"{VARIABLE} is none"
    path = Path(chosen or cache / URL.rpartition("/")[2]).expanduser()
    try:
        if path.is_file() and content_hash(path) == SHA256:
            return path
        if chosen:
            told = f"{path}, which {VARIABLE} names, is not Google's face_landmarker.task"
            raise DataError(f"{told} (SHA-256 {SHA256}); get {URL}")
        import pooch  # here, because it imports requests

        pooch.get_logger().setLevel("ERROR")
        return Path(pooch.retrieve(URL, f"sha256:{SHA256}", fname=path.name, path=path.parent))
    except (OSError, ValueError) as error:  # no network, no room, or another file than expected
        reason = str(error).partition("\n")[0].partition(" with url")[0][:200]
        told = f"the face landmarker cannot be fetched ({reason}); save {URL} as {path}"
        warnings.warn(f"{told}; until then, faces are found less surely", stacklevel=4)
        return told


def detect(pixels: np.ndarray, *, longest: int, least: float, rim: float = 0.0) -> list[Detection]:
    """Return where BlazeFace sees faces, the surest first, one or several for a face.

    In RGB ``pixels``, uint8 (height, width, 3), whose longer side the network sees as ``longest``
    pixels, rim and all; it finds faces of about 16 to 130. Scores (0..1) below ``least`` do not
    count. The ``rim`` repeats the edges outwards by so much of the longer side, for a face that
    reaches over the edge, or fills the picture.
    """
    import cv2

    height, width = pixels.shape[:2]
    around = round(longest * rim / (1 + 2 * rim))
    scale = (longest - 2 * around) / max(height, width)
    size = [max(1, round(side * scale)) for side in (width, height)]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = cv2.resize(pixels, size, interpolation=way)
    seen = cv2.copyMakeBorder(seen, *[around] * 4, cv2.BORDER_REPLICATE)
    short = [-side % 16 for side in seen.shape[:2]]  # the network halves its input four times
    seen = cv2.copyMakeBorder(seen, 0, short[0], 0, short[1], cv2.BORDER_CONSTANT, value=[128] * 3)
    network = _network("face_detector", view=(least, rim))
    network.setInput(seen.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
    logits, offsets = network.forward(["classificators", "regressors"])
    scores = _sigmoid(logits[0, :, 0])
    likely = scores > least
    # Two numbers each: centre, size and six points, in pixels from the anchor.
    found = offsets[0, likely].astype(float).reshape(-1, 8, 2)
    found[:, [0, *range(2, 8)]] += _anchors(*seen.shape[:2])[likely, None]
    centre, half = found[:, 0].copy(), found[:, 1] / 2
    found[:, 0], found[:, 1] = centre - half, centre + half
    return [Detection(*one) for one in zip(scores[likely], (found - around) / scale, strict=True)]


def merge(detections: list[Detection]) -> list[Detection]:
    """Return one detection a face: BlazeFace's "blending" (Bazarevsky et al. 2019, section 3.4)."""
    left = sorted(detections, key=lambda detection: -detection.score)
    merged = []
    while left:
        first = left[0]
        near = [_shared(first.points, other.points) > 0.3 for other in left]  # of one face
        same = list(itertools.compress(left, near))
        weights = [one.score for one in same]
        points = np.average([one.points for one in same], axis=0, weights=weights)
        merged.append(Detection(first.score, points))
        left = [other for other, close in zip(left, near, strict=True) if not close]
    return merged


def mesh(pixels: np.ndarray, detection: Detection, *, grow: float = 1.5) -> Detection:
    """Return the landmarks of a face in RGB pixels, uint8 (height, width, 3).

    The box of the ``detection`` is turned by its eyes; the mesh sees ``grow`` sides of it.
    """
    first, last, right_eye, left_eye = detection.points[:4]
    side = grow * (last - first).max()
    across, down = left_eye - right_eye
    crop, back = upright(
        pixels, (first + last) / 2, side, np.arctan2(down, across), pixels_a_side=_MESH_SIDE
    )
    network = _network("face_landmarks_detector")
    network.setInput(crop.astype(np.float32).transpose(2, 0, 1)[None] / 255)
    found, logit = network.forward(["Identity", "Identity_1"])
    points = found.reshape(-1, 3)[:, :2].astype(float)
    return Detection(float(_sigmoid(logit).item()), points @ back[:, :2].T + back[:, 2])


def blendshapes(points: np.ndarray) -> np.ndarray:
    """Return a face's `BLENDSHAPES`, float32 (51,) of 0..1, from the landmarks of `mesh`."""
    network = _network("face_blendshapes")
    network.setInput(points[list(_READ)].astype(np.float32)[None])
    return np.clip(network.forward().ravel()[-len(BLENDSHAPES) :], 0, 1)


def upright(
    pixels: np.ndarray, centre: np.ndarray, side: float, tilt: float, *, pixels_a_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a turned square out of a picture, edges repeated.

    ``pixels`` are uint8, (height, width, 3) or (height, width); ``centre`` and ``side`` of the
    square in pixels; ``tilt`` is how far its upper edge falls to the right, in radians. Beside the
    result, ``pixels_a_side`` wide, stands a float64 matrix (2, 3) that leads from x, y, 1 in it to
    x, y in the picture; the middle of the first pixel is at 0.5, 0.5 in both.
    """
    import cv2

    across, down = side / pixels_a_side * np.array([np.cos(tilt), np.sin(tilt)])
    turn = np.array([[across, -down], [down, across]])
    back = np.column_stack([turn, centre - turn @ np.full(2, pixels_a_side / 2)])
    shrink = min(1.0, 2 * pixels_a_side / side)
    if shrink < 1:  # by areas first, because the turning looks at four pixels only
        size = [max(1, round(length * shrink)) for length in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    shift = shrink * (back[:, 2] + turn.sum(axis=1) / 2) - 0.5  # OpenCV's first pixel is at 0, 0
    cut = cv2.warpAffine(
        pixels,
        np.column_stack([shrink * turn, shift]),
        (pixels_a_side, pixels_a_side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cut, back


def _network(name: str, *, view: tuple[float, ...] = ()):
    """Return one of the three networks, this thread's own, one for every ``view``."""
    networks = vars(_own).setdefault("networks", {})
    if (name, view) not in networks:
        import cv2

        cv2.setNumThreads(1)  # pictures are searched side by side already
        with zipfile.ZipFile(_models(os.environ.get(VARIABLE, ""), cache_dir())) as archive:
            model = np.frombuffer(archive.read(f"{name}.tflite"), np.uint8)
        networks[name, view] = cv2.dnn.readNetFromTFLite(model)
    return networks[name, view]


@functools.lru_cache
def _anchors(height: int, width: int) -> np.ndarray:
    """Return the places that BlazeFace's outputs are relative to, (n, 2), in pixels."""
    places = []
    for cell, each in ((8, 2), (16, 6)):
        y, x = np.mgrid[: height // cell, : width // cell]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * cell
        places.append(np.repeat(centres, each, axis=0))
    return np.concatenate(places)


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """Return the part of the union of two boxes that both cover (0..1)."""
    inner = np.minimum(one[1], other[1]) - np.maximum(one[0], other[0])
    common = np.prod(np.maximum(inner, 0))
    return common / max(np.prod(one[1] - one[0]) + np.prod(other[1] - other[0]) - common, 1e-9)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits.astype(float), -100, 100)))
