"""Errors that are written for people: what was wrong, where, and what to do."""


class MienError(Exception):
    """Anything that mien refuses to do; its text is meant for the person at the terminal."""

    #: Of the ``mien`` command: 2 for what was asked, 1 for what went wrong while running.
    exit_status = 2


class DataError(MienError):
    """A file or folder of data is not what it should be."""


class ParameterError(MienError):
    """A study parameter or command argument is not what it should be."""
