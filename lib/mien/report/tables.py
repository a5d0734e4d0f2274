"""Tables for readers: captioned, sortable, every text escaped, numbers formatted once and here."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from numbers import Integral, Real
from typing import Any

import pandas as pd

from mien.report.text import minutes

#: What stands in a cell that has no value.
MISSING = "–"


@dataclass(frozen=True)
class WithInterval:
    """A figure with its 95 % interval, as one cell of a table, in the column's unit."""

    value: float
    lo: float
    hi: float

    def text(self, *, percent: bool = True, digits: int = 1, signed: bool = False) -> str:
        """Return the figure as text: 62.1 % (51.0 to 72.4)."""
        if _missing(self.value):
            return MISSING
        how = {"percent": percent, "digits": digits, "signed": signed}
        if _missing(self.lo) or _missing(self.hi):
            return number_text(self.value, **how)
        lo, hi = (number_text(end, **how).removesuffix(" %") for end in (self.lo, self.hi))
        return f"{number_text(self.value, **how)} ({lo} to {hi})"


@dataclass(frozen=True)
class Link:
    """A text of a table that leads to another page: ``href`` relative to it, or an anchor on it."""

    text: str
    href: str


def number_text(
    value: float, *, percent: bool = False, digits: int = 2, signed: bool = False
) -> str:
    """Return a number as a reader wants it: grouped thousands, a true minus sign."""
    if _missing(value):
        return MISSING
    sign = "+" if signed else ""
    if percent:
        text = f"{100 * value:{sign}.{digits}f} %"
    elif isinstance(value, Integral):
        text = f"{int(value):{sign},d}"
    else:
        text = f"{value:{sign},.{digits}f}"
    if re.fullmatch(r"[-+]0(\.0*)?( %)?", text):
        text = text[1:]
    return text.replace("-", "−")


def verbatim(text: object) -> str:
    """Return text (a command, a file name) as Markdown that shows it letter by letter, as code."""
    plain = " ".join(str(text).split())
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest or not plain else ""
    return f"{fence}{blank}{plain}{blank}{fence}"


@dataclass(frozen=True)
class _Cell:
    text: str
    sort: float
    numeric: bool
    href: str = ""


@dataclass(frozen=True, repr=False)
class Table:
    """A table that a notebook shows; `table` makes it and says what the attributes mean."""

    frame: pd.DataFrame
    caption: str
    percent: Collection[str]
    digits: int
    signed: Collection[str]
    sortable: bool

    @property
    def index(self) -> bool:
        """Whether the index is shown: if it is more than row numbers."""
        return not isinstance(self.frame.index, pd.RangeIndex)

    def __repr__(self) -> str:
        """Return the table as plain text."""
        shown = self.frame.astype(object)
        for position, (_, cells) in enumerate(self._columns()):
            shown.isetitem(position, [cell.text for cell in cells])
        return f"{self.caption}\n{shown.to_string(index=self.index)}"

    def _repr_html_(self) -> str:
        kind = "mien-table mien-sortable" if self.sortable and len(self.frame) > 1 else "mien-table"
        caption = escape(self.caption)
        rows = "\n".join(f"<tr>{row}</tr>" for row in self._rows())
        return (
            f'<div class="mien-scroll" role="region" tabindex="0" aria-label="{caption}">\n'
            f'<table class="{kind}">\n<caption><span>{caption}</span></caption>\n'
            f"<thead><tr>{self._header()}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
        )

    def _header(self) -> str:
        names = [("", name) for name in self.frame.index.names] if self.index else []
        for name, cells in self._columns():
            names.append((' class="mien-number"' if _numeric(cells) else "", name))
        return "".join(
            "<td></td>" if name is None else f'<th scope="col"{kind}>{escape(_plain(name))}</th>'
            for kind, name in names
        )

    def _rows(self) -> list[str]:
        columns = [cells for _, cells in self._columns()]
        rows = []
        for position, label in enumerate(self.frame.index):
            labels = label if isinstance(label, tuple) else (label,)
            heads = [f'<th scope="row">{escape(_plain(part))}</th>' for part in labels]
            cells = [_cell_html(cells[position], numeric=_numeric(cells)) for cells in columns]
            rows.append("".join([*(heads if self.index else []), *cells]))
        return rows

    def _columns(self) -> list[tuple[str, list[_Cell]]]:
        columns = []
        for position, name in enumerate(self.frame.columns):
            values = self.frame.iloc[:, position].tolist()
            columns.append((_plain(name), [self._cell(name, value) for value in values]))
        return columns

    def _cell(self, name: object, value: Any) -> _Cell:
        percent, signed = name in self.percent, name in self.signed
        how = {"percent": percent, "digits": 1 if percent else self.digits, "signed": signed}
        if isinstance(value, WithInterval):
            return _Cell(value.text(**how), float(value.value), True)
        if isinstance(value, Link):
            return _Cell(value.text, math.nan, False, value.href)
        if _missing(value) or value == "":
            return _Cell(MISSING, math.nan, False)
        if isinstance(value, bool):
            return _Cell("yes" if value else "no", math.nan, False)
        if isinstance(value, Real):
            return _Cell(number_text(value, **how), float(value), True)
        return _Cell(_plain(value), math.nan, False)


def table(
    frame: pd.DataFrame,
    *,
    caption: str,
    percent: Collection[str] = (),
    digits: int = 2,
    signed: Collection[str] = (),
    sortable: bool = True,
) -> Table:
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
    return Table(frame, caption, percent, digits, signed, sortable)


def _numeric(cells: list[_Cell]) -> bool:
    """Return whether a column holds numbers: it has some, and nothing else but what is missing."""
    return any(cell.numeric for cell in cells) and all(
        cell.numeric or cell.text == MISSING for cell in cells
    )


def _cell_html(cell: _Cell, *, numeric: bool) -> str:
    kind = ' class="mien-number"' if numeric else ""
    sort = f' data-sort="{cell.sort!r}"' if cell.numeric and not math.isnan(cell.sort) else ""
    text = escape(cell.text)
    if cell.href:
        text = f'<a href="{escape(cell.href)}">{text}</a>'
    return f"<td{kind}{sort}>{text}</td>"


def _missing(value: object) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _plain(value: object) -> str:
    if isinstance(value, list | tuple | set):
        return ", ".join(map(str, value))
    return MISSING if _missing(value) else str(value)


def scoreboard(
    scores: Mapping[Any, Mapping[str, Any]],
    *,
    caption: str,
    names: Sequence[str] = ("model",),
    more: Mapping[str, Sequence[Any]] | None = None,
    percent: Sequence[str] = (),
) -> Table:
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
        row = {"n": score["n"], "accuracy": score["accuracy"], "ci_low": low, "ci_high": high}
        rates = ("precision_macro", "recall_macro", "f1_macro", "f1_weighted")
        rows.append({"set": score["set"], **row, **{rate: score[rate] for rate in rates}})
    frame = pd.DataFrame(rows, index=_index(scores, names))
    if "set" in names:
        frame = frame.drop(columns="set")
    return frame.reset_index()


def model_pairs(pairs: pd.DataFrame, *, caption: str) -> Table:
    """Return a table of pairs (`mien.study.comparison.declared_pairs`)."""
    titles = {
        "a": "first",
        "b": "second",
        "question": "what it can tell",
        "n": "n",
        "accuracy_a": "first right",
        "accuracy_b": "second right",
        "difference": "difference",
        "ci_low": "from",
        "ci_high": "to",
        "design_effect": "design effect",
        "p": "p",
        "p_holm": "p after Holm",
        "separated": "separated",
        "only_a": "only first",
        "only_b": "only second",
        "p_mcnemar": "p of McNemar",
    }
    return table(
        pairs[list(titles)].rename(columns=titles),
        caption=caption,
        percent=["first right", "second right", "difference", "from", "to"],
        signed=["difference", "from", "to"],
        digits=3,
    )


def model_costs(costs: Mapping[str, Mapping[str, Any]], *, caption: str) -> Table:
    """Return a table of what models cost (`mien.study.comparison.costs`)."""
    frame = pd.DataFrame(
        {
            "labels of the person": cost["labels"],
            "training": _training_time(cost),
            "ms to read a face": cost["milliseconds"],
            "file, MB": cost["bytes"] / 1e6,
        }
        for cost in costs.values()
    )
    frame.index = pd.Index(costs, name="model")
    return table(frame, caption=caption)


def _training_time(cost: Mapping[str, Any]) -> str:
    if not cost["trained_here"]:
        return "none here"
    return "unknown" if cost["seconds"] is None else minutes(cost["seconds"])


def _index(scores: Mapping[Any, Any], names: Sequence[str]) -> pd.Index:
    keys = list(scores)
    if len(names) == 1:
        return pd.Index(keys, name=names[0])
    return pd.MultiIndex.from_tuples(keys, names=list(names))
