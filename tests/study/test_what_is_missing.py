"""What a study must do without: which chapters, which cells, and in what words."""

import shutil

import nbformat
import pytest
from person_folder import add_pictures
from tiny_project import keep_one_face_of

from mien.data.person import load_person
from mien.errors import DataError, ParameterError
from mien.running.one_chapter import leave_out
from mien.study import results
from mien.study.data_check import designed, gaps
from mien.study.parameters import load_study, make_study
from mien.synthetic.dataset import write_demo


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=100, labelled=30)
    return folder / "person"


@pytest.fixture
def folder(drawn, tmp_path):
    """A copy of the drawn person, for a test to take away from."""
    return shutil.copytree(drawn, tmp_path / "person")


def found(folder, **parameters):
    return gaps(make_study({"target": str(folder), **parameters}), load_person(folder))


def test_nothing_is_missing_from_a_whole_study(folder):
    assert found(folder) == {}


def test_without_fer2013_its_chapters_are_left_out(folder):
    missing = found(folder, fer2013="")
    assert set(missing) == {"fer2013", "A1", "B1"}
    assert "names no FER2013" in missing["A1"]


def test_shipped_weights_leave_out_only_the_training(folder):
    assert set(found(folder, weights="shipped")) == {"B1"}


def test_without_action_units_their_svm_is_left_out(folder):
    next(folder.glob("*_AU.csv")).unlink()
    assert list(found(folder)) == ["A2"]


def measured_by_hand(folder, names):
    rows = [f"{name},{number % 7 / 7}" for number, name in enumerate(names)]
    (folder / "blendshapes.csv").write_text("\n".join(["file_name,jawOpen", *rows]))


def test_blendshapes_meet_the_network_where_there_are_no_action_units(folder):
    (table,) = folder.glob("*_AU.csv")
    files = [row.split(",")[0] for row in table.read_text().splitlines()[1:]]
    measured_by_hand(folder, files)
    person, default = load_person(folder), make_study({"target": str(folder)})
    assert designed(default, person) == "openface"
    assert designed(make_study({"designed": "both"}), person) == "both"
    table.unlink()
    assert designed(default, load_person(folder)) == "blendshapes" and found(folder) == {}
    assert "no labelled Action Units" in found(folder, designed="openface")["A2"]
    assert "no labelled faces with both" in found(folder, designed="both")["A2"]
    names = [path.name for path in (folder / "images" / "happy").iterdir()]
    measured_by_hand(folder, names)
    assert found(folder, designed="blendshapes")["A2"].endswith(", only of happy")


def test_what_is_designed_is_checked_like_any_parameter():
    with pytest.raises(ParameterError, match="'openface', 'blendshapes' or 'both'"):
        make_study({"designed": "blendshape"})
    with pytest.raises(ParameterError, match="did you mean 'designed'"):
        make_study({"desinged": "both"})


def test_an_empty_setting_leaves_the_choice(tmp_path):
    (tmp_path / "mine.yaml").write_text("target: photos\ndesigned: both\n")
    assert load_study(tmp_path / "mine.yaml", ["designed="]).designed == ""


def test_action_units_of_one_emotion_are_not_enough(folder):
    (table,) = folder.glob("*_AU.csv")
    header, *rows = table.read_text().splitlines()
    kept = [row for row in rows if row.endswith(",happy")]
    table.write_text("\n".join([header, *kept]))
    assert "no labelled Action Units" in (told := found(folder)["A2"]) and "only of happy" in told


def test_a_person_with_images_of_one_emotion_makes_no_study(folder):
    for image in (folder / "images").glob("*/*"):
        if image.parent.name not in ("happy", "unknown"):
            image.unlink()
    with pytest.raises(DataError, match=r"two emotions or more, and only happy.*images/<emotion>"):
        found(folder)


def test_fewer_clips_than_folds_are_refused_before_anything_runs(folder):
    clips = load_person(folder).faces.query("set == 'labelled'")["clip"].nunique()
    assert found(folder, folds=min(20, clips)) == {}
    for image in (folder / "images").glob("*/*"):
        if image.parent.name not in ("happy", "sad", "unknown"):
            image.unlink()
    for table in folder.glob("*_AU.csv"):
        table.unlink()
    clips = load_person(folder).faces.query("set == 'labelled'")["clip"].nunique()
    with pytest.raises(DataError, match=rf"{clips} clips, too few for 20 folds.*folds={clips}"):
        found(folder, folds=20)


def test_one_clip_is_told_what_a_clip_is(tmp_path):
    add_pictures(tmp_path, "happy/film_001.png", "sad/film_002.png", "sad/film_003.png")
    with pytest.raises(DataError, match=r"from 1 clip, .*label more\. A clip is") as refused:
        found(tmp_path)
    assert "film_001.png is of the clip film" in str(refused.value)
    assert "folds=1" not in str(refused.value)


def test_photos_under_the_names_of_a_camera_are_clips_of_their_own(tmp_path):
    names = ("IMG_0001", "DSC_0002", "PXL_20240501_101112123", "Screenshot_20240502-101112")
    add_pictures(tmp_path, *(f"happy/{name}.jpg" for name in names), "sad/IMG_0009.jpg")
    assert load_person(tmp_path).faces["clip"].nunique() == 5
    assert set(found(tmp_path)) == {"A2"}


def test_a_study_file_with_a_person_and_no_fer2013_does_without_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("target: photos\n")
    study = load_study(tmp_path / "mine.yaml")
    assert study.fer2013 == "" and study.takes_shipped
    assert not load_study(tmp_path / "mine.yaml", ["fer2013=fer.csv"]).takes_shipped


@pytest.fixture
def small_mien(root, tmp_path):
    """The ``lib`` of a mien that comes with a small network, not with one of minutes of work."""
    from mien.network import architecture, pretrained

    lib = tmp_path / "mien" / "lib"
    left_out = shutil.ignore_patterns("__pycache__", "fer2013.npz")
    shutil.copytree(root / "lib" / "mien", lib / "mien", ignore=left_out)
    shutil.copytree(root / "notebooks", lib.parent / "notebooks")
    network = architecture.build(stem=8, stages=((16, 0), (16, 0)))
    pretrained.export_weights(network, lib / "mien" / "network" / "weights" / "fer2013.npz")
    return lib


def test_photos_alone_make_a_study(folder, mien, small_mien, tmp_path):
    keep_one_face_of(folder, "disgust")
    next(folder.glob("*_AU.csv")).unlink()
    (tmp_path / "mine.yaml").write_text(f"name: mine\ntarget: {folder}\nresamples: 100\n")
    cheap = ("--set", "repeats=1", "--set", "folds=2", "--set", "fine_tune_epochs=2")
    out = tmp_path / "mine"
    study = str(tmp_path / "mine.yaml")
    done = mien("run", study, *cheap, "--out", str(out), PYTHONPATH=str(small_mien))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("left out:") == 3
    compared = results.load_metrics(out, "C")
    on_person = [score for score in compared["scores"] if score["set"] == "target-labelled"]
    assert [score["model"] for score in on_person] == ["NN-FER2013", "NN-FineTuned"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "It has no SVM-FER2013: the study names no FER2013" in page
    assert "It has no SVM-OpenFace: the person has no labelled Action Units" in page
    assert "left out: the study names no FER2013" in (out / "A1.html").read_text(encoding="utf-8")


def test_cells_that_need_what_is_missing_give_way_to_one_note():
    def cell(source, *tags):
        return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})

    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        *(cell("# Title"), cell("always"), cell("a", "needs-A2"), cell("b", "needs-A2")),
        *(cell("crowd", "needs-fer2013"), cell("end")),
    ]
    kept = leave_out(notebook, "B2", {"A2": "no Action Units"})
    sources = [cell.source for cell in kept.cells]
    assert sources[:2] == ["# Title", "always"] and sources[3:] == ["crowd", "end"]
    assert sources[2].endswith("left out: no Action Units.*")
    assert leave_out(notebook, "B2", {}) == notebook
    whole = leave_out(notebook, "A2", {"A2": "no Action Units"})
    assert whole.cells[0].source == "# Title" and len(whole.cells) == 2
    assert len(notebook.cells) == 6
