"""What the intervals and tests on one person cover, simulated on the real sizes of its clips.

    python benchmarks/interval_coverage.py [--draws 2000] [--sizes ../shared/data/phoebe]

Prints the tables of guides/statistics.md. A clip's frames are near-copies: a frame takes its
clip's own draw with a certain probability, else one of its own. Networks of one recipe share most
of what makes a face hard and differ in how good they are by a standard deviation.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from mien.data.person import load_person
from mien.evaluation.intervals import (
    TAILS,
    accuracy_interval,
    clustered_mean,
    clustered_p,
    per_clip,
    resampled_sums,
)
from mien.evaluation.paired_tests import detectable_difference

#: Frames of the clips of the person whom README reads; 86 in 48 clips.
SIZES = np.array([5, 4, *[3] * 6, *[2] * 19, *[1] * 21])


def percentile(correct: np.ndarray, clips: np.ndarray, seed: int) -> np.ndarray:
    """Return the percentile interval of whole clips drawn anew, which mien gave until now."""
    sums, sizes = per_clip(correct, clips)
    drawn = resampled_sums(np.column_stack([sums, sizes]), seed=seed, resamples=1000)
    return np.quantile(drawn[:, 0] / drawn[:, 1], TAILS)


def sign_flip(difference: np.ndarray, clips: np.ndarray, random, flips: int = 499) -> float:
    """Return the p value of changing whole clips' signs."""
    sums, _ = per_clip(difference, clips)
    chance = np.abs(random.choice([-1, 1], (flips, len(sums))) @ sums)
    return float(((chance >= abs(sums.sum()) - 1e-9).sum() + 1) / (flips + 1))


def network_answers(random, clips, *, accuracy, deviation, trainings) -> np.ndarray:
    """Draw correctness (trainings, n) of networks of one recipe."""
    clip = np.unique(clips, return_inverse=True)[1]

    def hard(rows):
        common = random.standard_normal((rows, clip.max() + 1))[:, clip]
        return np.sqrt(0.4) * common + np.sqrt(0.6) * random.standard_normal((rows, len(clip)))

    level = np.clip(accuracy + deviation * random.standard_normal((trainings, 1)), 0.01, 0.99)
    return np.sqrt(0.8) * hard(1) + np.sqrt(0.2) * hard(trainings) < stats.norm.ppf(level)


def coverage(clips: np.ndarray, draws: int) -> pd.DataFrame:
    """Return how often the intervals hold the accuracy of the recipe, by the trainings' spread."""
    random, rows = np.random.default_rng(0), []
    for accuracy, deviation in ((0.75, 0.0), (0.75, 0.034), (0.75, 0.057), (0.9, 0.0)):
        held = {"percentile, one training": [], "t on logits, one training": []}
        for draw in range(draws):
            how = {"accuracy": accuracy, "deviation": deviation}
            one = network_answers(random, clips, **how, trainings=1)
            found = {
                "percentile, one training": percentile(one[0], clips, draw),
                "t on logits, one training": accuracy_interval(clustered_mean(one, clips)),
            }
            for trainings in (2, 3, 5):
                several = network_answers(random, clips, **how, trainings=trainings)
                found[f"crossed, {trainings} trainings"] = accuracy_interval(
                    clustered_mean(several, clips)
                )
            for name, (low, high) in found.items():
                held.setdefault(name, []).append(low <= accuracy <= high)
        rows.append({"accuracy": accuracy, "deviation": deviation}
                    | {name: np.mean(inside) for name, inside in held.items()})  # fmt: skip
    return pd.DataFrame(rows)


def difference_answers(random, clip, *, discordant, correlation, difference=0.0) -> np.ndarray:
    """Draw differences -1, 0, 1 whose frames of a clip correlate so far."""
    shares = [(discordant - difference) / 2, 1 - discordant, (discordant + difference) / 2]
    own = random.choice([-1, 0, 1], len(clip), p=shares)
    common = random.choice([-1, 0, 1], clip.max() + 1, p=shares)[clip]
    return np.where(random.random(len(clip)) < np.sqrt(correlation), common, own)


def null_sizes(clips: np.ndarray, draws: int) -> pd.DataFrame:
    """Return how often each test finds a difference between equal models, at .05 and .05 / 6."""
    random, clip, rows = np.random.default_rng(1), np.unique(clips, return_inverse=True)[1], []
    for correlation in (0.0, 0.19, 0.38, 0.61):
        p = {"McNemar on frames": [], "sign flip over clips": [], "Obuchowski": []}
        both = []
        for draw in range(draws):
            answers = difference_answers(random, clip, discordant=0.3, correlation=correlation)
            better, worse = (answers == 1).sum(), (answers == -1).sum()
            frames = min(1, 2 * stats.binom.cdf(min(better, worse), better + worse, 0.5))
            p["McNemar on frames"].append(frames)
            p["sign flip over clips"].append(sign_flip(answers, clips, random))
            p["Obuchowski"].append(clustered_p(answers, clips))
            low, high = percentile(answers, clips, draw)
            both.append(frames < 0.05 / 6 and low * high > 0)
        row = {"correlation": correlation}
        row |= {name: np.mean(np.array(found) < 0.05) for name, found in p.items()}
        row["McNemar and interval, .05/6"] = np.mean(both)
        row["Obuchowski, .05/6"] = np.mean(np.array(p["Obuchowski"]) < 0.05 / 6)
        rows.append(row)
    return pd.DataFrame(rows)


def power(clips: np.ndarray, draws: int) -> pd.DataFrame:
    """Return how often a difference is found that `detectable_difference` says can be found."""
    random, clip, rows = np.random.default_rng(2), np.unique(clips, return_inverse=True)[1], []
    for alpha, wanted in ((0.05, 0.8), (0.05, 0.5), (0.05 / 6, 0.8), (0.05 / 6, 0.5)):
        how = {"discordant": 0.3, "correlation": 0.19}
        errors = [
            clustered_mean(difference_answers(random, clip, **how), clips).error for _ in range(200)
        ]
        size = detectable_difference(np.median(errors), clip.max() + 1, power=wanted, alpha=alpha)
        found = [
            clustered_p(difference_answers(random, clip, **how, difference=size), clips) < alpha
            for _ in range(draws)
        ]
        rows.append({"level": alpha, "wanted": wanted, "difference": size, "found": np.mean(found)})
    return pd.DataFrame(rows)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--sizes", type=Path, help="a person's folder whose clips to take")
    given = parser.parse_args()
    sizes = SIZES
    if given.sizes:
        faces = load_person(given.sizes).faces
        sizes = faces[(faces["set"] == "labelled") & faces["has_units"]].groupby("clip").size()
    clips = np.repeat(np.arange(len(sizes)), sizes)
    print(f"{len(clips)} faces in {len(sizes)} clips, {given.draws} draws")
    for simulate in (coverage, null_sizes, power):
        print("\n" + simulate(clips, given.draws).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
