"""How long `mien collect` takes for 1,000 photos of 640 x 480.

    python benchmarks/collect_photos.py [--photos 1000]

Draws photos with one to three faces of 90 to 200 pixels on a noisy background, and collects them
once in this process. Under a minute is expected on two cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mien.photos import collection
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import View, draw_face

DRAWN = 400


def draw(folder: Path, photos: int) -> None:
    """Write as many photos; faces are drawn 400 times and then pasted at other places."""
    rng = np.random.default_rng(0)
    faces = []
    for _ in range(DRAWN):
        units = {"AU12": rng.uniform(0, 5), "AU04": rng.uniform(0, 5), "AU26": rng.uniform(0, 5)}
        who, view = Identity.random(rng), View.random(rng, spread=0.5)
        faces.append(draw_face(units, who, size=200, view=view))
    for number in range(photos):
        ground = rng.normal(rng.uniform(60, 200, 3), 12, (480, 640, 3)).clip(0, 255)
        photo = Image.fromarray(ground.astype(np.uint8))
        for place in range(rng.integers(1, 4)):
            side = int(rng.integers(90, 200))
            face = faces[rng.integers(DRAWN)].resize((side, side))
            photo.paste(face, (210 * place + int(rng.integers(0, 10)), int(rng.integers(0, 270))))
        photo.save(folder / f"photo{number:04d}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        source, to = Path(place, "photos"), Path(place, "person")
        source.mkdir()
        draw(source, given.photos)
        start, before = time.perf_counter(), sum(os.times()[:2])
        album = collection.CollectedFolder(to)
        told = collection.collect(collection.plan([source], album, clip_minutes=2), album)
        wall, busy = time.perf_counter() - start, sum(os.times()[:2]) - before
        faces = len(album.table())
    print(
        f"{told.pictures:,} photos, {faces:,} faces kept, {told.alike:,} near-duplicates,"
        f" {told.faceless:,} without a face: {wall:.1f} s, {busy:.1f} s of processor time"
    )


if __name__ == "__main__":
    main()
