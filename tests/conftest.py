"""Where the tests find the real data, the browser and one finished run of the demo study."""

import lean  # noqa: F401 - before all others

# isort: split
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import fer2013_csv
import filelock
import pytest
import tiny_project
from papermill.engines import papermill_engines

from mien import cli
from mien.synthetic.dataset import demo_folder

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"

# The models of faces are never fetched by a test; those that need them ask for `landmarker`, lest
# every study measure its photos.
_MODELS = Path(
    os.environ.get("MIEN_FACE_LANDMARKER", REAL / "face_landmarker/face_landmarker.task")
)
os.environ["MIEN_FACE_LANDMARKER"] = "none"

# Started in the background, a process ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: The files (and the group of those that look at the demo study) that take longest: they start
#: first, so that no worker has one left when the other is done.
LONG = (
    "tests/running/test_kills.py",
    "demo",
    "tests/running/test_interruptions.py",
    "tests/sweep/test_planning.py",
    "tests/sweep/test_dask.py",
    "tests/labelling/test_jupyterlab.py",
    "tests/study/test_what_is_missing.py",
)
#: What computes with floating-point numbers; `.ci/run` runs it on several processors' kernels.
NUMERICS = ("tests/designed/", "tests/evaluation/", "tests/leaks/", "tests/network/")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Group tests for ``pytest -n 2 --dist loadgroup``: files, and all that read the demo study."""
    places = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = "demo" if "demo_run" in getattr(item, "fixturenames", ()) else file
        item.add_marker(pytest.mark.xdist_group(group))
        places[item] = LONG.index(group) if group in LONG else len(LONG)
        if file.startswith(NUMERICS):
            item.add_marker(pytest.mark.numerics)
    items.sort(key=places.get)


def pytest_make_parametrize_id(val, argname):
    """Name bytes by their argument: an archive holds the second that it was packed in.

    Two workers that collect in different seconds would have tests of different names.
    """
    return argname if isinstance(val, bytes) else None


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo study: what was asked for, its folder, what it printed, how long."""

    study: tuple[str, ...]
    folder: Path
    output: str
    seconds: float


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def drawn_demo(tmp_path_factory) -> Path:
    """The demo study's data in the cache, drawn by one worker while the other waits."""
    with filelock.FileLock(tmp_path_factory.getbasetemp().parent / "mien-demo.lock"):
        return demo_folder()


@pytest.fixture(scope="session")
def demo_run(drawn_demo, tmp_path_factory) -> DemoRun:
    """The whole demo study, run once from the command line for all tests that look at it.

    It trains two networks, so that no chapter can take one of them for the recipe.
    """
    study = ("notebooks/studies/demo.yaml", "--set", "trainings=2")
    folder = tmp_path_factory.mktemp("reports") / "demo"
    start = time.perf_counter()
    done = run_mien("run", *study, "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return DemoRun(study, folder, done.stdout, time.perf_counter() - start)


def run_mien(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the mien command in the project's folder."""
    return subprocess.run(
        [sys.executable, "-m", "mien.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="session")
def mien():
    return run_mien


@pytest.fixture
def mien_here(monkeypatch, capsys):
    """The same in this process, for what is quickly done or refused."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["mien", *arguments])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def leaks():
    """Collect the leaks that were planted; ``make leaks`` writes them into guides/leaks.md."""
    found: list[str] = []
    yield found
    if guide := os.environ.get("MIEN_LEAKS"):
        path = ROOT / guide
        by_hand, line, _ = path.read_text(encoding="utf-8").partition("| --- |" + 4 * " --- |")
        path.write_text(f"{by_hand}{line}\n{''.join(found)}", encoding="utf-8")


@pytest.fixture
def alarm(leaks, request):
    """Return what asserts that a planted leak is seen: a score with it, and without."""

    def check(leak: str, score: str, *, without: float, planted: float, between: float):
        test = request.node.nodeid.partition("[")[0].replace("::", " :: ")
        leaks.append(f"| {leak} | {score} | {without:.3f} | {planted:.3f} | `{test}` |\n")
        assert without < between < planted, f"{leak}: {score} {without:.3f}, {planted:.3f}"

    return check


@pytest.fixture
def eagerly():
    """Let TensorFlow compute step by step: a few steps are over before they are compiled."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def real_fer2013() -> Path:
    path = REAL / "fer2013" / "fer2013.csv.gz"
    if not path.is_file():
        pytest.skip("the real FER2013 is not beside the repository")
    return path


@pytest.fixture(scope="session")
def real_person() -> Path:
    path = REAL / "phoebe"
    if not path.is_dir():
        pytest.skip("the real target person is not beside the repository")
    return path


@pytest.fixture
def landmarker(monkeypatch) -> Path:
    if not _MODELS.is_file():
        pytest.skip("the face landmarker's models are not beside the repository")
    monkeypatch.setenv("MIEN_FACE_LANDMARKER", str(_MODELS))
    return _MODELS


@pytest.fixture
def cache_folder(tmp_path, monkeypatch) -> Path:
    """A folder of the test's own, not made yet, that serves as mien's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def drawn():
    """Images, labels and usages of a small FER2013 (`fer2013_csv`)."""
    return fer2013_csv.draw()


@pytest.fixture(scope="session")
def rows(drawn) -> list[list[str]]:
    """The same as the rows of the csv."""
    return fer2013_csv.rows_of(drawn)


@pytest.fixture
def missing() -> dict[str, str]:
    """What the tiny study must do without; a test may fill it."""
    return {}


@pytest.fixture
def project(tmp_path, monkeypatch, missing) -> Path:
    """Return a folder of notebooks that save one number each (`tiny_project`)."""
    from mien.running import scheduler
    from mien.study.data_check import StudyData

    folder = tmp_path / "notebooks"
    folder.mkdir()
    for plan in tiny_project.PLANS:
        tiny_project.write_notebook(folder, plan)
    monkeypatch.chdir(tmp_path)
    study_data = StudyData({"fer2013": "abc"}, missing)
    monkeypatch.setattr(scheduler, "check_data", lambda study: study_data)
    return folder


@pytest.fixture
def without_kernel(monkeypatch) -> None:
    """Let chapters be executed in this process: by papermill, but with no kernel to start."""
    from mien.running import execution

    monkeypatch.setattr(execution, "in_child", tiny_project.execute_here)
    monkeypatch.setitem(papermill_engines._engines, None, tiny_project.Here)
