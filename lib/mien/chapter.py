"""What a notebook sees of its study: the data, its settings, earlier results, and where to save."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien import profiles, provenance, results
from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation import scores
from mien.fer2013 import Fer2013, load_fer2013
from mien.folds import grouped_folds
from mien.gaps import gaps
from mien.study import BY_PART, data_paths, make_study, without_folders
from mien.target import Target, load_target

#: The model of each part that has one.
MODELS = {
    "A1": "SVM-FER2013",
    "A2": "SVM-OpenFace",
    "B1": "NN-FER2013",
    "B2": "NN-FER2013",
    "B3": "NN-FineTuned",
}


class Chapter:
    """One chapter of a study, from its parameters to its results.

    Parameters
    ----------
    part : str
        ``"0"``, ``"A1"``, ``"A2"``, ``"B1"``, ``"B2"``, ``"B3"`` or ``"C"``.
    **parameters
        Study parameters (`mien.study.Study`), as the notebook's parameters cell has them.

    Raises
    ------
    ParameterError
        If a parameter is not allowed.
    """

    def __init__(self, part: str, **parameters: Any) -> None:
        self.plan = BY_PART[part]
        self.part = part
        self.parameters = parameters
        self.study = make_study(parameters, source=self.plan.notebook)
        self.folder = self.study.folder
        self.seconds: dict[str, float] = {}
        self.missing: dict[str, str] = {}  # see mien.gaps; known once the person is loaded
        self._fingerprints: dict[str, str] = {}
        self._kept: dict[str, pd.DataFrame] = {}

    def setting(self, name: str) -> Any:
        """Return a parameter's value, or the profile's choice where the parameter leaves it."""
        return getattr(self.study, name, None) or profiles.settings(self.study.profile, name)

    @property
    def command(self) -> str:
        """The command line that repeats the study, without the folders of this machine.

        As study.json has it, where there is one.
        """
        try:
            record = (self.folder / "study.json").read_text(encoding="utf-8")
            return without_folders(json.loads(record)["command"])
        except (OSError, ValueError, KeyError):
            return without_folders(self.study.command)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the wall time of the block to ``seconds[what]`` of this chapter's metrics."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start

    def load_fer2013(self) -> Fer2013:
        """Load FER2013, or the crowd of drawn faces.

        Raises
        ------
        DataError
            If the study names none, or it cannot be read.
        """
        if not self.study.fer2013:
            raise DataError(
                "this study names no FER2013: say fer2013=PATH, or run it with mien run, which "
                "leaves out what needs it"
            )
        path, _ = data_paths(self.study.fer2013, "", self.study.seed)
        with self.timed("load"):
            crowd = load_fer2013(path, skip_bad_rows=self.study.skip_bad_rows)
        self._fingerprints["fer2013"] = crowd.fingerprint
        return crowd

    def load_target(self) -> Target:
        """Load the target person, or the drawn person."""
        _, path = data_paths("", self.study.target, self.study.seed)
        with self.timed("load"):
            person = load_target(path)
        self._fingerprints["target"] = person.fingerprint
        self.missing = gaps(self.study, person)
        return person

    def load_network(self) -> tuple[Any, float]:
        """Return the network that B2 applies and B3 tunes, and its temperature.

        B1's network, or the one that comes with mien where the study says so.
        """
        from mien import cnn, weights  # here, because importing Keras takes seconds

        if self.study.takes_shipped:
            return cnn.shipped(), weights.shipped_temperature()
        return cnn.load(self.model_path("B1.keras")), self.metrics("B1")["temperature"]

    def metrics(self, part: str) -> dict[str, Any]:
        """Return metrics.json of an earlier chapter of this study (`results.load_metrics`).

        Raises
        ------
        DataError
            If that chapter has not been run, or was run on other data than this one has loaded.
        """
        found = results.load_metrics(self.folder, part)
        for name, fingerprint in found["provenance"]["data"].items():
            if self._fingerprints.get(name, fingerprint) != fingerprint:
                raise DataError(
                    f"chapter {part} of this study was run on another {name}; "
                    "run the whole study again (mien run STUDY.yaml, without --only)"
                )
        return found

    def predictions(self, part: str) -> pd.DataFrame:
        """Return predictions.csv of an earlier chapter of this study; errors as `metrics`."""
        self.metrics(part)
        return results.load_predictions(self.folder, part)

    def table(self, part: str, name: str) -> pd.DataFrame:
        """Return another table that an earlier chapter of this study has saved."""
        self.metrics(part)
        return results.load_table(self.folder, part, name)

    def keep(self, **tables: pd.DataFrame) -> None:
        """Put tables aside; `save` writes each as ``<name>.csv``."""
        self._kept |= tables

    def model_path(self, name: str) -> Path:
        """Return where a model of this study is stored; the folder exists."""
        path = results.model_path(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def labelled(self, person: Target, what: str) -> np.ndarray:
        """Return the mask (n,) of the labelled faces that have ``has_image`` or ``has_units``."""
        return ((person.faces["set"] == "labelled") & person.faces[what]).to_numpy()

    def target_folds(self, person: Target, *, repeats: int) -> np.ndarray:
        """Return the folds of the person's labelled faces, clips kept together.

        They are dealt over all labelled faces at once, so that a chapter which reads images and
        one which reads Action Units test the same face in the same fold.

        Returns
        -------
        ndarray of int, shape (repeats, n)
            -1 for unknown faces.
        """
        labelled = (person.faces["set"] == "labelled").to_numpy()
        dealt = np.full((repeats, len(labelled)), -1)
        dealt[:, labelled] = grouped_folds(
            person.faces.loc[labelled, "label"],
            person.faces.loc[labelled, "clip"],
            n_splits=self.study.folds,
            n_repeats=repeats,
            seed=self.study.seed,
        )
        return dealt

    def score_target(
        self, predictions: pd.DataFrame, *, labels: Sequence[str], suffix: str = ""
    ) -> list[dict[str, Any]]:
        """Return the scores of predictions.csv on the labelled faces and on the unknown ones.

        Unknown faces count where the raters have a majority. A set without a single such face
        has no score. ``suffix`` is added to the names ``target-labelled``, ``target-unknown``.
        """
        found = []
        for name in ("labelled", "unknown"):
            rows = predictions[(predictions["set"] == name) & (predictions["truth"] != "")]
            if rows.empty:
                continue
            found.append(
                scores(
                    rows["truth"],
                    rows["predicted"],
                    labels=labels,
                    set=f"target-{name}{suffix}",
                    clips=rows["clip"],
                    seed=self.study.seed,
                    resamples=self.study.resamples,
                )
            )
        return found

    def save(
        self,
        *,
        scores: Sequence[Mapping[str, Any]] = (),
        predictions: pd.DataFrame | None = None,
        **more: Any,
    ) -> None:
        """Write this chapter's results: metrics, predictions, and the tables of `keep`.

        ``more`` goes into metrics.json beside ``part``, ``model``, ``scores``, ``seconds`` and
        ``provenance``.
        """
        metrics = {
            "part": self.part,
            "model": MODELS.get(self.part),
            "scores": list(scores),
            "seconds": {what: round(taken, 3) for what, taken in self.seconds.items()},
            **more,
            "provenance": {
                "parameters": self.parameters,
                "data": self._fingerprints,
                "versions": provenance.versions(),
                "hardware": provenance.hardware(),
                "git": provenance.git_state(),
            },
        }
        results.save(
            self.folder,
            self.part,
            metrics,
            predictions=predictions,
            tables=self._kept,
        )


def target_predictions(
    person: Target,
    *,
    which: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    fold: np.ndarray | int = -1,
) -> pd.DataFrame:
    """Return predictions on some faces of the target person in the columns of predictions.csv.

    Parameters
    ----------
    person : Target
    which : array of bool or int
        The faces (rows of ``person.faces``) that were predicted, k of them.
    predicted : array of str, shape (k,)
        Emotion names.
    probabilities : array of float, shape (k, 7)
        In the order of `mien.emotions.EMOTIONS`; 0 for what a model cannot answer.
    fold : array of int, shape (k,), or int
        The fold in which a face was held out; -1 (written as an empty cell) for none.

    Returns
    -------
    DataFrame
        k rows; the truth of an unknown face is its raters' majority, empty where there is none.
    """
    faces = person.faces.loc[which].reset_index(drop=True)
    majority = person.majority().loc[which].reset_index(drop=True)
    truth = faces["label"].where(faces["set"] == "labelled", majority)
    frame = faces[["file_name", "set", "clip"]].copy()
    folds = pd.Series(np.broadcast_to(fold, len(faces)).astype(int))
    frame["fold"] = folds.astype("Int64").mask(folds < 0)
    frame["truth"] = truth
    frame["predicted"] = np.asarray(predicted, dtype=object)
    for column, emotion in enumerate(EMOTIONS):
        frame[f"p_{emotion}"] = probabilities[:, column]
    return frame


def repeats_table(
    person: Target, *, which: np.ndarray, folds: np.ndarray, answers: np.ndarray
) -> pd.DataFrame:
    """Return every out-of-fold answer of every repeat, one row each.

    Parameters
    ----------
    person : Target
    which : array of bool or int
        The faces that were predicted, k of them.
    folds : array of int, shape (repeats, k)
    answers : array of str, shape (repeats, k)

    Returns
    -------
    DataFrame
        ``file_name, clip, truth, repeat, fold, predicted``; repeat 0 is what predictions.csv
        holds.
    """
    faces = person.faces.loc[which, ["file_name", "clip", "label"]].reset_index(drop=True)
    faces = faces.rename(columns={"label": "truth"})
    return pd.concat(
        [
            faces.assign(repeat=number, fold=fold, predicted=given)
            for number, (fold, given) in enumerate(zip(folds, answers, strict=True))
        ],
        ignore_index=True,
    )
