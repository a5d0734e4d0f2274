"""Scores as tables: one row a model or a set, one row an emotion, or flat for a CSV."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mien.tables import Table, WithInterval, table

_AVERAGES = {
    "precision": "precision_macro",
    "recall": "recall_macro",
    "F1": "f1_macro",
    "weighted F1": "f1_weighted",
}


def scoreboard(
    scores: Mapping[Any, Mapping[str, Any]],
    *,
    caption: str,
    names: Sequence[str] = ("model",),
    more: Mapping[str, Sequence[Any]] | None = None,
    percent: Sequence[str] = (),
) -> Table:
    """Return a table of scores: n, accuracy with interval, macro averages, weighted F1.

    Parameters
    ----------
    scores : mapping of str or tuple to score
        What a row is about, and an element of ``scores`` (`mien.evaluation.scores`).
    caption : str
    names : sequence of str
        The names of the parts of the keys.
    more : mapping of str to sequence, optional
        Further columns.
    percent : sequence of str
        Those of them that are shares (0..1) to be shown in percent.
    """
    frame = pd.DataFrame(
        {
            "n": score["n"],
            "accuracy": WithInterval(score["accuracy"], *score["accuracy_ci95"]),
            **{title: score[key] for title, key in _AVERAGES.items()},
            "F1": WithInterval(
                score["f1_macro"], *(score.get("f1_macro_ci95") or (math.nan, math.nan))
            ),
        }
        for score in scores.values()
    )
    frame.index = _index(scores, names)
    for column, values in (more or {}).items():
        frame[column] = list(values)
    return table(frame, caption=caption, percent=["accuracy", *_AVERAGES, *percent], digits=1)


def by_emotion(score: Mapping[str, Any], *, caption: str) -> Table:
    """Return a table of precision, recall, F1 and support of every emotion of one score."""
    frame = pd.DataFrame(score["per_class"]).T.rename_axis("emotion")
    frame["support"] = frame["support"].astype(int)
    frame = frame.rename(columns={"f1": "F1"})
    return table(frame, caption=caption, percent=["precision", "recall", "F1"])


def flat(
    scores: Mapping[Any, Mapping[str, Any]], *, names: Sequence[str] = ("model",)
) -> pd.DataFrame:
    """Return scores as a frame of plain numbers, one row each, for a CSV."""
    rows = []
    for score in scores.values():
        low, high = score["accuracy_ci95"]
        rows.append(
            {
                "set": score["set"],
                "n": score["n"],
                "accuracy": score["accuracy"],
                "ci_low": low,
                "ci_high": high,
                **{key: score[key] for key in _AVERAGES.values()},
            }
        )
    frame = pd.DataFrame(rows)
    frame.index = _index(scores, names)
    return frame.drop(columns="set" if "set" in names else []).reset_index()


def _index(scores: Mapping[Any, Any], names: Sequence[str]) -> pd.Index:
    keys = list(scores)
    if len(names) == 1:
        return pd.Index(keys, name=names[0])
    return pd.MultiIndex.from_tuples(keys, names=list(names))
