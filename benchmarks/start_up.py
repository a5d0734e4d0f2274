"""How much processor time commands take that answer at once, starting up included.

    python benchmarks/start_up.py [--repeats 5]

Each in a fresh process, on the drawn data: ``--help``, ``check`` and ``status`` of the demo study
(finished or not), ``predict`` of one face. Printed are processor seconds, user and system, of the
fastest and of the middle process: unlike wall seconds they hardly tell what else the machine does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from mien.synthetic.anatomy import Identity
from mien.synthetic.dataset import CROP
from mien.synthetic.rendering import draw_face

#: Seconds that each may take on a quiet core.
GOALS = {"--help": 0.3, "check": 2.0, "status": 1.0, "predict": 1.0}


def processor_seconds(words: list[str]) -> float:
    """Run ``mien`` with such words in a process of its own."""
    before = os.times()
    code = "from mien.cli import main; main()"  # as the installed command, not compiled every time
    subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        face = Path(folder, "one.jpg")
        draw_face({"AU12": 4.0}, Identity(), size=CROP).save(face, quality=90)
        words = {"--help": [], "check": ["demo"], "status": ["demo"], "predict": [str(face)]}
        print(f"{'command':<8} {'fastest':>8} {'middle':>8} {'goal':>8}  processor seconds")
        for name, more in words.items():
            processor_seconds([name, *more])  # once in vain: the data are drawn, files are read
            took = [processor_seconds([name, *more]) for _ in range(given.repeats)]
            told = f"{min(took):8.2f} {statistics.median(took):8.2f} {GOALS[name]:8.1f}"
            print(f"{name:<8} {told}", flush=True)


if __name__ == "__main__":
    main()
