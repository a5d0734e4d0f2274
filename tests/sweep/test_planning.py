"""Sweeps: the grid, the order of runs, what is shared, what fails, what is taken up."""

import concurrent.futures as cf
import errno
import signal
import subprocess
import sys

import filelock
import pytest
import tiny_project

from mien.errors import MienError, ParameterError
from mien.running.scheduler import ChapterFailed
from mien.sweep import planning, runs

STUDY = "notebooks/studies/demo.yaml"


def planned(tmp_path, *items, **options) -> planning.Sweep:
    return planning.plan(STUDY, items, out=str(tmp_path), **options)


@pytest.mark.parametrize(
    ("items", "settings", "said"),
    [
        (["sede=0,1"], [], "did you mean 'seed'"),
        (["hog_cell=6,80"], [], "80"),
        (["learning_rate=1e-3,x"], [], "'x'"),
        (["seed=0,,1"], [], "empty"),
        (["seed"], [], "NAME=V1,V2"),
        (["seed=0", "seed=1"], [], "twice"),
        (["learning_rate=0.1,1e-1"], [], "twice"),
        (["out=a,b"], [], "places its runs"),
        (["target=a,b"], [], "by mien compare STUDY STUDY"),
        (["seed=0,1"], ["seed=3"], "both"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_runs(tmp_path, items, settings, said):
    with pytest.raises(ParameterError, match=said.replace("(", r"\(")):
        planned(tmp_path / "sweep", *items, settings=settings)
    assert not (tmp_path / "sweep").exists()


def test_a_grid_is_a_product_of_checked_studies(tmp_path):
    found = planned(tmp_path, "seed=0,1", "learning_rate=1e-3,0.01", settings=["epochs=2"])
    points = {(run.seed, run.learning_rate, run.epochs) for run in found.runs}
    assert points == {(0, 0.001, 2), (1, 0.001, 2), (0, 0.01, 2), (1, 0.01, 2)}
    folders = {run.folder for run in found.runs}
    assert folders == {tmp_path / "runs" / run.name for run in found.runs}
    assert found.command == (
        "mien sweep demo --grid seed=0,1 --grid learning_rate=1e-3,0.01 --set epochs=2"
    )


def test_labels_are_names_of_folders_and_never_the_same(tmp_path):
    found = planned(tmp_path, "fer2013=demo,/home/a b/c,/home/a-b/c", "seed=0,1")
    labels = [run.name for run in found.runs]
    assert len(set(labels)) == 6
    assert all("/" not in label and " " not in label and len(label) <= 64 for label in labels)


def test_neighbours_have_little_in_common(tmp_path):
    """B3 alone depends on its rate, everything on the seed: seeds start side by side."""
    found = planned(tmp_path, "seed=0,1", "fine_tune_rate=0.001,0.01")
    assert [run.seed for run in found.runs] == [0, 1, 0, 1]


def test_a_parameter_concerns_its_chapter_and_those_that_read_it():
    parts = planning.dependants(["fine_tune_rate", "epochs", "seed"])
    assert parts["fine_tune_rate"] == {"B3", "C"}
    assert parts["epochs"] == {"B1", "B2", "B3", "C"}
    assert parts["seed"] == {"0", "A1", "A2", "B1", "B2", "B3", "C"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path


def run_code(folder, code, *, here=".", threads=0):
    """Run a program in the place of ``mien run``."""
    return runs.run_task("one", ("-c", code), folder, here, threads)


def test_a_run_says_how_it_ended_and_how_many_threads_it_had(folder):
    assert run_code(folder, "import sys; print(sys.argv)", threads=3).state == "done"
    assert (folder / "logs" / "one.log").read_text() == "['-c', '--threads', '3']\n"
    failed = run_code(folder, "print('x\\nmien: chapter B1 stopped\\nbecause'); exit(1)")
    assert (failed.state, failed.message) == ("failed", "chapter B1 stopped\nbecause")
    killed = run_code(folder, "import os; print('last', flush=True); os.kill(os.getpid(), 9)")
    assert killed.message == "last\nmien run ended with signal 9"


def test_a_run_on_a_worker_without_the_folder_fails_in_words(folder):
    lost = run_code(folder, "pass", here="/no/such/folder")
    assert lost.state == "failed" and "/no/such/folder" in lost.message


ONLY_PID = "import os, time; from mien import system; system.end_with_stdin();"
ONLY_PID += "print(os.getpid(), flush=True); time.sleep(600)"


def pid_in(log) -> int:
    """Return what a run has printed, as soon as it has."""
    tiny_project.wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    return int(log.read_text())


def test_a_run_ends_when_the_sweep_says_so(folder):
    with cf.ThreadPoolExecutor() as pool:
        future = pool.submit(run_code, folder, ONLY_PID)
        child = pid_in(folder / "logs" / "one.log")
        (folder / runs.STOP).touch()
        assert future.result().state == "stopped"
    assert not tiny_project.lives(child)
    assert run_code(folder, "raise SystemExit('must not begin')").state == "stopped"


def test_a_run_dies_with_its_worker(folder):
    code = "from pathlib import *; from mien.sweep.runs import *; "
    code += f"run_task('one', ('-c', {ONLY_PID!r}), {folder!r}, '.', 0)"
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        child = pid_in(folder / "logs" / "one.log")
        worker.send_signal(signal.SIGKILL)
    tiny_project.wait_until(lambda: not tiny_project.lives(child))


def test_a_second_sweep_in_the_same_folder_is_refused(tmp_path):
    found = planned(tmp_path, "seed=0,1")
    with (
        filelock.FileLock(tmp_path / ".lock"),
        cf.ThreadPoolExecutor(1) as pool,
        pytest.raises(MienError, match="another mien"),
    ):
        runs.run(found, pool)


def test_a_full_disk_ends_the_runs_and_is_told_in_words(tmp_path, monkeypatch):
    found = planned(tmp_path, "seed=0,1")
    monkeypatch.setattr(planning.Sweep, "arguments", lambda *_: ("-c", ONLY_PID))
    children = []

    def full(status):
        children.append(pid_in(tmp_path / "logs" / "seed-0.log"))
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        cf.ThreadPoolExecutor(1) as pool,
        pytest.raises(ChapterFailed, match="No space left"),
    ):
        runs.run(found, pool, tell=full)
    assert not tiny_project.lives(children[0])
    assert not (tmp_path / "logs" / "seed-1.log").exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with tiny_project.opened(tmp_path_factory.mktemp("project")) as made:
        yield made


def test_runs_share_what_they_have_in_common_and_are_taken_up(project, tmp_path):
    grid = ("--grid", "fine_tune_rate=0.01,0.02,0.9", "--only", "B1,B3", "--jobs", "2")
    done = project.sweep(tmp_path, *grid, "--set", "epochs=1")
    assert done.returncode == 1, done.stdout + done.stderr
    # B1 does not depend on the rate: one run trains it, the others take it over
    assert project.computed("B1") == 1 and project.computed("B3") == 2
    assert "fine_tune_rate-0.9 failed" in done.stderr and "too fast" in done.stderr
    states = {run["label"]: run["state"] for run in tiny_project.record(tmp_path)["runs"]}
    assert sorted(states.values()) == ["done", "done", "failed"]
    assert (tmp_path / "index.html").is_file()
    again = project.sweep(tmp_path, *grid, "--set", "epochs=1")
    assert again.returncode == 1
    assert project.computed("B1") == 1 and project.computed("B3") == 2


def test_ctrl_c_ends_every_run_and_the_rest_can_be_taken_up(project, tmp_path):
    grid = ("--grid", "seed=7,8", "--only", "B1")
    waiting = project.waits_at("seed-7")
    process = project.start(tmp_path, *grid)
    tiny_project.wait_until(waiting.exists, process)
    kernel = int(waiting.read_text())
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=tiny_project.PATIENCE)
    assert process.returncode == 130
    assert error.count("\n") == 1 and error.startswith("mien: stopped; "), out + error
    tiny_project.wait_until(lambda: not tiny_project.lives(kernel))
    project.release()
    assert project.sweep(tmp_path, *grid).returncode == 0


def test_a_killed_sweep_leaves_nothing_running(project, tmp_path):
    waiting = project.waits_at("seed-5")
    process = project.start(tmp_path, "--grid", "seed=5,6", "--only", "B1")
    tiny_project.wait_until(waiting.exists, process)
    process.kill()
    process.communicate()
    tiny_project.wait_until(lambda: not tiny_project.lives(int(waiting.read_text())))
    project.release()


def test_bad_ways_to_run_are_refused(mien_here, tmp_path):
    sweep = ("sweep", STUDY, "--out", str(tmp_path), "--grid", "seed=0")
    both = mien_here(*sweep, "--jobs", "2", "--scheduler", "tcp://x:1")
    assert both.returncode == 2 and "--jobs" in both.stderr
    lost = mien_here(*sweep, "--set", "target=nowhere")
    assert lost.returncode == 2 and "nowhere" in lost.stderr
    assert "Traceback" not in both.stderr + lost.stderr
    assert not list(tmp_path.iterdir())
