"""How many faces are found, how many are imagined, and how FER2013 frames a face.

    python benchmarks/find_faces.py --fer2013 FILE [--person FOLDER]

Both finders (the networks of the face landmarker; the Haar cascade) search

- 300 of FER2013's PublicTest, drawn with seed 0 and enlarged to 192 pixels: found is a face whose
  middle lies within 30 % of the picture's and that is at least 40 % as wide;
- every photo of the person, 60 pixels wide, somewhere in grey pictures of 640 x 480: found is a
  face whose middle lies in the photo;
- pictures without a face that lie in the packages that mien needs.

Then every face of PublicTest that the mesh sees tells how FER2013's frame lies around it.
Expected of the networks: 280 of 300, 95 of 99, at most 3 imagined, 20 ms a picture of 640 x 480.
"""

import argparse
import os
import time
from pathlib import Path

import matplotlib
import networkx
import numpy as np
import skimage
import sklearn.datasets
from PIL import Image

from mien.data.fer2013 import load_fer2013
from mien.data.images import find_images, open_image
from mien.photos import face_finder, landmarks

SIDE, WIDTH = 192, 60
# Of scikit-image's pictures these show a face: a photographer, coins, Eileen Collins.
WITH_A_FACE = ("camera", "coins", "astronaut")
# Sides of a frame in the units in which it is measured, as the finder has them.
FRAMES = {"mesh": face_finder._BY_MESH[0], "six points": face_finder._BY_POINTS[0]}


def public_test(path: str) -> list[Image.Image]:
    crowd = load_fer2013(path)
    faces = crowd.images[crowd.usage == "PublicTest"]
    return [Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for face in faces]


def on_grey(photos: list[Image.Image]) -> list[tuple[Image.Image, tuple[int, int, int, int]]]:
    """Return pictures, and where in them the photo is."""
    rng, pictures = np.random.default_rng(0), []
    for photo in photos:
        small = photo.resize(
            (WIDTH, round(photo.height * WIDTH / photo.width)), Image.Resampling.BOX
        )
        left, top = (int(rng.integers(0, room)) for room in (640 - WIDTH, 480 - small.height))
        canvas = Image.new("RGB", (640, 480), (120, 130, 140))
        canvas.paste(small, (left, top))
        pictures.append((canvas, (left, top, *small.size)))
    return pictures


def without_a_face() -> list[Image.Image]:
    folders = [
        Path(skimage.__file__).parent / "data",
        Path(sklearn.datasets.__file__).parent / "images",
        Path(networkx.__file__).parent / "drawing" / "tests" / "baseline",
    ]
    paths = find_images(folders)
    paths += sorted(folders[0].glob("*.tif"))
    samples = Path(matplotlib.get_data_path()) / "sample_data"
    paths += [samples / "logo2.png", samples / "Minduka_Present_Blue_Pack.png"]
    pictures = []
    for path in paths:
        if path.stem not in WITH_A_FACE:
            try:
                pictures.append(open_image(path))
            except Exception as error:
                print(f"left out: {error}")
    return pictures


def is_at(face, place) -> bool:
    left, top, width, height = place
    aside = abs(face.x - left - width / 2) / width, abs(face.y - top - height / 2) / height
    return max(aside) < 0.3 and face.side > 0.4 * width


def search(name: str, pictures: list, places: list) -> None:
    found = extra = 0
    seconds = []
    for picture, place in zip(pictures, places, strict=True):
        start = time.thread_time()
        faces = face_finder.find(picture)
        seconds.append(time.thread_time() - start)
        hits = [is_at(face, place) for face in faces] if place else []
        found += any(hits)
        extra += len(faces) - any(hits)
    print(
        f"  {len(pictures):3} {name:30} found {found:3}, others {extra:2},"
        f" {1000 * np.median(seconds):5.1f} ms (median)"
    )


def spread(values: np.ndarray) -> str:
    """Return median and half of the range that holds half of the values."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.3f} ± {(high - low) / 2:.3f}"


def frame(pictures: list[Image.Image]) -> None:
    """Print how wide FER2013's frame is, and where it lies, in heights of the mesh and sizes."""
    rows = {"mesh": [], "six points": []}
    for picture in pictures:
        pixels = np.asarray(picture.convert("RGB"))
        found = landmarks.merge(landmarks.detect(pixels, longest=128, least=0.4, rim=0.25))
        if not found or (mesh := landmarks.mesh(pixels, found[0])).score < 0.9:
            continue
        for name, points in (("mesh", mesh.points), ("six points", found[0].points[2:])):
            unit = face_finder._framed(points).side / FRAMES[name]
            rows[name].append([SIDE / unit, *((points.mean(axis=0) - SIDE / 2) / unit)])
    for name, found in rows.items():
        side, across, down = np.array(found).T
        print(
            f"  {name}: {len(found):,} faces; side {spread(side)}, middle of the points right of"
            f" the frame's by {spread(across)}, below it by {spread(down)}; side within"
            f" {np.median(np.abs(np.log(side / np.median(side)))):.1%} for half of them"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fer2013", required=True)
    parser.add_argument("--person", type=Path)
    given = parser.parse_args()
    public = public_test(given.fer2013)
    drawn = np.sort(np.random.default_rng(0).choice(len(public), 300, replace=False))
    crowd = [public[row] for row in drawn]
    photos = [open_image(path) for path in find_images([given.person])] if given.person else []
    small = on_grey(photos)
    nobody = without_a_face()
    for finder in ("the networks", "the cascade"):
        if finder == "the cascade":
            os.environ[landmarks.VARIABLE] = "none"
        print(f"{finder}:")
        search("FER2013, enlarged", crowd, [(0, 0, SIDE, SIDE)] * len(crowd))
        search("60 pixels wide in 640 x 480", *map(list, zip(*small, strict=True)))
        search("no face", nobody, [None] * len(nobody))
        if finder == "the networks":
            frame(public)


if __name__ == "__main__":
    main()
