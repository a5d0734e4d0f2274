"""The set-up: dependencies stated once, pinned with hashes, the same for conda users."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")


def _stated() -> list[str]:
    """Everything that pyproject.toml states; ``mien[dask]`` stands for the extra of that name."""
    extras = PROJECT["optional-dependencies"]
    stated = PROJECT["dependencies"] + extras["test"]
    named = re.findall(r"^mien\[(\w+)\]$", "\n".join(stated), re.M)
    stated += [item for name in named for item in extras[name]]
    return [item for item in stated if not item.startswith("mien[")]


def test_the_tests_need_every_extra():
    extras = PROJECT["optional-dependencies"]
    assert {f"mien[{name}]" for name in extras if name != "test"} <= set(extras["test"])


def test_conda_users_get_the_dependencies_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    inline = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert conda == ["python=3.12", "pip"]
    assert [item for item in inline if item != "-e ."] == PROJECT["dependencies"]
    assert "-e ." in inline


def test_lock_pins_every_dependency_with_hashes_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text()
    pinned = {_name(line) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)}
    assert {_name(item) for item in _stated()} <= pinned
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        assert "==" in block.splitlines()[0] and "--hash=sha256:" in block, block[:80]


def test_locked_versions_satisfy_pyproject():
    from packaging.requirements import Requirement

    text = (ROOT / "requirements.lock").read_text()
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", text, re.M):
        pins.setdefault(name.lower(), []).append(version)
    for item in _stated():
        requirement = Requirement(item)
        assert all(requirement.specifier.contains(v) for v in pins[_name(item)]), item


@pytest.mark.parametrize(
    ("rooms", "allowed"),
    [
        ("mien.cli", {"annotated_doc", "mien", "rich", "shellingham", "typer"}),
        ("mien.running.record, mien.running.scheduler, mien.study.data_check", None),
    ],
)
def test_what_takes_seconds_is_not_imported_before_it_is_needed(rooms, allowed):
    code = f"import sys; known = set(sys.modules); import {rooms}; print(*set(sys.modules) - known)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    loaded -= {*sys.stdlib_module_names, "__mp_main__"}
    heavy = {"tensorflow", "keras", "sklearn", "scipy", "cv2", "requests"}
    drawing = {"matplotlib", "papermill", "nbconvert", "nbformat", "bleach"}
    assert not loaded & (heavy | drawing)
    if allowed:
        assert {name for name in loaded if not name.startswith("_")} <= allowed


@pytest.mark.parametrize(("tool", "installs"), [("uv", "uv pip install"), (None, "-m pip install")])
def test_make_setup_takes_uv_where_it_is_there(tool, installs, tmp_path):
    for name in ("make", "sh", "python3"):
        (tmp_path / name).symlink_to(shutil.which(name))
    if tool:
        (tmp_path / tool).write_text("#!/bin/sh\necho uv 0.9\n")
        (tmp_path / tool).chmod(0o755)
    asked = ["make", "-n", f"VENV={tmp_path / 'venv'}", "setup"]
    path = {"PATH": str(tmp_path)}
    said = subprocess.run(asked, cwd=ROOT, env=path, capture_output=True, text=True, check=True)
    locked, ours = [line for line in said.stdout.splitlines() if installs in line]
    assert locked.endswith("--require-hashes -r requirements.lock") and ours.endswith("-e .")


def test_plain_make_lists_the_targets():
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("report", "test", "lab", "lint"):
        assert f"make {target}" in shown.stdout


def test_a_python_that_is_too_old_gets_one_clear_line(tmp_path):
    source = (ROOT / "tools" / "check_python.py").read_text()
    old = source.replace("sys.version_info[:2]", "(3, 9)")
    assert old != source
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "needs Python 3.11" in done.stderr and "this is 3.9" in done.stderr


def test_the_tests_of_a_file_run_in_one_worker(request):
    """Else every worker makes the fixtures that a file shares, the whole demo study for one."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("pytest runs without workers")
    assert request.node.nodeid.endswith("@tests/test_setup.py")
