import base64
import hashlib
import re

import pytest
import sample_report
from bs4 import BeautifulSoup
from sample_report import HOSTILE, write_known, write_notebook, write_study

from mien.errors import DataError
from mien.running import pages
from mien.running.html import harmless_html

PAGES = {"index.html", "0.html", "A1.html", "A2.html", "B1.html", "B2.html", "B3.html"}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "demo")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = write_study(tmp_path_factory.mktemp("report") / "demo")
    pages.render(out)
    return out


def html_files(folder) -> set[str]:
    return {path.name for path in folder.glob("*.html")}


def parsed(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def index(rendered):
    return parsed(rendered / "index.html")


def test_every_chapter_has_a_page_and_nothing_else_is_left(rendered):
    assert html_files(rendered) == PAGES
    assert {path.name for path in rendered.iterdir()} == PAGES | {"notebooks", "study.json"}


def test_every_page_links_every_other_and_marks_itself(rendered):
    for name in PAGES:
        page = parsed(rendered / name)
        links = [link["href"] for link in page.select(".chapters > li > a")]
        assert set(links) == PAGES
        assert links[0] == "index.html"
        current = page.select("[aria-current=page]")
        assert [link["href"] for link in current] == [name]


def test_only_pages_that_exist_are_linked(tmp_path):
    for part in ("A1", "B1"):
        write_notebook(tmp_path, part, sample_report.simple(part))
    assert pages.render(tmp_path) == tmp_path / "B1.html"
    assert html_files(tmp_path) == {"A1.html", "B1.html"}
    page = parsed(tmp_path / "A1.html")
    assert {link["href"] for link in page.select("a[href$='.html']")} == {"A1.html", "B1.html"}
    assert page.select_one("a[rel=next]")["href"] == "B1.html"


def test_render_returns_the_index(study):
    assert pages.render(study) == study / "index.html"


def test_title_contents_and_headings(index):
    assert index.title.get_text() == "Which way of reading a face works best? · demo"
    assert [heading.get_text() for heading in index.select("h1")] == [
        "Which way of reading a face works best?"
    ]
    listed = [link.get_text() for link in index.select(".sections a")]
    assert listed == [heading.get_text() for heading in index.select("main :is(h2, h3)")]
    assert "Limits" in listed


def test_headings_of_one_name_get_anchors_of_their_own(tmp_path):
    cells = [*sample_report.simple("T"), *sample_report.simple("T")[1:]]
    write_notebook(tmp_path, "A1", cells)
    page = parsed(pages.render(tmp_path))
    anchors = [heading["id"] for heading in page.select("h2")]
    assert anchors == ["scores", "answer", "scores-2", "answer-2"]


def test_code_is_folded_under_what_it_shows(index):
    cell = index.select_one(".cell:has(.mien-figure)")
    assert [child.name for child in cell.find_all(recursive=False)] == ["img", "details"]
    fold = cell.select_one("details")
    assert not fold.has_attr("open")
    assert "figures.accuracies(scores)" in fold.get_text()


def test_output_of_programs(index):
    text = index.select_one("main").get_text()
    assert "a line of text" in text
    assert "secret progress" not in text


def test_verdict_is_marked(index):
    assert "NN-FineTuned has the highest accuracy" in index.select_one(".verdict .prose").get_text()


def test_parameters_are_a_table_without_folders_of_this_machine(index):
    fold = index.select_one("details:has(caption:-soup-contains('Parameters'))")
    rows = {
        row.th.get_text(): [cell.get_text() for cell in row.select("td")]
        for row in fold.select("tbody tr")
    }
    assert rows["name"] == ["demo", "name of the study"]
    assert rows["seed"] == ["0", "seed of every draw"]
    assert rows["out"] == ["…/out", "–"]
    assert "/home/" not in str(index)


def test_drawn_faces_are_announced(rendered, tmp_path):
    for name in PAGES:
        said = parsed(rendered / name).select_one(".drawn").get_text()
        assert said == "The faces in this report are drawn, not photographed."
    write_notebook(tmp_path, "A1", sample_report.simple("A1"))
    for person, said in (("demo", ["Some of the faces"]), ("person", [])):
        write_known(tmp_path, {"fer2013": "a.csv", "target": person})
        drawn = parsed(pages.render(tmp_path)).select(".drawn")
        assert [told.get_text()[:17] for told in drawn] == said


def test_pages_are_self_contained_and_small(rendered):
    for name in PAGES:
        page = parsed(rendered / name)
        for element in page.select("[src]"):
            assert element["src"].startswith("data:image/")
        assert not page.select("link:not([rel=icon])")
        assert "url(" not in page.style.get_text()
        assert (rendered / name).stat().st_size < 150_000


def test_the_policy_admits_our_script_alone(index):
    policy = index.select_one("meta[http-equiv=Content-Security-Policy]")["content"]
    (script,) = index.select("script")
    digest = base64.b64encode(hashlib.sha256(script.string.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none';" in policy
    assert "img-src data:;" in policy


def test_how_the_report_was_made(study):
    parameters = {"name": "my study", "profile": "quick", "fer2013": "x", "target": "y", "seed": 0}
    facts = {
        "command": "mien run a.yaml --set out=/home/somebody/secret/out --set seed=1",
        "git": {"commit": "0123456789abcdef0123", "dirty": True},
        "hardware": {"processor": "A processor", "cores": 2},
        "data": {"target": "0123456789abcdef"},
        "parts": {
            "A1": {"state": "done", "seconds": 61.4, "threads": 2, "hardware": {"gpus": []}},
            "A2": {"state": "done", "seconds": 1.0, "threads": 4},
            "B1": {"state": "running"},
        },
        "versions": {"numpy": "2.0", "scipy": "1.9"},
    }
    write_known(study, parameters, **facts)
    page = parsed(pages.render(study))
    lines = {row.dt.get_text(): row.dd.get_text() for row in page.select(".colophon dl > div")}
    assert lines["Study"] == "my study"
    assert lines["Commit"] == "0123456789ab with changes"
    assert lines["Repeat with"] == "mien run a.yaml --set out=…/out --set seed=1"
    assert lines["Hardware"] == "A processor, 2 cores, 2 or 4 threads, no GPU"
    assert lines["Same numbers again"].startswith("the same seed gives the same numbers")
    assert lines["Time per chapter"] == "A1 61 s, A2 1 s"
    assert lines["Seed"] == "0" and lines["Data"] == "target 0123456789ab"
    assert lines["Versions"] == "numpy 2.0, scipy 1.9"
    facts["parts"]["B1"]["hardware"] = {"gpus": ["A GPU"]}
    write_known(study, parameters, **facts)
    told = parsed(pages.render(study)).select_one(".colophon").get_text()
    assert "4 threads, A GPU" in told and "on this GPU only up to rounding" in told
    assert not page.select(".drawn")


def test_a_page_names_the_commit_of_its_own_chapter_and_those_of_others(study):
    commits = {"A1": "a" * 40, "A2": "b" * 40, "B1": "b" * 40}
    parts = {part: {"git": {"commit": commit, "dirty": False}} for part, commit in commits.items()}
    git = {"commit": "c" * 40, "dirty": False}
    write_known(study, {"name": "any"}, git=git, parts={**parts, "B2": {"state": "running"}})
    pages.render(study)
    told = {}
    for name in ("A1", "index"):
        rows = parsed(study / f"{name}.html").select(".colophon dl > div")
        told[name] = {row.dt.get_text(): row.dd.get_text() for row in rows}
    assert told["A1"]["Commit"] == "a" * 12
    assert told["A1"]["Chapters of other commits"] == f"A2 {'b' * 12}, B1 {'b' * 12}"
    assert told["index"]["Commit"] == "c" * 12


@pytest.mark.parametrize("content", ["", "[]", '{"parameters": 3, "git": [], "parts": []}'])
def test_a_study_json_that_says_nothing_does_no_harm(study, content):
    (study / "study.json").write_text(content, encoding="utf-8")
    assert parsed(pages.render(study)).select_one(".study").get_text() == "demo"


def test_a_failed_cell_leaves_the_old_report_and_shows_itself_first(study):
    pages.render(study)
    before = {name: (study / name).read_bytes() for name in PAGES}
    write_notebook(study, "B2", sample_report.failing(), ".failed")
    assert pages.render(study) == study / "failure.html"
    assert {name: (study / name).read_bytes() for name in PAGES} == before
    page = parsed(study / "failure.html")
    text = page.main.get_text()
    assert text.strip().startswith("Chapter B2 stopped at cell 4")
    assert "DataError: row 7: <b>no</b> pixels" in text
    assert "\x1b" not in text
    assert text.index("mien run STUDY.yaml --only B2") < text.index("A chapter that fails")
    assert text.index('raise DataError("row 7")') < text.index("A chapter that fails")
    assert "Confusion matrix" in str(page.select("main img")), "what ran before is shown"
    assert "An Exception" not in text, "papermill's own notes are not"
    assert "It works." not in text, "what did not run is not"
    assert "index.html" in [link["href"] for link in page.select("main a")]
    assert len(page.select("h1")) == 1


def test_without_an_old_report_a_failure_makes_no_index(study):
    write_notebook(study, "A2", sample_report.failing(), ".failed")
    pages.render(study)
    assert html_files(study) == {"failure.html"}
    assert "no report from an earlier run" in parsed(study / "failure.html").get_text()


def test_the_next_success_takes_the_failure_away(study):
    failed = write_notebook(study, "A2", sample_report.failing(), ending=".failed")
    assert pages.render(study) == study / "failure.html"
    assert pages.render_failure(study, failed) == study / "failure.html"
    failed.unlink()
    assert pages.render(study) == study / "index.html"
    assert html_files(study) == PAGES


def test_no_page_changes_when_one_cannot_be_rendered(study):
    pages.render(study)
    before = {name: (study / name).read_bytes() for name in PAGES}
    write_notebook(study, "0", sample_report.simple("Another title"))
    (study / "notebooks" / "B3_fine_tuning.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"B3_fine_tuning\.ipynb is no notebook"):
        pages.render(study)
    assert {name: (study / name).read_bytes() for name in PAGES} == before
    assert {path.name for path in study.iterdir()} == PAGES | {"notebooks", "study.json"}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="run the study first"):
        pages.render(tmp_path)


def test_hostile_text_is_shown_and_nothing_of_it_is_markup(tmp_path):
    out = write_study(tmp_path / "demo", hostile=HOSTILE)
    write_known(out, {"name": HOSTILE}, versions={HOSTILE: HOSTILE}, command=HOSTILE)
    page = parsed(pages.render(out))
    assert len(page.select("script")) == 1
    assert not page.select("iframe, svg, main style, [onerror], [onload], a[href^=javascript]")
    assert page.select_one(".study").get_text() == HOSTILE
    flat = re.sub(r"\s+", " ", page.get_text())
    assert flat.count("<script>alert(1)</script>") > 50
    assert "planted.invalid" not in " ".join(str(image.get("src")) for image in page.select("img"))


@pytest.mark.parametrize(
    "planted",
    [
        "<script>x()</script>",
        "<img src=x onerror=x()>",
        "<svg onload=x()><script>x()</script></svg>",
        "<a href='java\nscript:x()'>a</a>",
        "<a href='&#106;avascript:x()'>a</a>",
        "<a href='data:text/html,<script>x()</script>'>a</a>",
        "<iframe srcdoc='<script>x()</script>'></iframe>",
        "<form action=javascript:x()><button formaction=javascript:x()>a</button></form>",
        "<p style='background:url(http://planted.invalid)'>a</p>",
        "<meta http-equiv=refresh content='0;url=http://planted.invalid'><base href=http://b>",
        "<img src='http://planted.invalid/a.png'><link rel=stylesheet href=http://planted.invalid>",
        "<noscript><p title='</noscript><img src=x onerror=x()>'></noscript>",
        "<math><mi xlink:href='javascript:x()'>a</mi></math>",
    ],
)
def test_harmless_html(planted):
    page = BeautifulSoup(harmless_html(f"<b>before</b>{planted}<b>after</b>"), "html.parser")
    assert [element.get_text() for element in page.select("b")] == ["before", "after"]
    for element in page.find_all(True):
        assert element.name in ("a", "b", "p")
        assert set(element.attrs) <= {"title", "style"}
        assert not element.get("style")
