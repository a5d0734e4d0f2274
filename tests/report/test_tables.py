import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from mien.report.tables import WithInterval, table
from mien.report.text import number_text


def parsed(*arguments, **options) -> BeautifulSoup:
    return BeautifulSoup(table(*arguments, **options)._repr_html_(), "html.parser")


def texts(page, selector) -> list[str]:
    return [element.get_text() for element in page.select(selector)]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [35887, 12, 0],
            "accuracy": [WithInterval(0.6214, 0.51, 0.724), 0.5, np.nan],
            "F1": [0.123, -0.5, None],
            "note": ["a", "", ["b", "c"]],
            "same": [True, False, True],
        },
        index=pd.Index(["A1", "A2", "B1"], name="part"),
    )


def test_values_are_formatted_for_readers(frame):
    page = parsed(frame, caption="Scores", percent=["accuracy"], digits=1)
    rows = [texts(row, "td") for row in page.select("tbody tr")]
    assert rows[0] == ["35,887", "62.1 % (51.0 to 72.4)", "0.1", "a", "yes"]
    assert rows[1] == ["12", "50.0 %", "−0.5", "–", "no"]
    assert rows[2] == ["0", "–", "–", "b, c", "yes"]


def test_caption_and_scopes(frame):
    page = parsed(frame, caption="Scores & more")
    assert texts(page, "caption") == ["Scores & more"]
    assert texts(page, "thead th[scope=col]") == ["part", "n", "accuracy", "F1", "note", "same"]
    assert texts(page, "tbody th[scope=row]") == ["A1", "A2", "B1"]
    scroller = page.select_one("[role=region]")
    assert scroller["tabindex"] == "0"
    assert scroller["aria-label"] == "Scores & more"


def test_numbers_are_sorted_by_value_and_aligned(frame):
    page = parsed(frame, caption="Scores", percent=["accuracy"])
    keys = [cell.get("data-sort") for cell in page.select("tbody tr > :nth-child(3)")]
    assert keys == ["0.6214", "0.5", None]
    numeric = texts(page, "thead th.mien-number")
    assert numeric == ["n", "accuracy", "F1"]
    aligned = page.select("tbody tr:last-child td.mien-number")
    assert len(aligned) == 3, "a missing number stands under the numbers"


def test_an_index_of_row_numbers_is_not_shown():
    frame = pd.DataFrame({"a": [1, 2]})
    assert not parsed(frame, caption="c").select("tbody th")
    assert parsed(frame.rename_axis("row").set_axis(["x", "y"]), caption="c").select("tbody th")


def test_every_level_of_an_index_is_a_row_header():
    index = pd.MultiIndex.from_tuples([("A1", "x"), ("A1", "y")], names=["part", None])
    page = parsed(pd.DataFrame({"a": [1, 2]}, index=index), caption="c")
    assert texts(page, "tbody th[scope=row]") == ["A1", "x", "A1", "y"]
    assert not page.select("thead th:empty"), "an unnamed level gives no empty header"
    assert len(page.select("thead tr > *")) == 3


def test_only_tables_with_something_to_sort_are_sortable(frame):
    assert parsed(frame, caption="c").select("table.mien-sortable")
    assert not parsed(frame, caption="c", sortable=False).select("table.mien-sortable")
    assert not parsed(frame.head(1), caption="c").select("table.mien-sortable")


def test_every_text_is_escaped():
    bad = '"><script>alert(1)</script>'
    frame = pd.DataFrame({bad: [bad]}, index=pd.Index([bad], name=bad))
    html = table(frame, caption=bad)._repr_html_()
    assert "<script" not in html
    page = BeautifulSoup(html, "html.parser")
    assert texts(page, "caption, th, td") == [bad] * 5
    assert page.select_one("[role=region]")["aria-label"] == bad


def test_plain_text_form(frame):
    text = repr(table(frame, caption="Scores", percent=["accuracy"]))
    assert text.startswith("Scores\n")
    assert "62.1 % (51.0 to 72.4)" in text
    assert "A1" in text


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.125, {"percent": True, "digits": 1, "signed": True}, "+12.5 %"),
        (-0.0001, {"digits": 2}, "0.00"),
        (-0.0001, {"percent": True, "digits": 1, "signed": True}, "0.0 %"),
        (-1234.5, {"digits": 1}, "−1,234.5"),
        (np.int64(1234567), {}, "1,234,567"),
        (np.float32(0.5), {"digits": 1}, "0.5"),
        (float("nan"), {}, "undefined"),
    ],
)
def test_number_text(value, options, text):
    assert number_text(value, **options) == text


def test_an_interval_of_a_difference_keeps_its_signs():
    gain = [WithInterval(0.123, -0.02, 0.25), WithInterval(0.5, float("nan"), float("nan"))]
    told = repr(table(pd.DataFrame({"gain": gain}), caption="c", percent=["gain"], signed=["gain"]))
    assert "+12.3 % (−2.0 to +25.0)" in told and told.endswith(" +50.0 %")
