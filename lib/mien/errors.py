"""Errors that are written for people: what was wrong, where, and what to do."""


class MienError(Exception):
    """Anything that mien refuses to do; its text is meant for the person at the terminal."""


class DataError(MienError):
    """A file or folder of data is not what it should be."""


class ParameterError(MienError):
    """A study parameter or command argument is not what it should be."""
