"""What the runs of a sweep scored, setting by setting, and which setting is best.

A setting is a combination of the grid's values without the seed; runs that differ in the seed alone
are draws of one setting. It is chosen by PublicTest, or by the answers out of fold to the person's
labelled faces; `held_out` reads other sets for the chosen settings only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mien.errors import DataError
from mien.evaluation.intervals import (
    accuracy_interval,
    clustered_mean,
    difference_interval,
    mean_of_rates,
)
from mien.models import MODELS, name_of
from mien.study import results
from mien.study.parameters import CHAPTERS
from mien.sweep.planning import Run

#: The sets that choose nothing.
HELD_OUT = ("PrivateTest-deduplicated", "target-unknown")

#: How an interval was made: from clips and seeds, from images and seeds, from the seeds alone.
CLIPS_AND_SEEDS = "t over clips and seeds"
IMAGES_AND_SEEDS = "t over images and seeds"
OVER_SEEDS = "Student's t over seeds"


@dataclass(frozen=True)
class Board:
    """The scores of one part on one set.

    ``names`` are the parameters of the grid, the seed aside, that can change these scores.
    ``draws`` has one row for every setting and seed: the values of ``names``, ``seed``, ``label``,
    ``model``, ``folder``, ``n``, ``data`` (fingerprints of what was read), ``accuracy``,
    ``f1_macro`` and the run's own interval (``low``, ``high``, ``method``).
    """

    part: str
    set: str
    names: tuple[str, ...]
    draws: pd.DataFrame

    @property
    def model(self) -> str:
        """The name of the model that was scored, of several where the grid varies it."""
        return " / ".join(dict.fromkeys(self.draws["model"]))

    @property
    def chooses(self) -> bool:
        """Whether the settings of the model are chosen by this score."""
        return MODELS[name_of(self.part)].chosen_on == (self.part, self.set)

    @cached_property
    def settings(self) -> pd.DataFrame:
        """One row for every setting, in the grid's order, by the setting's name.

        ``runs``, ``accuracy`` and ``f1_macro`` (means over the runs), ``spread`` and ``f1_spread``
        (standard deviations), ``low``, ``high``, ``interval`` (95 %, and how it was made).
        """
        rows = {}
        for name, runs in self.draws.groupby("setting", sort=False):
            low, high, kind = self._interval(runs)
            rows[name] = {
                "runs": len(runs),
                "accuracy": runs["accuracy"].mean(),
                "spread": runs["accuracy"].std(ddof=1),
                "low": low,
                "high": high,
                "interval": kind,
                "f1_macro": runs["f1_macro"].mean(),
                "f1_spread": runs["f1_macro"].std(ddof=1),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("setting")

    @property
    def best(self) -> str:
        """The setting of the highest mean accuracy; of equals the first in the grid."""
        return str(self.settings["accuracy"].idxmax())

    def lead(self) -> tuple[str, float, list[float] | None] | None:
        """Return by how much the best setting leads the next: its name, difference, interval.

        The interval (95 %) is that of the differences over the seeds that both ran with, and over
        the clips where the answers to each face were kept; None with fewer than two seeds. None
        where there is no other setting.
        """
        others = self.settings["accuracy"].drop(self.best)
        if others.empty:
            return None
        second = str(others.idxmax())
        by_seed = self.draws.pivot(index="seed", columns="setting", values="accuracy")
        gap = float(self.settings["accuracy"][self.best] - others[second])
        shared = by_seed[[self.best, second]].dropna().index
        if len(shared) < 2:
            return second, gap, None
        runs = self.draws[self.draws["seed"].isin(shared)].sort_values("seed")
        first, other = (runs[runs["setting"] == name] for name in (self.best, second))
        faces = self._faces(pd.concat([first, other]))
        if faces is None:
            gaps = (by_seed[self.best] - by_seed[second])[shared].to_numpy()
            return second, gap, _t_interval(gaps)
        right, clips = faces
        return second, gap, difference_interval(
            clustered_mean(right[: len(shared)] - right[len(shared) :], clips)
        )  # fmt: skip

    def _interval(self, runs: pd.DataFrame) -> tuple[float, float, str]:
        if len(runs) == 1:
            run = runs.iloc[0]
            return run["low"], run["high"], run["method"]
        faces = self._faces(runs)
        if faces is not None:
            return *accuracy_interval(clustered_mean(*faces)), CLIPS_AND_SEEDS
        if runs["data"].nunique() == 1 and not self.set.startswith("target"):
            mean = mean_of_rates(runs["accuracy"], int(runs["n"].iloc[0]))
            return *accuracy_interval(mean), IMAGES_AND_SEEDS
        low, high = _t_interval(runs["accuracy"].to_numpy())
        return max(0.0, low), min(1.0, high), OVER_SEEDS

    def _faces(self, runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
        """Correctness (runs, faces) of the same faces, and their clips; None where not kept."""
        if self.set != "target-labelled" or runs["data"].nunique() > 1:
            return None
        found = [_face_means(folder, self.part) for folder in runs["folder"]]
        if any(face is None or not face.index.equals(found[0].index) for face in found):
            return None
        return np.stack(found), found[0].index.get_level_values("clip").to_numpy()


def boards(
    runs: Sequence[Run], dependants: Mapping[str, frozenset[str]]
) -> dict[tuple[str, str], Board]:
    """Return the scores of every part on the sets that may be looked at for every setting.

    Runs that differ in nothing that a part depends on (`mien.sweep.planning.dependants`) count
    once. By part and set, in reading order; what no run has is left out.
    """
    found = {}
    for part in [plan.part for plan in CHAPTERS if name_of(plan.part)]:
        names = tuple(
            name for name, parts in dependants.items() if part in parts and name != "seed"
        )
        for set_ in ("PublicTest", "target-labelled"):
            draws = _draws(runs, part, set_, names)
            if len(draws):
                found[part, set_] = Board(part, set_, names, draws)
    return found


def held_out(board: Board, runs: Sequence[Run], part: str) -> dict[str, Board]:
    """Return what the setting that a board chose scored, by ``part``, on what chooses nothing."""
    chosen = set(board.draws.loc[board.draws["setting"] == board.best, "label"])
    runs = [run for run in runs if run.label in chosen]
    found = {}
    for set_ in HELD_OUT:
        draws = _draws(runs, part, set_, board.names)
        if len(draws):
            found[set_] = Board(part, set_, board.names, draws)
    return found


def _draws(runs: Sequence[Run], part: str, set_: str, names: tuple[str, ...]) -> pd.DataFrame:
    rows: dict[tuple, dict[str, Any]] = {}
    for run in runs:
        try:
            metrics = results.load_metrics(run.study.folder, part)
        except DataError:
            continue
        score = _score(metrics, set_)
        seed = run.values.get("seed", 0)
        values = {name: run.values[name] for name in names}
        if score is None or (key := (*values.values(), seed)) in rows:
            continue
        low, high = score["accuracy_ci95"]
        rows[key] = {
            **values,
            "setting": ", ".join(f"{name} {value}" for name, value in values.items())
            or "as the study says",
            "seed": seed,
            "label": run.label,
            "model": metrics.get("model") or name_of(part),
            "folder": run.study.folder,
            "data": str(metrics.get("provenance", {}).get("data")),
            **{key: score[key] for key in ("n", "accuracy", "f1_macro")},
            **{"low": low, "high": high, "method": score["accuracy_ci95_method"]},
        }
    return pd.DataFrame(rows.values())


def _score(metrics: Mapping[str, Any], set_: str) -> Mapping[str, Any] | None:
    """Return the score of a part on a set; of A1's several models the one that it chose."""
    known = results.scores_by_set(metrics)
    tried = [score for score in metrics.get("public", []) if score["set"] == set_]
    return known.get(set_) or max(tried, key=lambda score: score["accuracy"], default=None)


def _face_means(folder: Path, part: str) -> pd.Series | None:
    """Return the mean correctness of every face, by ``file_name`` and ``clip``."""
    try:
        answers = results.load_table(folder, part, "repeats")
    except DataError:
        return None
    right = answers["truth"] == answers["predicted"]
    return right.groupby([answers["file_name"], answers["clip"]]).mean()


def _t_interval(values: np.ndarray) -> list[float]:
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return [float(np.mean(values) - half), float(np.mean(values) + half)]
