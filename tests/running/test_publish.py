import pytest
import sample_report
from bs4 import BeautifulSoup

from mien.errors import DataError
from mien.report.face_sheets import data_uri
from mien.running import pages
from mien.running.pages import publish


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
    assert names == {path.name for path in study.glob("*.html")} | {".nojekyll"}
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
    with pytest.raises(DataError, match=r"no index\.html; run the whole study first"):
        publish(tmp_path, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()
