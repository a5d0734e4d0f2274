"""How much sooner a sweep of four demo studies ends with two jobs than with one.

    python benchmarks/sweep_jobs.py [--only A2,B1] [--jobs 2]

Both ways run in this one call, one after the other, each with a cache and a store of its own, so
neither finds what the other has computed or drawn. Every seed draws its own faces, so the four
runs have no chapter in common. One job uses every core for its one run; two jobs share them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def seconds(jobs: int, only: str) -> float:
    """Run the sweep once and return its wall time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mien.cli", "sweep", "notebooks/studies/demo.yaml"]
        command += ["--grid", "seed=0,1,2,3", "--jobs", str(jobs), "--out", f"{folder}/sweep"]
        command += ["--only", only] if only else []
        start = time.perf_counter()
        subprocess.run(
            command,
            check=True,
            cwd=ROOT,
            env={**os.environ, "MIEN_CACHE_DIR": f"{folder}/cache"},
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def compare(jobs: int, only: str) -> None:
    load = os.getloadavg()[0]
    print(f"{len(os.sched_getaffinity(0))} cores, load before: {load:.1f}", flush=True)
    taken = {}
    for number in (jobs, 1):
        taken[number] = seconds(number, only)
        print(f"{number} job{'s' * (number > 1)}: {taken[number]:7.1f} s", flush=True)
    print(f"ratio: {taken[jobs] / taken[1]:.2f}  (load at the end {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="chapters to run; all by default")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    compare(arguments.jobs, arguments.only)
