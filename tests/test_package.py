"""What a user gets: a wheel that runs a study in an empty folder, for somebody who has no clone."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from mien.files import cache_dir, files_below


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """A virtual environment with the wheel; the other packages are those of these tests."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    venv.create(folder / "venv")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install"]
    install += ["--quiet", "--no-index", "--no-deps", next(folder.glob("*.whl"))]
    subprocess.run(install, check=True, capture_output=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "others.pth").write_text("\n".join(others))
    return packages


@pytest.fixture(scope="module")
def command(installed, tmp_path_factory):
    """Return a function that calls mien in a folder, with an empty home; faces are drawn once."""
    home = tmp_path_factory.mktemp("home")
    scripts = next(path for path in installed.parents if (path / "pyvenv.cfg").is_file())
    mien = next(scripts.glob("*/mien*"))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept |= {"HOME": str(home), "USERPROFILE": str(home), "MIEN_CACHE_DIR": str(cache_dir())}
    kept["JUPYTER_PATH"] = str(Path(sys.prefix, "share", "jupyter"))

    def call(folder, *arguments):
        return subprocess.run(
            [mien, *arguments], cwd=folder, env=kept, capture_output=True, text=True
        )

    return call


def test_the_wheel_holds_all_that_a_clone_has(installed, root):
    package = installed / "mien"
    for path in files_below(root / "notebooks"):
        if path.suffix in (".ipynb", ".yaml", ".toml"):
            copy = package / "notebooks" / path.relative_to(root / "notebooks")
            assert copy.read_bytes() == path.read_bytes()
    ours = {path.relative_to(root / "lib" / "mien") for path in files_below(root / "lib" / "mien")}
    ours = {path for path in ours if path.suffix != ".pyc"}
    assert ours <= {path.relative_to(package) for path in files_below(package)}
    assert {path.name.partition("-")[0] for path in installed.glob("mien*")} == {"mien"}


def test_a_study_runs_from_the_wheel_in_an_empty_folder(command, installed, tmp_path):
    told = command(tmp_path, "--version").stdout
    done = command(tmp_path, "run", "demo", "--only", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    study = tmp_path / "reports" / "demo"
    assert (study / "0.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]
    record = json.loads((study / "study.json").read_text())
    assert record["command"] == "mien run demo"
    assert told.split() == ["mien", record["versions"]["mien"]]
    assert record["git"] == {"commit": None, "dirty": None}  # whatever repository is around it

    notebooks = tmp_path / "notebooks"
    assert command(tmp_path, "notebooks", ".").returncode == 0
    title = installed / "mien" / "notebooks" / "0_data.ipynb"
    assert (notebooks / "0_data.ipynb").read_bytes() == title.read_bytes()
    changed = title.read_text(encoding="utf-8").replace("# 0", "# Zero", 1)
    (notebooks / "0_data.ipynb").write_text(changed, encoding="utf-8")
    assert "notebook changed" in command(tmp_path, "status", "demo").stdout
    refused = command(tmp_path, "notebooks", ".")
    assert refused.returncode == 2 and "0_data.ipynb" in refused.stderr


def test_version_and_changelog_are_of_one_mind(root):
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    newest = re.findall(r"^## (\d\S*)", (root / "CHANGELOG.md").read_text(), re.M)[0]
    assert newest == version
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    assert cited["title"].startswith("mien") and "version" not in cited
