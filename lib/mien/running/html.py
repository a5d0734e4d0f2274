"""An executed notebook as one self-contained HTML page that can neither run nor load anything."""

import ast
import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from bs4 import BeautifulSoup
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets.config import Config

from mien.report.tables import table
from mien.study.parameters import without_folders


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEADINGS = _words("h1 h2 h3 h4 h5 h6")
_TAGS = _HEADINGS | _words("""
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em fieldset figcaption
    figure hr i img input kbd label legend li ol option p pre s samp select small span strong sub
    summary sup table tbody td tfoot th thead tr u ul var
""")
_ATTRIBUTES = _words("""
    alt checked class colspan height hidden lang open role rowspan scope selected style tabindex
    title type value width
""")
_STYLES = _words("""
    display flex-wrap gap height list-style margin max-width padding text-align width
""")


class _EmbeddedImages(Filter):
    """Drops images that the cleaner has left without a source."""

    def __iter__(self):
        for token in super().__iter__():
            if token.get("name") != "img" or (None, "src") in token["data"]:
                yield token


def harmless_html(html: str) -> str:
    """Return HTML without anything that could run or load: scripts, handlers, foreign addresses.

    Examples
    --------
    >>> harmless_html('<b onclick="x()">a</b><script>x()</script><a href="javascript:x()">b</a>')
    '<b>a</b><a>b</a>'
    """
    if re.search(r"<(script|style)", html, re.IGNORECASE):
        soup = BeautifulSoup(html, "html.parser")
        for element in soup(["script", "style"]):
            element.decompose()
        html = str(soup)
    cleaner = Cleaner(
        tags=_TAGS,
        attributes=_allowed,
        protocols={"data", "http", "https", "mailto"},
        strip=True,
        filters=[_EmbeddedImages],
        css_sanitizer=CSSSanitizer(allowed_css_properties=_STYLES),
    )
    return cleaner.clean(html)


def _allowed(tag: str, name: str, value: str) -> bool:
    on_some = {
        "id": tag in _HEADINGS,
        "src": tag == "img" and value.startswith("data:image/"),
        "href": tag == "a" and not value.lstrip().lower().startswith("data:"),
    }
    return on_some.get(name, name in _ATTRIBUTES or name.startswith(("aria-", "data-")))


TEMPLATES = Path(__file__).parent / "templates"


def html_page(
    notebook: NotebookNode,
    known: Mapping[str, Any],
    chapters: Sequence[Mapping[str, str]],
    part: str = "",
    *,
    failure: Mapping[str, Any] | None = None,
    source: str = "",
) -> str:
    """Return the HTML of a notebook's page.

    ``known`` is what study.json holds, ``chapters`` have ``part``, ``title``, ``file`` of every
    page of the report, in order; ``part`` is that of this page. ``failure``, of a page that reports
    one, has ``notebook``, ``cell``, ``error``, ``traceback``, ``source``; ``source`` is the address
    of the executed notebook, where it is published.
    """
    page = {"known": known, "chapters": chapters, "part": part, "failure": failure}
    page |= {"source": source, "headings": [], "parameters": _parameters(notebook)}
    html, _ = _exporter().from_notebook_node(notebook, resources={"page": page})
    return html


@cache
def _exporter() -> HTMLExporter:
    """Return nbconvert's exporter: harmless HTML, escaped texts, one script (ours), no request."""
    script = (TEMPLATES / "mien" / "page.js").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    # Of an output the first that there is; nothing that would need scripts.
    images = ["image/svg+xml", "image/png", "image/jpeg"]
    shown = ["text/html", "text/markdown", *images, "text/plain"]
    exporter = HTMLExporter(
        template_name="mien",
        extra_template_basedirs=[str(TEMPLATES)],
        config=Config(NbConvertBase={"display_data_priority": shown}),
    )
    exporter.register_filter("harmless_html", harmless_html)
    exporter.register_filter("markdown2html", _markdown)
    exporter.register_filter("plain_text", lambda text: escape(strip_ansi(text)))
    exporter.register_filter("without_folders", without_folders)
    exporter.environment.globals.update(script=script, policy=policy)
    return exporter


@pass_context
def _markdown(context: Mapping[str, Any], source: str) -> str:
    renderer = _Renderer(context["resources"]["page"])
    return harmless_html(MarkdownWithMath(renderer=renderer).render(source))


class _Renderer(IPythonRenderer):
    """Markdown for a page: headings get anchors and go into the page's contents."""

    def __init__(self, page: Mapping[str, Any]) -> None:
        super().__init__(escape=False)  # `harmless_html` sees to what is in the text
        self._page = page

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        plain = BeautifulSoup(text, "html.parser").get_text()
        level = min(level + (self._page["failure"] is not None), 6)
        taken = {heading["anchor"] for heading in self._page["headings"]}
        anchor = stem = re.sub(r"\W+", "-", plain.lower()).strip("-") or "section"
        number = 2
        while anchor in taken:
            anchor, number = f"{stem}-{number}", number + 1
        self._page["headings"].append({"level": level, "anchor": anchor, "text": plain})
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'


def _parameters(notebook: NotebookNode) -> str:
    """Return a table of the values in a notebook's tagged cells, and of the comments on them."""
    values, meanings = {}, {}
    for tag in ("parameters", "injected-parameters"):
        cells = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
        for line in "\n".join(cell.source for cell in cells).splitlines():
            if found := re.match(r"(\w+)(?:: \w+)? = (.*?)(?:  # (.*))?$", line):
                name, value, meaning = found.groups()
                values[name] = as_shown(value)
                meanings.setdefault(name, meaning or "")
    frame = pd.DataFrame({"value": values, "meaning": meanings}).rename_axis("parameter")
    shown = table(frame, caption="Parameters of this run", sortable=False)
    return shown._repr_html_() if values else ""


def as_shown(value: str) -> str:
    """Return a value that stands in a cell, as a reader may see it."""
    try:
        return without_paths(str(ast.literal_eval(value)))
    except (ValueError, SyntaxError):  # whoever changed the notebook computes it
        return value


def without_paths(value: Any) -> Any:
    """Return what JSON holds with every absolute path cut to its last part.

    Examples
    --------
    >>> without_paths({"out": "/home/me/out", "command": "mien run /home/me/my.yaml", "seed": 1})
    {'out': '…/out', 'command': 'mien run …/my.yaml', 'seed': 1}
    """
    if isinstance(value, Mapping):
        return {name: without_paths(own) for name, own in value.items()}
    if isinstance(value, list):
        return [without_paths(own) for own in value]
    if not isinstance(value, str):
        return value
    path = PurePath(value)
    return f"…/{path.name}" if path.is_absolute() else without_folders(value)
