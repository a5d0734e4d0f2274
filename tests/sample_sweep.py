"""A sweep whose runs were never run: study folders with scores of random answers."""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.evaluation.scores import score_set
from mien.study import results
from mien.study.parameters import Study
from mien.sweep import planning
from mien.sweep.runs import Status

LABELS = ["happy", "sad", "neutral"]
FACES, REPEATS, FOLDS = 60, 2, 5


def write_sweep(out: Path, *items: str, failed: str = "") -> tuple[planning.Sweep, dict]:
    """Write the runs of a sweep of the demo study; the run called ``failed`` has failed."""
    planned = planning.plan("notebooks/studies/demo.yaml", items, out=str(out))
    statuses = {}
    for run in planned.runs:
        status = Status(run.name, "done", 61.5, "", "here")
        if run.name == failed:
            status = Status(run.name, "failed", 3, "chapter B1 stopped in cell 4:\n<b>no</b>")
        else:
            write_run(Path(run.out), run)
        statuses[run.name] = status
    return planned, statuses


def write_run(folder: Path, study: Study) -> None:
    """Write the results of a run; its skill grows with fine_tune_rate (B3) and hog_cell (A1)."""
    crowd = np.random.default_rng(study.seed)
    private = _answers(crowd, 200, 0.6 + 0.02 * study.hog_cell, "PrivateTest-deduplicated")
    public = _answers(crowd, 200, 0.6 + 0.02 * study.hog_cell, "PublicTest")
    poor = _answers(crowd, 200, 0.3, "PublicTest")
    results.save(folder, "A1", {"scores": [private], "public": [poor, public]})
    results.save(folder, "B1", {"scores": [_answers(crowd, 200, 0.7, "PublicTest"), private]})
    for part, skill in (("A2", 0.5), ("B3", 0.6 + study.fine_tune_rate)):
        score, repeats = _repeated(np.random.default_rng(study.seed), skill)
        unknown = _answers(crowd, 12, skill, "target-unknown")
        results.save(folder, part, {"scores": [score, unknown]}, tables={"repeats": repeats})
    (folder / "index.html").write_text("<title>a run</title>")


def _answers(random, n: int, skill: float, set_: str) -> dict:
    truth = random.choice(LABELS, n)
    answers = np.where(random.random(n) < skill, truth, random.choice(LABELS, n))
    return score_set(truth, answers, labels=LABELS, set=set_, resamples=100)


def _repeated(random, skill: float) -> tuple[dict, pd.DataFrame]:
    truth = random.choice(LABELS, FACES)
    clips = np.arange(FACES) // 2
    folds = np.array([random.permutation(np.arange(FACES) % FOLDS) for _ in range(REPEATS)])
    right = random.random((REPEATS, FACES)) < skill
    answers = np.where(right, truth, random.choice(LABELS, (REPEATS, FACES)))
    score = score_set(
        truth,
        answers,
        folds=folds,
        labels=LABELS,
        set="target-labelled",
        clips=clips,
        resamples=100,
    )
    faces = pd.DataFrame({"file_name": [f"{n}.jpg" for n in range(FACES)], "clip": clips})
    tables = [
        faces.assign(truth=truth, repeat=repeat, fold=folds[repeat], predicted=answers[repeat])
        for repeat in range(REPEATS)
    ]
    return score, pd.concat(tables)
