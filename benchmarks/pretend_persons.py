"""Which recipe suits one person? Asked on pretend persons, on whom nothing hangs.

    python benchmarks/pretend_persons.py ../shared/data/fer2013/fer2013.csv.gz --tuned 8

PublicTest's faces are grouped by look: the features of the network that comes with mien, less the
mean of their label's (what is left is no emotion), into groups of like faces. A group with three
emotions of five faces or more is a pretend person; twos of its likest faces of one emotion are its
clips. Every way to use the network, and every setting of it, answers the same folds of the same
persons. Printed: accuracy and log loss, means over the persons, and the difference of accuracy to
the network as it is, with the standard error of its mean over the persons. Epochs are not chosen
inside the folds here: every number of them has its line.

The network's own epoch was chosen on PublicTest, which lifts it as it is, and all that stands on
it, alike.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from mien.data.fer2013 import load_fer2013
from mien.emotions import in_order, named, probability_of, restrict
from mien.evaluation import probing
from mien.evaluation.calibration import apply_temperature
from mien.evaluation.cross_validation import grouped_folds, out_of_fold
from mien.network import inference, pretrained
from mien.network.fine_tuning import Tuner, Tuning
from mien.study.profiles import settings

FACES, FEWEST, EMOTIONS, FOLDS = 80, 5, 3, 3
TUNING = Tuning(**settings("quick", "tuning"))
HEADS = {"the crowd's head": False, "the probe's head": True}
RECIPES = {
    f"rate {rate:g}, {head}": replace(TUNING, learning_rate=rate, from_probe=probe)
    for rate in (6e-4, 2e-4, 6e-5, 2e-5)
    for head, probe in HEADS.items()
}
RECIPES |= {
    f"one stage more frozen, {head}": replace(
        TUNING, learning_rate=2e-4, frozen=TUNING.frozen + 1, from_probe=probe
    )
    for head, probe in HEADS.items()
}
RECIPES["pull x 10"] = replace(TUNING, learning_rate=2e-4, l2_to_start=10 * TUNING.l2_to_start)


def pretend_persons(features: np.ndarray, labels: np.ndarray, *, seed: int) -> list[np.ndarray]:
    """Return the rows of every pretend person, groups of at most `FACES` that look alike."""
    look = features - pd.DataFrame(features).groupby(labels).transform("mean").to_numpy()
    look = PCA(20, random_state=seed).fit_transform(look)
    means = KMeans(len(labels) // FACES, random_state=seed, n_init=3).fit(look)
    distance = np.linalg.norm(look - means.cluster_centers_[means.labels_], axis=1)
    found = []
    for group in range(means.n_clusters):
        rows = np.flatnonzero(means.labels_ == group)
        rows = rows[distance[rows].argsort()[:FACES]]
        names, counts = np.unique(labels[rows], return_counts=True)
        rows = rows[np.isin(labels[rows], names[counts >= FEWEST])]
        if len(np.unique(labels[rows])) >= EMOTIONS:
            found.append(rows)
    return found


def clips_of(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the clip of every face: twos of one label, neighbours in the main direction."""
    order = np.lexsort([PCA(1).fit_transform(features)[:, 0], labels])
    clips = np.empty(len(labels), object)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        clips[own] = [f"{label} {place // 2}" for place in range(len(own))]
    return clips.astype(str)


def cheap_ways(features: np.ndarray, answers: np.ndarray) -> dict[str, tuple]:
    """Return what needs no tuning: procedure, rows, and constants of `probing` to set for it."""
    ways = {"prior corrected": (probing.by_prior, answers, {})}
    for shrinkage in (0.0, 2.0, 8.0, 32.0):
        for sharpness in (0.15, 0.08, 0.04):
            constants = {"SHRINKAGE": shrinkage, "SHARPNESS": sharpness}
            name = f"prototypes, shrinkage {shrinkage:g}, temperature {sharpness}"
            ways[name] = probing.by_prototypes, features, constants
    for penalty in (1.0, 3.0, 9.0, 27.0, 81.0):
        ways[f"probe, penalty {penalty:g}"] = probing.by_probe, features, {"PENALTY": penalty}
    return ways


def tuned(network, images, labels, clips, folds, recipe: Tuning) -> dict[int, np.ndarray]:
    """Return the answers out of fold after 0, 2, 4, 8 … epochs."""
    tuner = Tuner(network, images, in_order(labels), tuning=recipe)
    told = [0, *(2**power for power in range(1, 10) if 2**power <= recipe.epochs)]

    def answer(rows, truth, _, test):
        said = {}

        def note(epoch):
            if epoch in told:
                said[epoch] = tuner.predict(test)

        tuner.fit(rows, truth, epochs=recipe.epochs, on_epoch=note)
        return np.stack(list(said.values()), axis=1), None

    (given,), _ = out_of_fold(answer, np.arange(len(labels)), labels, clips, folds)
    return dict(zip(told, given.swapaxes(0, 1), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fer2013", help="as of a study's parameter")
    parser.add_argument("--persons", type=int, default=100, help="at most so many")
    parser.add_argument("--tuned", type=int, default=0, help="persons on whom recipes are tuned")
    parser.add_argument("--recipes", default="", help="those alone whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    images, truth = load_fer2013(given.fer2013).split("PublicTest")
    labels = named(truth).astype(str)
    network, temperature = pretrained.load_network()
    features = inference.embed(network, images)
    crowd = apply_temperature(inference.predict(network, images), temperature)
    persons = pretend_persons(features, labels, seed=given.seed)[: given.persons]
    rows, spent = [], {}
    sizes = [len(person) for person in persons]
    print(f"{len(persons)} persons of {min(sizes)} to {max(sizes)} faces", flush=True)

    def note(way, person, shares, own):
        right = (named(shares.argmax(axis=-1)) == own).mean()
        loss = -np.log(np.maximum(probability_of(own, shares), 1e-7)).mean()
        rows.append({"way": way, "person": person, "accuracy": right, "log loss": loss})

    for number, person in enumerate(persons):
        own = labels[person]
        clips = clips_of(features[person], own)
        folds = grouped_folds(own, clips, n_splits=FOLDS, seed=given.seed)
        as_it_is = restrict(crowd[person], in_order(own))
        note("as it is", number, as_it_is, own)
        for way, (procedure, seen, constants) in cheap_ways(features[person], as_it_is).items():
            before = {name: getattr(probing, name) for name in constants}
            vars(probing).update(constants)
            note(way, number, out_of_fold(procedure, seen, own, clips, folds)[0][0], own)
            vars(probing).update(before)
        recipes = {way: RECIPES[way] for way in RECIPES if given.recipes in way}
        for way, recipe in recipes.items() if number < given.tuned else ():
            start = time.perf_counter()
            for epochs, shares in tuned(network, images[person], own, clips, folds, recipe).items():
                note(f"{way}, {epochs} epochs", number, shares, own)
            spent[way] = spent.get(way, 0) + time.perf_counter() - start
            print(f"person {number}: {way}, {spent[way]:.0f} s so far", flush=True)
    table = pd.DataFrame(rows)
    for some in sorted({len(persons), given.tuned} - {0}):
        print(f"\nThe first {some} persons")
        print(summary(table[table["person"] < some]).to_string(float_format="%.3f"))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over the persons of the ways that all of them were asked."""
    wide = table.pivot(index="person", columns="way", values="accuracy")[table["way"].unique()]
    wide = wide.dropna(axis="columns")
    ahead = wide.sub(wide["as it is"], axis=0)
    return pd.DataFrame(
        {
            "accuracy": wide.mean(),
            "log loss": table.groupby("way")["log loss"].mean(),
            "ahead": ahead.mean(),
            "standard error": ahead.std() / np.sqrt(len(wide)),
        }
    ).loc[wide.columns]


if __name__ == "__main__":
    main()
