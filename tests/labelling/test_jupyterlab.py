"""Rating in a real JupyterLab, by keyboard alone: what was pressed is what lies on disk."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import browser
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from mien.labelling.rating_results import notebook_for
from mien.labelling.ratings import Ratings

pytestmark = pytest.mark.browser

RUN = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  return prompts.length && prompts.every(prompt => /\\[\\d+\\]/.test(prompt.textContent));
}"""  # every code cell has been run


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
def lab(folder):
    """Serve a folder by JupyterLab on loopback and give its address."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command += ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"]
    log = (folder / "lab.log").open("w+")
    environment = os.environ | {"HOME": str(folder / "home"), "JUPYTER_NO_CONFIG": "1"}
    process = subprocess.Popen(command, stderr=log, stdout=log, env=environment, cwd=folder)
    try:
        found, deadline = None, time.monotonic() + 300
        while found is None:
            assert time.monotonic() < deadline and process.poll() is None, "no JupyterLab"
            time.sleep(0.3)
            found = re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/lab", log_text(log))
        address = f"http://127.0.0.1:{found[1]}"
        urllib.request.urlopen(f"{address}/api", timeout=60).read()
        yield address
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def log_text(log) -> str:
    return Path(log.name).read_text()


@contextmanager
def opened(chromium, address, **options):
    """Open the notebook, run all its cells and give the page once the widget is there."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, **options)
    page = context.new_page()
    page.goto(f"{address}/doc/tree/label.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=300_000)
    page.get_by_text("| Idle").wait_for(timeout=300_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(RUN, timeout=300_000)  # a widget of an earlier run goes only then
    page.wait_for_selector(".mien-label", timeout=300_000)
    try:
        yield page
    finally:
        context.close()


def press(page, key, number):
    """Press a key and wait until the widget shows the face with this number."""
    page.keyboard.press(key)
    told = f"Face {number} of 12" if number <= 12 else "All 12 answered"
    page.locator(".mien-count", has_text=told).wait_for(timeout=60_000)


def test_twelve_faces_by_keyboard_alone_with_a_pause(folder, tmp_path):
    notebook_for(folder, tmp_path, rater="Ann", what="unknown")
    shutil.copytree(folder, tmp_path / "kept")
    with browser.chromium() as chromium, lab(tmp_path) as address:
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
