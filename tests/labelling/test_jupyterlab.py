"""Rating in a real JupyterLab, by keyboard alone: what was pressed is what lies on disk."""

import shutil
from contextlib import contextmanager

import browser
import jupyter_page as jupyterlab
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from mien.labelling.ratings import Ratings, notebook_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("person")
    random = np.random.default_rng(0)
    for label, count in {"happy": 2, "sad": 2, "unknown": 12}.items():
        (folder / "images" / label).mkdir(parents=True)
        for number in range(count):
            grey = random.integers(0, 255, (60, 50), dtype=np.uint8)
            Image.fromarray(grey).save(folder / "images" / label / f"{number}_{label}.png")
    return folder


@contextmanager
def opened(chromium, address, **options):
    """Open the notebook, run all its cells and give the page once the widget is there."""
    with jupyterlab.opened(chromium, f"{address}/doc/tree/label.ipynb", **options) as page:
        jupyterlab.run_all(page)
        page.wait_for_function(jupyterlab.RUN, timeout=300_000)  # a widget of an earlier run goes
        page.wait_for_selector(".mien-label", timeout=300_000)
        yield page


def press(page, key, number):
    """Press a key and wait until the widget shows the face with this number."""
    page.keyboard.press(key)
    told = f"Face {number} of 12" if number <= 12 else "All 12 answered"
    page.locator(".mien-count", has_text=told).wait_for(timeout=60_000)


def test_twelve_faces_by_keyboard_alone_with_a_pause(folder, tmp_path):
    notebook_for(folder, tmp_path, rater="Ann", what="unknown")
    shutil.copytree(folder, tmp_path / "kept")
    with browser.chromium() as chromium, jupyterlab.lab(tmp_path) as address:
        with opened(chromium, address) as page:
            cells = page.locator(".jp-Cell").count()
            page.locator(".mien-label").focus()
            for number, key in enumerate(["1", "h", " ", "d", "b", "x"], start=2):
                if key in "bx":  # JupyterLab's own: insert a cell, cut a cell
                    page.keyboard.press(key)
                else:
                    press(page, key, number)
            press(page, "Backspace", 4)
            assert page.locator(".jp-Cell").count() == cells
            found = Axe().run(page, context=".mien-label")
            assert found.violations_count == 0, found.generate_report()
        assert len(Ratings(folder).of("Ann")) == 3
        with opened(chromium, address, color_scheme="dark") as page:
            page.locator(".mien-label").focus()
            page.locator(".mien-count", has_text="Face 4 of 12").wait_for()
            for number in range(5, 14):
                press(page, "7", number)
            assert "All 12 answered" in page.locator(".mien-live").inner_text()
    said = [label for (label,) in Ratings(folder).of("Ann").values()]
    assert said == ["angry", "happy", "unknown", *["neutral"] * 9]
