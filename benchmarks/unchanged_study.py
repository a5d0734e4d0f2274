"""How long an unchanged study takes to run again: every chapter is looked at, none is computed.

    python benchmarks/unchanged_study.py notebooks/studies/demo.yaml [--set NAME=VALUE ...]

Runs the study once, so that it is current (which may take as long as the study takes), then five
times more, each in a process of its own, and prints the wall and CPU seconds of each.
"""

import argparse
import os
import subprocess
import sys
import time


def timed(command: list[str]) -> tuple[float, float, str]:
    """Run a command; return wall seconds, CPU seconds of it and its children, and its output."""
    before, start = os.times(), time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system
    return wall, spent - before.children_user - before.children_system, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    settings = [word for text in given.set for word in ("--set", text)]
    command = [sys.executable, "-m", "mien.cli", "run", given.study, *settings]
    subprocess.run(command, check=True)
    walls = []
    for number in range(1, given.repeats + 1):
        wall, processor, said = timed(command)
        unchanged = said.count("unchanged")
        print(f"run {number}: {wall:5.2f} s wall, {processor:5.2f} s CPU, {unchanged} unchanged")
        walls.append(wall)
    print(f"best {min(walls):.2f} s, slowest {max(walls):.2f} s")


if __name__ == "__main__":
    main()
