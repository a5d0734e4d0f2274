"""The pages in headless Chromium with the network off."""

import json

import browser
import pytest
import sample_report

from mien.running import pages
from mien.running.pages import publish

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    out = sample_report.write_study(tmp_path_factory.mktemp("browser") / "demo")
    return pages.render(out)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    out = tmp_path_factory.mktemp("hostile") / "demo"
    sample_report.write_study(out, hostile=sample_report.HOSTILE)
    name = sample_report.HOSTILE
    facts = {"parameters": {"name": name}, "versions": {name: name}, "command": name}
    (out / "study.json").write_text(json.dumps(facts), encoding="utf-8")
    return pages.render(out)


@pytest.fixture(scope="module")
def failure(tmp_path_factory):
    out = sample_report.write_study(tmp_path_factory.mktemp("failure") / "demo")
    pages.render(out)
    cells = sample_report.failing(sample_report.HOSTILE)
    sample_report.write_notebook(out, "B1", cells, ending=".failed")
    return pages.render(out)


@pytest.mark.parametrize("name", ["index.html", "A1.html"])
def test_a_page_is_quiet_whole_and_linked(chromium, index, name):
    page = index.with_name(name)
    browser.check_quiet(chromium, page)
    assert browser.check_images(chromium, page) > 0
    assert browser.check_links(chromium, page) > 7
    browser.check_print(chromium, page)
    browser.check_without_script(chromium, page)


@pytest.mark.parametrize(
    ("which", "scheme"),
    [("index", "light"), ("index", "dark"), ("failure", "dark"), ("hostile", "light")],
)
def test_axe_finds_nothing(chromium, which, scheme, request):
    browser.check_axe(chromium, request.getfixturevalue(which), scheme)


@pytest.mark.parametrize("which", ["index", "failure", "hostile"])
def test_a_phone_does_not_scroll_sideways(chromium, which, request):
    browser.check_narrow(chromium, request.getfixturevalue(which))


def test_the_keyboard_reaches_contents_filters_and_headers(chromium, index):
    browser.check_contents(chromium, index)
    browser.check_filter(chromium, index)
    browser.check_sort(chromium, index)


def test_the_section_in_sight_is_marked(chromium, index):
    browser.check_section_is_marked(chromium, index)


def test_the_theme_is_the_readers_choice_and_is_kept(chromium, index):
    paper = "getComputedStyle(document.body).backgroundColor"
    with browser.open_page(chromium, index) as (page, _):
        light = page.evaluate(paper)
        page.get_by_role("button", name="Dark").press("Enter")
        dark = page.evaluate(paper)
        assert light != dark
        page.reload()
        assert page.evaluate(paper) == dark
        page.get_by_role("button", name="Light").press("Enter")
        assert page.evaluate(paper) == light


def test_on_a_phone_the_contents_unfold(chromium, index):
    with browser.open_page(chromium, index, width=390) as (page, _):
        assert page.locator(".contents a:visible").count() == 0
        button = page.get_by_role("button", name="Contents")
        button.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        page.locator(".sections a").last.click()
        assert page.locator(".contents a:visible").count() == 0


@pytest.mark.parametrize("which", ["hostile", "failure"])
def test_nothing_from_the_data_runs(chromium, which, request):
    page = request.getfixturevalue(which)
    browser.check_quiet(chromium, page)
    browser.check_images(chromium, page)
    browser.check_links(chromium, page)


def test_nothing_runs_even_if_escaping_fails(chromium, index, tmp_path):
    planted = "<script>alert(1)</script><img alt=x src=x onerror=alert(2)>"
    planted += "<img alt=x src=http://planted.invalid/x.png><a href=javascript:alert(3)>a</a>"
    html = index.read_text(encoding="utf-8").replace("<main", f"{planted}<main", 1)
    (tmp_path / "broken.html").write_text(html, encoding="utf-8")
    with browser.open_page(chromium, tmp_path / "broken.html") as (page, troubles):
        page.locator("a[href^=javascript]").click()
        page.wait_for_timeout(200)
        assert page.locator(".mien-filter").first.is_visible(), "our own script still runs"
    refused = [trouble for trouble in troubles if "Content Security Policy" in trouble]
    assert len(refused) == 5, "script, handler, two images and address are refused"
    # A request that the policy stops is reported as begun all the same; nothing else may be.
    assert set(troubles) - set(refused) == {"request http://planted.invalid/x.png"}


def test_published_without_faces_the_page_still_works(chromium, index, tmp_path):
    page = publish(index.parent, tmp_path, faces=False)
    browser.check_quiet(chromium, page)
    browser.check_links(chromium, page)
    browser.check_filter(chromium, page)
    browser.check_narrow(chromium, page)
    browser.check_axe(chromium, page, "light")
