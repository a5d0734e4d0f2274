"""Studies side by side, persons, profiles or networks: who leads where, and over all persons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nbformat import NotebookNode
from statsmodels.stats.meta_analysis import combine_effects

from mien.errors import DataError, ParameterError
from mien.report.figures import accuracies
from mien.report.tables import scoreboard, table
from mien.report.text import bullets, count, escape, interval, listed, percent
from mien.running import pages
from mien.running.record import Record
from mien.study import results
from mien.study.parameters import finished, make_study
from mien.sweep.pages import SETS, ahead, origin

#: From so many persons on, differences are pooled by random effects; of fewer, persons are counted.
ENOUGH = 5


@dataclass(frozen=True)
class Compared:
    """A finished study: its name, study.json, scores by set and model, and chapter C's pairs."""

    name: str
    known: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]
    pairs: pd.DataFrame

    @property
    def setting(self) -> dict[str, Any]:
        """What another study must share to be about another person alone."""
        parameters = self.known["parameters"]
        told = {name: value for name, value in parameters.items() if name not in results.PLACES}
        return told | {"fer2013": self.known["data"].get("fer2013")}


def read(given: str) -> Compared:
    """Read a study by its folder, file or name; `DataError` if it has no whole, sound results."""
    folder = finished(given)
    try:
        known = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        study = make_study({**known["parameters"], "out": str(folder)})
    except (OSError, ValueError, KeyError):
        raise DataError(f"{given} has no results; run it first (mien run {given})") from None
    if wrong := Record.read(study).contradictions(study):
        raise DataError(f"the chapters of {given} do not belong together ({'; '.join(wrong)})")
    scores: dict[str, dict] = {}
    for part in ("A1", "B1", "C"):
        for score in results.load_metrics(folder, part)["scores"] if part in known["parts"] else ():
            if score["set"] in SETS and (part == "C" or score["set"].startswith("Private")):
                model = score.get("model") or results.load_metrics(folder, part)["model"]
                scores.setdefault(score["set"], {})[model] = score
    if "target-labelled" not in scores:
        raise DataError(f"{given} has no chapter C; run the whole study (mien run {given})")
    return Compared(known["name"], known, scores, results.load_table(folder, "C", "pairs"))


def differences(studies: Sequence[Compared]) -> pd.DataFrame:
    """Return every pair of models over persons: ``a``, ``b``, ``persons``, where each is ahead.

    With `ENOUGH` persons also ``difference``, ``low`` and ``high`` (95 %) of a random-effects mean
    (DerSimonian and Laird 1986, with the interval of Hartung and Knapp), else NaN. No rows where
    two studies are of one person, or differ in more than the person.
    """
    persons = {study.known["data"].get("target") for study in studies}
    if len(persons) < len(studies) or any(s.setting != studies[0].setting for s in studies):
        return pd.DataFrame()
    every, rows = pd.concat([study.pairs for study in studies]), []
    for (a, b), own in every.groupby(["a", "b"], sort=False):
        gaps, pooled = own["difference"].to_numpy(float), (np.nan,) * 3
        spread = ((own["ci_high"] - own["ci_low"]) / (2 * 1.96)).to_numpy(float)
        if len(own) >= ENOUGH and (spread > 0).all():
            found = combine_effects(gaps, spread**2, method_re="dl", use_t=True)
            half = found.conf_int()[3]  # of the random effects, by Hartung and Knapp
            pooled = (found.mean_effect_re, *map(float, half))
        rows.append((a, b, len(own), (gaps > 0).sum(), (gaps < 0).sum(), *pooled))
    names = ["a", "b", "persons", "a ahead", "b ahead", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def render(given: Sequence[str], to: Path) -> Path:
    """Write the page of a comparison into a folder and return its path."""
    if len(given) < 2:
        raise ParameterError("a comparison needs two studies or more: mien compare STUDY STUDY …")
    studies = [read(one) for one in given]
    names = [study.name for study in studies]
    if len(set(names)) < len(names):
        raise ParameterError(f"two of {listed(names)} have one name; run one with --set name=…")
    opening = pages.prose(
        f"# {count(len(studies), 'study', 'studies')} side by side\n\nWhich model has the highest "
        "accuracy on the person's labelled faces, study by study:\n\n"
        + bullets([_leader(study) for study in studies])
    )
    cells = [opening, *_scores(studies), *_pooled(studies)]
    return pages.write_page(to, "The comparison", cells, origin({"name": listed(names)}))


def _leader(study: Compared) -> str:
    scores = study.scores["target-labelled"]
    first, *others = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    told = f"**{escape(study.name)}**: {first}, {percent(scores[first]['accuracy'])} of "
    told += f"{scores[first]['n']:,} faces ({interval(scores[first]['accuracy_ci95'])})"
    if not others:
        return f"{told}."
    lead = ahead(scores[first]["accuracy"] - scores[others[0]]["accuracy"], others[0])
    both = study.pairs[["a", "b"]].isin([first, others[0]]).all(axis="columns")
    apart = "separates them" if study.pairs["separated"][both].any() else "does not separate them"
    said = f"the study's paired test {apart}" if both.any() else "the study did not test this pair"
    return f"{told}, {lead}; {said}."


def _scores(studies: Sequence[Compared]) -> Iterator[NotebookNode]:
    for name in SETS:
        models = dict.fromkeys(model for study in studies for model in study.scores.get(name, {}))
        board = {
            (model, study.name): study.scores[name][model]
            for model in models
            for study in studies
            if model in study.scores.get(name, {})
        }
        if not board:
            continue
        yield pages.prose(f"## {SETS[name][0].upper()}{SETS[name][1:]}")
        yield pages.shown(
            accuracies({f"{m} · {study}": score for (m, study), score in board.items()})
        )
        caption = f"By model and study, on {SETS[name]} (95 % intervals)"
        yield pages.shown(scoreboard(board, names=["model", "study"], caption=caption))


def _pooled(studies: Sequence[Compared]) -> Iterator[NotebookNode]:
    found = differences(studies)
    if found.empty:
        first, *others = (study.setting for study in studies)
        differ = [name for name in first if any(first[name] != one.get(name) for one in others)]
        why = f"they differ in {listed(differ)}" if differ else "two of them are of one person"
        yield pages.prose(f"## Over all\n\nThese studies are not pooled: {why}.")
        return
    how = "Differences of accuracy are pooled by random effects (95 % interval)."
    if len(studies) < ENOUGH:
        how = f"With fewer than {ENOUGH} persons, persons are counted and nothing is averaged."
    yield pages.prose(
        f"## Over {len(studies)} persons\n\nThe same models, each person's own. {how}"
    )
    rates = ["difference", "low", "high"]
    shown = found.dropna(axis="columns", how="all")
    caption = "The declared pairs over persons: on how many each is ahead"
    yield pages.shown(table(shown, caption=caption, percent=rates, signed=rates))
