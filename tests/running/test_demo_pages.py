"""The pages of the real demo study in headless Chromium with the network off."""

import browser
import pytest

from mien.running.pages import publish

pytestmark = pytest.mark.browser

PAGES = ["index.html", "0.html", "A1.html", "A2.html", "B1.html", "B2.html", "B3.html"]


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_whole_and_links_resolve(chromium, demo_run, name):
    page = demo_run.folder / name
    browser.check_quiet(chromium, page)
    assert browser.check_images(chromium, page) > 0
    assert browser.check_links(chromium, page) > len(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_paper(chromium, demo_run, name):
    browser.check_narrow(chromium, demo_run.folder / name)
    browser.check_print(chromium, demo_run.folder / name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(chromium, demo_run, name, scheme):
    browser.check_axe(chromium, demo_run.folder / name, scheme)


def test_contents_filters_and_sorting_work_by_keyboard(chromium, demo_run):
    page = demo_run.folder / "index.html"
    browser.check_contents(chromium, page)
    browser.check_filter(chromium, page)
    browser.check_sort(chromium, page)


def test_published_without_faces_it_holds_none(chromium, demo_run, tmp_path):
    index = publish(demo_run.folder, tmp_path / "site", faces=False)
    for page in index.parent.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "data:image/png" not in text and "data:image/jpeg" not in text, page.name
    browser.check_quiet(chromium, index)
    assert browser.check_images(chromium, index) > 0
    assert browser.check_links(chromium, index) > len(PAGES)
