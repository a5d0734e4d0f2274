"""Chapters and studies: those that mien ships, copies that take their place, where reports go."""

import shutil

import pytest

from mien import project
from mien.errors import ParameterError
from mien.study.parameters import load_study
from mien.study.results import study_folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wheel(root, here, monkeypatch):
    """mien as a wheel installs it: the chapters inside the package, no clone around it."""
    package = here / ".venv" / "mien"
    shutil.copytree(root / "notebooks", package / "notebooks")
    monkeypatch.setattr(project, "_PACKAGE", package)
    return package


def test_a_clone_is_found_from_every_folder(here, root):
    assert project.clone() == project.project_root() == root
    assert study_folder("demo") == root / "reports" / "demo"
    assert project.notebook_source("0_data") == root / "notebooks" / "0_data.ipynb"


def test_a_wheel_runs_its_own_chapters_and_writes_here(here, wheel):
    assert project.clone() is None
    assert study_folder("demo") == here / "reports" / "demo"
    assert project.notebook_source("0_data") == wheel / "notebooks" / "0_data.ipynb"
    assert load_study("person", ["seed=3"]).command == "mien run person --set seed=3"


@pytest.mark.parametrize("installed", ["clone", "wheel"])
def test_copies_in_the_current_folder_take_the_place_of_what_is_shipped(
    installed, here, root, request, monkeypatch
):
    if installed == "wheel":
        request.getfixturevalue("wheel")
    copies = project.copy_notebooks(here)
    assert copies == here / "notebooks"
    shipped = {path.name for path in (root / "notebooks").rglob("*.*")} - {".ipynb_checkpoints"}
    assert {path.name for path in copies.rglob("*.*")} == shipped
    (copies / "0_data.ipynb").unlink()
    (copies / "studies" / "demo.yaml").write_text("name: mine\n")
    for folder in (here, copies):  # a notebook that Jupyter has opened works in its own folder
        monkeypatch.chdir(folder)
        assert project.project_root() == here
    assert project.notebook_source("C_comparison") == copies / "C_comparison.ipynb"
    assert project.notebook_source("0_data") == project.shipped() / "0_data.ipynb"
    assert load_study("demo").name == "mine" and load_study("demo").command == "mien run demo"


def test_a_study_is_a_file_before_it_is_a_name(here):
    (here / "demo").mkdir()  # as `mien demo demo` leaves it
    assert load_study("demo").profile == "demo"
    (here / "person").write_text("seed: 5\n")
    assert load_study("person").seed == 5
    with pytest.raises(ParameterError, match=r"file preson \(mien ships demo, fer2013, person\)"):
        load_study("preson")


def test_changed_copies_are_kept_unless_told_otherwise(here):
    copies = project.copy_notebooks(here)
    changed, gone = copies / "B1_cnn_fer2013.ipynb", copies / "studies" / "person.yaml"
    changed.write_text("mine")
    gone.unlink()
    with pytest.raises(ParameterError, match="notebooks/B1_cnn_fer2013.ipynb in .* --force"):
        project.copy_notebooks(here)
    assert changed.read_text() == "mine" and not gone.exists()  # nothing, or everything
    (copies / "notes.txt").write_text("mine, too")
    project.copy_notebooks(here, force=True)
    assert changed.read_bytes() == (project.shipped() / changed.name).read_bytes()
    assert gone.is_file() and (copies / "notes.txt").read_text() == "mine, too"
    project.copy_notebooks(here)  # equal files are no changed ones


def test_copies_that_cannot_all_be_written_are_not_written(here):
    (here / "notebooks").mkdir()
    (here / "notebooks" / "studies").write_text("in the way")
    with pytest.raises(ParameterError, match="cannot be copied"):
        project.copy_notebooks(here)
    assert [path.name for path in (here / "notebooks").iterdir()] == ["studies"]
