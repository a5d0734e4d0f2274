"""The seven classes of FER2013: their order, their names and the aliases that people use."""

from collections.abc import Iterable

from mien.errors import DataError

#: FER2013's class codes 0..6, in order (Goodfellow et al. 2013, "Challenges in Representation
#: Learning", arXiv:1307.0414).
EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: The label of an image whose emotion the study does not know.
UNKNOWN = "unknown"

_ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "suprise": "surprise",
    "neutrality": "neutral",
}


def canonical(name: str) -> str:
    """Return the name that mien uses for an emotion, or ``"unknown"``.

    Parameters
    ----------
    name : str
        A name or alias in any case, blanks around it allowed.

    Raises
    ------
    DataError
        If the name is no known emotion.

    Examples
    --------
    >>> canonical(" Happiness ")
    'happy'
    >>> canonical("Unknown")
    'unknown'
    """
    plain = name.strip().lower()
    plain = _ALIASES.get(plain, plain)
    if plain not in EMOTIONS and plain != UNKNOWN:
        raise DataError(
            f"{name!r} is no emotion that mien knows; use one of {', '.join(EMOTIONS)} or {UNKNOWN}"
        )
    return plain


def index(name: str) -> int:
    """Return the FER2013 class code (0..6) of an emotion.

    Examples
    --------
    >>> index("angry"), index("neutral")
    (0, 6)
    """
    return EMOTIONS.index(canonical(name))


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct emotions among ``names`` in FER2013's order, ``unknown`` left out.

    Examples
    --------
    >>> in_order(["sad", "angry", "sad", "unknown"])
    ['angry', 'sad']
    """
    present = {canonical(name) for name in names}
    return [emotion for emotion in EMOTIONS if emotion in present]
