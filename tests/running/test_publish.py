import json
import re
import shutil

import nbformat
import pytest
import sample_report
from bs4 import BeautifulSoup

from mien.errors import DataError, MienError, ParameterError
from mien.report.face_sheets import data_uri
from mien.running import pages
from mien.running.pages import publish, publish_folder, without_faces


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = sample_report.write_study(tmp_path_factory.mktemp("publish") / "demo")
    pages.render(out)
    return out


def parsed(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_the_folder_holds_the_pages_and_nothing_else(study, tmp_path):
    assert publish(study, tmp_path / "docs") == tmp_path / "docs" / "index.html"
    names = {path.name for path in (tmp_path / "docs").iterdir()}
    assert names == {path.name for path in study.glob("*.html")} | {".nojekyll", "study.json"}
    for path in study.glob("*.html"):
        assert (tmp_path / "docs" / path.name).read_bytes() == path.read_bytes()


def test_without_faces_no_face_is_left(study, tmp_path):
    faces = parsed(study / "index.html").select("img.mien-faces")
    assert len(faces) == 13
    publish(study, tmp_path, faces=False)
    for path in tmp_path.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not any(face["src"] in text for face in faces)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert data_uri(sample_report.face(0)) not in text
    page = parsed(tmp_path / "index.html")
    assert not page.select("img.mien-faces")
    notes = page.select(".mien-left-out")
    assert {note.get_text() for note in notes} == {"left out: face"}
    assert len(notes) == 13


def test_without_faces_everything_else_stays(study, tmp_path):
    publish(study, tmp_path, faces=False)
    before, after = parsed(study / "index.html"), parsed(tmp_path / "index.html")
    assert len(after.select("img.mien-figure")) == 1
    for element in ("table", "details", "pre", "script", "style", "meta", ".mien-card", "a"):
        assert [str(found) for found in before.select(element) if not found.img] == [
            str(found) for found in after.select(element) if not found.select(".mien-left-out")
        ], element


def test_an_earlier_publication_is_replaced_and_other_files_stay(study, tmp_path):
    for name in ("B3.html", "index.html", "CNAME"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    smaller = tmp_path / "smaller"
    for part in ("A1", "C"):
        sample_report.write_notebook(smaller, part, sample_report.simple(part))
    pages.render(smaller)
    publish(smaller, tmp_path)
    assert not (tmp_path / "B3.html").exists()
    assert (tmp_path / "CNAME").read_text(encoding="utf-8") == "old"
    assert "old" not in (tmp_path / "index.html").read_text(encoding="utf-8")[:9]


def test_a_study_without_a_report_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no chapter C; run it first"):
        publish(tmp_path, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


@pytest.fixture
def on_this_machine(study, tmp_path):
    """A copy of the study with what knows the folders of this machine."""
    out = shutil.copytree(study, tmp_path / "here" / "demo")
    known = {"name": "demo", "command": f"mien run {tmp_path}/my.yaml --set target={tmp_path}/me"}
    sample_report.write_known(out, {"name": "demo", "target": f"{tmp_path}/me", "seed": 0}, **known)
    cells = sample_report.comparison()
    cells[2:4] = sample_report.parameters(name="demo", target=f"{tmp_path}/me", seed=0)
    noise = {"output_type": "stream", "name": "stderr", "text": f"{tmp_path}/x.py: warning"}
    cells.append(sample_report.code("fit()", nbformat.from_dict(noise)))
    path = sample_report.write_notebook(out, "C", cells)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] = {"input_path": str(path)}
    nbformat.write(notebook, path)
    return out


def test_what_is_published_knows_no_folder_of_this_machine(on_this_machine, tmp_path):
    with pytest.raises(ParameterError, match="say --faces to publish them, or --no-faces"):
        publish(on_this_machine, tmp_path / "site")  # that the target's faces are drawn says nobody
    assert not (tmp_path / "site").exists()
    publish(on_this_machine, tmp_path / "site", notebooks=True, faces=True)
    published = [path for path in (tmp_path / "site").rglob("*.*") if path.is_file()]
    for path in published:
        assert str(tmp_path) not in path.read_text(encoding="utf-8"), path
    known = json.loads((tmp_path / "site" / "study.json").read_text(encoding="utf-8"))
    assert known["command"] == "mien run …/my.yaml --set target=…/me"
    assert known["parameters"] == {"name": "demo", "target": "…/me", "seed": 0}
    (notebook,) = (tmp_path / "site" / "notebooks").glob("C_*.ipynb")
    injected = nbformat.read(notebook, as_version=4).cells[3].source
    assert injected.splitlines() == ["# Parameters", "name = 'demo'", "target = '…/me'", "seed = 0"]


def test_every_figure_is_linked_to_the_cell_that_drew_it(on_this_machine, tmp_path):
    publish(on_this_machine, tmp_path / "site", notebooks=True, faces=False)
    shown = 0
    for path in (tmp_path / "site").glob("*.html"):
        for thing in parsed(path).select("main .cell :is(.mien-figure, .mien-table)"):
            address = thing.find_parent(class_="cell").select_one(".source a")["href"]
            name, _, cell_id = address.partition("#cell-id=")
            notebook = nbformat.read(tmp_path / "site" / name, as_version=4)
            (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
            html = "".join(output.data.get("text/html", "") for output in cell.outputs)
            assert (thing["src"] if thing.name == "img" else thing.caption.get_text()) in html
            shown += 1
    assert shown == 8
    for path in (tmp_path / "site" / "notebooks").iterdir():
        assert not re.search(r'mien-faces\\"', path.read_text(encoding="utf-8"))
    publish(on_this_machine, tmp_path / "site", faces=False)
    assert not [*(tmp_path / "site" / "notebooks").iterdir()]
    assert not parsed(tmp_path / "site" / "index.html").select(".source")


def test_single_chapters_are_published_and_link_to_each_other_alone(study, tmp_path):
    index = publish(study, tmp_path, only=["A2", "B1"])
    others = {"index.html", ".nojekyll", "study.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"B1.html", *others}
    assert "measured features" in parsed(index).title.get_text()
    for path in tmp_path.glob("*.html"):
        links = {link["href"] for link in parsed(path).select("a[href$='.html']")}
        assert links == {"index.html", "B1.html"}
    publish(study, tmp_path, only=["C"])
    assert {path.name for path in tmp_path.iterdir()} == others
    with pytest.raises(DataError, match=r"has no chapter A1, B3; run it first"):
        publish(tmp_path, tmp_path / "no", only=["B3", "A1"])


@pytest.fixture
def sweep(study, tmp_path):
    """The page of a sweep of two runs, one of them a study with faces."""
    folder = tmp_path / "sweep"
    shutil.copytree(study, folder / "runs" / "a=1, b=x")
    quoted = "runs/a%3D1%2C%20b%3Dx/index.html"
    links = f'<a href="{quoted}">one</a><a href="https://example.org/x.html">other</a>'
    page = f'<p>{links}</p><a href="../outside.html">out</a>'
    (folder / "index.html").write_text(page, encoding="utf-8")
    (tmp_path / "outside.html").write_text("mine", encoding="utf-8")
    return folder


def test_a_sweep_is_published_with_the_pages_of_its_runs(sweep, study, tmp_path, mien_here):
    site = tmp_path / "www" / "site"
    done = mien_here("publish", str(sweep), "--to", str(site), "--no-faces")
    assert done.returncode == 0, done.stderr
    run = site / "runs" / "a=1, b=x"
    assert {path.name for path in run.iterdir()} == {path.name for path in study.glob("*.html")}
    assert (site / "index.html").read_text() == without_faces((sweep / "index.html").read_text())
    assert len(parsed(run / "index.html").select(".mien-left-out")) == 13
    assert [path.name for path in site.parent.iterdir()] == ["site"]
    refused = mien_here("publish", str(sweep), "--to", str(site), "--only", "A2")
    assert refused.returncode == 2 and "are for a study" in refused.stderr


def test_photographs_of_a_folder_are_published_on_purpose_alone(sweep, tmp_path):
    publish_folder(sweep, tmp_path / "drawn")  # drawn faces need no word
    for path in (sweep / "runs").rglob("*.html"):
        path.write_text(path.read_text().replace('class="drawn"', 'class="not"'))
    with pytest.raises(ParameterError, match="say --faces to publish them, or --no-faces"):
        publish_folder(sweep, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    publish_folder(sweep, tmp_path / "site", faces=True)
    (sweep / "index.html").write_text('<a href="runs/failure.html">failed</a>')
    (sweep / "runs" / "failure.html").write_text("a traceback")
    with pytest.raises(DataError, match="tells of a failed run"):
        publish_folder(sweep, tmp_path / "other")


@pytest.mark.browser
def test_a_report_is_printed_as_a_whole(study, tmp_path):
    if not any(map(shutil.which, pages.BROWSERS)):
        pytest.skip("there is no Chromium")
    sheets = []
    for parts in (["C"], ["A1", "A2", "C"]):
        publish(study, tmp_path, only=parts, pdf=True)
        printed = (tmp_path / "index.pdf").read_bytes()
        assert printed.startswith(b"%PDF")
        sheets.append(printed.count(b"/Type /Page\n"))
    assert sheets[1] > sheets[0] > 1
    publish(study, tmp_path, only=["A2"])
    assert not (tmp_path / "index.pdf").exists()


def test_without_chromium_nothing_is_published_as_pdf(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "BROWSERS", ("no-such-browser",))
    with pytest.raises(MienError, match="printed by Chromium, which is not there: install it"):
        publish(study, tmp_path / "site", pdf=True)
    monkeypatch.setattr(pages, "BROWSERS", ("true",))
    with pytest.raises(MienError, match="true printed no PDF: it said nothing"):
        publish(study, tmp_path / "site", pdf=True)
    assert not (tmp_path / "site").exists()
