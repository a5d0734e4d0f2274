"""Figures: functions of computed numbers that return a `Picture` and its finding in words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from mien.emotions import in_order
from mien.errors import printable
from mien.evaluation.rater_agreement import SIDES
from mien.models import MODELS
from mien.report.sentences import best_and_worst, confused, few_and_all
from mien.report.style import (
    EMOTION_COLOURS,
    FAINT,
    GRID,
    INK,
    WIDE,
    WIDTH,
    Picture,
    blank,
    heat,
    legend,
    look,
    percent_axis,
    rows_of,
    style,
)
from mien.report.text import count, interval, listed, percent, points


@style()
def confusions(scores: Mapping[str, Mapping]) -> Picture:
    """Show the confusion matrices of models: counts, the share of the true emotion as colour."""
    labels = in_order(label for score in scores.values() for label in score["labels"])
    columns = min(2, len(scores))
    rows = -(-len(scores) // columns)
    many = len(scores) > 1
    cell, title = (0.33, 0.3) if many else (0.5, 0.0)
    grid = {"nrows": rows, "ncols": columns, "sharex": True, "sharey": True, "squeeze": False}
    height = rows * (cell * len(labels) + title) + 1.7
    figure, axes = blank(height, width=WIDE if many else WIDTH, **grid)
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
    alt = [
        f"Confusion matrix of {model} on {score['set']}, {count(score['n'], 'image')}. "
        f"{best_and_worst(score)} {confused(score)}"
        for model, score in scores.items()
    ]
    return Picture(figure, " ".join(alt).replace("*", ""))


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


@style()
def accuracies(scores: Mapping[str, Mapping], *, chance: float | None = None) -> Picture:
    """Show accuracies with 95 % intervals; ``chance`` always answers the commonest emotion."""
    figure, axes = blank(0.42 * len(scores) + (0.95 if chance is None else 1.15))
    names = [f"{printable(name)}\nn = {score['n']:,}" for name, score in scores.items()]
    rows_of(axes, names, above=0.25)
    for place, (name, score) in enumerate(scores.items()):
        colour, marker = look(name)
        axes.hlines(place, *score["accuracy_ci95"], color=colour, lw=2.4)
        axes.plot(score["accuracy"], place, marker, color=colour, mec="white", ms=9)
        axes.annotate(
            percent(score["accuracy"]), (score["accuracy"], place), (0, 7),
            textcoords="offset points", ha="center", size=9.5,
        )  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="accuracy with 95 % interval")
    axes.spines["left"].set_visible(False)
    ranked = sorted(scores.items(), key=lambda item: -item[1]["accuracy"])
    alt = "Accuracies with 95 % intervals, from high to low: " + "; ".join(
        f"{printable(name)} {percent(score['accuracy'])} ({interval(score['accuracy_ci95'])}, "
        f"n = {score['n']:,})"
        for name, score in ranked
    )
    if chance is not None:
        axes.axvline(chance, color=FAINT, ls="--", lw=1.4, zorder=0)
        told = f"- - -  most frequent emotion: {percent(chance)}"
        axes.set_title(told, size=9.5, weight="normal", color=FAINT)
        under = [printable(name) for name, score in ranked if score["accuracy_ci95"][0] <= chance]
        alt += f". Most frequent emotion: {percent(chance)}; intervals that reach down to it: "
        alt += listed(under)
    return Picture(figure, alt + ".")


@style()
def reliability(bins: pd.DataFrame, error: float, *, model: str = "The model") -> Picture:
    """Show how often answers of a given confidence are right (`mien.evaluation.calibration`)."""
    colour, _ = look(model)
    figure, axes = blank(3.6, width=4.4)
    axes.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1.2)
    sizes = 20 + 180 * bins["n"] / bins["n"].max()
    axes.plot(bins["confidence"], bins["accuracy"], color=colour)
    axes.scatter(
        bins["confidence"], bins["accuracy"], s=sizes, color=colour, edgecolor="white", zorder=3
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="answers that are right")
    axes.grid()
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.set_xlabel("probability of the answer (area of a dot: images)", size=9)
    gap = np.average(bins["accuracy"] - bins["confidence"], weights=bins["n"])
    alt = (
        f"Reliability of {model}: expected calibration error {percent(error)}; accuracy minus "
        f"probability is {points(gap)} on average."
    )
    return Picture(figure, alt)


@style()
def differences(pairs: pd.DataFrame) -> Picture:
    """Show the difference of accuracy of every pair (`mien.evaluation.paired_tests.compare`)."""
    figure, axes = blank(0.45 * len(pairs) + 0.9)
    names = [f"{printable(row.a)}\nminus {printable(row.b)}" for row in pairs.itertuples()]
    rows_of(axes, names, signed=True)
    alt = []
    for place, row in enumerate(pairs.itertuples()):
        colour = MODELS["SVM-OpenFace"].colour if row.separated else FAINT
        mark, inside = ("D", colour) if row.separated else ("o", "white")
        axes.hlines(place, row.ci_low, row.ci_high, color=colour, lw=2.2)
        axes.plot(row.difference, place, mark, color=colour, mfc=inside, ms=8)
        alt.append(
            f"{printable(row.a)} minus {printable(row.b)} {points(row.difference)} "
            f"({interval((row.ci_low, row.ci_high), signed=True)}"
            f"{', separated' if row.separated else ', not separated'})"
        )
    axes.axvline(0, color=INK, lw=1.2)
    figure.supxlabel("difference in percentage points, 95 % interval; filled: separated", size=9)
    return Picture(figure, f"Differences of accuracy with 95 % intervals: {'; '.join(alt)}.")


@style()
def per_emotion_recall(scores: Mapping[str, Mapping]) -> Picture:
    """Show the recall of every model on every emotion that occurs; all on the same set."""
    first = next(iter(scores.values()))["per_class"]
    shown = {emotion: found["support"] for emotion, found in first.items() if found["support"]}
    figure, axes = blank(0.62 * len(shown) + 1.2)
    rows_of(axes, [f"{emotion}\nn = {n:g}" for emotion, n in shown.items()])
    recalls = pd.DataFrame(
        {
            model: {emotion: score["per_class"][emotion]["recall"] for emotion in shown}
            for model, score in scores.items()
        }
    )
    for number, (model, own) in enumerate(recalls.items()):
        places = np.arange(len(own)) + 0.16 * (number - (len(scores) - 1) / 2)
        colour, mark = look(model)
        axes.plot(own, places, mark, color=colour, ms=7.5, mec="white", label=printable(model))
    for place in range(1, len(shown)):
        axes.axhline(place - 0.5, color=GRID, lw=0.8)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("recall: share of the emotion's faces that are found", size=9)
    legend(figure, axes)
    found = [
        f"{emotion} best by {listed(map(printable, own.index[own == own.max()]))} "
        f"({percent(own.max())})"
        for emotion, own in recalls.iterrows()
    ]
    return Picture(figure, f"Recall by emotion: {'; '.join(found)}.")


@style()
def class_balance(counts: pd.DataFrame) -> Picture:
    """Show the share of every emotion (rows) in every split (columns) of counts."""
    shares = counts / counts.sum()
    columns = {"ncols": len(counts.columns), "sharey": True, "squeeze": False}
    figure, axes = blank(0.3 * len(counts) + 0.5, width=WIDE, **columns)
    colours = [EMOTION_COLOURS[emotion] for emotion in counts.index]
    alt = []
    for place, (split, own) in zip(axes[0], counts.items(), strict=True):
        bars = place.barh(range(len(own)), shares[split], color=colours, height=0.72)
        told = [
            f"{n:,} ({percent(share, digits=0)})"
            for n, share in zip(own, shares[split], strict=True)
        ]
        place.bar_label(bars, told, padding=3, size=9)
        rows_of(place, list(counts.index))
        place.set(title=printable(split), xlim=(0, 2 * shares.max(axis=None)))
        place.xaxis.set_visible(False)
        place.spines["bottom"].set_visible(False)
        ranked = own.sort_values(ascending=False, kind="stable").items()
        told = ", ".join(f"{emotion} {n:,} ({percent(n / own.sum())})" for emotion, n in ranked)
        alt.append(f"{printable(split)}, {count(own.sum(), 'image')}: {told}.")
    return Picture(figure, " ".join(alt))


@style()
def learning_curves(history: pd.DataFrame) -> Picture:
    """Show loss and accuracy of a training, epoch by epoch (`mien.network.training.train`)."""
    figure, axes = blank(2.9, ncols=2, width=WIDE)
    for place, what in zip(axes, ("loss", "accuracy"), strict=True):
        own, public = (history.set_index("epoch")[name] for name in (what, f"val_{what}"))
        place.plot(own, "o-", ms=4, color=INK, label="Training, augmented")
        place.plot(public, "s--", ms=4, color="#b3450e", label="PublicTest")
        place.set(title=what, xlabel="epoch", xlim=(0.5, history["epoch"].max() + 0.5))
        place.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        place.grid(axis="y")
    percent_axis(axes[1].yaxis)
    legend(figure, axes[1])
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


@style()
def accuracy_by_minutes(progress: pd.DataFrame) -> Picture:
    """Show how far networks came in how much time (`beside_the_assignment`)."""
    looks = {
        "ours": ("this study's network", "o-", MODELS["NN-FER2013"].colour),
        "assignment's": ("the assignment's", "s--", INK),
        "packaged": ("the package's, trained earlier", ".:", FAINT),
    }
    figure, axes = blank(2.9)
    ends = []
    for network, own in progress.groupby("network", sort=False):
        label, line, colour = looks[network]
        axes.plot(own["minutes"], own["PublicTest accuracy"], line, ms=4, color=colour, label=label)
        reached, after = own["PublicTest accuracy"].iloc[-1], own["minutes"].iloc[-1]
        ends.append(f"{label} {percent(reached)} after {after:.1f} minutes")
    _log_axis(axes, progress["minutes"])
    axes.set(xlabel="minutes of training (logarithmic)", ylabel="PublicTest accuracy")
    axes.grid(axis="y")
    percent_axis(axes.yaxis)
    legend(figure, axes)
    return Picture(figure, f"Accuracy by minutes of training: {'; '.join(ends)}.")


#: So many units make a figure.
_UNITS = 20


@style()
def unit_importance(drops: pd.DataFrame) -> Picture:
    """Show how far the recall of every emotion falls when one of the `_UNITS` largest is shuffled.

    Cells of an emotion's EMFACS prototype are outlined.
    """
    drops = drops[drops["emotion"] != "all"]
    emotions, units = drops["emotion"].unique().tolist(), drops["unit"].unique().tolist()
    largest = drops.groupby("unit")["drop"].max().nlargest(_UNITS).index
    told = f"; the {_UNITS} of most points of {len(units)}" if len(units) > _UNITS else ""
    units = [unit for unit in units if unit in largest]
    wide, marked = (
        drops.pivot(index="unit", columns="emotion", values=values).loc[units, emotions]
        for values in ("drop", "prototype")
    )
    texts = wide.map(lambda value: f"{100 * value:.0f}" if value >= 0.005 else "").to_numpy()
    figure, axes = blank(0.27 * len(units) + 1.0, width=4.6)
    limits = (0, max(float(wide.max(axis=None)), 0.05))
    shown = wide.to_numpy().clip(0)
    heat(axes, shown, texts, rows=units, columns=emotions, limits=limits, size=8.5)
    for row, column in np.argwhere(marked.to_numpy(dtype=bool)):
        box = Rectangle((column + 0.06, row + 0.08), 0.88, 0.84, fill=False, ec="#c16d08", lw=1.8)
        axes.add_patch(box)
    told += "\noutlined: EMFACS prototype" if marked.any(axis=None) else ""
    axes.set_xlabel(f"points of recall lost{told}", size=9)
    most = wide.idxmax()
    alt = "; ".join(
        f"{emotion} mostly {unit} ({points(-wide.loc[unit, emotion])}"
        f"{', in its prototype' if marked.loc[unit, emotion] else ''})"
        for emotion, unit in most.items()
        if wide.loc[unit, emotion] > 0
    )
    return Picture(figure, f"Recall lost when a unit is shuffled: {alt}.")


@style()
def fold_leak(*, plain: Sequence[float], grouped: Sequence[float]) -> Picture:
    """Show the accuracies of every deal of folds that leak and of folds that keep clips whole."""
    figure, axes = blank(1.9)
    rows_of(axes, ["plain folds (leaking)", "clips kept whole"])
    colour = MODELS["SVM-OpenFace"].colour
    for place, (values, mark, inside) in enumerate([(plain, "^", "white"), (grouped, "o", colour)]):
        spread = place + np.linspace(-0.18, 0.18, len(values))
        axes.plot(values, spread, mark, ms=6, mfc=inside, mec=colour)
        axes.vlines(np.mean(values), place - 0.32, place + 0.32, color=INK, lw=2)
    axes.set_xlabel("accuracy of one deal; bar: mean", size=9)
    leaking, whole = np.mean(plain), np.mean(grouped)
    alt = (
        f"Accuracies of {count(len(plain), 'deal')} of the folds: plain folds {percent(leaking)} "
        f"on average, folds that keep clips whole {percent(whole)}; the leak is worth "
        f"{points(leaking - whole)}."
    )
    return Picture(figure, alt)


@style()
def label_curve(points: pd.DataFrame, *, start: Mapping[str, float] | None = None) -> Picture:
    """Show accuracy and log loss of `curve_points`; ``start`` has both of NN-FER2013."""
    import seaborn  # here, because a palette is all that is drawn with it

    best = points.loc[points["accuracy"].idxmax(), "model"]
    others, drawn = iter(seaborn.color_palette("colorblind", 20).as_hex()), []
    figure, axes = blank(3.4, ncols=2, width=WIDE)
    for name, own in points.sort_values("faces").groupby("model", sort=False):
        colour, mark = look(name)
        colour = next(others) if colour == INK else colour
        line = ("-", ":", "-.")[drawn.count(colour) % 3]  # some models share a colour
        drawn.append(colour)
        how = {"ls": line, "marker": mark, "ms": 4, "color": colour, "label": printable(name)}
        axes[0].plot(own["faces"], own["accuracy"], **how)
        axes[1].plot(own["faces"], own["log_loss"], **how)
        if name == best:
            axes[0].fill_between(own["faces"], own["low"], own["high"], color=colour, alpha=0.15)
    for place, what in zip(axes, ("accuracy", "log_loss"), strict=True):
        if start:
            colour = MODELS["NN-FER2013"].colour
            place.axhline(start[what], ls="--", color=colour, label="NN-FER2013, no label")
        _log_axis(place, points["faces"])
        place.set(xlabel="labelled faces learned from (logarithmic)", title=what.replace("_", " "))
        place.grid(axis="y")
    percent_axis(axes[0].yaxis)
    legend(figure, axes[0], ncols=3)
    told = f"Accuracy by labelled faces: {few_and_all(points)}."
    return Picture(figure, f"{printable(told)} The band is {printable(best)}'s, 95 %.")


@style()
def risk_coverage(curves: Mapping[str, pd.DataFrame], *, allowed: float) -> Picture:
    """Show how often models are wrong in so much of the faces as they answer, the surest first."""
    figure, axes = blank(2.9)
    ends = []
    for name, own in curves.items():
        colour, mark = look(name)
        how = {"marker": mark, "markevery": 0.1, "ms": 4, "color": colour}
        axes.plot(own["coverage"], own["error"], label=printable(name), **how)
        half = own.loc[own["coverage"] >= 0.5, "error"].iloc[0]
        ends.append(
            f"{printable(name)} {percent(own['error'].iloc[-1])} of all, {percent(half)} of the "
            "surer half"
        )
    axes.axhline(allowed, ls="--", color=FAINT)
    axes.set(xlabel="answered, the surest first", ylabel="of these wrong")
    axes.grid(axis="y")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend(figure, axes, ncols=4)
    return Picture(figure, f"Wrong answers: {'; '.join(ends)}.")


@style()
def errors_among_voters(errors: pd.DataFrame) -> Picture:
    """Show how many of ten voters gave a model's wrong answers, by emotion."""
    told = {side: f"{side} voters than for the label" for side in ("more", "fewer")}
    told |= {"as many": "as many as for the label", "none": "no voter"}
    colours = ("#225522", "#88aa66", "#d6c7a1", "#b3450e")
    figure, axes = blank(0.3 * len(errors) + 1.4, width=WIDE)
    rows_of(axes, [f"{row.emotion} ({row.n:,})" for row in errors.itertuples()])
    start = np.zeros(len(errors))
    for side, colour in zip(SIDES, colours, strict=True):
        how = {"left": start, "color": colour, "height": 0.72, "label": told[side]}
        bars = axes.barh(range(len(errors)), errors[side], **how)
        texts = [percent(share, digits=0) if share > 0.05 else "" for share in errors[side]]
        ink = "white" if side in ("more", "none") else INK
        axes.bar_label(bars, texts, label_type="center", color=ink, size=9)
        start += errors[side]
    axes.set(xlim=(0, 1), xlabel="wrong answers of the model, by how many voters gave them")
    legend(figure, axes)
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
