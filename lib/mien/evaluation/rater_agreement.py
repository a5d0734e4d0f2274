"""How far raters agree with each other, and a model with them.

A kappa is the agreement beyond chance: 1 is perfect, 0 is what two people would reach who use
the labels as often but at random. Where everybody used one and the same label it is 0/0: NaN.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation.intervals import TAILS

#: Why a kappa is missing.
ONE_LABEL = "undefined: everybody used the same one label"
NO_IMAGE = "undefined: no image was labelled by all of them"
#: What `rater_agreement` returns.
Agreement = namedtuple("Agreement", ["pairs", "groups"])


def rater_agreement(
    ratings: pd.DataFrame, models: Mapping[str, Mapping[str, str]] | None = None
) -> Agreement:
    """Compare every two raters, each model with every rater, and all of them together.

    ``ratings`` have ``file_name, rater, label``; raters need not have labelled the same images. Of
    several labels by one rater for one image the last counts. ``models`` have the answers by file
    name (a dict or a Series for each); an empty string is no answer. `DataError` if a model has the
    name of a rater. Returns two frames, empty where nobody rated.

    ``pairs`` has a row for every two: ``a``, ``b``, ``n`` (images that both labelled), ``agree``
    (how many alike), ``agreement`` (share), ``kappa`` (Cohen's), ``note`` (why it is NaN).
    ``groups`` has one for the raters together, where there are two or more, and one for every model
    as one more rater: ``raters``, ``added`` (the model, if any), ``n_raters``, ``n``, ``unanimous``
    (how many alike), ``kappa`` (Fleiss'), ``change`` (what the model adds to the raters' own kappa
    on the same images), ``change_low``, ``change_high`` (95 %, percentile bootstrap), ``note``.
    """
    models, ratings = models or {}, ratings.astype({"rater": str})
    ratings = ratings.sort_values("rater", kind="stable")
    once = ratings.drop_duplicates(["file_name", "rater"], keep="last")
    wide = once.pivot(index="file_name", columns="rater", values="label")
    wide, raters = wide.reindex(ratings["file_name"].unique()), list(wide)
    if taken := sorted(models.keys() & set(raters)):
        raise DataError(f"{taken[0]!r} is the name of a rater and of a model; rename the rater")
    for name, answers in models.items():
        wide[name] = pd.Series(dict(answers), dtype=object)
    wide = wide.where(wide != "")
    two = [*combinations(raters, 2), *((rater, model) for model in models for rater in raters)]
    pairs = [_pair(wide[[a, b]].dropna()) for a, b in two]
    groups = [_group(wide[raters].dropna(), "")] if len(raters) > 1 else []
    if raters:
        groups += [_group(wide[[*raters, name]].dropna(), name) for name in models]
    columns = ["raters", "added", "n_raters", "n", "unanimous", "kappa"]
    columns += ["change", "change_low", "change_high"]
    found = Agreement(
        pd.DataFrame(pairs, columns=["a", "b", "n", "agree", "agreement", "kappa"]),
        pd.DataFrame(groups, columns=columns),
    )
    for frame in found:
        undefined = [frame["n"] == 0, frame["kappa"].isna()]
        frame["note"] = np.select(undefined, [NO_IMAGE, ONE_LABEL], "")
    return found


def with_voters(
    votes: np.ndarray, given: Mapping[str, np.ndarray], labels: np.ndarray
) -> pd.DataFrame:
    """Return how far answers agree with what several voters said of each of n images.

    ``votes`` int (n, k) are how many voted for the emotions, in their order, and for other things,
    two or more in all; ``given``, by who gave them, and ``labels`` are codes of emotions, int (n,).
    For ``all`` images and for those of each label (``emotion``), a row for each of ``given`` and
    for ``another voter``, drawn at random (``who``): ``majority`` and ``plurality``, the share of
    agreement where more than half of the votes are for one emotion, where one has the most;
    ``voter``, the expected one with a voter drawn at random; with ``n_majority``, ``n_plurality``,
    ``n``.
    """
    total, most, rows = votes.sum(axis=1), votes.max(axis=1), np.arange(len(votes))
    winner = votes.argmax(axis=1)
    plural = ((votes == most[:, None]).sum(axis=1) == 1) & (winner < len(EMOTIONS))
    two_alike = (votes * (votes - 1)).sum(axis=1) / (total * (total - 1))
    agreed = {who: (codes == winner, votes[rows, codes] / total) for who, codes in given.items()}
    parts = []
    for who, (won, voter) in (agreed | {"another voter": (most / total, two_alike)}).items():
        with_all = {"majority": np.where(plural & (2 * most > total), won, np.nan)}
        with_all |= {"plurality": np.where(plural, won, np.nan), "voter": voter}
        parts += [
            pd.DataFrame({"emotion": emotion, "who": who, **with_all})
            for emotion in (np.full(len(votes), "all"), np.array(EMOTIONS)[labels])
        ]
    found = pd.concat(parts).groupby(["emotion", "who"], sort=False)
    counts = found.count().rename(columns=lambda name: f"n_{name}")
    return found.mean().join(counts).rename(columns={"n_voter": "n"}).reset_index()


#: How many voters gave a wrong answer, beside those who gave the label.
SIDES = ("more", "as many", "fewer", "none")


def errors_among_voters(votes: np.ndarray, answers: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return which part of the errors is none to the voters: for whom did they vote?

    As `with_voters`, ``answers`` int (n,). For ``all`` images and for those of each label
    (``emotion``): ``n`` (answers that are not the label), and the shares of those which `SIDES` of
    the voters gave: more than gave the label, as many, fewer, none.
    """
    wrong = np.flatnonzero(answers != labels)
    own, other = votes[wrong, answers[wrong]], votes[wrong, labels[wrong]]
    side = np.select([own == 0, own < other, own == other], ["none", "fewer", "as many"], "more")
    emotion = np.array(EMOTIONS)[labels[wrong]]
    table = pd.crosstab(emotion, side).reindex(columns=SIDES, fill_value=0)
    table = pd.concat([table.sum().to_frame("all").T, table])
    counts = table.sum(axis=1)
    return table.div(counts, axis=0).assign(n=counts).rename_axis("emotion").reset_index()


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float:
    """Return Cohen's kappa of two raters of the same images, NaN where it is undefined.

    Cohen (1960, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20:37-46), from scikit-learn.
    """
    if len(a) == 0 or len({*a, *b}) == 1:
        return float("nan")
    return float(cohen_kappa_score(list(a), list(b)))


def fleiss_kappa(labels: Sequence[Sequence[str]]) -> float:
    """Return Fleiss' kappa of labels (images, raters), NaN where it is undefined.

    Fleiss (1971, "Measuring nominal scale agreement among many raters", Psychological Bulletin
    76:378-382), from statsmodels; for two raters it is Scott's pi.
    """
    labels = np.asarray(labels).astype(str)
    if labels.size == 0 or labels.shape[1] < 2 or len(np.unique(labels)) == 1:
        return float("nan")
    _, codes = np.unique(labels, return_inverse=True)
    table, _ = inter_rater.aggregate_raters(codes.reshape(labels.shape))
    return float(inter_rater.fleiss_kappa(table))


def strength(kappa: float) -> str:
    """Return Landis and Koch's word for a kappa (1977, Biometrics 33:159-174, table 2, p. 165)."""
    if np.isnan(kappa):
        return "undefined"
    if kappa < 0:
        return "poor"
    words = ["slight", "fair", "moderate", "substantial", "almost perfect"]
    return words[int(np.searchsorted([0.2, 0.4, 0.6, 0.8], kappa))]


def _pair(both: pd.DataFrame) -> dict:
    (a, first), (b, second) = both.items()
    agree = int((first == second).sum())
    share = agree / len(both) if len(both) else float("nan")
    found = {"a": a, "b": b, "n": len(both), "agree": agree, "agreement": share}
    return found | {"kappa": cohen_kappa(first, second)}


def _group(labels: pd.DataFrame, added: str) -> dict:
    table = labels.to_numpy(str)
    return {
        "raters": ", ".join(labels),
        "added": added,
        "n_raters": len(labels.columns),
        "n": len(labels),
        "unanimous": int((labels.nunique(axis=1) == 1).sum()),
        "kappa": fleiss_kappa(table),
        **(_change(table) if added and len(table) else {}),
    }


def _change(table: np.ndarray, resamples: int = 1000) -> dict[str, float]:
    """What the last column of labels (images, raters) does to the kappa of those before it."""
    draws = np.random.default_rng(0).integers(0, len(table), (resamples, len(table)))
    found = [fleiss_kappa(rows) - fleiss_kappa(rows[:, :-1]) for rows in (table, *table[draws])]
    drawn = [change for change in found[1:] if not np.isnan(change)]
    low, high = np.quantile(drawn, TAILS) if drawn else (np.nan, np.nan)
    return {"change": found[0], "change_low": float(low), "change_high": float(high)}
