"""Errors that are written for people: what was wrong, where, and what to do."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple


class MienError(Exception):
    """Anything that mien refuses to do; its text is meant for the person at the terminal."""

    #: Of the ``mien`` command: 2 for what was asked, 1 for what went wrong while running.
    exit_status = 2


class DataError(MienError):
    """A file or folder of data is not what it should be."""


class ParameterError(MienError):
    """A study parameter or command argument is not what it should be."""


class Finding(NamedTuple):
    """Something about the data that a person should know, and what to do about it."""

    #: ``table``, ``folder``, ``image``, ``row``, ``rating``, ``column``, ``file`` or more special.
    what: str
    where: str
    reason: str
    remedy: str
    #: Whether something is not used because of it; else it is only worth knowing.
    lost: bool = True
    #: How many it is about.
    count: int = 1

    @property
    def badness(self) -> tuple:
        """Sorts what is lost before what is only worth knowing, the worst first."""
        kind = _WORST.index(self.what) if self.what in _WORST else len(_WORST)
        return not self.lost, kind, self.reason, self.remedy, self.where


_WORST = ("split", "table", "folder", "image", "row", "rating", "column", "file")
#: So many places are named where findings are alike.
_NAMED = 3


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, those that are alike drawn together, the worst first.

    Examples
    --------
    >>> cut = [Finding("image", f"{n}.jpg", "is cut off", "save it anew") for n in range(5)]
    >>> grouped(cut)[0][:3]
    ('image', '0.jpg, 1.jpg, 2.jpg and 2 more', 'is cut off')
    """
    together = []
    ordered = sorted(findings, key=lambda finding: finding.badness)
    for _, group in groupby(ordered, key=lambda finding: finding.badness[:-1]):
        alike = list(group)
        where = ", ".join(finding.where for finding in alike[:_NAMED])
        where += f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
        count = sum(finding.count for finding in alike)
        together.append(alike[0]._replace(where=where, count=count))
    return sorted(together, key=lambda finding: (*finding.badness[:2], -finding.count))


def printable(text: object) -> str:
    r"""Return text on one line, with what cannot be printed replaced."""
    line = " ".join(str(text).split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)
