"""The mien command as a person uses it: what it says, and its exit status."""

import subprocess
import sys
import warnings
from functools import partial

import pandas as pd
import pytest

from mien import cli
from mien.labelling import ratings
from mien.running import pages, scheduler
from mien.synthetic import dataset


def test_help_names_every_command(mien):
    done = mien("--help")
    assert done.returncode == 0
    for command in ("run", "sweep", "check", "demo", "notebooks", "publish", "measure", "collect"):
        assert command in done.stdout


def test_check_reads_the_data_and_runs_nothing(mien_here, drawn_demo, tmp_path):
    out = tmp_path / "study"
    done = mien_here("check", "notebooks/studies/demo.yaml", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "3,000 images" in done.stdout and "12 unknown faces" in done.stdout
    assert "Everything is in order" in done.stdout
    assert not out.exists()


@pytest.mark.real
def test_check_reads_the_real_data(mien, real_fer2013, real_person):
    done = mien(
        *("check", "notebooks/studies/fer2013.yaml", "--set", f"fer2013={real_fer2013}"),
        *("--set", f"target={real_person}"),
    )
    assert done.returncode == 0, done.stderr
    assert "35,887 images" in done.stdout
    assert "89 labelled and 12 unknown faces, 99 images" in done.stdout
    assert "98 rows of OpenFace 2" in done.stdout and "24 by 2 raters" in done.stdout
    assert "Everything is in order" in done.stdout


def test_demo_writes_data_that_a_study_can_use(mien_here, monkeypatch, tmp_path):
    small = partial(dataset.write_demo, crowd=400, labelled=40)
    monkeypatch.setattr(dataset, "write_demo", small)
    assert mien_here("demo", str(tmp_path / "drawn"), "--seed", "1").returncode == 0
    done = mien_here(
        *("check", "notebooks/studies/fer2013.yaml"),
        *("--set", f"fer2013={tmp_path / 'drawn' / 'fer2013.csv'}"),
        *("--set", f"target={tmp_path / 'drawn' / 'person'}"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "none.yaml"], "there is no study file none.yaml"),
        (["check", "notebooks/studies/demo.yaml", "--set", "target=nowhere"], "nowhere"),
        (["publish", "notebooks/studies/demo.yaml", "--out", "nowhere", "--to", "x"], "nowhere"),
        (["predict", "--coverage"], "--person STUDY --coverage alone"),
        (["predict", "--person", "demo", "--weights", "x.keras", "a.png"], "one of --person STUDY"),
        (["rum"], "rum"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words_with_status_2(mien_here, arguments, said):
    done = mien_here(*arguments)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_every_option_reaches_what_it_is_for(mien_here, monkeypatch, tmp_path):
    asked = []

    def run(study, chapters, options, **_):
        asked.append((study, [plan.part for plan in chapters], options))
        return tmp_path / "index.html"

    monkeypatch.setattr(scheduler, "run", run)
    given = ["--out", str(tmp_path), "--only", "A1,C", "--force", "--jobs", "3", "--threads", "4"]
    given += ["--minutes", "5", "--store", str(tmp_path / "store"), "--wait", "--set", "seed=5"]
    assert mien_here("run", "demo", *given).returncode == 0
    assert mien_here("run", "demo").returncode == 0
    (study, parts, options), (plain, every, nothing) = asked
    assert (study.folder, study.seed, parts) == (tmp_path, 5, ["A1", "C"])
    assert options == scheduler.Options(True, 3, 5, 4, tmp_path / "store", True)
    assert (plain.name, len(every), nothing) == ("demo", 7, scheduler.Options())


def test_a_warning_is_one_line_without_the_place_of_the_code(mien_here, monkeypatch):
    def warn():
        warnings.simplefilter("always")
        warnings.warn("no room\nleft", stacklevel=2)
        sys.exit(0)

    monkeypatch.setattr(cli, "app", warn)
    assert mien_here("status").stderr == "mien: no room left\n"


def test_publish_hands_on_what_is_wanted(mien_here, monkeypatch, tmp_path):
    asked = []

    def publish(out, to, **wanted):
        asked.append((out, to, *wanted.values()))
        return to / "index.html"

    monkeypatch.setattr(pages, "publish", publish)
    command = ["publish", "demo", "--out", str(tmp_path / "study"), "--to", str(tmp_path / "site")]
    for more in ([], ["--no-faces", "--only", "C,A2", "--notebooks", "--pdf"]):
        assert mien_here(*command, *more).returncode == 0
    folders = tmp_path / "study", tmp_path / "site"
    assert asked == [
        (*folders, None, [], False, False),
        (*folders, False, ["A2", "C"], True, True),
    ]


def test_label_hands_on_whether_one_rater_is_enough(mien_here, monkeypatch, drawn_demo):
    asked = []

    def settle(folder, person, *, alone):
        asked.append(alone)
        return pd.DataFrame(columns=["file_name", "label", "how"])

    monkeypatch.setattr(ratings, "settle", settle)
    for more in ([], ["--alone"]):
        done = mien_here("label", str(drawn_demo / "person"), "--settle", *more)
        assert done.returncode == 0, done.stderr
    assert asked == [False, True]


@pytest.mark.parametrize("words", [["collect", ".", "--to", "out"], ["measure", "."]])
def test_photos_are_searched_without_keras(words, landmarker, drawn_demo, tmp_path):
    photo = next((drawn_demo / "person" / "images" / "happy").glob("*.jpg"))
    (tmp_path / photo.name).write_bytes(photo.read_bytes())
    code = "import sys\nfrom mien import cli\ntry:\n    cli.main()\nfinally:\n"
    code += "    assert not {'keras', 'tensorflow', 'sklearn'} & set(sys.modules)"
    run = [sys.executable, "-c", code, *words]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "1 faces are in" in done.stdout, done.stderr


@pytest.mark.parametrize("command, goes_on", [("run", True), ("sweep", True), ("predict", False)])
def test_ctrl_c_says_whether_the_same_command_goes_on(mien_here, monkeypatch, command, goes_on):
    monkeypatch.setattr(cli, "app", lambda: sys.exit(130))
    stopped = mien_here(command)
    assert stopped.returncode == 130 and stopped.stderr.startswith("mien: stopped")
    assert ("goes on where this one was" in stopped.stderr) == goes_on
