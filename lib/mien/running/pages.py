"""The pages of a study: its executed notebooks, linked; the page of a failure; publishing."""

import json
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from bs4 import BeautifulSoup
from nbconvert.filters.ansi import strip_ansi
from nbformat import NotebookNode

from mien.errors import DataError, MienError, ParameterError
from mien.files import write_all
from mien.running.html import as_shown, html_page, without_paths
from mien.study.parameters import BY_PART, CHAPTERS, ChapterPlan
from mien.study.results import notebook_path

#: The page of a failed chapter.
FAILURE = "failure.html"

#: The chapters in the order of the report: the comparison first, then as they are read.
PAGES: tuple[ChapterPlan, ...] = (CHAPTERS[-1], *CHAPTERS[:-1])


def page_name(part: str) -> str:
    """Return the file name of a part's page: ``A1.html``, of the comparison ``index.html``."""
    return "index.html" if part == "C" else f"{part}.html"


def render(out: Path) -> Path:
    """Render every executed notebook of a study's folder, link the pages, return the one to open.

    ``index.html``; without chapter C, the page of the last chapter that there is. If a chapter has
    failed, ``failure.html``: then no other page is touched. `DataError` if there is no executed
    notebook.
    """
    for plan in CHAPTERS:
        if (failed := notebook_path(out, f"{plan.notebook}.failed")).is_file():
            return render_failure(out, failed)
    names = {part: page_name(part) for part in _executed(out)}
    if not names:
        raise DataError(
            f"{out} holds no executed chapter; run the study first (mien run STUDY.yaml)"
        )
    write_all(out, _html(out, names))
    (out / FAILURE).unlink(missing_ok=True)
    return out / names.get("C", list(names.values())[-1])


def render_failure(out: Path, notebook: Path) -> Path:
    """Render ``failure.html``: the failed cell first, what to do, then the chapter up to there.

    Of the ``notebook`` that papermill left; the pages of an earlier run stay as they are.
    """
    plan = next(plan for plan in CHAPTERS if plan.notebook == notebook.name.split(".")[0])
    executed = _read(notebook)
    number, cell, error = next(
        (number, cell, output)
        for number, cell in enumerate(executed.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    )
    failure = {
        "notebook": notebook.name,
        "cell": cell.execution_count or number + 1,
        "error": strip_ansi(f"{error.ename}: {error.evalue}"),
        "traceback": strip_ansi("\n".join(error.traceback)),
        "source": cell.source,
    }
    executed.cells = executed.cells[:number]
    names = {p.part: name for p in PAGES if (out / (name := page_name(p.part))).is_file()}
    page = html_page(executed, _study_json(out), _links(names), plan.part, failure=failure)
    write_all(out, {FAILURE: page})
    return out / FAILURE


def write_page(
    folder: Path, title: str, cells: Iterable[NotebookNode], known: Mapping[str, Any]
) -> Path:
    """Write ``index.html`` of cells that no chapter has made, and return its path.

    ``title`` stands in its contents; ``known`` is what study.json would hold, ``parameters`` with a
    ``name`` at least.
    """
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    chapters = [{"part": "", "title": title, "file": "index.html"}]
    write_all(folder, {"index.html": html_page(notebook, known, chapters)})
    return folder / "index.html"


def prose(markdown: str) -> NotebookNode:
    """Return a cell of text, for a page that no notebook has made."""
    return nbformat.v4.new_markdown_cell(markdown)


def shown(thing: Any) -> NotebookNode:
    """Return a cell that shows a figure or a table, for a page that no notebook has made."""
    output = nbformat.v4.new_output("display_data", {"text/html": thing._repr_html_()})
    return nbformat.v4.new_code_cell("", outputs=[output])


def _executed(out: Path) -> dict[str, Path]:
    paths = {plan.part: notebook_path(out, plan.notebook) for plan in PAGES}
    return {part: path for part, path in paths.items() if path.is_file()}


def _html(out: Path, names: Mapping[str, str], *, linked: bool = False) -> dict[str, str]:
    """Return the HTML of parts by their pages, the index last, perhaps linked to notebooks."""
    known, chapters, paths, pages = _study_json(out), _links(names), _executed(out), {}
    for part, name in reversed(names.items()):
        source = f"notebooks/{paths[part].name}" if linked else ""
        pages[name] = html_page(_read(paths[part]), known, chapters, part, source=source)
    return pages


def _links(names: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"part": p, "title": BY_PART[p].title, "file": name} for p, name in names.items()]


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise DataError(f"{path} is no notebook: {error}; run its chapter again") from None


def _study_json(out: Path) -> dict[str, Any]:
    """Return what study.json holds; the study's name alone where it is not what a run writes."""
    try:
        known = json.loads((out / "study.json").read_text(encoding="utf-8"))
        sections = ("git", "versions", "hardware", "data", "parts", "parameters")
        if all(isinstance(known.get(name, {}), dict) for name in sections):
            return known | {"parameters": {"name": out.resolve().name, **known["parameters"]}}
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    return {"parameters": {"name": out.resolve().name}}


def publish(
    out: Path,
    to: Path,
    *,
    faces: bool | None = None,
    only: Collection[str] = (),
    notebooks: bool = False,
    pdf: bool = False,
) -> Path:
    """Gather the pages of a study into a folder that a web server serves as it is.

    Pages of an earlier publication are replaced, other files stay. Beside the published
    ``index.html``, whose path is returned, lie ``study.json``, without folders of this machine, and
    an empty ``.nojekyll`` for GitHub Pages. Without ``faces``, everything of the class
    ``mien-faces`` (crops, figures that show faces) is left out. ``only`` names parts, the first of
    which, in the order of the report, is the index. ``notebooks`` adds the executed notebooks, to
    which figures and tables are linked, ``pdf`` all pages, printed, as ``index.pdf``.

    `DataError` if a chapter that is asked for was not run, or, where none is named, C was not;
    `ParameterError` if photographs of faces are among them and ``faces`` does not say whether to
    show them; `MienError` if something is to be printed and there is no Chromium. Nothing is
    published then.
    """
    paths = _executed(out)
    if missing := sorted(set(only or ["C"]).difference(paths)):
        raise DataError(f"{out} has no chapter {', '.join(missing)}; run it first (mien run STUDY)")
    paths = {part: path for part, path in paths.items() if not only or part in only}
    names = {part: page_name(part) for part in paths} | {next(iter(paths)): "index.html"}
    files = {}
    if notebooks:
        for path in paths.values():
            published = _to_be_published(_read(path), faces=faces is not False)
            files[f"notebooks/{path.name}"] = published
    if (out / "study.json").is_file():
        known = without_paths(_study_json(out))
        files["study.json"] = json.dumps(known, indent=1, ensure_ascii=False)
    return _publish(to, _html(out, names, linked=notebooks), files, faces, pdf)


def publish_folder(folder: Path, to: Path, *, faces: bool | None = None, pdf: bool = False) -> Path:
    """Publish the page of a sweep or a comparison, with the pages below it that it links to.

    Errors as `publish`; `DataError` also if a run of a sweep has failed.
    """
    pages: dict[str, str] = {}
    waiting = ["index.html"]
    while waiting:
        name = waiting.pop()
        if name.endswith(FAILURE):
            raise DataError(f"{folder / name} tells of a failed run; mend it and sweep again")
        pages[name] = (folder / name).read_text(encoding="utf-8")
        for link in re.findall(r'href="([^":#?]+\.html)', pages[name]):
            linked = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(link)))
            if linked not in pages and not linked.startswith(".") and (folder / linked).is_file():
                waiting.append(linked)
    return _publish(to, dict(reversed(pages.items())), {}, faces, pdf)


def _publish(
    to: Path, pages: Mapping[str, str], files: Mapping[str, str], faces: bool | None, pdf: bool
) -> Path:
    """Write pages and other files, and remove what an earlier publication of a study has left."""
    photographs = [
        name
        for name, html in pages.items()
        if re.search(r'class="[^"]*mien-faces"', html) and '<p class="drawn">The faces' not in html
    ]
    if photographs and faces is None:
        raise ParameterError(
            f"{photographs[0]} shows photographs of a person: say --faces to publish them, or "
            "--no-faces"
        )
    if faces is False:
        pages = {name: without_faces(html) for name, html in pages.items()}
    files = {**files, ".nojekyll": ""}
    if pdf:
        files["index.pdf"] = _printed([html for name, html in pages.items() if "/" not in name])
    write_all(to, {**files, **pages})
    own = {name for p in PAGES for name in (page_name(p.part), f"notebooks/{p.notebook}.ipynb")}
    for name in {*own, "study.json", "index.pdf"}.difference(files, pages):
        (to / name).unlink(missing_ok=True)
    return to / "index.html"


def _printed(pages: list[str]) -> bytes:
    """Return pages, the last one first, as a PDF that Chromium prints."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MienError(
            "a PDF is printed by Chromium, which is not there: install it (Debian: apt-get install "
            "chromium), or open the pages in any browser and print them"
        )
    *others, whole = (BeautifulSoup(html, "html.parser") for html in pages)
    for other in others:
        whole.main.insert_after(other.main)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page, pdf = Path(folder, "page.html"), Path(folder, "page.pdf")
        page.write_text(str(whole), encoding="utf-8")
        command = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-sandbox"]
        command += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={pdf}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if not pdf.is_file():
            told = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            raise MienError(f"{browser} printed no PDF: {' '.join(told) or 'it said nothing'}")
        return pdf.read_bytes()


#: Names of browsers that print.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _to_be_published(notebook: NotebookNode, *, faces: bool) -> str:
    """Return an executed notebook without folders of this machine, and perhaps without faces."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(
                r"(?<= = )['\"].*", lambda value: repr(as_shown(value[0])), cell.source
            )
        if "outputs" in cell:
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            if not faces and "mien-faces" in html:
                output.data["text/html"] = without_faces(html)
    return nbformat.writes(notebook)


def without_faces(html: str) -> str:
    """Return a page in which a short note stands for every face."""
    page = BeautifulSoup(html, "html.parser")
    for face in page.select(".mien-faces"):
        note = page.new_tag("span", attrs={"class": "mien-left-out"})
        note.string = "left out: face"
        face.replace_with(note)
    return str(page)
