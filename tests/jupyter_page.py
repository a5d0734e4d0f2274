"""A real JupyterLab on loopback, and a notebook in it that Chromium opens."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

RUN = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  return prompts.length && prompts.every(prompt => /\\[\\d+\\]/.test(prompt.textContent));
}"""  # every code cell has been run


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
        address, deadline = None, time.monotonic() + 300
        while address is None or not answers(address):
            assert time.monotonic() < deadline and process.poll() is None, "no JupyterLab"
            time.sleep(0.3)
            found = re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)/lab", log_text(log))
            address = found and f"http://127.0.0.1:{found[1]}"
        yield address
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def answers(address) -> bool:
    """Return whether a server listens already."""
    try:
        return bool(urllib.request.urlopen(f"{address}/api", timeout=60).read())
    except URLError:
        return False


def log_text(log) -> str:
    return Path(log.name).read_text()


@contextmanager
def opened(chromium, address, **options):
    """Open a notebook and give its page once a kernel waits."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, **options)
    page = context.new_page()
    page.goto(f"{address}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=300_000)
    page.get_by_text("| Idle").wait_for(timeout=300_000)
    try:
        yield page
    finally:
        context.close()


def run_all(page):
    """Run all cells of the notebook that is open."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
