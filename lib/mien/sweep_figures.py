"""The figures of a sweep: every run's score, and the mean of every setting with its interval."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from mien.pictures import FAINT, MODEL_COLOURS, WIDE, Picture, blank, percent_axis, style
from mien.prose import count, interval, percent, printable
from mien.sweep_scores import Board

#: Settings that one figure shows; of more, those with the highest accuracy.
MOST = 20


def settings_figure(board: Board) -> Picture:
    """Show accuracy and macro F1 of every setting: runs as dots, their mean and its interval.

    Parameters
    ----------
    board : Board
        Of at most `MOST` settings all are drawn, else the best.
    """
    settings = board.settings
    if len(settings) > MOST:
        kept = settings["accuracy"].nlargest(MOST).index
        settings = settings[settings.index.isin(kept)]
    draws = board.draws[board.draws["setting"].isin(settings.index)]
    with style():
        figure, axes = blank(0.34 * len(settings) + 1.0, width=WIDE, ncols=2, sharey=True)
        for place, (column, title) in zip(
            axes[0], (("accuracy", "accuracy"), ("f1_macro", "macro F1")), strict=True
        ):
            _strip(place, settings, draws, column, MODEL_COLOURS[board.model])
            place.set_title(title)
            place.set_xlim(*_limits(settings, draws))
        first = axes[0, 0]
        first.hlines(
            range(len(settings)), settings["low"], settings["high"],
            color=MODEL_COLOURS[board.model], lw=2.4,
        )  # fmt: skip
        first.set_yticks(range(len(settings)), [printable(name) for name in settings.index])
        if board.chooses and len(settings) > 1:
            first.get_yticklabels()[settings.index.get_loc(board.best)].set_weight("bold")
        figure.supxlabel("dot: one run; bar: mean; line: 95 % interval of the accuracy", size=9)
    return Picture(figure, _alt(board, settings))


def _strip(axes: Axes, settings: pd.DataFrame, draws: pd.DataFrame, column: str, colour) -> None:
    seaborn.stripplot(
        draws, x=column, y="setting", order=list(settings.index), color=colour, alpha=0.65,
        size=6, jitter=False, edgecolor="white", linewidth=0.7, ax=axes, zorder=3,
    )  # fmt: skip
    for place, mean in enumerate(settings[column]):
        axes.plot([mean, mean], [place - 0.3, place + 0.3], color=colour, lw=2.4, zorder=2)
    axes.set_xlabel("")
    axes.set_ylabel("")
    axes.grid(axis="x")
    axes.tick_params("y", length=0)
    axes.spines["left"].set_color(FAINT)
    percent_axis(axes.xaxis)


def _limits(settings: pd.DataFrame, draws: pd.DataFrame) -> tuple[float, float]:
    """Return an axis from one multiple of 10 % to another that holds every dot and line."""
    shown = [*settings["low"], *settings["high"], *draws["accuracy"], *draws["f1_macro"]]
    return max(0.0, np.floor(10 * min(shown)) / 10), min(1.0, np.ceil(10 * max(shown)) / 10)


def _alt(board: Board, settings: pd.DataFrame) -> str:
    told = "; ".join(
        f"{printable(name)}: accuracy {percent(row.accuracy)} "
        f"({interval((row.low, row.high))}), macro F1 {percent(row.f1_macro)}, "
        f"{count(row.runs, 'run')}"
        for name, row in settings.sort_values("accuracy", ascending=False).iterrows()
    )
    which = "Settings" if len(settings) == len(board.settings) else f"The {MOST} best settings"
    return f"{which} of {board.model} on {board.set}, from high to low accuracy: {told}."
