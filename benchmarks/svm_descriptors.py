"""How much time a second run saves by finding its descriptors on disk.

    python benchmarks/svm_descriptors.py path/to/fer2013.csv.gz [--profile quick]

Learns the strong descriptor of A1 on FER2013's Training and describes Training and PublicTest,
twice, with a cache that is empty at first: the second time everything is read from disk. Prints
both times and their ratio (at most a fifth is expected).
"""

import argparse
import os
import tempfile
import time

from mien.data.fer2013 import load_fer2013
from mien.designed.image_svm import strong_svm
from mien.study.profiles import PROFILES, settings

GOAL = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fer2013", help="FER2013 in any layout that mien reads")
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    arguments = parser.parse_args()
    crowd = load_fer2013(arguments.fer2013)
    images, held_out = crowd.split("Training")[0], crowd.split("PublicTest")[0]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MIEN_CACHE_DIR"] = folder
        for run in ("first", "second"):
            descriptor = strong_svm(**settings(arguments.profile, "image_svm"))["descriptor"]
            start = time.perf_counter()
            descriptor.fit_transform(images)
            descriptor.transform(held_out)
            taken.append(time.perf_counter() - start)
            print(f"{run:>6} run: {taken[-1]:6.1f} s", flush=True)
    ratio = taken[1] / taken[0]
    print(f"the second takes {ratio:.1%} of the first (goal: at most {GOAL:.0%})")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
