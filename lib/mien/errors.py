"""Errors that are written for people: what was wrong, where, and what to do."""


class MienError(Exception):
    """Anything that mien refuses to do; its text is meant for the person at the terminal."""

    #: Of the ``mien`` command: 2 for what was asked, 1 for what went wrong while running.
    exit_status = 2


class DataError(MienError):
    """A file or folder of data is not what it should be."""


class ParameterError(MienError):
    """A study parameter or command argument is not what it should be."""


def printable(text: object) -> str:
    r"""Return text of the data on one line, with what cannot be printed replaced.

    Line breaks and runs of blanks become one blank; control characters, marks that turn the
    direction of writing and undecodable bytes become the replacement character.

    Examples
    --------
    >>> printable("a\nb\x00")
    'a b�'
    """
    line = " ".join(str(text).split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)
