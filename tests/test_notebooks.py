"""The notebook contract: what every chapter must be, before anything runs."""

import ast
import re
from itertools import pairwise

import nbformat
import pytest
from papermill import inspect_notebook

from mien.study.data_check import TAG
from mien.study.parameters import CHAPTERS, COMMON, Study

MOST_LINES = 15


@pytest.fixture(params=CHAPTERS, ids=lambda plan: plan.notebook)
def chapter(request, root):
    plan = request.param
    return plan, nbformat.read(root / "notebooks" / f"{plan.notebook}.ipynb", as_version=4)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _parameters(notebook):
    return [cell for cell in _code(notebook) if "parameters" in cell.metadata.get("tags", [])]


def test_is_valid_and_clean(chapter):
    _, notebook = chapter
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in _code(notebook):
        assert cell.outputs == [] and cell.execution_count is None
    assert not {"papermill", "widgets"} & set(notebook.metadata)


def test_has_one_title_and_headings_in_order(chapter):
    _, notebook = chapter
    levels = [
        len(line) - len(line.lstrip("#"))
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_parameters_are_literals_with_types_and_comments(chapter):
    _, notebook = chapter
    (cell,) = _parameters(notebook)
    for line in cell.source.splitlines():
        (statement,) = ast.parse(line).body
        assert isinstance(statement, ast.AnnAssign), line
        ast.literal_eval(statement.value)
        assert "  # " in line, f"no comment: {line}"


def test_parameters_agree_with_the_study(chapter):
    plan, notebook = chapter
    (cell,) = _parameters(notebook)
    names = []
    for statement in ast.parse(cell.source).body:
        field = Study.model_fields[statement.target.id]
        default = ast.literal_eval(statement.value)
        assert default == field.default, statement.target.id
        assert statement.annotation.id == type(field.default).__name__, statement.target.id
        names.append(statement.target.id)
    assert tuple(names) == (*COMMON, *plan.parameters)


def test_cells_need_only_what_the_chapter_declares(chapter):
    plan, notebook = chapter
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    needs = {tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)}
    assert needs <= {*plan.reads, *plan.data}


def test_papermill_understands_the_parameters(chapter, root):
    plan, notebook = chapter
    (cell,) = _parameters(notebook)
    seen = inspect_notebook(str(root / "notebooks" / f"{plan.notebook}.ipynb"))
    assert len(seen) == len(cell.source.splitlines())
    for item in seen.values():
        assert item["inferred_type_name"] in ("str", "int", "float", "bool") and item["help"]


def test_cells_are_short_and_define_nothing(chapter):
    _, notebook = chapter
    for cell in _code(notebook):
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, defined)]


def test_prose_stands_before_code(chapter):
    _, notebook = chapter
    in_a_row = 0
    for cell in notebook.cells:
        in_a_row = in_a_row + 1 if cell.cell_type == "code" else 0
        assert in_a_row < 3, cell.source
    assert 12 <= len(notebook.cells) <= 40


def test_no_sentence_is_longer_than_forty_words(chapter):
    _, notebook = chapter
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            paragraphs = [line for line in cell.source.splitlines() if not line.startswith("#")]
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z*`])", "\n".join(paragraphs)):
                assert len(sentence.split()) <= 40, sentence
