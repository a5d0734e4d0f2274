"""A sweep on a real Dask cluster: one scheduler and two workers on loopback, one of which dies."""

import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with tiny_project.opened(tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture
def cluster(project, tmp_path):
    """Give the address of a scheduler, and its two workers by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    commands = {
        "scheduler": ["scheduler", "--host", address, "--no-dashboard"],
        **{
            name: ["worker", address, "--name", name, "--nthreads", "1", "--no-nanny"]
            + ["--no-dashboard", "--local-directory", str(tmp_path / name)]
            for name in ("first", "second")
        },
    }
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                cwd=project.folder,
                env=project.environment,
                stdout=log,
                stderr=log,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes[name] = process
        yield address, processes


def worker_of(waiting, processes) -> subprocess.Popen:
    """Return the worker below which a kernel runs."""
    pid = int(waiting.read_text())
    above = {process.pid: process for process in processes.values()}
    while pid > 1:
        if pid in above:
            return above[pid]
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    raise AssertionError("the kernel belongs to no worker")


def test_a_sweep_outlives_a_worker(project, cluster, tmp_path):
    address, processes = cluster
    out = tmp_path / "sweep"
    waiting = project.waits_at("seed-1")
    process = project.start(
        out, *("--grid", "seed=0,1,2"), *("--only", "B1"), *("--scheduler", address)
    )
    tiny_project.wait_until(waiting.exists, process)
    kernel, victim = int(waiting.read_text()), worker_of(waiting, processes)
    waiting.unlink()
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    # no orphan: what ran on the worker ends with it, and is begun anew on the other one
    tiny_project.wait_until(lambda: not tiny_project.lives(kernel))
    tiny_project.wait_until(waiting.exists, process)
    assert worker_of(waiting, processes) is not victim
    project.release()
    output, error = process.communicate(timeout=tiny_project.PATIENCE)
    assert process.returncode == 0, output + error
    assert [run["state"] for run in tiny_project.record(out)["runs"]] == ["done"] * 3
    assert project.computed("B1") == 3
    assert (out / "index.html").is_file()


STUDY = "notebooks/studies/demo.yaml"


def test_a_scheduler_that_does_not_answer_is_refused_in_words(mien_here, tmp_path):
    for address in ("tcp://127.0.0.1:9", "nonsense://here"):
        places = ("--out", str(tmp_path / "sweep"), "--scheduler", address)
        refused = mien_here("sweep", STUDY, "--grid", "seed=0,1", *places)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert f"scheduler at {address} does not answer" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_without_dask_the_message_says_what_to_install(mien_here, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    places = ("--out", str(tmp_path / "sweep"), "--scheduler", "tcp://x:1")
    refused = mien_here("sweep", STUDY, "--grid", "seed=0,1", *places)
    assert refused.returncode == 2
    assert "pip install distributed" in refused.stderr and "Traceback" not in refused.stderr
