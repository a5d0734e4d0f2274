"""The seven classes of FER2013: their order, their names and the aliases that people use."""

from collections.abc import Iterable

import numpy as np

from mien.errors import DataError

#: FER2013's class codes 0..6, in order (Goodfellow et al. 2013, "Challenges in Representation
#: Learning", arXiv:1307.0414).
EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: The columns of tables that hold the probability of each emotion, in order.
SHARES: tuple[str, ...] = tuple(f"p_{emotion}" for emotion in EMOTIONS)

#: The label of an image whose emotion the study does not know.
UNKNOWN = "unknown"

_ALIASES = {"anger": "angry", "disgusted": "disgust", "sadness": "sad", "neutrality": "neutral"}
_ALIASES |= {"happiness": "happy", "joy": "happy", "surprised": "surprise", "suprise": "surprise"}
_ALIASES |= dict.fromkeys(("afraid", "fearful", "scared"), "fear")


def canonical(name: str) -> str:
    """Return the name that mien uses for an emotion, or ``"unknown"``; `DataError` for any other.

    Examples
    --------
    >>> canonical(" Happiness "), canonical("Unknown")
    ('happy', 'unknown')
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


def commonest(names: Iterable[str]) -> tuple[str, float]:
    """Return the commonest of emotion names, and the share (0..1) that always says it is right.

    Examples
    --------
    >>> commonest(["sad", "angry", "sad", "happy"])
    ('sad', 0.5)
    """
    kinds, counts = np.unique(np.asarray(names), return_counts=True)
    return str(kinds[counts.argmax()]), float(counts.max() / counts.sum())


def named(codes: Iterable[int]) -> np.ndarray:
    """Return the names of FER2013 class codes (array-like of int, 0..6) as an array of their shape.

    Examples
    --------
    >>> named([3, 0]).tolist()
    ['happy', 'angry']
    """
    return np.array(EMOTIONS)[np.asarray(codes, dtype=int)]


def codes(names: Iterable[str]) -> np.ndarray:
    """Return the FER2013 class codes of emotion names, int8 (n,).

    Examples
    --------
    >>> codes(["happy", "angry"]).tolist()
    [3, 0]
    """
    return np.array([index(name) for name in names], dtype=np.int8)


def restrict(probabilities: np.ndarray, emotions: Iterable[str]) -> np.ndarray:
    """Return probabilities (n, 7) restricted to some emotions, the rest 0, rows summing to 1.

    A row that gives none of them any probability becomes uniform over them.

    Examples
    --------
    >>> restrict(np.full((1, 7), 1 / 7), ["angry", "happy"]).round(2).tolist()
    [[0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]]
    """
    allowed = np.zeros(len(EMOTIONS), dtype=bool)
    allowed[[index(emotion) for emotion in emotions]] = True
    kept = np.where(allowed, np.maximum(probabilities, 1e-12), 0)
    return kept / kept.sum(axis=1, keepdims=True)


def probability_of(truth: Iterable[str], probabilities: np.ndarray) -> np.ndarray:
    """Return the probability (..., n) that answers (..., n, 7) give to the true emotions.

    Examples
    --------
    >>> probability_of(["happy", "angry"], np.full((3, 2, 7), 1 / 7)).shape
    (3, 2)
    """
    of = codes(truth)
    return np.asarray(probabilities)[..., np.arange(len(of)), of]


def spread(probabilities: np.ndarray, classes: Iterable[str]) -> np.ndarray:
    """Return probabilities (..., k) of k emotions as columns of all seven, 0 for the others.

    Examples
    --------
    >>> spread(np.array([[0.9, 0.1]]), ["happy", "angry"]).tolist()
    [[0.1, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0]]
    """
    probabilities = np.asarray(probabilities)
    wide = np.zeros((*probabilities.shape[:-1], len(EMOTIONS)))
    wide[..., codes(classes)] = probabilities
    return wide
