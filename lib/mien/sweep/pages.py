"""The page of a sweep: the best settings, every score over the grid, a link to every run."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from nbformat import NotebookNode

from mien.report.figures import accuracies
from mien.report.tables import Link, WithInterval, table
from mien.report.text import bullets, count, escape, interval, listed, percent, points
from mien.running import pages
from mien.running.record import Record, now
from mien.study import provenance
from mien.sweep import scores
from mien.sweep.planning import Sweep
from mien.sweep.runs import Status

#: Settings that one figure shows; of more, those with the highest accuracy.
MOST = 20

#: The sets in words.
SETS = {
    "PublicTest": "PublicTest",
    "target-labelled": "the person's labelled faces",
    "target-unknown": "the unknown faces",
    "PrivateTest-deduplicated": "PrivateTest without copies",
}


def ahead(gap: float, other: str) -> str:
    """Return by how much somebody is ahead, as ``"+1.5 points over B"``, or that nobody is."""
    return f"a tie with {other}" if points(gap) == points(0) else f"{points(gap)} over {other}"


def origin(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what study.json would tell of a page that no chapter has made."""
    git, versions = provenance.git_state(), provenance.versions()
    return {"written": now(), "git": git, "versions": versions, "parameters": parameters}


def render(sweep: Sweep, statuses: Mapping[str, Status]) -> Path:
    """Write ``index.html`` of a sweep and return its path; failed runs are listed only."""
    ended = [run for run in sweep.runs if statuses[run.name].state == "done"]
    known = scores.read(ended, sweep.grid)
    boards = scores.boards(known)
    varied = listed(
        [f"**{name}** ({', '.join(map(escape, texts))})" for name, texts in sweep.grid.items()]
    )
    text = f"# Sweep of {', '.join(sweep.grid)}\n\nThis sweep varied {varied}: "
    text += f"{count(len(sweep.runs), 'run')}, {len(ended)} done."
    if failed := len(sweep.runs) - len(ended):
        text += f" **{count(failed, 'run')} did not end well**; they are listed"
        text += " [below](#runs), and nothing on this page comes from them."
    cells = [pages.prose(text), *_choice(boards, known), *_scores(boards)]
    cells += _runs(sweep, statuses)
    told = sweep.runs[0].model_dump(include={"fer2013", "target", "profile"})
    facts = origin({**told, "name": sweep.name}) | {"hardware": provenance.hardware()}
    facts["command"] = sweep.command
    return pages.write_page(sweep.folder, "The sweep", cells, facts)


def _choice(boards: list[pd.DataFrame], known: pd.DataFrame) -> Iterator[NotebookNode]:
    choosers = [board for board in boards if scores.chooses(board)]
    if not choosers:
        return
    yield pages.prose("## The best settings\n\n" + bullets([_verdict(one) for one in choosers]))
    yield pages.prose(
        "A model that learned from the crowd is chosen by its accuracy on PublicTest; one that "
        "learned from the person by its answers on labelled faces that its fold had held out. "
        "PrivateTest and the unknown faces choose nothing and are shown for the chosen settings "
        "only. An interval over images or clips and seeds says how far other images or clips and "
        "another seed would move a score; one run tells nothing of other seeds, and where each "
        "seed read other faces, the interval is over the seeds alone."
    )
    others = [other for board in choosers for other in scores.held_out(board, known)]
    if others:
        yield _table(others, "The chosen settings on what chose nothing")


def _verdict(board: pd.DataFrame) -> str:
    settings, name, model = scores.settings(board), scores.best(board), _model(board)
    best = settings.loc[name]
    right = f"{percent(best.accuracy)} on {SETS[best.set]} (95 % interval "
    right += f"{interval((best.low, best.high))} by {best.interval}; {count(best.runs, 'run')})"
    if len(settings) == 1:
        return f"**{model}**: no setting of it was varied; {right}."
    second, gap, bounds = scores.lead(board)
    lead = ahead(gap, escape(second))
    if bounds:
        lead += f" (paired, 95 % interval {interval(bounds, signed=True)}"
        lead += ")" if bounds[0] > 0 else "; the runs do not separate the two)"
    return f"**{model}**: **{escape(name)}**, {right}; {lead}."


def _model(board: pd.DataFrame) -> str:
    return " / ".join(board["model"].unique())


def _scores(boards: list[pd.DataFrame]) -> Iterator[NotebookNode]:
    if boards:
        yield pages.prose("## Every score over the grid")
        caption = "Mean, spread (standard deviation over runs) and 95 % interval of every setting"
        yield _table(boards, caption)
    for board in boards:
        if len(board) > 1:
            settings, where = scores.settings(board), board["set"].iloc[0]
            shown = settings.nlargest(MOST, "accuracy")
            shown["accuracy_ci95"] = [*zip(shown["low"], shown["high"], strict=True)]
            picture = accuracies(shown.to_dict("index"))
            which = "Settings" if len(settings) <= MOST else f"The {MOST} best settings"
            alt = f"{which} of {_model(board)} on {where}. {picture.alt}"
            yield pages.prose(f"### {which} of {_model(board)} on {SETS[where]}")
            yield pages.shown(replace(picture, alt=alt))


def _table(boards: list[pd.DataFrame], caption: str) -> NotebookNode:
    """Return a table of the settings of boards as a reader sees them."""
    found = pd.concat(map(scores.settings, boards)).reset_index()
    accuracy = zip(found["accuracy"], found.pop("low"), found.pop("high"), strict=True)
    found["accuracy"] = [WithInterval(*bounds) for bounds in accuracy]
    found["set"] = found["set"].map(SETS)
    names = {"f1_macro": "macro F1", "f1_spread": "spread of F1"}
    found = found.rename(columns=names).set_index(["model", "set", "setting"])
    rates = ["accuracy", "spread", *names.values()]
    return pages.shown(table(found, caption=caption, percent=rates))


def _runs(sweep: Sweep, statuses: Mapping[str, Status]) -> Iterator[NotebookNode]:
    rows, failures = [], []
    for run in sweep.runs:
        status = statuses[run.name]
        opened = Record.read(run).pages.get("open", "index.html")
        page = Path(run.out, pages.FAILURE if status.state == "failed" else opened)
        link = Link(run.name, os.path.relpath(page, sweep.folder))
        shown = link if page.is_file() else run.name
        rows.append(
            {"run": shown, "state": status.state, "seconds": status.seconds, "host": status.host}
        )
        if status.state != "done":
            told = "\n".join(f"    {line}" for line in status.message.splitlines())
            failures.append(f"**{run.name}**\n\n{told}")
    yield pages.prose("## Runs\n\nEvery run is a study with a report of its own.")
    yield pages.shown(table(pd.DataFrame(rows), caption="Runs of this sweep", digits=0))
    if failures:
        yield pages.prose("### What went wrong\n\n" + "\n\n".join(failures))
