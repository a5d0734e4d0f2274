"""Chapters as exercises: what is replaced, what nbgrader needs, whose work is kept."""

import re

import nbformat
import pytest

from mien import project
from mien.errors import DataError
from mien.exercises import tasks
from mien.study.parameters import CHAPTERS

MARKS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    for solved in (False, True):
        tasks.write(folder, solved=solved)
    return folder


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=CHAPTERS, ids=lambda plan: plan.part)
def chapter(request, course):
    """A chapter, as an exercise, and as its solution."""
    name = f"{request.param.notebook}.ipynb"
    return [read(folder / name) for folder in (project.shipped(), *sorted(course.iterdir()))]


def test_a_solution_is_the_chapter_and_an_exercise_is_it_without_the_solution(chapter):
    plain, exercise, solution = ({cell.id: cell for cell in one.cells} for one in chapter)
    assert list(exercise) == list(solution) and [id for id in exercise if id in plain] == [*plain]
    replaced = 0
    for id, cell in plain.items():
        marked = MARKS.sub("", solution[id].source)
        assert marked.rstrip("\n") == cell.source
        if solution[id].source == cell.source:
            assert exercise[id].source == cell.source
            continue
        replaced += 1
        own = re.search(r"### BEGIN SOLUTION\n(.*)### END", solution[id].source, re.DOTALL)[1]
        assert own.strip() not in exercise[id].source
        assert "raise NotImplementedError()" in exercise[id].source
        compile(exercise[id].source, id, "exec")
        compile(exercise[f"{id}-check"].source, id, "exec")
        assert "checks." in exercise[f"{id}-check"].source and exercise[f"{id}-task"].source
    assert replaced


def test_every_cell_of_an_exercise_carries_what_nbgrader_needs(chapter):
    for notebook in chapter[1:]:
        nbformat.validate(notebook)
        marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
        told = [cell.metadata["nbgrader"] for cell in marked]
        assert len({one["grade_id"] for one in told}) == len(told) > 2
        for cell, one in zip(marked, told, strict=True):
            assert one["schema_version"] == 3 and not one["task"]
            assert one["grade_id"] == cell.id and re.fullmatch(r"[\w-]+", cell.id)
            assert one["grade"] == ("points" in one)
            assert one["locked"] != one["solution"]
            assert cell.cell_type == "code" or one["solution"] == one["grade"]


def test_nbgrader_accepts_the_cells_and_makes_the_same_exercises(chapter):
    v3 = pytest.importorskip("nbgrader.nbgraderformat.v3")
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    _, exercise, solution = chapter
    for notebook in (exercise, solution):
        v3.MetadataValidatorV3().validate_nb(notebook)
    released, _ = preprocessors.ClearSolutions().preprocess(solution, {})
    assert [cell.source for cell in released.cells] == [cell.source for cell in exercise.cells]


def test_a_students_work_is_kept_unless_told_otherwise(tmp_path, mien_here):
    assert mien_here("notebooks", str(tmp_path), "--exercises").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["exercises"]
    work = tmp_path / "exercises" / "A2_svm_action_units.ipynb"
    work.write_text("solved", encoding="utf-8")
    refused = mien_here("notebooks", str(tmp_path), "--exercises", "--solutions")
    assert refused.returncode == 2 and "exercises/A2_svm_action_units.ipynb" in refused.stderr
    assert work.read_text(encoding="utf-8") == "solved"
    done = mien_here("notebooks", str(tmp_path), "--exercises", "--solutions", "--force")
    assert done.returncode == 0 and "solutions" in done.stdout
    assert work.read_text(encoding="utf-8") != "solved"


def test_a_table_that_names_what_is_not_there_is_refused(tmp_path, monkeypatch):
    copies = project.copy_notebooks(tmp_path)
    monkeypatch.chdir(tmp_path)
    table = copies / "exercises.toml"
    text = table.read_text(encoding="utf-8")
    for old, new, said in (
        ('cell = "0-22"', 'cell = "0-99"', r"0_data\.ipynb has no cell 0-99"),
        ('from = "hog ="', 'from = "hig ="', "cell a1-08 has no lines from 'hig ='"),
    ):
        table.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(DataError, match=said):
            tasks.write(tmp_path, solved=False)
    assert not (tmp_path / "exercises").exists()
    table.write_text("[[0_data", encoding="utf-8")
    with pytest.raises(DataError, match=r"exercises\.toml .* cannot be read"):
        tasks.write(tmp_path, solved=False)
