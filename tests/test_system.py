"""What differs between systems, on the one that the tests run on."""

import signal
import subprocess
import sys

import psutil
import tiny_project

from mien import system


def test_a_family_is_killed_whole_and_waited_for():
    child = "import subprocess, sys, time; time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, **system.out_of_reach()
    )
    tiny_project.wait_until(lambda: tiny_project.family(process))
    (grandchild,) = tiny_project.family(process)
    system.end(process, 0.1)
    assert process.returncode == -signal.SIGKILL
    tiny_project.wait_until(lambda: not tiny_project.alive(grandchild))
    system.end(process, 0.1)  # nothing to do the second time


def test_cores_and_memory_are_those_that_the_system_tells():
    assert system.cores() == len(psutil.Process().cpu_affinity())
    held = psutil.Process().memory_info().rss / 1e9
    assert 0.5 * held < system.peak_memory() < 100 * held
