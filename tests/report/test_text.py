import html
import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from mien import errors
from mien.report import text as prose

HOSTILE = [
    "<img src=x onerror=alert(1)>_01.jpg",
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "![a](https://evil.example/x.png)",
    "<https://evil.example>",
    "https://evil.example/x.jpg",
    "`code` | cell | **bold** _i_ ~~s~~",
    "$x$ $$y$$ \\(z\\) \\begin{equation}a\\end{equation}",
    "# heading",
    "- [ ] task",
    "1. one",
    "> quote",
    "&lt;script&gt; &#60;b&#62;",
    '" onmouseover="alert(1)',
    "a\n\n<b>b</b>\n---\nc",
    "    indented",
    "[1]: javascript:alert(1)",
    "\udcff\u202egpj.exe\x00",
]


def rendered(text: str) -> BeautifulSoup:
    return BeautifulSoup(markdown2html_mistune(text), "html.parser")


def shows_nothing_but_text(text: str, around: str) -> None:
    page = rendered(around.format(prose.escape(text)))
    allowed = {"p", "span", "em", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag.name for tag in page.find_all()} <= allowed
    assert not any(tag.attrs for tag in page.find_all())
    shown = " ".join(page.get_text().split())
    assert errors.printable(text) in shown


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("around", ["{0}", "The face {0} is sad.", "- {0}\n- {0}", "*{0}*"])
def test_hostile_names_show_as_themselves(text, around):
    shows_nothing_but_text(text, around)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_in_their_table_cell(text):
    page = rendered(f"| file | label |\n|---|---|\n| {prose.escape(text)} | sad |")
    assert [cell.name for cell in page.tbody.tr.find_all(recursive=False)] == ["td", "td"]
    assert page.tbody.find_all("td")[1].get_text() == "sad"


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=40))
def test_any_text_shows_as_itself(text):
    shows_nothing_but_text(text, "x {0} x")


def test_mathjax_finds_no_formula_in_the_page():
    # MathJax joins neighbouring text, but never across an element
    page = rendered(f"Names {prose.escape('$a$')} and {prose.escape('$b$ and (c)')}")
    for text in page.find_all(string=True):
        assert not re.search(r"\$.+\$|\\[(\[]", text)


def test_escaped_text_is_safe_in_plain_html_too():
    assert html.unescape(prose.escape("<b>")) == "<b>"
    assert not set("<>&\"'`") & set(re.sub(r"&#\d+;|</?span>", "", prose.escape("<b a='\"`&>")))


def test_printable_is_one_line():
    assert errors.printable("a\r\n\tb  c") == "a b c"
    assert errors.printable("a\u202eb\x1b[0m") == "a\ufffdb\ufffd[0m"
    errors.printable("\udcff").encode()
    assert errors.printable("Zoë 笑.jpg") == "Zoë 笑.jpg"


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.5529, "55.3 %"), (0, "0.0 %"), (-0.0, "0.0 %"), (1, "100.0 %"), (None, "undefined")],
)
def test_percent(rate, text):
    assert prose.percent(rate) == text


def test_intervals_and_points():
    assert prose.interval((0.447, 0.651)) == "44.7 to 65.1 %"
    assert prose.interval([-0.1, 0.05], signed=True) == "−10.0 to +5.0 points"
    assert prose.interval(None) == prose.interval((float("nan"), 1)) == "undefined"
    assert prose.points(-0.0004) == "0.0 points"
    assert prose.points(None) == "undefined"


def test_p_values_never_round_to_zero():
    assert prose.p_value(1e-9) == "p < 0.001"
    assert prose.p_value(0.0) == "p < 0.001"
    assert prose.p_value(0.0496) == "p = 0.050"
    assert prose.p_value(None) == "p undefined"


def test_say_displays_markdown(capsys):
    prose.say("**a**")
    assert "Markdown" in capsys.readouterr().out
