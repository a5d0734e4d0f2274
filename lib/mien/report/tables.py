"""Tables for readers: captioned, sortable, every text escaped, numbers formatted once and here."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from mien.report.text import UNDEFINED, minutes, missing, number_text

#: What stands in a cell that has no value.
MISSING = "–"


class WithInterval(NamedTuple):
    """A figure with its 95 % interval, as one cell of a table, in the column's unit."""

    value: float
    lo: float
    hi: float


class Link(NamedTuple):
    """A text of a table that leads to another page: ``href`` relative to it, or an anchor on it."""

    text: str
    href: str


@dataclass(frozen=True, repr=False)
class Shown:
    """What a notebook shows: ``html`` on a page, plain ``text`` where there is none."""

    html: str
    text: str

    def __repr__(self) -> str:
        """Return the plain text."""
        return self.text

    def _repr_html_(self) -> str:
        return self.html


class _Cell(NamedTuple):
    text: str
    sort: float | None = None
    href: str = ""


#: The HTML of what is shown, by the name of its template; every text in it is escaped.
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
)


def table(
    frame: pd.DataFrame,
    *,
    caption: str,
    percent: Collection[str] = (),
    digits: int = 2,
    signed: Collection[str] = (),
    sortable: bool = True,
) -> Shown:
    """Return a table for display: HTML in a notebook, plain text by ``print``, everything escaped.

    The frame holds numbers, texts, truth values, `WithInterval`, `Link`; what is missing is shown
    as "–", an index that is more than row numbers as row headers. ``percent`` are columns of shares
    (0..1), ``signed`` columns of differences, whose positive numbers carry a plus sign; ``digits``
    the decimals of other numbers that are no integers; ``sortable`` lets a reader sort.

    Examples
    --------
    >>> scores = pd.DataFrame({"n": [3589], "accuracy": [0.5861]}, index=["SVM-FER2013"])
    >>> print(table(scores, caption="Accuracy on PrivateTest", percent=["accuracy"]))
    Accuracy on PrivateTest
                     n accuracy
    SVM-FER2013  3,589   58.6 %
    """
    index = not isinstance(frame.index, pd.RangeIndex)
    columns, shown = [], frame.astype(object)
    for place, name in enumerate(frame.columns):
        how = {"percent": name in percent, "signed": name in signed}
        how["digits"] = 1 if name in percent else digits
        cells = [_cell(value, **how) for value in frame.iloc[:, place].tolist()]
        shown.isetitem(place, [cell.text for cell in cells])
        numbers = {cell.sort is not None for cell in cells if cell.text != MISSING} == {True}
        columns.append((_plain(name), cells, numbers))
    labels = [label if isinstance(label, tuple) else (label,) for label in frame.index]
    html = TEMPLATES.get_template("table.html.j2").render(
        caption=caption,
        sortable=sortable and len(frame) > 1,
        names=frame.index.names if index else [],
        columns=columns,
        labels=[[_plain(part) for part in label] if index else [] for label in labels],
    )
    return Shown(html, f"{caption}\n{shown.to_string(index=index)}")


def _cell(value: Any, **how: Any) -> _Cell:
    if isinstance(value, Link):
        return _Cell(value.text, href=value.href)
    if isinstance(value, bool):
        return _Cell("yes" if value else "no")
    value, *ends = value if isinstance(value, WithInterval) else (value,)
    if missing(value) or not isinstance(value, Real):
        return _Cell(_plain(value) or MISSING)
    text = number_text(value, **how)
    if ends and not any(map(missing, ends)):
        low, high = (number_text(end, **how).removesuffix(" %") for end in ends)
        text += f" ({low} to {high})"
    return _Cell(text, float(value))


def _plain(value: object) -> str:
    if isinstance(value, list | tuple | set):
        return ", ".join(map(str, value))
    return MISSING if missing(value) else str(value)


def scoreboard(
    scores: Mapping[Any, Mapping[str, Any]],
    *,
    caption: str,
    names: Sequence[str] = ("model",),
    more: Mapping[str, Sequence[Any]] | None = None,
    percent: Sequence[str] = (),
) -> Shown:
    """Return a table of scores: n, accuracy with interval, macro averages, log loss where known.

    ``scores`` maps what a row is about to an element of ``scores``
    (`mien.evaluation.scores.score_set`); ``names`` are those of the keys' parts. ``more`` are
    further columns, ``percent`` those of them that are shares (0..1).
    """
    frame = pd.DataFrame(
        {
            "n": score["n"],
            "accuracy": WithInterval(score["accuracy"], *score["accuracy_ci95"]),
            "F1": WithInterval(
                score["f1_macro"], *(score.get("f1_macro_ci95") or (math.nan, math.nan))
            ),
            "log loss": score.get("log_loss"),
            "networks": score.get("trainings"),
            "their deviation": score.get("accuracy_sd"),
        }
        for score in scores.values()
    ).dropna(axis="columns", how="all")
    if "networks" in frame:
        frame["networks"] = frame["networks"].astype("Int64")
    frame.index = _index(scores, names)
    for column, values in (more or {}).items():
        frame[column] = list(values)
    rest = {"precision": "precision_macro", "recall": "recall_macro", "weighted F1": "f1_weighted"}
    for column, name in rest.items():
        frame[column] = [score[name] for score in scores.values()]
    rates = ["accuracy", "precision", "recall", "F1", "weighted F1"]
    return table(frame, caption=caption, percent=[*rates, "their deviation", *percent])


def by_emotion(score: Mapping[str, Any], *, caption: str) -> Shown:
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
        row = {"n": score["n"], "accuracy": score["accuracy"], "ci_low": low, "ci_high": high}
        rates = ("precision_macro", "recall_macro", "f1_macro", "f1_weighted")
        rows.append({"set": score["set"], **row, **{rate: score[rate] for rate in rates}})
    frame = pd.DataFrame(rows, index=_index(scores, names))
    if "set" in names:
        frame = frame.drop(columns="set")
    return frame.reset_index()


def model_pairs(pairs: pd.DataFrame, *, caption: str) -> Shown:
    """Return a table of pairs (`mien.study.comparison.declared_pairs`)."""
    titles = {"a": "first", "b": "second", "question": "what it can tell", "n": "n"}
    titles |= {"accuracy_a": "first right", "accuracy_b": "second right"}
    titles |= {"difference": "difference", "ci_low": "from", "ci_high": "to"}
    titles |= {"design_effect": "design effect", "p": "p", "p_holm": "p after Holm"}
    titles |= {"separated": "separated", "only_a": "only first", "only_b": "only second"}
    titles |= {"p_mcnemar": "p of McNemar"}
    return table(
        pairs[list(titles)].rename(columns=titles),
        caption=caption,
        percent=["first right", "second right", "difference", "from", "to"],
        signed=["difference", "from", "to"],
        digits=3,
    )


def model_costs(costs: Mapping[str, Mapping[str, Any]], *, caption: str) -> Shown:
    """Return a table of what models cost (`mien.study.comparison.costs`)."""
    frame = pd.DataFrame.from_dict(costs, orient="index").rename_axis("model")
    time = frame["seconds"].map(minutes).replace(UNDEFINED, "unknown")
    shown = pd.DataFrame(
        {
            "labels of the person": frame["labels"],
            "training": time.where(frame["trained_here"], "none here"),
            "ms to read a face": frame["milliseconds"],
            "file, MB": frame["bytes"] / 1e6,
        }
    )
    return table(shown, caption=caption)


def _index(scores: Mapping[Any, Any], names: Sequence[str]) -> pd.Index:
    keys = [key if isinstance(key, tuple) else (key,) for key in scores]
    return pd.MultiIndex.from_tuples(keys, names=list(names))
