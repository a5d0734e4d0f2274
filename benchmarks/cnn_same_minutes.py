"""Train the assignment's network and ours for the same wall time, and compare on PrivateTest.

    python benchmarks/cnn_same_minutes.py PATH_OF_FER2013 --minutes 15

The assignment's network and training are in `mien.network.ablation`; its five epochs take about 15
minutes on two cores. Ours: the network and recipe of the chosen profile, planned for these minutes
as in chapter B1. Neither sees PrivateTest before the end.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from mien.data.fer2013 import load_fer2013
from mien.emotions import named
from mien.network import ablation, architecture, inference, training
from mien.study import profiles


def show(name: str, right: np.ndarray, rate: float, seconds: float, parameters: int) -> None:
    low, high = proportion_confint(right.sum(), len(right), method="wilson")
    print(
        f"{name:22} {parameters / 1e6:5.1f} M parameters  {seconds / 60:5.1f} min  "
        f"{rate:6.0f} faces/s  PrivateTest {right.mean():.1%} ({low:.1%} to {high:.1%})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fer2013", help="FER2013 in any layout that mien reads")
    parser.add_argument(
        "--minutes", type=float, default=15.0, help="most wall time for each network"
    )
    parser.add_argument("--profile", choices=profiles.PROFILES, default="quick")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    crowd = load_fer2013(given.fer2013)
    learned, public = map(crowd.split, ("Training", "PublicTest"))
    private = crowd.private_test()

    model = ablation.build(seed=given.seed)
    theirs = ablation.train(model, learned, public, seconds=60 * given.minutes, seed=given.seed)
    spent, seen = theirs["seconds"].iloc[-1], theirs["faces"].iloc[-1]
    answers = model.predict(private.images[..., None], batch_size=256, verbose=0).argmax(axis=1)
    right = named(answers) == private.truth_for({"theirs": answers})
    show("assignment's network", right, seen / spent, spent, model.count_params())

    largest, smaller, settings, amounts = (
        profiles.settings(given.profile, name)
        for name in ("residual_network", "smaller_networks", "training", "augmentation")
    )
    recipe = training.Recipe(**settings, augment=training.Augment(**amounts))
    networks = [largest, *smaller]
    dtype, start = architecture.fast_dtype(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        plan = ablation.plan(
            networks,
            recipe,
            len(learned[1]),
            minutes=given.minutes,
            path=Path(folder) / "plan.json",
            dtype=dtype,
        )
    recipe = dataclasses.replace(recipe, epochs=plan["epochs"])
    ours = architecture.build(**networks[plan["choice"]], dtype=dtype, seed=given.seed)
    history = training.train(ours, *learned, *public, recipe, seed=given.seed)
    spent = time.perf_counter() - start
    answers = inference.predict(ours, private.images).argmax(axis=1)
    rate = len(learned[1]) / history["seconds"].median()  # validation included
    right = named(answers) == private.truth_for({"ours": answers})
    show(f"ours ({given.profile})", right, rate, spent, ours.count_params())


if __name__ == "__main__":
    main()
