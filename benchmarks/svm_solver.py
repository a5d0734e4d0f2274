"""How much faster scikit-learn-intelex fits the raw-pixel SVM than stock scikit-learn.

    python benchmarks/svm_solver.py path/to/fer2013.csv.gz

Both fit the same RBF ``SVC`` on the same 6,000 standardised Training images of FER2013, one after
the other in one process, and predict PublicTest. Prints the two times, their ratio (at least 10
is expected on x86-64) and how often the predictions agree.
"""

import argparse
import time

import numpy as np
import sklearn.svm
from sklearn.preprocessing import StandardScaler

from mien.data.fer2013 import load_fer2013
from mien.designed.descriptors import Pixels

IMAGES = 6000
GOAL = 10


def seconds(start):
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fer2013", help="FER2013 in any layout that mien reads")
    path = parser.parse_args().fer2013
    try:
        from sklearnex.svm import SVC
    except ImportError:
        print("scikit-learn-intelex is not installed here: nothing to compare")
        return 0
    crowd = load_fer2013(path)
    images, labels = crowd.split("Training")
    held_out, truth = crowd.split("PublicTest")
    chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
    scaler = StandardScaler()
    rows = scaler.fit_transform(Pixels().fit_transform(images[chosen]))
    tested = scaler.transform(Pixels().fit_transform(held_out))
    SVC().fit(rows[:200], labels[chosen][:200])  # the first call loads the library
    times, answers = {}, {}
    for name, model in {"scikit-learn-intelex": SVC(), "scikit-learn": sklearn.svm.SVC()}.items():
        start = time.perf_counter()
        model.fit(rows, labels[chosen])
        times[name] = seconds(start)
        answers[name] = model.predict(tested)
        accuracy = np.mean(answers[name] == truth)
        print(f"{name:>21}: fit {times[name]:6.1f} s, PublicTest {accuracy:.1%}", flush=True)
    ours, stock = times.values()
    agreement = np.mean(answers["scikit-learn-intelex"] == answers["scikit-learn"])
    print(f"ratio {stock / ours:.1f} (goal {GOAL}), same predictions for {agreement:.2%}")
    return 0 if stock / ours >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
