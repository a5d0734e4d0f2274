"""Numbers as text, and text of the data made harmless; `sentences` puts both together.

Names of models and emotions are ours; anything else that comes from the data (file names, raters,
labels as typed) goes through `escape` before it is shown.
"""

import re
from collections.abc import Sequence
from numbers import Integral

import pandas as pd

from mien.errors import printable

#: What stands where a number does not exist.
UNDEFINED = "undefined"


def say(markdown: str) -> None:
    """Display Markdown under the cell."""
    from IPython.display import Markdown, display

    display(Markdown(markdown))


def escape(text: object) -> str:
    """Return text of the data so that Markdown, HTML and MathJax all show it and nothing more.

    Every ASCII mark becomes a character reference, which Markdown never reads as its own syntax
    (CommonMark 0.31, section 2.5). MathJax reads the finished page, so what opens a formula there
    also gets an element of its own.
    """
    return "".join(map(_harmless, printable(text)))


def _harmless(char: str) -> str:
    if char in "$\\":
        return f"<span>&#{ord(char)};</span>"
    return char if char.isalnum() or char == " " or not char.isascii() else f"&#{ord(char)};"


def missing(value: object) -> bool:
    """Return whether a value is None, NaN or pandas' NA; a list or an array never is."""
    return pd.api.types.is_scalar(value) and bool(pd.isna(value))


def number_text(
    value: float, *, percent: bool = False, digits: int = 2, signed: bool = False
) -> str:
    """Return a number as a reader wants it: grouped thousands, a true minus sign."""
    if missing(value):
        return UNDEFINED
    kind = f".{digits}%" if percent else "d" if isinstance(value, Integral) else f".{digits}f"
    text = f"{value:{'+' if signed else ''},{kind}}".replace("%", " %")
    if re.fullmatch(r"[-+]0(\.0*)?( %)?", text):
        text = text[1:]
    return text.replace("-", "−")


def percent(rate: float | None, *, digits: int = 1) -> str:
    """Return a rate of 0..1 in percent: 55.3 %."""
    return number_text(rate, percent=True, digits=digits)


def points(difference: float | None) -> str:
    """Return a difference of two rates in percentage points, with its sign.

    Examples
    --------
    >>> points(0.123), points(-0.04), points(0.0)
    ('+12.3 points', '−4.0 points', '0.0 points')
    """
    if missing(difference):
        return UNDEFINED
    return f"{number_text(100 * float(difference), digits=1, signed=True)} points"


def interval(bounds: Sequence[float] | None, *, signed: bool = False) -> str:
    """Return an interval of rates in percent, or of differences in points (``signed``)."""
    if bounds is None or any(map(missing, bounds)):
        return UNDEFINED
    low, high = (points(bound) if signed else percent(bound) for bound in bounds)
    return f"{low.rpartition(' ')[0]} to {high}"


def p_value(p: float | None) -> str:
    """Return a p value with its sign of equality.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.0000123), p_value(1.0)
    ('p = 0.031', 'p < 0.001', 'p = 1')
    """
    if missing(p):
        return f"p {UNDEFINED}"
    if p < 0.001:
        return "p < 0.001"
    return "p = 1" if p > 0.9995 else f"p = {p:.3f}"


def minutes(seconds: float | None) -> str:
    """Return a duration as a person says it.

    Examples
    --------
    >>> minutes(0.4), minutes(42), minutes(330), minutes(8000)
    ('under a second', '42 seconds', '5.5 minutes', '2.2 hours')
    """
    if missing(seconds):
        return UNDEFINED
    if seconds < 1:
        return "under a second"
    if seconds < 59.5:
        return count(round(seconds), "second")
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def count(n: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "image"), count(28709, "image"), count(2, "face of a clip", "faces of a clip")
    ('1 image', '28,709 images', '2 faces of a clip')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def bullets(lines: Sequence[str]) -> str:
    """Return lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def listed(words: Sequence[str]) -> str:
    """Return words as an enumeration.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', 'none')
    """
    words = list(words)
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{', '.join(words[:-1])} and {words[-1]}"
