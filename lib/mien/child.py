"""One notebook in a process of its own, which ends when we end, or are killed, or say so."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

from mien.execute import Failure

#: Seconds that a process has to end its kernel before it is killed.
_PATIENCE = 15


class Child:
    """A process that executes one notebook (`mien.execute`).

    Parameters
    ----------
    job : mapping
        What `mien.execute.execute` takes.
    environment : mapping
        Variables that its kernel sees beside ours.
    """

    def __init__(self, job: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in answer
        self._late = False
        # A session of its own: Ctrl-C at the terminal reaches us alone, and we end the child.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mien.execute"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        # Standard input stays open on purpose: that it closes tells the child that we are gone.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()

    def answer(self, minutes: float | None = None) -> Failure | None:
        """Wait for the notebook's end, at most so many minutes; return its failure, or None."""
        timer = threading.Timer((minutes or 0) * 60, self._too_late)
        if minutes:
            timer.start()
        try:
            line = self._process.stdout.readline()
            if self._late:
                text = f"it was not done after {minutes:g} minutes, the limit (--minutes)"
                return Failure(0, "", "TimeLimit", text)
            if line:
                failure = json.loads(line)["failure"]
                return Failure(**failure) if failure else None
            return Failure(0, "", "Died", self._complaint())
        finally:
            timer.cancel()
            self.end()
            self._complaints.close()

    def end(self) -> None:
        """End the child and its kernel, and wait until they are gone."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _too_late(self) -> None:
        self._late = True
        self.end()

    def _complaint(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the process was killed"


class Children:
    """All children of one run, so that they can be ended together."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._running: set[Child] = set()

    def execute(
        self, job: Mapping[str, Any], environment: Mapping[str, str], minutes: float | None
    ) -> Failure | None:
        """Execute a notebook in a child and return its failure, or None."""
        child = Child(job, environment)
        self._running.add(child)
        try:
            if self.stopping.is_set():
                child.end()
            return child.answer(minutes)
        finally:
            self._running.discard(child)

    def end(self) -> None:
        """End all children, and those to come."""
        self.stopping.set()
        for child in list(self._running):
            child.end()
