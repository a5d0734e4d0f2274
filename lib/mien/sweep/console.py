"""What a sweep shows on the terminal while it runs, and at its end."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mien.study.parameters import BY_PART
from mien.sweep.planning import Sweep
from mien.sweep.runs import Progress

_STYLES = {"done": "green", "failed": "red", "running": "bold", "stopped": "yellow"}


class Teller:
    """One line for every run: its values of the grid, its state and its chapter.

    On a terminal the lines stay in place and change; elsewhere every change is a line.
    """

    def __init__(self, sweep: Sweep, console: Console) -> None:
        self._sweep = sweep
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._since: dict[str, float] = {}
        self._told: dict[str, str] = {}

    def __enter__(self) -> "Teller":
        """Begin."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the terminal."""
        if self._live:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how the runs fare."""
        for label, status in progress.statuses.items():
            if status.state == "running":
                self._since.setdefault(label, time.monotonic())
        if self._live:
            self._live.update(self._table(progress), refresh=True)
            return
        for label in progress.statuses:
            line = self._line(progress, label)
            if self._told.get(label, "waiting") != line:
                self._told[label] = line
                self._console.print(f"{label}: {line}", markup=False)

    def _table(self, progress: Progress) -> Table:
        waiting, done = progress.count("waiting"), progress.count("done")
        failed = progress.count("failed")
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.title = (
            f"{done} of {len(progress.statuses)} runs done, {failed} failed, {waiting} waiting"
        )
        table.title_justify, table.title_style = "left", ""
        names = list(self._sweep.grid)
        for name in [*names, "state", "chapter", "time"]:
            table.add_column(name, no_wrap=True)
        for run in self._shown(progress):
            status = progress.statuses[run.label]
            plan = BY_PART.get(self._part(progress, run.label))
            chapter = f"{plan.part}  {plan.title}" if plan else ""
            row = [*(run.point[name] for name in names), status.state, chapter]
            table.add_row(*row, self._time(progress, run.label), style=_STYLES.get(status.state))
        return table

    def _shown(self, progress: Progress) -> list:
        """Return the runs that fit on the terminal, those that work first."""
        room = max(4, self._console.height - 4)
        runs = list(self._sweep.runs)
        if len(runs) <= room:
            return runs
        order = ("running", "failed", "stopped", "waiting", "done")
        runs.sort(key=lambda run: order.index(progress.statuses[run.label].state))
        return runs[:room]

    def _line(self, progress: Progress, label: str) -> str:
        state = progress.statuses[label].state
        part = self._part(progress, label)
        if state == "running":
            return f"running {part}".strip()
        return f"{state} {self._time(progress, label)}".strip()

    def _part(self, progress: Progress, label: str) -> str:
        running = progress.statuses[label].state == "running"
        return progress.chapters.get(label, "") if running else ""

    def _time(self, progress: Progress, label: str) -> str:
        status = progress.statuses[label]
        if status.state == "running":
            return f"{time.monotonic() - self._since[label]:.0f} s"
        return f"{status.seconds:.0f} s" if status.seconds else ""


def tell_failures(progress: Progress, console: Console) -> None:
    """List the runs that failed, each with the last words of its ``mien run``."""
    for label, status in progress.statuses.items():
        if status.state in ("failed", "stopped"):
            where = f" on {status.host}" if status.host else ""
            console.print(f"{label} {status.state}{where}:", style="red", markup=False)
            for line in status.message.splitlines():
                console.print(f"    {line}", markup=False)
