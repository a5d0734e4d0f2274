"""The page of a sweep: the best settings, every score over the grid, a link to every run."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from nbformat import NotebookNode

from mien.report.figures import accuracies
from mien.report.style import Picture
from mien.report.tables import Link, Shown, WithInterval, table
from mien.report.text import count, escape, interval, listed, percent, points
from mien.running import pages
from mien.study import provenance
from mien.study.parameters import CHAPTERS
from mien.sweep.planning import Run, Sweep, dependants
from mien.sweep.runs import Status
from mien.sweep.scores import (
    CLIPS_AND_SEEDS,
    IMAGES_AND_SEEDS,
    OVER_SEEDS,
    Board,
    boards,
    held_out,
)

#: Settings that one figure shows; of more, those with the highest accuracy.
MOST = 20


def settings_figure(board: Board) -> Picture:
    """Show the accuracy of every setting with its interval; of more than `MOST` the best."""
    settings = board.settings
    shown = settings.loc[settings.index.isin(settings["accuracy"].nlargest(MOST).index)]
    n = int(board.draws["n"].iloc[0])
    scores = {
        name: {"accuracy": row.accuracy, "accuracy_ci95": (row.low, row.high), "n": n}
        for name, row in shown.iterrows()
    }
    picture = accuracies(scores)
    which = "Settings" if len(shown) == len(settings) else f"The {MOST} best settings"
    return replace(picture, alt=f"{which} of {board.model} on {board.set}. {picture.alt}")


_SETS = {"PublicTest": "PublicTest", "target-labelled": "the person's labelled faces"}
_HELD_OUT = {
    "PrivateTest-deduplicated": "PrivateTest without copies",
    "target-unknown": "unknown faces",
}


def render(sweep: Sweep, statuses: Mapping[str, Status]) -> Path:
    """Write ``index.html`` of a sweep and return its path; failed runs are listed only."""
    ended = [run for run in _in_grid_order(sweep) if statuses[run.label].state == "done"]
    found = boards(ended, dependants(list(sweep.grid)))
    cells = [
        _opening(sweep, len(ended)),
        *_choice(found, ended),
        *itertools.chain.from_iterable(_scores(board) for board in found.values()),
        *_runs(sweep, statuses),
    ]
    return pages.write_page(sweep.folder, "The sweep", cells, _known(sweep))


def _opening(sweep: Sweep, done: int) -> NotebookNode:
    varied = listed(
        [f"**{name}** ({', '.join(map(escape, texts))})" for name, texts in sweep.grid.items()]
    )
    text = f"# Sweep of {', '.join(sweep.grid)}\n\nThis sweep varied {varied}: "
    text += f"{count(len(sweep.runs), 'run')}, {done} done."
    if done < len(sweep.runs):
        text += f" **{count(len(sweep.runs) - done, 'run')} did not end well**; they are listed"
        text += " [below](#runs), and nothing on this page comes from them."
    return pages.prose(text)


def _choice(found: Mapping[tuple[str, str], Board], runs: list[Run]) -> Iterator[NotebookNode]:
    choosers = [board for board in found.values() if board.chooses]
    if not choosers:
        return
    yield pages.prose("## The best settings\n\n" + "\n".join(f"- {_verdict(b)}" for b in choosers))
    yield pages.prose(
        "A model that learned from the crowd is chosen by its accuracy on PublicTest; one that "
        "learned from the person by its answers on labelled faces that its fold had held out. "
        "PrivateTest and the unknown faces choose nothing and are shown for the chosen settings "
        "only."
    )
    scored = [
        (board, other)
        for board in choosers
        for part in dict.fromkeys(o.part for o in found.values() if o.model == board.model)
        for other in held_out(board, runs, part).values()
    ]
    if scored:
        yield pages.shown(_held_out_table(scored))


def _verdict(board: Board) -> str:
    best = board.settings.loc[board.best]
    where = _SETS[board.set]
    range_ = f"95 % interval {interval((best.low, best.high))} by {best.interval}"
    right = f"{percent(best.accuracy)} on {where} ({range_}; {count(best.runs, 'run')})"
    if len(board.settings) == 1:
        return f"**{board.model}**: no setting of it was varied; {right}."
    second, gap, bounds = board.lead()
    ahead = f"{points(gap)} over {escape(second)}"
    if bounds:
        ahead += f" (paired, 95 % interval {interval(bounds, signed=True)}"
        ahead += ")" if bounds[0] > 0 else "; the runs do not separate the two)"
    return f"**{board.model}**: **{escape(board.best)}**, {right}; {ahead}."


def _held_out_table(scored: list[tuple[Board, Board]]) -> Shown:
    frames = [
        _columns(other.settings).assign(
            model=board.model,
            setting=board.best if len(board.settings) > 1 else "–",
            set=_HELD_OUT[other.set],
            n=int(other.draws["n"].iloc[0]),
        )
        for board, other in scored
    ]
    shown = ["setting", "set", "runs", "n", "accuracy", "interval", "spread", "macro F1"]
    return table(
        pd.concat(frames).set_index("model")[shown],
        caption="The chosen settings on what chose nothing",
        percent=["accuracy", "spread", "macro F1"],
    )


def _scores(board: Board) -> Iterator[NotebookNode]:
    where = _SETS[board.set]
    text = f"## {board.model} on {where}\n\n"
    text += "These scores choose its setting. " if board.chooses else ""
    text += f"{count(int(board.draws['n'].iloc[0]), 'image')} in each run. " + _how(board)
    yield pages.prose(text)
    if len(board.draws) > 1:
        yield pages.shown(settings_figure(board))
    yield pages.shown(
        table(
            _columns(board.settings),
            caption=f"{board.model} on {where}: mean, spread (standard deviation over runs) and "
            "95 % interval",
            percent=["accuracy", "spread", "macro F1", "spread of F1"],
        )
    )


def _columns(settings: pd.DataFrame) -> pd.DataFrame:
    """Return the settings of a board as a reader sees them."""
    accuracies = zip(settings["accuracy"], settings["low"], settings["high"], strict=True)
    return pd.DataFrame(
        {
            "runs": settings["runs"],
            "accuracy": [WithInterval(*bounds) for bounds in accuracies],
            "spread": settings["spread"],
            "interval": settings["interval"],
            "macro F1": settings["f1_macro"],
            "spread of F1": settings["f1_spread"],
        }
    )


def _how(board: Board) -> str:
    kinds = set(board.settings["interval"])
    told = {
        CLIPS_AND_SEEDS: "The interval says how far other clips of the person and another seed "
        "would move the score.",
        IMAGES_AND_SEEDS: "The interval says how far other images and another seed would move the "
        "score.",
        OVER_SEEDS: "The interval is Student's t over the seeds alone, since each seed read other "
        "faces.",
        "Wilson": "With one run the interval is Wilson's for its images.",
        "t over clips": "With one run the interval says how far other clips of the person would "
        "move the score, not another seed.",
    }
    return " ".join(text for kind, text in told.items() if kind in kinds)


def _runs(sweep: Sweep, statuses: Mapping[str, Status]) -> Iterator[NotebookNode]:
    rows = []
    for run in _in_grid_order(sweep):
        status = statuses[run.label]
        page = _page_of(Path(run.study.out), status.state)
        shown = Link(run.label, os.path.relpath(page, sweep.folder)) if page else run.label
        rows.append(
            {"run": shown, "state": status.state, "seconds": status.seconds, "host": status.host}
        )
    yield pages.prose("## Runs\n\nEvery run is a study with a report of its own.")
    yield pages.shown(table(pd.DataFrame(rows), caption="Runs of this sweep", digits=0))
    failures = [
        f"**{run.label}**\n\n" + "\n".join(f"    {line}" for line in status.message.splitlines())
        for run in sweep.runs
        if (status := statuses[run.label]).state != "done"
    ]
    if failures:
        yield pages.prose("### What went wrong\n\n" + "\n\n".join(failures))


def _page_of(folder: Path, state: str) -> Path | None:
    """Return the page of a run to open: its failure, its comparison, else its last chapter."""
    names = [pages.page_name(plan.part) for plan in reversed(CHAPTERS)]
    if state == "failed":
        names.insert(0, pages.FAILURE)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _known(sweep: Sweep) -> dict[str, Any]:
    study = sweep.runs[0].study
    return {
        "command": sweep.command,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": provenance.git_state(),
        "hardware": provenance.hardware(),
        "versions": provenance.versions(),
        "parameters": {
            **study.model_dump(include={"fer2013", "target", "profile"}),
            "name": sweep.name,
        },
    }


def _in_grid_order(sweep: Sweep) -> list[Run]:
    places = {name: texts.index for name, texts in sweep.grid.items()}
    return sorted(sweep.runs, key=lambda run: [places[name](run.point[name]) for name in places])
