"""What the ratings say once a rater has finished: agreement, differences, the models as raters."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien import project
from mien.data.person import Person, majorities
from mien.emotions import UNKNOWN
from mien.evaluation.intervals import accuracy_interval, clustered_mean
from mien.evaluation.rater_agreement import rater_agreement
from mien.files import whole_folder
from mien.labelling.ratings import disagreements, with_themself
from mien.labelling.widget import Labeller
from mien.models import MODELS
from mien.study import results


@dataclass(frozen=True)
class RatingResults:
    """What the ratings of a folder say; every frame is empty until the rater has finished.

    ``pairs`` and ``groups`` are as `mien.evaluation.rater_agreement.Agreement` has them; ``differ``
    has ``file_name`` and what every rater said, for the faces on which they differ; ``models``
    ``model``, ``n``, ``agreement`` with the raters' majority (0..1), ``low`` and ``high`` (95 %
    interval over clips).
    """

    pairs: pd.DataFrame
    groups: pd.DataFrame
    differ: pd.DataFrame
    models: pd.DataFrame


def folder_of(folder: str) -> Path:
    """Return a person's folder; for ``"demo"`` a copy of it in ``reports/label/person``."""
    if folder != "demo":
        return Path(folder).expanduser()
    from mien.synthetic.dataset import demo_folder  # here, because drawing is rarely needed

    copy = results.study_folder("label") / "person"
    if not copy.exists():
        with whole_folder(copy) as part:
            shutil.copytree(demo_folder() / "person", part, dirs_exist_ok=True)
    return copy


def notebook_for(folder: Path, where: Path, **parameters: object) -> Path:
    """Write ``notebooks/label.ipynb`` with some of its ``parameters`` into ``where``."""
    import nbformat  # here, because it takes a second
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    template = load_notebook_node(str(project.notebook_source("label")))
    given = {"folder": str(folder.resolve()), **parameters}
    path = where / "label.ipynb"
    nbformat.write(parameterize_notebook(template, given), path)
    return path


def look(labeller: Labeller, study: str = "") -> RatingResults:
    """Return what the ratings say, with the models of a study's folder as raters, if any."""
    table = labeller.ratings.table() if labeller.finished else labeller.ratings.table().iloc[:0]
    told = table[table["label"] != UNKNOWN]
    answers = _answers(Path(study).expanduser()) if study and len(told) else {}
    agreement = rater_agreement(told, answers)
    return RatingResults(
        agreement.pairs,
        agreement.groups,
        disagreements(table),
        _against_majority(told, answers, labeller.person),
    )


def standing(labeller: Labeller) -> dict[str, int]:
    """Return how far a rater is: ``faces``, ``left``, ``twice`` (answered again), ``alike``."""
    said = labeller.ratings.of(labeller.rater)
    twice, alike = with_themself(said)
    return {"faces": len(said), "left": labeller.face["left"], "twice": twice, "alike": alike}


def _answers(study: Path) -> dict[str, dict[str, str]]:
    """Return every model's answer to every face of the person, of the parts that there are."""
    found = {}
    for part in dict.fromkeys(model.part for model in MODELS.values()):
        if (results.part_folder(study, part) / "predictions.csv").exists():
            frame = results.load_table(study, part, "predictions")
            model = results.load_metrics(study, part)["model"]
            found[model] = dict(zip(frame["file_name"], frame["predicted"], strict=True))
    return found


def _against_majority(
    told: pd.DataFrame, answers: dict[str, dict[str, str]], person: Person
) -> pd.DataFrame:
    majority = majorities(told)
    clip_of = dict(zip(person.faces["file_name"], person.faces["clip"], strict=True))
    rows = []
    for model, given in answers.items():
        names = [name for name in majority if given.get(name)]
        right = np.array([given[name] == majority[name] for name in names], dtype=float)
        if names:
            clips = [clip_of.get(name, name) for name in names]
            interval = accuracy_interval(clustered_mean(right, clips))
            rows.append((model, len(names), right.mean(), *interval))
    return pd.DataFrame(rows, columns=["model", "n", "agreement", "low", "high"])
