"""How many faces a second `mien predict` reads, from files on disk to the table.

    python benchmarks/predict_speed.py [--faces 5000] [--find-faces] [--int8]

Draws faces as jpeg files of the size of the drawn person's, then reads them twice: once by the
command in a fresh process, start-up included, and once in this process with everything loaded. At
least 250 faces a second are expected on two cores, start-up aside, with --int8 500.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mien.data.images import find_images
from mien.network import SHIPPED
from mien.network.backend import by_openvino
from mien.photos.reading import read_faces
from mien.synthetic.anatomy import Identity
from mien.synthetic.dataset import CROP
from mien.synthetic.rendering import View, draw_face

DRAWN = 200


def draw(folder: Path, faces: int) -> None:
    """Write as many files; only 200 are drawn, the others are copies of them."""
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(min(faces, DRAWN)):
        path = folder / f"face_{number:05d}.jpg"
        who, view = Identity.random(rng), View.random(rng, spread=0.5)
        draw_face({"AU12": rng.uniform(0, 5)}, who, size=CROP, view=view).save(path, quality=90)
        drawn.append(path.read_bytes())
    for number in range(len(drawn), faces):
        (folder / f"face_{number:05d}.jpg").write_bytes(drawn[number % len(drawn)])


def seconds(work) -> tuple[float, float]:
    """Return wall seconds and processor seconds (all threads and child processes)."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - start, sum(os.times()[:4]) - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--find-faces", action="store_true")
    parser.add_argument("--int8", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), given.faces)
        wished = [name for name in ("find_faces", "int8") if getattr(given, name)]
        options = ["--csv", *(f"--{name.replace('_', '-')}" for name in wished)]
        command = [sys.executable, "-m", "mien.cli", "predict", folder, *options]
        cold = seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        answer, paths = by_openvino(SHIPPED, int8=given.int8), find_images([folder])
        read_faces(paths[:256], answer)
        warm = seconds(lambda: read_faces(paths, answer, find_faces=given.find_faces))
    print(f"{given.faces:,} files, {os.cpu_count()} cores")
    for name, (wall, busy) in {"with start-up": cold, "without": warm}.items():
        rate = given.faces / wall
        print(f"{name:>14}: {wall:6.1f} s, {rate:7,.0f} faces/s ({busy:.1f} s of processor time)")
    reached, goal = given.faces / warm[0], 500 if given.int8 else 250
    print(f"goal {goal} faces/s without start-up: {'reached' if reached >= goal else 'missed'}")
    return 0 if reached >= goal else 1


if __name__ == "__main__":
    raise SystemExit(main())
