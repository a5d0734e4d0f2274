"""Sentences from computed numbers, and text from the data made harmless.

Every helper returns Markdown for `say`. Numbers go in as they were computed; no sentence knows a
winner before the numbers do. Names of models and emotions are ours; anything else that comes
from the data (file names, raters, labels as typed) goes through `escape` first.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mien.errors import printable

#: What stands where a number does not exist.
UNDEFINED = "undefined"

_PLACES = {
    "PublicTest": "PublicTest images",
    "PrivateTest": "PrivateTest images",
    "PrivateTest-deduplicated": "PrivateTest images that have no copy in Training",
    "target-labelled": "labelled faces of the person",
    "target-labelled-plain-folds": "labelled faces of the person, with clips on both sides",
    "target-labelled-rival": "labelled faces of the person",
    "target-labelled-unmasked": "labelled faces of the person, with all seven emotions allowed",
    "target-unknown": "unknown faces of the person that the raters agree on",
    "target-unknown-unmasked": "unknown faces of the person, with all seven emotions allowed",
}


def say(markdown: str) -> None:
    """Display Markdown under the cell."""
    from IPython.display import Markdown, display

    display(Markdown(markdown))


def escape(text: object) -> str:
    """Return text of the data so that Markdown, HTML and MathJax all show it and nothing more.

    Every ASCII mark becomes a character reference, which Markdown never reads as its own syntax
    (CommonMark 0.31, section 2.5). MathJax reads the finished page, so what opens a formula there
    also gets an element of its own.

    Examples
    --------
    >>> escape("<b>_1.jpg")
    '&#60;b&#62;&#95;1&#46;jpg'
    """
    return "".join(map(_harmless, printable(text)))


def _harmless(char: str) -> str:
    if char in "$\\":
        return f"<span>&#{ord(char)};</span>"
    return char if char.isalnum() or char == " " or not char.isascii() else f"&#{ord(char)};"


def percent(rate: float | None, *, digits: int = 1) -> str:
    """Return a rate of 0..1 in percent.

    Examples
    --------
    >>> percent(0.5529), percent(0.12, digits=0), percent(float("nan"))
    ('55.3 %', '12 %', 'undefined')
    """
    return UNDEFINED if _missing(rate) else f"{100 * rate + 0.0:.{digits}f} %"


def points(difference: float | None, *, digits: int = 1) -> str:
    """Return a difference of two rates in percentage points, with its sign.

    Examples
    --------
    >>> points(0.123), points(-0.04), points(0.0)
    ('+12.3 points', '−4.0 points', '0.0 points')
    """
    return UNDEFINED if _missing(difference) else f"{_signed(difference, digits)} points"


def interval(bounds: Sequence[float] | None, *, digits: int = 1, signed: bool = False) -> str:
    """Return an interval of rates in percent, or of differences in points (``signed``).

    Examples
    --------
    >>> interval((0.447, 0.651))
    '44.7 to 65.1 %'
    >>> interval((-0.021, 0.12), signed=True)
    '−2.1 to +12.0 points'
    """
    if bounds is None or any(_missing(bound) for bound in bounds):
        return UNDEFINED
    low, high = bounds
    if signed:
        return f"{_signed(low, digits)} to {_signed(high, digits)} points"
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def p_value(p: float | None) -> str:
    """Return a p value with its sign of equality.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.0000123), p_value(1.0)
    ('p = 0.031', 'p < 0.001', 'p = 1')
    """
    if _missing(p):
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
    if _missing(seconds):
        return UNDEFINED
    if seconds < 1:
        return "under a second"
    if seconds < 59.5:
        return count(round(seconds), "second")
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def training_time(seconds: float | None) -> str:
    """Return `minutes`, or that the training was not part of this study (None)."""
    return "none here" if seconds is None else minutes(seconds)


def count(n: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "image"), count(28709, "image"), count(2, "face of a clip", "faces of a clip")
    ('1 image', '28,709 images', '2 faces of a clip')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


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


def accuracy_sentence(score: Mapping, model: str = "The model") -> str:
    """Return one sentence on the accuracy of a score (`mien.evaluation.scores.scores`).

    Examples
    --------
    >>> accuracy_sentence({"set": "PublicTest", "n": 10, "accuracy": 0.5,
    ...                    "accuracy_ci95": [0.237, 0.763], "f1_macro": 0.44}, "SVM-FER2013")
    'SVM-FER2013 is right on 50.0 % of 10 PublicTest images (95 % interval 23.7 to 76.3 %; \
macro F1 44.0 %).'
    """
    place = _PLACES.get(score["set"], escape(score["set"]) + " images")
    repeats = f", mean of {score['repeats']} repeats" if score.get("repeats", 1) > 1 else ""
    return (
        f"{model} is right on {percent(score['accuracy'])} of {score['n']:,} {place}{repeats} "
        f"(95 % interval {interval(score['accuracy_ci95'])}; "
        f"macro F1 {percent(score['f1_macro'])})."
    )


def comparison_sentence(row: Mapping) -> str:
    """Return one honest sentence on a row of `mien.evaluation.paired_tests.pairwise`.

    A winner is named only where the exact McNemar test after Holm's correction and the interval
    from resampled clips both say so (``separated``).
    """
    better, worse = (row["a"], row["b"]) if row["difference"] >= 0 else (row["b"], row["a"])
    numbers = _numbers(row)
    if row["separated"]:
        return f"{better} is better than {worse}: {numbers}."
    if row["ci_low"] * row["ci_high"] > 0:
        return (
            f"{better} is ahead of {worse}, but the test does not confirm it, "
            f"so the data do not separate the two: {numbers}."
        )
    return f"The data do not separate {row['a']} and {row['b']}: {numbers}."


def verdict(
    scores: Mapping[str, Mapping],
    pairs: pd.DataFrame,
    costs: Mapping[str, Mapping],
    *,
    detectable: float | None = None,
) -> list[str]:
    """Return the study's verdict in two sentences: which model by how much, and at what cost.

    Parameters
    ----------
    scores : mapping of model to element of ``scores``
        All on the same set.
    pairs : DataFrame
        `mien.evaluation.paired_tests.pairwise` of the same models.
    costs : mapping of model to mapping
        ``seconds`` (to train; None for a network that came trained) and ``labels`` (how many
        labelled faces of the person it needs), for every model in ``scores``.
    detectable : float, optional
        The smallest difference that would likely have been found
        (`mien.evaluation.paired_tests.detectable_difference`); said where the models cannot be
        separated.

    Returns
    -------
    list of two str
    """
    ranked = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    best, rest = ranked[0], ranked[1:]
    beaten = [model for model in rest if _pair(pairs, best, model)["separated"]]
    tied = [model for model in rest if model not in beaten]
    first = f"{best} reads this person best" if not tied else f"{best} has the highest accuracy"
    first += (
        f", right on {percent(scores[best]['accuracy'])} of {scores[best]['n']} labelled faces "
        f"(95 % interval {interval(scores[best]['accuracy_ci95'])})"
    )
    if tied:
        first += f", but the data do not separate it from {listed(tied)}"
        first += f" ({_numbers(_pair(pairs, best, tied[0]))})"
        if detectable is not None:
            size = f"{100 * detectable:.1f} points"
            first += f"; a difference under {size} would probably have gone unseen"
        if beaten:
            first += f"; it is better than {listed(beaten)}"
    elif rest:
        first += f"; the next, {rest[0]}, is behind: {_numbers(_pair(pairs, best, rest[0]))}"
    return [first + ".", _cost(best, tied, costs)]


def _cost(best: str, tied: list[str], costs: Mapping[str, Mapping]) -> str:
    def price(model: str) -> str:
        labels = costs[model]["labels"]
        needs = "no labelled face of the person"
        if labels:
            needs = count(labels, "labelled face of the person", "labelled faces of the person")
        seconds = costs[model]["seconds"]
        training = "no training here" if seconds is None else f"{minutes(seconds)} of training"
        return f"{training} and {needs}"

    return "; ".join(f"{model} took {price(model)}" for model in (best, *tied)) + "."


def _pair(pairs: pd.DataFrame, a: str, b: str) -> dict:
    """Return the row of two models as seen from ``a``."""
    for row in pairs.to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            return row | {
                "a": a,
                "b": b,
                "difference": -row["difference"],
                "ci_low": -row["ci_high"],
                "ci_high": -row["ci_low"],
            }
    raise KeyError(f"{a} and {b} were not compared")


def _numbers(row: Mapping) -> str:
    """Return difference, interval, n and p of a pair, seen from the better one."""
    low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
    if difference < 0:
        low, high, difference = -high, -low, -difference
    return (
        f"{points(difference)} on {count(row['n'], 'image')} that both answered, "
        f"95 % interval {interval((low, high), signed=True)}, "
        f"exact McNemar {p_value(row['p_holm'])} after Holm"
    )


def _signed(value: float, digits: int) -> str:
    text = f"{100 * abs(value):.{digits}f}"
    if not float(text):
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
