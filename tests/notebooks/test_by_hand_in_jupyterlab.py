"""A chapter that a reader changes and runs in JupyterLab leaves the study of a run as it is."""

import subprocess
import sys

import browser
import jupyter_page
import pytest
from tiny_project import wait_until

from mien.study import results

pytestmark = pytest.mark.browser


def mien(folder, *arguments):
    """Run the command in a folder and return what it says."""
    command = [sys.executable, "-m", "mien.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder):
    """Return every file below a folder but what was made by hand, and its content."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in found if "interactive" not in path.parts}


def test_another_kernel_is_tried_and_the_batch_study_is_untouched(tmp_path):
    mien(tmp_path, "notebooks", ".")
    mien(tmp_path, "run", "demo", "--only", "A2", "--set", "resamples=100")
    study = tmp_path / "reports" / "demo"
    before, said = files(study), mien(tmp_path, "status", "demo", "--set", "resamples=100")
    address = "doc/tree/notebooks/A2_svm_action_units.ipynb"
    with (
        browser.chromium() as chromium,
        jupyter_page.lab(tmp_path) as lab,
        jupyter_page.opened(chromium, f"{lab}/{address}") as page,
    ):
        cell = page.locator(".jp-CodeCell .cm-content", has_text="svm_kernel: str")
        cell.click()
        page.keyboard.press("Control+End")
        page.keyboard.type('\nsvm_kernel = "linear"')
        jupyter_page.run_all(page)
        by_hand = study / "interactive"
        wait_until(lambda: (by_hand / "results" / "A2" / "metrics.json").is_file())
        page.locator(".jp-WindowedPanel-outer").last.evaluate("it => it.scrollTo(0, 1e6)")
        page.get_by_text("reports/demo/interactive").last.wait_for(timeout=60_000)
    assert results.load_metrics(by_hand, "A2")["chosen"].keys() == {"svm__C"}
    tried, kept = (results.load_metrics(one, "A2")["scores"][0] for one in (by_hand, study))
    assert tried["accuracy"] != kept["accuracy"] and tried["n"] == kept["n"]
    assert files(study) == before
    assert mien(tmp_path, "status", "demo", "--set", "resamples=100") == said
