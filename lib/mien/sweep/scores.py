"""What the runs of a sweep scored, setting by setting, and which setting is best.

A setting is a combination of the grid's values without the seed; runs that differ in the seed alone
are draws of one setting. It is chosen by PublicTest, or by the answers out of fold to the person's
labelled faces; `held_out` reads other sets for the chosen settings only.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import DataError
from mien.evaluation.intervals import (
    accuracy_interval,
    clustered_mean,
    difference_interval,
    mean_of_rates,
)
from mien.models import MODELS, name_of
from mien.study import results
from mien.study.parameters import BY_PART, Study
from mien.sweep.planning import dependants


def read(runs: Sequence[Study], grid: Iterable[str]) -> pd.DataFrame:
    """Return the scores of runs: a row for every run of every part on every set.

    ``part``, ``set``, ``model``; ``setting``, the values of those parameters of the ``grid``, the
    seed aside, that can change these scores; ``seed``, ``label``, ``folder``, ``data``
    (fingerprints of what was read), ``n``, ``accuracy``, ``f1_macro`` and the run's own 95 %
    interval (``low``, ``high``, ``method``). What no run has is left out.
    """
    concerned, rows = dependants(grid), []
    for part, run in itertools.product(filter(name_of, BY_PART), runs):
        try:
            metrics = results.load_metrics(run.folder, part)
        except DataError:
            continue
        varied = [name for name in concerned if name != "seed" and part in concerned[name]]
        setting = ", ".join(f"{name} {getattr(run, name)}" for name in varied)
        told = {
            "part": part,
            "model": metrics.get("model") or name_of(part),
            "setting": setting or "as the study says",
            "seed": run.seed,
            "label": run.name,
            "folder": run.folder,
            "data": str(metrics.get("provenance", {}).get("data")),
        }
        # Of the several models that A1 tries, the one that it chose counts.
        tried = sorted(metrics.get("public", []), key=lambda score: -score["accuracy"])[:1]
        for name, score in {s["set"]: s for s in (*tried, *metrics["scores"])}.items():
            (low, high), method = score["accuracy_ci95"], score["accuracy_ci95_method"]
            rates = {name: score[name] for name in ("n", "accuracy", "f1_macro")}
            rows.append(told | {"set": name, **rates, "low": low, "high": high, "method": method})
    return pd.DataFrame(rows)


def boards(scores: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows (`read`) of every part on the sets that may be looked at, in reading order.

    Runs that differ in nothing that a part depends on count once.
    """
    if scores.empty:
        return []
    rows = scores[scores["set"].isin(["PublicTest", "target-labelled"])]
    rows = rows.drop_duplicates(["part", "set", "setting", "seed"])
    return [board for _, board in rows.groupby(["part", "set"], sort=False)]


def chooses(board: pd.DataFrame) -> bool:
    """Return whether the settings of a model are chosen by these scores."""
    part, set_ = board[["part", "set"]].iloc[0]
    return MODELS[name_of(part)].chosen_on == (part, set_)


def settings(board: pd.DataFrame) -> pd.DataFrame:
    """Return a row for every setting of a board, in the order of its runs, by the setting's name.

    ``model``, ``set``, ``n``, ``runs``; ``accuracy`` and ``f1_macro`` (means over the runs),
    ``spread`` and ``f1_spread`` (standard deviations); ``low``, ``high``, ``interval`` (95 %, and
    how it was made).
    """
    groups = board.groupby("setting", sort=False)
    found = groups.agg(
        model=("model", "first"),
        set=("set", "first"),
        n=("n", "first"),
        runs=("seed", "size"),
        accuracy=("accuracy", "mean"),
        spread=("accuracy", "std"),
        f1_macro=("f1_macro", "mean"),
        f1_spread=("f1_macro", "std"),
    )
    found[["low", "high", "interval"]] = [_interval(runs) for _, runs in groups]
    return found


def best(board: pd.DataFrame) -> str:
    """Return the setting of the highest mean accuracy; of equals the first."""
    return str(_means(board).idxmax())


def lead(board: pd.DataFrame) -> tuple[str, float, list[float] | None]:
    """Return by how much the best setting leads the next: its name, difference, interval.

    The interval (95 %) is that of the differences over the seeds that both ran with, and over the
    clips where the answers to each face were kept; None with fewer than two seeds.
    """
    means = _means(board).nlargest(2)
    second, gap = str(means.index[1]), float(means.iloc[0] - means.iloc[1])
    ours, others = (board[board["setting"] == name].set_index("seed") for name in means.index)
    shared = sorted({*ours.index} & {*others.index})
    if len(shared) < 2:
        return second, gap, None
    (a, b), clusters, _ = _answers(ours.loc[shared], others.loc[shared])
    return second, gap, difference_interval(clustered_mean(a - b, clusters))


def held_out(board: pd.DataFrame, scores: pd.DataFrame) -> list[pd.DataFrame]:
    """Return what the chosen setting of a board scored on sets that choose nothing."""
    chosen = best(board)
    labels = board.loc[board["setting"] == chosen, "label"]
    chose_nothing = scores["set"].isin(["PrivateTest-deduplicated", "target-unknown"])
    rows = scores[scores["label"].isin(labels) & chose_nothing]
    rows = rows[rows["model"].isin(board["model"])].assign(setting=chosen)
    return [own for _, own in rows.groupby(["part", "set"], sort=False)]


def _means(board: pd.DataFrame) -> pd.Series:
    return board.groupby("setting", sort=False)["accuracy"].mean()


def _interval(runs: pd.DataFrame) -> tuple[float, float, str]:
    first = runs.iloc[0]
    if len(runs) == 1:
        return first["low"], first["high"], first["method"]
    (values,), clusters, how = _answers(runs)
    mean = clustered_mean(values, clusters)
    if first["set"].startswith("P") and runs["data"].nunique() == 1:
        mean, how = mean_of_rates(values, int(first["n"])), "t over images and seeds"
    return *accuracy_interval(mean), how


def _answers(*several: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray, str]:
    """Return settings' correctness by labelled face, else accuracies by seed; clusters, method."""
    runs = pd.concat(several)
    if (runs["set"] == "target-labelled").all() and runs["data"].nunique() == 1:
        faces = [_face_means(*place) for place in zip(runs["folder"], runs["part"], strict=True)]
        if all(len(face) and face.index.equals(faces[0].index) for face in faces):
            clips = faces[0].index.get_level_values("clip").to_numpy()
            return np.split(np.stack(faces), len(several)), clips, "t over clips and seeds"
    seeds = np.arange(len(several[0]))
    return [own["accuracy"].to_numpy() for own in several], seeds, "t over seeds"


def _face_means(folder: Path, part: str) -> pd.Series:
    """Return the mean correctness of every face, by ``file_name`` and ``clip``; empty: not kept."""
    try:
        answers = results.load_table(folder, part, "repeats")
    except DataError:
        return pd.Series()
    right = answers["truth"] == answers["predicted"]
    return right.groupby([answers["file_name"], answers["clip"]]).mean()
