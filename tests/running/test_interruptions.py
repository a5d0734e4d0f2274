"""What goes wrong around a run: one clear line, the right exit status, nothing half done."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from jupyter_client.provisioning import local_provisioner
from tiny_project import (
    PATIENCE,
    PLANS,
    command,
    family,
    gone,
    hidden,
    start,
    wait_until,
    write_notebook,
)

from mien.running import execution
from mien.study import results

#: A cell that says that it runs, and goes on for ever.
ENDLESS = "import time\nPath(out, 'here').touch()\nwhile True: time.sleep(0.1)\nvalue = 0"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small file system cannot be mounted here (needs root)")
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def endless(project, out, *arguments):
    """Start a run and return it once its notebook runs, with its processes."""
    write_notebook(project, PLANS[0], ENDLESS)
    runner = start(project, out, *arguments)
    wait_until((out / "here").exists)
    return runner, family(runner)


def said(runner, status):
    """Return what a run said on standard error; it has ended with this status."""
    _, error = runner.communicate(timeout=PATIENCE)
    assert runner.returncode == status, error
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("whom", ["the runner", "its process group"])
def test_ctrl_c_ends_everything_with_one_line(project, out, whom):
    runner, processes = endless(project, out)
    (os.kill if whom == "the runner" else os.killpg)(runner.pid, signal.SIGINT)
    line = said(runner, 130)
    assert line.count("\n") == 1 and line.startswith("mien: stopped")
    wait_until(lambda: gone(processes))
    assert not (out / "results").exists() and not hidden(out)


def test_the_kernel_is_this_python_whatever_is_installed_as_python3(
    project, out, tmp_path, monkeypatch
):
    other = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"argv": ["false", "{connection_file}"], "display_name": "", "language": ""}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write_notebook(
        project, PLANS[0], "import sys\nPath(out, 'who').write_text(sys.executable)\nvalue = 0"
    )
    runner = start(project, out)
    said(runner, 0)
    assert (out / "who").read_text() == sys.executable


@pytest.mark.parametrize("victim", ["runner", "child", "kernel"])
def test_killed_it_leaves_no_kernel_and_the_next_run_takes_over(project, out, victim):
    runner, processes = endless(project, out)
    (child,) = [one for one in processes if "mien.running.execution" in command(one)]
    (kernel,) = [one for one in processes if "ipykernel_launcher" in command(one)]
    {"runner": runner, "child": child, "kernel": kernel}[victim].kill()
    if victim == "kernel":
        assert "kernel died" in said(runner, 1)
    runner.communicate(timeout=PATIENCE)
    wait_until(lambda: gone(processes))
    write_notebook(project, PLANS[0])
    said(start(project, out), 0)
    assert results.load_metrics(out, "A1") == {"value": 0} and not hidden(out)


def test_a_chapter_over_its_time_is_stopped(project, out):
    write_notebook(project, PLANS[0], ENDLESS)
    line = said(start(project, out, "--minutes", "0.1"), 1)
    assert line.count("\n") == 1
    assert "A1" in line and "not done after 0.1 minutes, the limit (--minutes)" in line
    assert not (out / "results").exists() and not hidden(out)


def test_a_second_runner_is_refused_or_waits(project, out):
    first, processes = endless(project, out)
    refused = said(start(project, out), 2)
    assert "another mien is running the study" in refused and "--wait" in refused
    patient = start(project, out, "--wait")
    wait_until(lambda: "another mien" in patient.stdout.readline())
    write_notebook(project, PLANS[0])
    first.send_signal(signal.SIGINT)
    said(first, 130)
    said(patient, 0)
    assert results.load_metrics(out, "A1") == {"value": 0} and gone(processes)


def test_of_two_runners_that_want_the_same_one_computes_and_the_other_waits(project, tmp_path):
    gate, store = tmp_path / "gate", tmp_path / "store"
    body = (
        f"import time\ngate = Path({str(gate)!r})\n"
        "with (gate.parent / 'computed').open('a') as file: file.write('once ')\n"
        "while not gate.exists(): time.sleep(0.1)\nvalue = 7"
    )
    write_notebook(project, PLANS[0], body)
    first = start(project, tmp_path / "a", "--store", store)
    wait_until((tmp_path / "computed").exists)
    second = start(project, tmp_path / "b", "--store", store)
    wait_until(lambda: "computes the same" in second.stdout.readline())
    gate.touch()
    said(first, 0)
    assert "from the store" in finished(second)
    assert (tmp_path / "computed").read_text() == "once "
    assert results.load_metrics(tmp_path / "b", "A1") == {"value": 7}


def finished(runner):
    """Return what a run said on standard output; it has ended well."""
    spoken, error = runner.communicate(timeout=PATIENCE)
    assert runner.returncode == 0, error
    return spoken


def test_a_result_that_does_not_fit_the_disk_is_absent(project, disk):
    write_notebook(project, PLANS[0], "value = 'x' * 4_000_000")
    assert "No space left on device" in said(start(project, disk / "out"), 1)
    assert not (disk / "out" / "results" / "A1").exists() and not hidden(disk / "out")
    write_notebook(project, PLANS[0])
    said(start(project, disk / "out"), 0)


def test_a_disk_that_is_full_is_one_line(project, disk):
    (disk / "out").mkdir()
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
        while filler.write(b"x" * 4096):
            pass
    line = said(start(project, disk / "out"), 1)
    assert line.count("\n") == 1 and "No space left on device" in line
    (disk / "filler").unlink()
    said(start(project, disk / "out"), 0)


def test_a_folder_that_cannot_be_written_is_one_line(project, tmp_path, request):
    folder = tmp_path / "mine"
    if os.getuid() == 0:  # whom no permission stops
        folder = request.getfixturevalue("disk")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        folder.mkdir(mode=0o555)
    line = said(start(project, folder / "out"), 1)
    assert line.count("\n") == 1 and "nothing more can be written into" in line


def test_a_kernel_that_loses_its_port_starts_again(project, tmp_path, monkeypatch):
    taken = socket.create_server(("127.0.0.1", 0))
    cache = local_provisioner.LocalPortCache
    real, asked = cache.find_available_port, []

    def port(self, ip):
        asked.append(ip)
        return taken.getsockname()[1] if len(asked) <= 5 else real(self, ip)

    monkeypatch.setattr(cache, "find_available_port", port)
    notebook = project / f"{PLANS[0].notebook}.ipynb"
    with taken:
        failure = execution.execute(
            {"notebook": str(notebook), "parameters": {"out": str(tmp_path / "out"), "seed": 3}}
        )
    assert failure is None and len(asked) == 10
    assert results.load_metrics(tmp_path / "out", "A1") == {"value": 3}
