"""Figures of scores: functions of computed numbers that return a `Picture`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mien.emotions import in_order
from mien.errors import printable
from mien.models import MODELS
from mien.report.style import (
    FAINT,
    GRID,
    INK,
    WIDE,
    WIDTH,
    Picture,
    blank,
    heat,
    look,
    percent_axis,
    style,
)
from mien.report.text import count, interval, listed, percent, points


def confusions(scores: Mapping[str, Mapping]) -> Picture:
    """Show the confusion matrices of models: counts, the share of the true emotion as colour."""
    labels = in_order(label for score in scores.values() for label in score["labels"])
    columns = min(2, len(scores))
    rows = -(-len(scores) // columns)
    many = len(scores) > 1
    cell, title = (0.33, 0.3) if many else (0.5, 0.0)
    with style():
        figure, axes = blank(
            rows * (cell * len(labels) + title) + 1.7,
            width=WIDE if many else WIDTH,
            nrows=rows,
            ncols=columns,
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        for place, (model, score) in zip(axes.flat, scores.items(), strict=False):
            mesh = _confusion(place, score, labels, size=8.5 if many else 10)
            place.set_title(model if many else "")
        for place in axes.flat[len(scores) :]:
            place.set_visible(False)
        for place in axes[-1]:
            place.set_xlabel("predicted")
            if len(labels) * columns > 5:
                for label in place.get_xticklabels():
                    label.set(rotation=40, ha="right", rotation_mode="anchor")
        figure.supylabel("true emotion", size=10)
        bar = figure.colorbar(
            mesh, ax=axes, orientation="horizontal", aspect=40, label="share of the true emotion"
        )
        percent_axis(bar.ax.xaxis)
        bar.outline.set_visible(False)
    return Picture(figure, " ".join(_confusion_alt(*item) for item in scores.items()))


def _confusion(axes: Axes, score: Mapping, labels: Sequence[str], size: float):
    counts = pd.DataFrame(score["confusion_matrix"], score["labels"], score["labels"])
    counts = counts.reindex(index=labels, columns=labels, fill_value=0).to_numpy(dtype=float)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.where(support > 0, counts / np.maximum(support, 1e-9), np.nan)
    whole = (counts % 1 == 0).all()
    texts = [
        [("–" if not n else f"{cell:,.0f}" if whole or not cell else f"{cell:.1f}") for cell in row]
        for row, n in zip(counts, support, strict=True)
    ]
    return heat(axes, shares, texts, rows=labels, columns=labels, size=size)


def _confusion_alt(model: str, score: Mapping) -> str:
    counts = np.asarray(score["confusion_matrix"], dtype=float)
    labels, right = score["labels"], np.diag(counts)
    support = counts.sum(axis=1)
    recall = np.where(support > 0, right / np.maximum(support, 1e-9), -1)
    best = int(recall.argmax())
    text = (
        f"Confusion matrix of {model} on {score['set']}, {count(score['n'], 'image')}: "
        f"most often right on {labels[best]} ({_number(right[best])} of {_number(support[best])})"
    )
    wrong = counts - np.diag(right)
    if wrong.max() == 0:
        return text + "; nothing confused."
    true, answered = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"{text}; most often confused: {labels[true]} read as {labels[answered]} "
        f"({_number(wrong[true, answered])} of {_number(support[true])})."
    )


def accuracies(
    scores: Mapping[str, Mapping],
    *,
    chance: float | None = None,
) -> Picture:
    """Show accuracies with 95 % intervals; ``chance`` always answers the commonest emotion."""
    rows = [
        (printable(name), score["accuracy"], *score["accuracy_ci95"], score["n"])
        for name, score in scores.items()
    ]
    with style():
        figure, axes = blank(0.42 * len(rows) + (0.95 if chance is None else 1.15))
        for place, (name, accuracy, low, high, _) in enumerate(rows):
            colour, marker = look(name)
            axes.plot([low, high], [place, place], color=colour, solid_capstyle="butt", lw=2.4)
            axes.plot(accuracy, place, marker, color=colour, mec="white", ms=9)
            axes.annotate(
                percent(accuracy), (accuracy, place), (0, 7), textcoords="offset points",
                ha="center", size=9.5,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [f"{name}\nn = {n:,}" for name, *_, n in rows])
        axes.set_ylim(len(rows) - 0.5, -0.75)
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.tick_params("y", length=0)
        axes.spines["left"].set_visible(False)
        percent_axis(axes.xaxis)
        axes.set_xlabel("accuracy with 95 % interval")
        if chance is not None:
            axes.axvline(chance, color=FAINT, ls="--", lw=1.4, zorder=0)
            told = f"- - -  most frequent emotion: {percent(chance)}"
            axes.set_title(told, size=9.5, weight="normal", color=FAINT)
    return Picture(figure, _accuracies_alt(rows, chance))


def _accuracies_alt(rows: Sequence[tuple], chance: float | None) -> str:
    ranked = sorted(rows, key=lambda row: -row[1])
    text = "Accuracies with 95 % intervals, from high to low: " + "; ".join(
        f"{name} {percent(accuracy)} ({interval((low, high))}, n = {n:,})"
        for name, accuracy, low, high, n in ranked
    )
    if chance is None:
        return text + "."
    under = [row[0] for row in ranked if row[2] <= chance]
    return (
        f"{text}. Most frequent emotion: {percent(chance)}; intervals that reach down to it: "
        f"{listed(under)}."
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.1f}"


def reliability(bins: pd.DataFrame, error: float, *, model: str = "The model") -> Picture:
    """Show how often answers of a given confidence are right (`mien.evaluation.calibration`)."""
    colour, _ = look(model)
    with style():
        figure, axes = blank(3.6, width=4.4)
        axes.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1.2)
        sizes = 20 + 180 * bins["n"] / bins["n"].max()
        axes.plot(bins["confidence"], bins["accuracy"], color=colour)
        axes.scatter(
            bins["confidence"], bins["accuracy"], s=sizes, color=colour, edgecolor="white", zorder=3
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.grid()
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        axes.set_xlabel("probability of the answer (area of a dot: images)", size=9)
        axes.set_ylabel("answers that are right")
    gap = np.average(bins["accuracy"] - bins["confidence"], weights=bins["n"])
    side = "too sure" if gap < 0 else "not sure enough"
    if abs(gap) < 0.01:
        finding = "it is about as sure as it is right"
    else:
        finding = f"it is {side} by {100 * abs(gap):.1f} points"
    alt = (
        f"Reliability of {model}: expected calibration error {percent(error)}; "
        f"on average {finding}."
    )
    return Picture(figure, alt)


def differences(pairs: pd.DataFrame) -> Picture:
    """Show the difference of accuracy of every pair (`mien.evaluation.paired_tests.compare`)."""
    with style():
        figure, axes = blank(0.45 * len(pairs) + 0.9)
        for place, row in enumerate(pairs.itertuples()):
            colour = MODELS["SVM-OpenFace"].colour if row.separated else FAINT
            axes.plot([row.ci_low, row.ci_high], [place, place], color=colour, lw=2.2)
            axes.plot(
                row.difference, place, "D" if row.separated else "o", color=colour,
                mfc=colour if row.separated else "white", ms=8,
            )  # fmt: skip
        names = [f"{printable(row.a)}\nminus {printable(row.b)}" for row in pairs.itertuples()]
        axes.set_yticks(range(len(pairs)), names)
        axes.set_ylim(len(pairs) - 0.5, -0.5)
        axes.tick_params("y", length=0)
        axes.axvline(0, color=INK, lw=1.2)
        axes.grid(axis="x")
        percent_axis(axes.xaxis, signed=True)
        figure.supxlabel(
            "difference in percentage points, 95 % interval; filled: separated", size=9
        )
    alt = "Differences of accuracy with 95 % intervals: " + "; ".join(
        f"{printable(row.a)} minus {printable(row.b)} {points(row.difference)} "
        f"({interval((row.ci_low, row.ci_high), signed=True)}"
        f"{', separated' if row.separated else ', not separated'})"
        for row in pairs.itertuples()
    )
    return Picture(figure, alt + ".")


def per_emotion_recall(scores: Mapping[str, Mapping]) -> Picture:
    """Show the recall of every model on every emotion that occurs; all on the same set."""
    first = next(iter(scores.values()))
    emotions = [name for name in first["labels"] if first["per_class"][name]["support"]]
    supports = [first["per_class"][name]["support"] for name in emotions]
    with style():
        figure, axes = blank(0.62 * len(emotions) + 1.2)
        for number, (model, score) in enumerate(scores.items()):
            recalls = [score["per_class"][name]["recall"] for name in emotions]
            places = np.arange(len(emotions)) + 0.16 * (number - (len(scores) - 1) / 2)
            colour, marker = look(model)
            axes.plot(
                recalls, places, marker, color=colour, ms=7.5, mec="white", label=printable(model)
            )
        for place in range(1, len(emotions)):
            axes.axhline(place - 0.5, color=GRID, lw=0.8)
        axes.set_yticks(
            range(len(emotions)),
            [f"{name}\nn = {n:g}" for name, n in zip(emotions, supports, strict=True)],
        )
        axes.set_ylim(len(emotions) - 0.5, -0.5)
        axes.set_xlim(-0.03, 1.03)
        axes.tick_params("y", length=0)
        axes.grid(axis="x")
        percent_axis(axes.xaxis)
        axes.set_xlabel("recall: share of the emotion's faces that are found", size=9)
        figure.legend(loc="outside upper left", ncols=2)
    found = []
    for name in emotions:
        recalls = {model: score["per_class"][name]["recall"] for model, score in scores.items()}
        best = max(recalls.values())
        leaders = [printable(model) for model, recall in recalls.items() if recall == best]
        found.append(f"{name} best by {listed(leaders)} ({percent(best)})")
    return Picture(figure, f"Recall by emotion: {'; '.join(found)}.")
