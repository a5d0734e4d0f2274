"""A study's pages as a folder for any web server, with its faces or without."""

from pathlib import Path

from bs4 import BeautifulSoup

from mien.errors import DataError
from mien.report import PAGES, page_name, write_pages

#: What stands in the place of a face that is not published.
LEFT_OUT = "left out: face"


def publish(out: str | Path, to: str | Path, *, faces: bool = True) -> Path:
    """Gather the pages of a study into a folder that a web server serves as it is.

    Parameters
    ----------
    out : str or Path
        The study's folder.
    to : str or Path
        The folder to fill; it is made if need be. Pages of an earlier publication are replaced,
        other files stay.
    faces : bool
        Whether faces are published. If not, everything of the class ``mien-faces`` (galleries'
        crops, figures that show faces) is left out; drawn figures, tables and code stay.

    Returns
    -------
    Path
        The published ``index.html``. Beside it lies an empty ``.nojekyll``, so that GitHub Pages
        serves the folder without touching it.

    Raises
    ------
    DataError
        If the study has no whole report.
    """
    out, to = Path(out), Path(to)
    if not (out / page_name("C")).is_file():
        raise DataError(f"{out} has no index.html; run the whole study first (mien run STUDY.yaml)")
    names = [page_name(plan.part) for plan in PAGES]
    pages = {
        name: (out / name).read_text(encoding="utf-8")
        for name in reversed(names)
        if (out / name).is_file()
    }
    if not faces:
        pages = {name: without_faces(html) for name, html in pages.items()}
    write_pages(to, pages)
    for name in set(names).difference(pages):
        (to / name).unlink(missing_ok=True)
    (to / ".nojekyll").touch()
    return to / page_name("C")


def without_faces(html: str) -> str:
    """Return a page in which a short note stands for every face.

    Examples
    --------
    >>> without_faces('<p><img class="mien-faces" alt="A" src="data:,"></p>')
    '<p><span class="mien-left-out">left out: face</span></p>'
    """
    page = BeautifulSoup(html, "html.parser")
    for face in page.select(".mien-faces"):
        note = page.new_tag("span", attrs={"class": "mien-left-out"})
        note.string = LEFT_OUT
        face.replace_with(note)
    return str(page)
