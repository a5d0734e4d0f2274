"""What a run shows on the terminal while it works."""

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from mien.running.scheduler import Event
from mien.study.parameters import Study

#: What is told of a chapter that has ended, other than its seconds.
_TOOK = {"current": "unchanged", "stored": "from the store", "failed": "failed"}


class Teller:
    """Says which chapters run, how long each took, and what is next."""

    def __init__(self, study: Study, console: Console) -> None:
        self.console = console
        self.start = time.perf_counter()
        self.live = Progress(
            *(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.shown: dict[str, TaskID] = {}
        self.console.print(f"Study {study.name} (profile {study.profile})", markup=False)

    def __enter__(self) -> "Teller":
        """Show the chapters that run."""
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Clear the terminal of them."""
        self.live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event of the runner."""
        title = f"{event.plan.part:>2}  {event.plan.title}"
        if event.state in ("running", "waiting"):
            following = f"next: {event.following.part}" if event.following else "then the pages"
            note = f"{title} ... ({event.reason or following})"
            self._forget(event.plan.part)
            self.shown[event.plan.part] = self.live.add_task(escape(note), total=None)
            if not self.console.is_terminal:
                self.console.print(note, markup=False)
            return
        self._forget(event.plan.part)
        if event.state == "skipped":
            self.console.print(f"{title:<32}  left out: {event.reason}", markup=False)
            return
        elapsed = time.perf_counter() - self.start
        took = _TOOK.get(event.state, "{:.1f} s").format(event.seconds)
        self.console.print(f"{title:<32} {took:>16}   elapsed {elapsed:.0f} s", markup=False)

    def _forget(self, part: str) -> None:
        if part in self.shown:
            self.live.remove_task(self.shown.pop(part))
