"""HTML from notebooks reduced to what can neither run nor load anything."""

import re

from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from bs4 import BeautifulSoup


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEADINGS = _words("h1 h2 h3 h4 h5 h6")
_TAGS = _HEADINGS | _words("""
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em fieldset figcaption
    figure hr i img input kbd label legend li ol option p pre s samp select small span strong sub
    summary sup table tbody td tfoot th thead tr u ul var
""")
_ATTRIBUTES = _words("""
    alt checked class colspan height hidden href lang open role rowspan scope selected src style
    tabindex title type value width
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
    if name == "id":
        return tag in _HEADINGS
    if name == "src":
        return tag == "img" and value.startswith("data:image/")
    if name == "href":
        return tag == "a" and not value.lstrip().lower().startswith("data:")
    return name in _ATTRIBUTES or name.startswith(("aria-", "data-"))
