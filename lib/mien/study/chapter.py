"""What a notebook sees of its study: the data, its settings, earlier results, where to save."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython import get_ipython

from mien import project
from mien.data.fer2013 import Fer2013, PrivateTest, load_fer2013
from mien.data.person import Labelled, Person
from mien.emotions import SHARES, named, probability_of
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import calibration_error
from mien.evaluation.cross_validation import grouped_folds
from mien.evaluation.scores import private_scores, score_set
from mien.models import DESIGNED, name_of
from mien.study import profiles, provenance, results
from mien.study.data_check import designed, gaps, person_of
from mien.study.parameters import BY_PART, Study, data_paths, make_study, without_folders

#: Modules on whose code results may depend, with their folder; drawn faces are compared by content.
_FOLDER = re.compile(r"^mien\.(?!synthetic|exercises)(\w+)\.", re.MULTILINE)


class Chapter:
    """One chapter of a study, from its parameters to its results.

    Only `mien run` writes into the study's folder. A notebook that is run by hand reads there, and
    writes into ``interactive/`` in it; away from the project, into ``reports/<name>/interactive/``
    beside itself; or into ``out``, where that is no study's folder.

    ``parameters`` are those of the notebook's parameters cell; `ParameterError` if one is not
    allowed.
    """

    def __init__(self, part: str, **parameters: Any) -> None:
        self.plan = BY_PART[part]
        self.part = part
        self.study = make_study(parameters, source=self.plan.notebook)
        self.folder = _writes_to(self.study)
        self._drawn = {"seed": self.study.seed, "resamples": self.study.resamples}
        self.seconds: dict[str, float] = {}
        self.missing: dict[str, str] = {}  # known once the person is loaded, as the next is
        self.designed = "openface"
        self._fingerprints: dict[str, str] = {}
        self._kept: dict[str, pd.DataFrame] = {}
        self._noted: dict[str, Any] = {}
        self._private_reads: list[dict[str, Any]] = []
        self._private_scores: list[dict[str, Any]] = []

    def setting(self, name: str, **given: Any) -> Any:
        """Return a parameter's value, or the profile's choice where the parameter leaves it.

        Of several values by name, those that are ``given`` and not 0 take the profile's place.
        """
        self._declared("settings", name)
        chosen = getattr(self.study, name, None) or profiles.settings(self.study.profile, name)
        changed = {key: value for key, value in given.items() if value}
        return chosen | changed if changed else chosen

    @property
    def command(self) -> str:
        """The command line that repeats the study (as study.json has it), without its folders."""
        try:
            record = (self.study.folder / "study.json").read_text(encoding="utf-8")
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
        """Load FER2013, or the crowd of drawn faces; `DataError` where there is none to be read."""
        self._declared("data", "fer2013")
        if not self.study.fer2013:
            raise DataError(
                "this study names no FER2013: say fer2013=PATH, or run it with mien run, which "
                "leaves out what needs it"
            )
        path, _ = data_paths(self.study.fer2013, "", self.study.seed)
        with self.timed("load"):
            crowd = load_fer2013(
                path,
                skip_bad_rows=self.study.skip_bad_rows,
                public_share=self.study.public_share,
            )
        self._fingerprints["fer2013"] = crowd.fingerprint
        return crowd

    def load_person(self) -> Person:
        """Load the target person, or the drawn person."""
        self._declared("data", "target")
        _, path = data_paths("", self.study.target, self.study.seed)
        with self.timed("load"):
            person = person_of(self.study, path)
        self._fingerprints["target"] = person.fingerprint
        self.missing = gaps(self.study, person)
        self.designed = designed(self.study, person)
        return person

    @property
    def competitor(self) -> str:
        """The model on measured features that meets the network, by name."""
        return DESIGNED[self.designed]

    def load_networks(self) -> list[tuple[Any, float]]:
        """Return the networks that B2 applies and B3 tunes, each with its temperature."""
        from mien.network import inference, pretrained  # here: importing Keras takes seconds

        if self.study.takes_shipped:
            return [pretrained.load_network()]
        home, metrics = self._found("B1")
        return [
            (
                pretrained.load(results.model_path(home, results.training_file("B1", number))),
                of_views[inference.MIRRORED],
            )
            for number, of_views in enumerate(metrics["temperatures"])
        ]

    def metrics(self, part: str) -> dict[str, Any]:
        """Return metrics.json of an earlier chapter of this study.

        `DataError` if it has not been run, or on other data or with other parameters than this one.
        """
        return self._found(part)[1]

    def _found(self, part: str) -> tuple[Path, dict[str, Any]]:
        """Return where an earlier chapter's results lie that fit to this one, and its metrics."""
        self._declared("reads", part)
        problem = None
        for folder in dict.fromkeys([self.folder, self.study.folder]):
            try:
                metrics = results.load_metrics(folder, part)
                self._check_fit(part, metrics["provenance"])
                return folder, metrics
            except DataError as error:
                problem = problem or error
        raise problem

    def _check_fit(self, part: str, told: Mapping[str, Any]) -> None:
        mine = self.study.model_dump(include=self.plan.takes - results.PLACES)
        for now, was in ((self._fingerprints, told["data"]), (mine, told.get("parameters", {}))):
            if other := [name for name in was if name in now and now[name] != was[name]]:
                raise DataError(
                    f"chapter {part} of this study was run on another {other[0]}: run that chapter "
                    "again, by hand as this one, or the study (mien run STUDY, without --only)"
                )

    def table(self, part: str, name: str) -> pd.DataFrame:
        """Return a table that an earlier chapter of this study has saved; errors as `metrics`."""
        return results.load_table(self._found(part)[0], part, name)

    def keep(self, **tables: pd.DataFrame) -> None:
        """Put tables aside; `save` writes each as ``<name>.csv``."""
        self._kept |= tables

    def note(self, **numbers: Any) -> None:
        """Put numbers aside; `save` writes them into metrics.json."""
        self._noted |= numbers

    def model_path(self, name: str) -> Path:
        """Return where a model of this study is stored; the folder exists."""
        path = results.model_path(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def stored_model(self, part: str, name: str) -> Path:
        """Return where an earlier chapter of this study has stored a model; errors as `metrics`."""
        return results.model_path(self._found(part)[0], name)

    def save_networks(self, networks: Sequence[Any]) -> None:
        """Store the networks that this chapter has trained; nothing of earlier ones stays."""
        from mien.network import pretrained  # here: importing Keras takes seconds

        names = {results.training_file(self.part, n): each for n, each in enumerate(networks)}
        for name, network in names.items():
            pretrained.save(network, self.model_path(name))
        left = results.models_of(self.folder, self.part)
        for path in left + results.checkpoints_of(self.folder, self.part):
            if path.name not in names:
                path.unlink()

    def person_folds(self, person: Person, *, repeats: int) -> np.ndarray:
        """Return the folds of the person's labelled faces, clips kept together, int (repeats, n).

        Over all labelled faces at once, so that chapters which read images and measured features
        test the same face in the same fold; -1 for unknown faces.
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

    def score_private(
        self, private: PrivateTest, answers: Mapping[str, np.ndarray], *, copied: np.ndarray
    ) -> tuple[np.ndarray, dict[str, list[dict[str, Any]]]]:
        """Open PrivateTest, once, and score answers that are there already.

        Every reading is noted in metrics.json; no other score of PrivateTest can be saved.
        ``answers`` are by model: emotions, str (n,), or probabilities, float (n, 7) or
        (trainings, n, 7); ``copied`` is bool (n,). Returns the truth, str (n,), and every model's
        scores (`mien.evaluation.scores.private_scores`). `ParameterError` if it was opened before.
        """
        if self._private_reads:
            raise ParameterError(
                f"chapter {self.part} has opened PrivateTest already; hand in all answers at once"
            )
        shares = {name: given for name, given in answers.items() if given.dtype.kind == "f"}
        names = {**answers, **{name: named(each.argmax(-1)) for name, each in shares.items()}}
        truth = private.truth_for(names)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        self._private_reads = [
            {"model": name, "set": "PrivateTest", "n": len(truth), "when": when} for name in names
        ]
        of_truth = {name: probability_of(truth, given) for name, given in shares.items()}
        found = {
            name: private_scores(truth, given, copied=copied, of_truth=of_truth.get(name))
            for name, given in names.items()
        }
        self._private_scores = [score for scores in found.values() for score in scores]
        return truth, found

    def score_person(
        self,
        predictions: pd.DataFrame | Sequence[pd.DataFrame],
        *,
        labels: Sequence[str],
        suffix: str = "",
    ) -> list[dict[str, Any]]:
        """Return the scores of predictions.csv on the labelled faces and on the unknown ones.

        Unknown faces count where the raters have a majority. A set without a single such face
        has no score. Of a network there is a frame for each training. ``suffix`` is added to the
        names of the sets.
        """
        network = not isinstance(predictions, pd.DataFrame)
        frames, found = predictions if network else [predictions], []
        for name in ("labelled", "unknown"):
            chosen = (frames[0]["set"] == name) & (frames[0]["truth"] != "")
            if not chosen.any():
                continue
            rows = frames[0][chosen]
            answers = np.stack([frame["predicted"][chosen].astype(str) for frame in frames])
            shares = np.stack([frame.loc[chosen, list(SHARES)] for frame in frames])
            score = score_set(
                rows["truth"],
                answers if network else answers[0],
                of_truth=probability_of(rows["truth"], shares),
                labels=labels,
                set=f"target-{name}{suffix}",
                clips=rows["clip"],
                **self._drawn,
            )
            found.append(score)
        return found

    def score_folds(
        self,
        person: Person,
        labelled: Labelled,
        probabilities: np.ndarray,
        folds: np.ndarray,
        *,
        set: str = "target-labelled",
    ) -> dict[str, Any]:
        """Return the score of out-of-fold answers to the k labelled faces.

        ``probabilities`` have the shape (repeats, k, 7), of a network (trainings, repeats, k, 7);
        the first repeats of the folds are theirs. With ``calibration_error``.
        """
        found = score_set(
            labelled.truth,
            named(probabilities.argmax(axis=-1)),
            folds=folds[: probabilities.shape[-3]],
            labels=person.emotions,
            set=set,
            clips=labelled.clips,
            of_truth=probability_of(labelled.truth, probabilities),
            **self._drawn,
        )
        return found | {"calibration_error": calibration_error(labelled.truth, probabilities)}

    def score_rivals(
        self,
        person: Person,
        labelled: Labelled,
        rivals: Mapping[str, np.ndarray],
        folds: np.ndarray,
    ) -> dict[str, dict[str, Any]]:
        """Return the scores of rivals (`mien.models.RIVALS`), by name, as `score_folds`."""
        of = "target-labelled-rival"
        return {
            name: {"model": name, **self.score_folds(person, labelled, given, folds, set=of)}
            for name, given in rivals.items()
        }

    def _declared(self, kind: str, name: str) -> None:
        """Raise where a chapter asks for what its plan does not declare: it would not go stale."""
        if name not in getattr(self.plan, kind):
            raise ParameterError(
                f"chapter {self.part} asks for {name!r}, which {kind} of its ChapterPlan "
                f"(mien.study.parameters) does not name; add it there"
            )

    def save(
        self,
        *,
        scores: Sequence[Mapping[str, Any]] = (),
        predictions: pd.DataFrame | None = None,
        **more: Any,
    ) -> None:
        """Write this chapter's results: metrics and ``more``, predictions, what was put aside."""
        if get_ipython() is not None:  # a kernel of its own: what is loaded, the notebook loaded
            for folder in sorted(set(_FOLDER.findall("\n".join(sys.modules)))):
                self._declared("library", folder)
        for score in scores:
            if score["set"].startswith("PrivateTest") and score not in self._private_scores:
                raise ParameterError("this score of PrivateTest is not what score_private gave")
        metrics = {
            "part": self.part,
            "model": name_of(self.part, self.designed),
            "scores": list(scores),
            "seconds": {what: round(taken, 3) for what, taken in self.seconds.items()},
            **self._noted,
            **more,
            "provenance": {
                "parameters": self.study.model_dump(include=self.plan.takes),
                "data": self._fingerprints,
                "versions": provenance.versions(),
                "hardware": provenance.hardware(),
                "git": provenance.git_state(),
                "private_reads": self._private_reads,
            },
        }
        home = results.save(
            self.folder, self.part, metrics, predictions=predictions, tables=self._kept
        )
        if get_ipython() is not None and self.folder != self.study.folder:
            models = ", ".join(path.name for path in results.models_of(self.folder, self.part))
            stored = f"; {models} in {self.folder / 'models'}" if models else ""
            print(f"The results of chapter {self.part} are in {home}{stored}.")


def _writes_to(study: Study) -> Path:
    """Return the folder that a chapter of this study writes into, see `Chapter`."""
    folder, here = study.folder, Path.cwd()
    if os.environ.get(results.RUN) == str(folder.resolve()):
        return folder
    if study.out and not (folder / "study.json").exists():
        return folder
    if not (study.out or here.is_relative_to(project.project_root())):
        folder = here / "reports" / study.name
    return folder / "interactive"
