"""How fast FER2013 is read: the obvious way, mien's first load, and a load from mien's cache.

    python benchmarks/load_fer2013.py path/to/fer2013.csv.gz

All ways run in this one call, each in a process of its own, on the same uncompressed csv in a
temporary folder. Times exclude importing libraries; peak memory includes everything.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.fer2013 import load_fer2013
from mien.data.fer2013_files import open_csv

OBVIOUS = "pd.read_csv + np.fromstring"
TYPED = "the same with dtype=np.uint8"
FIRST = "mien, first load"
CACHED = "mien, from its cache"


def obvious(path: Path, dtype: type) -> np.ndarray:
    """Read the csv as most notebooks do, which checks nothing."""
    table = pd.read_csv(path)
    rows = [np.fromstring(text, dtype=dtype, sep=" ") for text in table["pixels"]]
    return np.stack(rows).astype(np.uint8).reshape(-1, 48, 48)


def load(way: str, path: Path) -> np.ndarray:
    if way == OBVIOUS:
        return obvious(path, float)  # the default of np.fromstring
    return obvious(path, np.uint8) if way == TYPED else load_fer2013(path).images


def measure(way: str, path: Path) -> dict[str, float]:
    """Load once in a fresh process; return seconds, CPU seconds, peak GB and the pixels' sum."""
    command = [sys.executable, __file__, str(path), "--way", way]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_one(way: str, path: Path) -> None:
    start, worked = time.perf_counter(), time.process_time()
    images = load(way, path)
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    total = int(images.sum(dtype=np.int64))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_gb": peak / 1e9, "sum": total}))


def compare(source: Path, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "fer2013.csv")
        with open_csv(source) as packed, plain.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 22)
        # A file changed just now is hashed anew: let the copy be as old as a user's download.
        time.sleep(3)
        print(f"{source.name}: {plain.stat().st_size / 1e6:.0f} MB of text, best of {repeats}")
        for path in (plain, source):
            reference, total = None, None
            for way in (OBVIOUS, TYPED, FIRST, CACHED):
                runs = []
                for number in range(repeats):
                    # The first load starts from an empty cache, the cached one from a filled one.
                    cache = Path(folder, f"cache-{path.name}-{0 if way == CACHED else number}")
                    os.environ["MIEN_CACHE_DIR"] = str(cache)
                    runs.append(measure(way, path))
                seconds = min(run["seconds"] for run in runs)
                reference, total = reference or seconds, total or runs[0]["sum"]
                assert all(run["sum"] == total for run in runs), "the ways read different pixels"
                print(
                    f"{path.suffix:>5}  {way:<28} {seconds:7.3f} s  {reference / seconds:6.1f} x"
                    f"  {min(run['cpu'] for run in runs):6.2f} s of CPU"
                    f"  peak {max(run['peak_gb'] for run in runs):.2f} GB",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="FER2013's csv, packed or not")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        run_one(arguments.way, arguments.path)
    else:
        compare(arguments.path, arguments.repeats)
