"""Figures of data, training and importance, drawn as `mien.report.figures` draws scores."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.ticker import FuncFormatter, NullFormatter

from mien.errors import printable
from mien.evaluation.rater_agreement import SIDES
from mien.models import MODELS
from mien.report.style import (
    EMOTION_COLOURS,
    FAINT,
    INK,
    WIDE,
    Picture,
    blank,
    heat,
    look,
    percent_axis,
    style,
)
from mien.report.text import count, percent, points


def class_balance(counts: pd.DataFrame) -> Picture:
    """Show the share of every emotion (rows) in every split (columns) of counts."""
    shares = counts / counts.sum()
    top = float(shares.to_numpy().max())
    with style():
        columns = {"ncols": len(counts.columns), "sharey": True, "squeeze": False}
        figure, axes = blank(0.3 * len(counts) + 0.5, width=WIDE, **columns)
        for place, split in zip(axes[0], counts.columns, strict=True):
            colours = [EMOTION_COLOURS[emotion] for emotion in counts.index]
            bars = place.barh(range(len(counts)), shares[split], color=colours, height=0.72)
            told = [
                f"{n:,} ({percent(share, digits=0)})"
                for n, share in zip(counts[split], shares[split], strict=True)
            ]
            place.bar_label(bars, told, padding=3, size=9)
            place.set_title(printable(split))
            place.set_yticks(range(len(counts)), counts.index)
            place.set_ylim(len(counts) - 0.4, -0.6)
            place.set_xlim(0, 2 * top)
            place.tick_params("y", length=0)
            place.xaxis.set_visible(False)
            place.spines["bottom"].set_visible(False)
    return Picture(figure, " ".join(_balance_alt(counts[split]) for split in counts.columns))


def _balance_alt(counts: pd.Series) -> str:
    ranked = counts.sort_values(ascending=False, kind="stable")
    told = (f"{emotion} {n:,} ({percent(n / ranked.sum())})" for emotion, n in ranked.items())
    return f"{printable(counts.name)}, {count(ranked.sum(), 'image')}: {', '.join(told)}."


def learning_curves(history: pd.DataFrame) -> Picture:
    """Show loss and accuracy of a training, epoch by epoch (`mien.network.training.train`)."""
    lines = (
        ("", "o", "-", INK, "Training, augmented"),
        ("val_", "s", "--", "#b3450e", "PublicTest"),
    )
    with style():
        figure, axes = blank(2.9, ncols=2, width=WIDE)
        for place, what in zip(axes, ("loss", "accuracy"), strict=True):
            for prefix, marker, dash, colour, label in lines:
                place.plot(
                    history["epoch"], history[prefix + what], dash, marker=marker, ms=4,
                    color=colour, label=label,
                )  # fmt: skip
            place.set_title(what)
            place.set_xlabel("epoch")
            place.set_xlim(0.5, history["epoch"].max() + 0.5)
            place.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            place.grid(axis="y")
        percent_axis(axes[1].yaxis)
        figure.legend(*place.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    best = history.loc[history["val_accuracy"].idxmax()]
    lowest = history.loc[history["val_loss"].idxmin()]
    last = history.iloc[-1]
    alt = (
        f"Learning curves over {count(len(history), 'epoch')}. PublicTest accuracy is highest in "
        f"epoch {best['epoch']:.0f} with {percent(best['val_accuracy'])}; PublicTest loss is "
        f"lowest in epoch {lowest['epoch']:.0f} with {lowest['val_loss']:.2f} and ends at "
        f"{last['val_loss']:.2f}, training loss at {last['loss']:.2f}."
    )
    return Picture(figure, alt)


def accuracy_by_minutes(progress: pd.DataFrame) -> Picture:
    """Show how far networks came in how much time (`beside_the_assignment`)."""
    looks = {
        "ours": ("this study's network", "o", "-", MODELS["NN-FER2013"].colour),
        "assignment's": ("the assignment's", "s", "--", INK),
        "packaged": ("the package's, trained earlier", ".", ":", FAINT),
    }
    ends = []
    with style():
        figure, axes = blank(2.9)
        for network, (label, marker, dash, colour) in looks.items():
            rows = progress[progress["network"] == network]
            if rows.empty:
                continue
            axes.plot(
                rows["minutes"], rows["PublicTest accuracy"], dash, marker=marker, ms=4,
                color=colour, label=label,
            )  # fmt: skip
            last = rows.iloc[-1]
            ends.append(
                f"{label} {percent(last['PublicTest accuracy'])} after "
                f"{last['minutes']:.1f} minutes"
            )
        _log_axis(axes, progress["minutes"])
        axes.set_xlabel("minutes of training (logarithmic)")
        axes.set_ylabel("PublicTest accuracy")
        axes.grid(axis="y")
        percent_axis(axes.yaxis)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return Picture(figure, f"Accuracy by minutes of training: {'; '.join(ends)}.")


#: So many units make a figure.
_UNITS = 20


def unit_importance(drops: pd.DataFrame) -> Picture:
    """Show how far the recall of every emotion falls when one of the `_UNITS` largest is shuffled.

    Cells of an emotion's EMFACS prototype are outlined.
    """
    drops = drops[drops["emotion"] != "all"]
    emotions, units = drops["emotion"].unique().tolist(), drops["unit"].unique().tolist()
    largest = drops.groupby("unit")["drop"].max().nlargest(_UNITS).index
    told = f"; the {_UNITS} of most points of {len(units)}" if len(units) > _UNITS else ""
    units = [unit for unit in units if unit in largest]
    wide = drops.pivot(index="unit", columns="emotion", values="drop").loc[units, emotions]
    marked = drops.pivot(index="unit", columns="emotion", values="prototype").loc[units, emotions]
    top = max(float(wide.to_numpy().max()), 0.05)
    texts = [[f"{100 * value:.0f}" if value >= 0.005 else "" for value in row]
             for row in wide.to_numpy()]  # fmt: skip
    with style():
        figure, axes = blank(0.27 * len(units) + 1.0, width=4.6)
        heat(
            axes, wide.to_numpy().clip(0), texts, rows=units, columns=emotions,
            limits=(0, top), size=8.5,
        )  # fmt: skip
        for row, column in zip(*np.nonzero(marked.to_numpy(dtype=bool)), strict=True):
            box = [column + 0.06, column + 0.94, column + 0.94, column + 0.06, column + 0.06]
            side = [row + 0.08, row + 0.08, row + 0.92, row + 0.92, row + 0.08]
            axes.plot(box, side, color="#c16d08", lw=1.8)
        told += "\noutlined: EMFACS prototype" if marked.to_numpy(dtype=bool).any() else ""
        axes.set_xlabel(f"points of recall lost{told}", size=9)
    alt = "Recall lost when a unit is shuffled: " + "; ".join(
        f"{emotion} mostly {wide[emotion].idxmax()} ({points(-wide[emotion].max())}"
        f"{', in its prototype' if marked.loc[wide[emotion].idxmax(), emotion] else ''})"
        for emotion in emotions
        if wide[emotion].max() > 0
    )
    return Picture(figure, alt + ".")


def fold_leak(*, plain: Sequence[float], grouped: Sequence[float]) -> Picture:
    """Show the accuracies of every deal of folds that leak and of folds that keep clips whole."""
    groups = {"plain folds (leaking)": np.asarray(plain), "clips kept whole": np.asarray(grouped)}
    with style():
        figure, axes = blank(1.9)
        colour = MODELS["SVM-OpenFace"].colour
        looks = (("^", "white"), ("o", colour))
        for place, (values, (marker, fill)) in enumerate(zip(groups.values(), looks, strict=True)):
            spread = place + np.linspace(-0.18, 0.18, len(values))
            axes.plot(values, spread, marker, ms=6, mfc=fill, mec=colour)
            axes.plot([values.mean()] * 2, [place - 0.32, place + 0.32], color=INK, lw=2)
        axes.set_yticks(range(2), list(groups))
        axes.set_ylim(1.5, -0.5)
        axes.tick_params("y", length=0)
        axes.grid(axis="x")
        percent_axis(axes.xaxis)
        axes.set_xlabel("accuracy of one deal; bar: mean", size=9)
    means = [float(values.mean()) for values in groups.values()]
    alt = (
        f"Accuracies of {count(len(plain), 'deal')} of the folds: plain folds "
        f"{percent(means[0])} on average, folds that keep clips whole {percent(means[1])}; the "
        f"leak is worth {points(means[0] - means[1])}."
    )
    return Picture(figure, alt)


#: Of models that share a colour.
_LINES = ("-", ":", "-.")


def label_curve(points: pd.DataFrame, *, start: Mapping[str, float] | None = None) -> Picture:
    """Show accuracy and log loss of `curve_points`; ``start`` has both of NN-FER2013."""
    best = points.loc[points["accuracy"].idxmax(), "model"]
    colours = {name: look(name)[0] for name in points["model"].unique()}
    others = iter(seaborn.color_palette("colorblind", len(colours)).as_hex())
    ends = []
    with style():
        figure, axes = blank(3.4, ncols=2, width=WIDE)
        drawn: Counter[str] = Counter()
        for name, own in points.sort_values("faces").groupby("model", sort=False):
            colour = next(others) if colours[name] == INK else colours[name]
            line = _LINES[drawn[colour] % len(_LINES)]
            drawn[colour] += 1
            for place, what in zip(axes, ("accuracy", "log_loss"), strict=True):
                place.plot(own["faces"], own[what], ls=line, marker=look(name)[1], ms=4,
                           color=colour, label=printable(name))  # fmt: skip
            if name == best:
                axes[0].fill_between(
                    own["faces"], own["low"], own["high"], color=colour, alpha=0.15
                )
            ends.append(
                f"{printable(name)} {percent(own['accuracy'].iloc[0])} with "
                f"{own['faces'].iloc[0]:.0f}, {percent(own['accuracy'].iloc[-1])} with "
                f"{own['faces'].iloc[-1]:.0f}"
            )
        for place, what in zip(axes, ("accuracy", "log_loss"), strict=True):
            if start:
                place.axhline(start[what], ls="--", color=MODELS["NN-FER2013"].colour,
                              label="NN-FER2013, no label")  # fmt: skip
            _log_axis(place, points["faces"])
            place.set_xlabel("labelled faces learned from (logarithmic)")
            place.set_title(what.replace("_", " "))
            place.grid(axis="y")
        percent_axis(axes[0].yaxis)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    alt = f"Accuracy by labelled faces: {'; '.join(ends)}. The band is {printable(best)}'s, 95 %."
    return Picture(figure, alt)


def risk_coverage(curves: Mapping[str, pd.DataFrame], *, allowed: float) -> Picture:
    """Show how often models are wrong in so much of the faces as they answer, the surest first."""
    with style():
        figure, axes = blank(2.9)
        for name, own in curves.items():
            colour, marker = look(name)
            axes.plot(own["coverage"], own["error"], marker=marker, markevery=0.1, ms=4,
                      color=colour, label=printable(name))  # fmt: skip
        axes.axhline(allowed, ls="--", color=FAINT)
        axes.set_xlabel("answered, the surest first")
        axes.set_ylabel("of these wrong")
        axes.grid(axis="y")
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)
    ends = [
        f"{printable(name)} {percent(own['error'].iloc[-1])} of all, "
        f"{percent(own.loc[own['coverage'] >= 0.5, 'error'].iloc[0])} of the surer half"
        for name, own in curves.items()
    ]
    return Picture(figure, f"Wrong answers: {'; '.join(ends)}.")


def errors_among_voters(errors: pd.DataFrame) -> Picture:
    """Show how many of ten voters gave a model's wrong answers, by emotion."""
    colours = ("#225522", "#88aa66", "#d6c7a1", "#b3450e")
    told = {side: f"{side} voters than for the label" for side in ("more", "fewer")}
    told |= {"as many": "as many as for the label", "none": "no voter"}
    with style():
        figure, axes = blank(0.3 * len(errors) + 1.4, width=WIDE)
        start = np.zeros(len(errors))
        for side, colour in zip(SIDES, colours, strict=True):
            how = {"left": start, "color": colour, "height": 0.72, "label": told[side]}
            bars = axes.barh(range(len(errors)), errors[side], **how)
            texts = [percent(share, digits=0) if share > 0.05 else "" for share in errors[side]]
            ink = "white" if side in ("more", "none") else INK
            axes.bar_label(bars, texts, label_type="center", color=ink, size=9)
            start += errors[side]
        names = [f"{row.emotion} ({row.n:,})" for row in errors.itertuples()]
        axes.set_yticks(range(len(errors)), names)
        axes.set_ylim(len(errors) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("wrong answers of the model, by how many voters gave them")
        percent_axis(axes.xaxis)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    ends = [
        f"{row['emotion']} {percent(row['more'] + row['as many'])} of {row['n']:,}"
        for row in errors.to_dict("records")
    ]
    return Picture(figure, f"Errors that are none to the voters: {'; '.join(ends)}.")


def _log_axis(axes, numbers: pd.Series) -> None:
    axes.set_xscale("log")
    axes.set_xlim(numbers.min() / 2, numbers.max() * 2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
