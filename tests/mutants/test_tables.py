"""Every row of the tables still has its place and its test (`make mutants` plants them)."""

import ast
import json
import re

import pytest
from mutants import plant

EVERY = plant.mutants()


@pytest.mark.parametrize("path", sorted(plant.TABLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_mutant_has_its_place_and_changes_it(path, root):
    for mutant in plant.mutants(path.stem):
        text = (root / mutant.file).read_text(encoding="utf-8")
        falsified = plant.falsified(text, mutant)
        assert falsified != text
        pieces = [falsified]
        if mutant.file.endswith(".ipynb"):
            cells = json.loads(falsified)["cells"]
            pieces = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        for piece in pieces if not mutant.file.endswith(".j2") else ():
            ast.parse(piece)  # what breaks the file is no falsification


def test_every_mutant_has_a_test_of_its_own(root):
    for mutant in EVERY:
        file, _, name = mutant.test.partition("::")
        assert re.search(rf"^def {name.partition('[')[0]}\(", (root / file).read_text(), re.M), name


def test_there_are_many_and_no_two_are_the_same():
    assert len({(m.file, m.old, m.new) for m in EVERY}) == len(EVERY) >= 120


def test_a_place_that_is_gone_or_stands_twice_is_an_error():
    row = plant.Mutant("area", "room.py", "old", "new", "test.py::test")
    assert plant.falsified("an old room", row) == "an new room"
    for text in ("gone", "old and old"):
        with pytest.raises(ValueError, match="times, not once"):
            plant.falsified(text, row)
