"""Chapters whose cells are executed in this process, on a few drawn faces and with few settings."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import nbformat
import pytest
from IPython.display import display

from mien.study import profiles
from mien.synthetic.dataset import write_demo

#: What makes a chapter's models small: the first is what the profile demo says.
SMALL = {
    "pixel_rows": 0,
    "hog_components": 16,
    "loss_rows": 60,
    "image_svm": {
        "patches": {12: 2},
        "edges": {12: 2},
        "atoms": 16,
        "even": 20,
        "odd": 10,
        "sample": 100,
        "gamma": 1.0,
        "penalty": 0.05,
    },
    "unit_model": {"n_splits": 2, "candidates": {"svm__C": (0.5, 2.0)}},
    "repeats": 2,
    "permutations": 50,
    "curve_repeats": 1,
    "shuffles": 1,
    "residual_network": {"stem": 8, "stages": ((8, 0),), "dropout": 0.0},
    "trial_rows": 60,
    "trial_batch_sizes": (16,),
    "trial_epochs": 1,
    "ablation_epochs": 1,
    "assignment_minutes": 0.0001,
    "tuning": {"epochs": 2, "learning_rate": 1e-3, "copies": 1},
    "tuning_repeats": 2,
}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> pathlib.Path:
    """A crowd of 140 faces and a person of 40 labelled and 12 unknown ones."""
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=140, labelled=40)
    return folder


@pytest.fixture
def execute(root, drawn, tmp_path, monkeypatch) -> Callable[..., dict[str, Any]]:
    """Return a function that executes the cells of a chapter and returns their names.

    ``cells``: by the id of a cell, the source that takes its place; ``folder``: of the notebooks.
    """
    settings = {name: (profiles.SETTINGS[name][0], *[value] * 3) for name, value in SMALL.items()}
    monkeypatch.setattr(profiles, "SETTINGS", profiles.SETTINGS | settings)
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path / "cache"))
    given = {"fer2013": str(drawn / "fer2013.csv"), "target": str(drawn / "person")}
    given |= {"out": str(tmp_path / "out"), "resamples": 100}

    def run(
        stem: str,
        cells: Mapping[str, str] = {},
        folder: pathlib.Path = root / "notebooks",
        **changed: Any,
    ) -> dict[str, Any]:
        notebook = nbformat.read(folder / f"{stem}.ipynb", as_version=4)
        names: dict[str, Any] = {"display": display}
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                source = cells.get(cell.id, cell.source)
                exec(compile(source, f"{stem}, cell {number}", "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= {name: value for name, value in (given | changed).items() if name in names}
        return names

    return run
