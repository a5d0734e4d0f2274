"""What a page must do in a real browser; every check takes the path of a page."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

#: Quiet: a browser of its own accord talks to its maker.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a headless Chromium; without one skip, but fail in continuous integration."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("there is no Chromium; install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True
) -> Iterator[tuple[Page, list[str]]]:
    """Give an open page and the list of what it did that a page must not do."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    context.set_offline(True)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(f"error {error}"))

    def refuse(dialog):
        troubles.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)
    context.on(
        "request",
        lambda request: (
            urlsplit(request.url).scheme in ("file", "data")
            or troubles.append(f"request {request.url}")
        ),
    )
    page.goto(path.resolve().as_uri())
    yield page, troubles
    context.close()


def check_quiet(browser: Browser, path: Path) -> None:
    """No request leaves the machine, no console error, no dialog, nothing else is loaded."""
    with open_page(browser, path) as (page, troubles):
        for element in page.locator("a[href^='javascript:' i], [onerror], [onclick]").all():
            troubles.append(f"runs: {element.evaluate('element => element.outerHTML')[:200]}")
        for button in page.locator(".tools button:visible, th button").all():
            button.click()
        page.mouse.wheel(0, 100_000)
        page.wait_for_timeout(100)
        assert troubles == []
        loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in loaded if not name.startswith("data:")] == []


def check_images(browser: Browser, path: Path) -> int:
    """Every image has alt text and can be drawn; return how many there are."""
    with open_page(browser, path) as (page, _):
        images = page.eval_on_selector_all(
            "img", "all => all.map(i => [i.getAttribute('alt'), i.complete && i.naturalWidth])"
        )
    for alt, width in images:
        assert alt and alt.strip(), "an image has no alt text"
        assert width, f"the image {alt!r} cannot be drawn"
    return len(images)


def check_links(browser: Browser, path: Path) -> int:
    """Every link to a place of the report resolves; return how many there are."""
    with open_page(browser, path) as (page, _):
        links = page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href') || '')")
        anchors = {path.name: _anchors(page)}
        assert len(anchors[path.name]) == page.locator("[id]").count(), "an id occurs twice"
    for link in links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto"):
            continue
        assert not parts.scheme, f"{path.name} links to {link}"
        target = path.parent / (unquote(parts.path) or path.name)
        assert target.is_file(), f"{path.name} links to {link}, which is not there"
        fragment = unquote(parts.fragment)
        if fragment and target.name not in anchors:
            with open_page(browser, target) as (page, _):
                anchors[target.name] = _anchors(page)
        assert not fragment or fragment in anchors[target.name], f"{link} leads nowhere"
    return len(links)


def check_axe(browser: Browser, path: Path, scheme: str) -> None:
    """axe-core finds nothing, WCAG 2.2's size of targets included, with everything unfolded.

    Light and dark differ in colours alone, so in the dark only those are asked about.
    """
    options = {"rules": {"target-size": {"enabled": True}}}
    if scheme == "dark":
        options = {"runOnly": ["color-contrast", "link-in-text-block"]}
    with open_page(browser, path, scheme=scheme) as (page, _):
        page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
        found = Axe().run(page, options=options)
    assert found.violations_count == 0, found.generate_report()


def check_narrow(browser: Browser, path: Path, width: int = 390) -> None:
    """A phone's page does not scroll sideways, whatever is unfolded."""
    with open_page(browser, path, width=width) as (page, _):
        for unfolded in (False, True):
            page.eval_on_selector_all("details", f"all => all.forEach(d => d.open = {unfolded:d})")
            page.evaluate("scrollTo(10_000, 0)")
            wide = page.evaluate("[document.documentElement.scrollWidth, scrollX]")
            assert wide[0] <= width and wide[1] == 0, f"{wide[0]} pixels wide on {width}"


def check_contents(browser: Browser, path: Path) -> None:
    """With the keyboard alone: skip link, then a section by its link, which is then marked."""
    with open_page(browser, path) as (page, _):
        page.keyboard.press("Tab")
        assert _focused(page, "matches('.skip')"), "the first stop is not the skip link"
        page.keyboard.press("Enter")
        assert _focused(page, "id") == "article"
        page.reload()
        sections = page.locator(".sections a").count()
        assert sections, "the page has no contents"
        for _ in range(sections - 1):
            _tab_to(page, ".sections a")
        page.keyboard.press("Enter")
        page.wait_for_selector(".sections a[aria-current]")
        anchor = unquote(urlsplit(page.url).fragment)
        page.wait_for_function(
            "id => document.getElementById(id).getBoundingClientRect().top < innerHeight",
            arg=anchor,
        )
        assert page.locator(".contents a[aria-current='page']").count() == 1
        page.keyboard.press("Enter")


def check_section_is_marked(browser: Browser, path: Path) -> None:
    """As a heading comes up to the top, the page marks just that section in its contents."""
    scroll = """([id, share]) => {
        const top = () => document.getElementById(id).getBoundingClientRect().top;
        scrollBy(0, top() - share * innerHeight);
        return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
            () => done(top() / innerHeight))));
    }"""
    with open_page(browser, path) as (page, _):
        for link in page.eval_on_selector_all(".sections a", "all => all.map(a => a.hash)"):
            page.evaluate(scroll, [unquote(link[1:]), 0.6])
            if page.evaluate(scroll, [unquote(link[1:]), 0.25]) > 0.3:
                break  # the page ends here: this heading cannot come up further
            page.wait_for_function(
                "hash => { const marked = document.querySelectorAll('.sections [aria-current]');"
                " return marked.length === 1 && marked[0].hash === hash }",
                arg=link,
                timeout=3000,
            )


def check_filter(browser: Browser, path: Path) -> None:
    """With the keyboard alone the first gallery is filtered by emotion and by who erred."""
    with open_page(browser, path) as (page, _):
        gallery = page.locator(".mien-faces-answers").first
        everyone = gallery.locator(".mien-card:visible").count()
        assert everyone > 1
        _tab_to(page, ".mien-filter select")
        page.keyboard.press("ArrowDown")
        emotion = gallery.locator("select").input_value()
        assert emotion == "0"
        shown = gallery.locator(".mien-card:visible")
        assert 0 < shown.count() < everyone
        emotions = shown.evaluate_all("all => all.map(card => card.dataset.emotion)")
        assert set(emotions) == {emotion}
        assert gallery.locator(".mien-shown").inner_text().startswith(f"{shown.count()} of ")
        page.keyboard.press("ArrowUp")
        assert gallery.locator(".mien-card:visible").count() == everyone
        _tab_to(page, ".mien-filter input")
        page.keyboard.press("Space")
        erred = shown.evaluate_all("all => all.map(card => card.dataset.erred.split(' '))")
        assert len(erred) < everyone
        assert all("0" in models for models in erred)
        page.keyboard.press("Space")
        assert gallery.locator(".mien-card:visible").count() == everyone


def check_sort(browser: Browser, path: Path) -> None:
    """With the keyboard alone the first sortable table is sorted by its last column of numbers."""
    with open_page(browser, path) as (page, _):
        table = page.locator(".mien-sortable").first
        header = table.locator("th.mien-number").last
        column = header.evaluate("cell => cell.cellIndex")
        table.locator("th button").first.press("Enter")
        header.locator("button").focus()
        for order in ("descending", "ascending"):
            page.keyboard.press("Enter")
            assert header.get_attribute("aria-sort") == order
            values = table.locator(f"tbody tr > :nth-child({column + 1})[data-sort]").evaluate_all(
                "all => all.map(cell => Number(cell.dataset.sort))"
            )
            assert values == sorted(values, reverse=order == "descending")
        assert table.locator("[aria-sort]").count() == 1


def check_print(browser: Browser, path: Path) -> bytes:
    """The PDF holds every figure, by its alt text, and no page cuts one; return the PDF."""
    with open_page(browser, path, scheme="dark") as (page, _):
        page.emulate_media(media="print")
        figures = page.locator("main img.mien-figure")
        alts = figures.evaluate_all("all => all.map(image => image.alt)")
        assert page.locator("main img.mien-figure:visible").count() == len(alts)
        assert page.locator(".contents:visible, .tools:visible").count() == 0
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)", "dark paper"
        numbers = page.locator("td.mien-number")
        spaces = numbers.evaluate_all("all => all.map(cell => getComputedStyle(cell).whiteSpace)")
        assert set(spaces) <= {"nowrap"}, "a number or an interval may break"
        wide = page.locator(".mien-scroll:has(tr > :nth-child(8))")
        turned = wide.evaluate_all("all => all.map(table => getComputedStyle(table).page)")
        assert set(turned) <= {"wide"}, "a wide table is not turned"
        assert not page.locator("#parameters:only-child:visible").count(), "an empty heading"
        pdf = page.pdf(tagged=True, prefer_css_page_size=True, print_background=True)
    for alt in alts:
        assert pdf.count(_pdf_alt(alt)) >= alts.count(alt), f"the PDF lacks the figure {alt!r}"
    return pdf


def check_without_script(browser: Browser, path: Path) -> None:
    """Without its script the page shows everything and offers no dead control."""
    with open_page(browser, path, script=False) as (page, _):
        cards = page.locator(".mien-card")
        assert page.locator(".mien-card:visible").count() == cards.count()
        assert page.locator("button:visible, .mien-filter:visible").count() == 0
        assert page.locator(".contents a:visible").count() > 0


def _anchors(page: Page) -> set[str]:
    return set(page.eval_on_selector_all("[id]", "all => all.map(element => element.id)"))


def _pdf_alt(alt: str) -> bytes:
    """Return alt text as a tagged PDF holds it: a literal string, or UTF-16 in hexadecimal."""
    if alt.isascii():
        return b"/Alt (" + re.sub(r"([\\()])", r"\\\1", alt).encode()
    return b"/Alt <FEFF" + alt.encode("utf-16-be").hex().upper().encode()


def _focused(page: Page, expression: str):
    return page.evaluate(f"document.activeElement.{expression}")


def _tab_to(page: Page, selector: str, most: int = 400) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")
