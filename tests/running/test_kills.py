"""Kills anywhere lose nothing; of the demo study in small, two jobs and kills change no number."""

import contextlib
import json
import random
import subprocess
import sys

import numpy as np
import psutil
import pytest
import tiny_project
from tiny_project import (
    PARAMETERS,
    PLANS,
    command,
    family,
    gone,
    hidden,
    keep_one_face_of,
    wait_until,
    write_notebook,
)

from mien.study import results
from mien.study.parameters import CHAPTERS, parts_to_run
from mien.synthetic.dataset import write_demo

#: What makes the demo study cheap; every chapter still does all that it does.
CHEAP = {"epochs": 3, "repeats": 1, "folds": 2, "fine_tune_epochs": 1, "resamples": 100}


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """The arguments of ``mien run`` for a small crowd and person, but for ``--out``.

    One thread a chapter: more take longer where two chapters and another worker want the cores.
    """
    drawn = tmp_path_factory.mktemp("drawn")
    write_demo(drawn, crowd=400, labelled=40)
    keep_one_face_of(drawn / "person", "disgust")
    places = {"fer2013": drawn / "fer2013.csv", "target": drawn / "person"}
    settings = [f"{name}={value}" for name, value in {**CHEAP, **places}.items()]
    given = [word for text in settings for word in ("--set", text)]
    return ["notebooks/studies/demo.yaml", "--threads", "1", *given]


@pytest.fixture(scope="module")
def undisturbed(arguments, tmp_path_factory):
    """The folder of a run that nobody disturbed, two jobs at once, and what it said."""
    out = tmp_path_factory.mktemp("undisturbed")
    return out, finish(start(out, *arguments, "--jobs", "2"))


def start(out, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "mien.cli", "run", *arguments, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(runner):
    said, _ = runner.communicate()
    assert runner.returncode == 0, said
    return said


def predictions(out):
    return {path.parent.name: path.read_bytes() for path in out.glob("results/*/predictions.csv")}


def parts(out):
    return json.loads((out / "study.json").read_text())["parts"]


def begun(out, plan):
    """Return whether a chapter runs, or has run."""
    return (out / "study.json").exists() and plan.part in parts(out)


def cells_done(out, plan):
    """Return how many cells of a chapter that runs are done; many, if the chapter is."""
    if (out / "study.json").exists() and parts(out).get(plan.part, {}).get("state") == "done":
        return 1000
    try:
        running = results.notebook_path(out, f".{plan.notebook}.running")
        cells = json.loads(running.read_text())["cells"]
    except (OSError, ValueError):  # not there yet, or just being written
        return -1
    return sum(cell.get("execution_count") is not None for cell in cells)


def kill(runner, victim):
    """Kill a runner, or the kernel of its chapter if there is one; wait until all are gone."""
    processes = family(runner)
    kernels = [one for one in processes if "ipykernel_launcher" in command(one)]
    if victim == "kernel" and kernels:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended first: a run without a kill
            kernels[0].kill()
    else:
        runner.kill()  # nothing, if it has ended
    runner.communicate()
    wait_until(lambda: gone(processes))


def test_two_jobs_run_what_does_not_read_each_other(undisturbed):
    out, said = undisturbed
    assert set(predictions(out)) == {"A1", "A2", "B2", "B3"}
    running = [line[:2].strip() for line in said.splitlines() if " ... (" in line]
    assert sorted(running[:2]) == ["A2", "B1"] and running.index("C") == len(CHAPTERS) - 1


def test_one_face_of_an_emotion_and_units_that_never_vary_are_borne(undisturbed):
    score = results.scores_by_set(results.load_metrics(undisturbed[0], "A2"))["target-labelled"]
    assert score["per_class"]["disgust"]["support"] == 1


def test_twenty_kills_lose_nothing(project, tmp_path):
    """Of the runner or the kernel, anywhere from a chapter's start to beyond its end."""
    chance, out = random.Random(2026), tmp_path / "out"
    only = ",".join(plan.part for plan in PLANS)
    for plan in PLANS:
        write_notebook(project, plan, "import time\ntime.sleep(1)\nvalue = seed")
    for plan in sorted(PLANS * 5, key=PLANS.index):
        runner = tiny_project.start(project, out, only=only)
        wait_until(lambda: begun(out, plan) or runner.poll() is not None)  # noqa: B023
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(timeout=chance.uniform(0, 3))
        kill(runner, chance.choice(["runner", "kernel"]))
    finish(tiny_project.start(project, out, only=only))
    assert {plan.part: parts(out)[plan.part]["state"] for plan in PLANS} == dict.fromkeys(
        PARAMETERS, "done"
    )
    assert all(results.load_metrics(out, plan.part) == {"value": 0} for plan in PLANS)
    assert not hidden(out)


def test_kills_and_jobs_change_no_number(arguments, undisturbed, tmp_path):
    """Of the network while it is trained, which goes on from its last epoch, and while tuned."""
    history = kill_in_training(arguments, tmp_path)
    runner, plan = start(tmp_path, *arguments), parts_to_run("B3")[0]
    wait_until(lambda: cells_done(tmp_path, plan) >= 3 or runner.poll() is not None)
    assert runner.poll() is None, runner.communicate()[0]
    kill(runner, "runner")
    finish(start(tmp_path, *arguments))
    assert {state["state"] for state in parts(tmp_path).values()} == {"done"}
    assert predictions(tmp_path) == predictions(undisturbed[0])
    assert not hidden(tmp_path)
    # Seconds are measured, so only an epoch that was not trained again has the very same.
    whole = results.load_table(tmp_path, "B1", "history")
    assert len(whole) == CHEAP["epochs"] > len(history)
    np.testing.assert_allclose(whole["seconds"][0], history[0]["seconds"], rtol=1e-5)


def kill_in_training(arguments, out):
    """Kill the kernel of B1 once an epoch is stored; return the history of its checkpoint."""
    runner, checkpoint = start(out, *arguments), out / "models" / "B1.checkpoint.npz"
    wait_until(lambda: checkpoint.exists() or runner.poll() is not None)
    kill(runner, "kernel")
    with np.load(checkpoint) as stored:
        return json.loads(str(stored["progress"]))["history"]
