"""What a sweep tells on the terminal while it runs, and at its end."""

from rich.console import Console

from mien.sweep.runs import Progress


class Teller:
    """Says, a line each, which run began, came to another chapter or ended, and after how long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, str] = {}

    def __call__(self, progress: Progress) -> None:
        """Tell what has changed."""
        for label, status in progress.statuses.items():
            at = progress.chapters.get(label, "") if status.state == "running" else ""
            took = f"{status.seconds:.0f} s" if status.seconds else ""
            line = " ".join(filter(None, (status.state, at, took)))
            if self._told.get(label, "waiting") != line:
                self._told[label] = line
                self._console.print(f"{label}: {line}", markup=False)


def tell_failures(progress: Progress, console: Console) -> None:
    """List the runs that failed, each with the last words of its ``mien run``."""
    for label, status in progress.statuses.items():
        if status.state in ("failed", "stopped"):
            where = f" on {status.host}" if status.host else ""
            console.print(f"{label} {status.state}{where}:", style="red", markup=False)
            for line in status.message.splitlines():
                console.print(f"    {line}", markup=False)
