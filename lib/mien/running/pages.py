"""The pages of a study: its executed notebooks, linked; the page of a failure; publishing."""

import json
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from bs4 import BeautifulSoup
from nbconvert.filters.ansi import strip_ansi
from nbformat import NotebookNode

from mien.errors import DataError, MienError, ParameterError
from mien.files import atomic_write
from mien.running.html import Page, as_shown, exporter, heading_one, parameters, without_paths
from mien.study.parameters import BY_PART, CHAPTERS, ChapterPlan, without_folders
from mien.study.results import notebook_path

#: The page of a failed chapter.
FAILURE = "failure.html"

#: The chapters in the order of the report: the comparison first, then as they are read.
PAGES: tuple[ChapterPlan, ...] = (CHAPTERS[-1], *CHAPTERS[:-1])


def page_name(part: str) -> str:
    """Return the file name of a part's page: ``A1.html``, of the comparison ``index.html``."""
    return "index.html" if part == "C" else f"{part}.html"


def render(out: str | Path) -> Path:
    """Render every executed notebook of a study's folder, link the pages, return the one to open.

    ``index.html``; without chapter C, the page of the last chapter that there is. If a cell of any
    chapter failed, ``failure.html``: then no other page is touched. `DataError` if there is no
    executed notebook.
    """
    out = Path(out)
    for plan in CHAPTERS:
        if (failed := notebook_path(out, f"{plan.notebook}.failed")).is_file():
            return render_failure(out, failed)
    paths = {plan.part: notebook_path(out, plan.notebook) for plan in PAGES}
    notebooks = {part: _read(path) for part, path in paths.items() if path.is_file()}
    if not notebooks:
        raise DataError(
            f"{out} holds no executed chapter; run the study first (mien run STUDY.yaml)"
        )
    for part, notebook in notebooks.items():
        if failed_cell(notebook) is not None:
            return render_failure(out, paths[part])
    names = {part: page_name(part) for part in notebooks}
    write_pages(out, _html(out, notebooks, names))
    (out / FAILURE).unlink(missing_ok=True)
    return out / ("index.html" if "C" in notebooks else page_name(list(notebooks)[-1]))


def render_failure(out: str | Path, notebook: str | Path) -> Path:
    """Render ``failure.html``: the failed cell first, what to do, then the chapter up to there.

    Of the ``notebook`` that papermill left; the pages of an earlier run stay as they are.
    """
    out, path = Path(out), Path(notebook)
    stem = path.name.split(".")[0]
    plan = next((plan for plan in CHAPTERS if plan.notebook == stem), CHAPTERS[-1])
    executed = _read(path)
    chapters = [
        _link(plan, name) for plan in PAGES if (out / (name := page_name(plan.part))).is_file()
    ]
    page = Page(
        title=f"Chapter {plan.part} failed",
        facts=study_facts(out, [executed]),
        chapters=chapters,
        part=plan.part,
        failure=_failure(executed, path.name),
    )
    executed.cells = executed.cells[: failed_cell(executed)]
    write_pages(out, {FAILURE: exporter().export(executed, page)})
    return out / FAILURE


def failed_cell(notebook: NotebookNode) -> int | None:
    """Return the position of the first cell that ended in an error, None where there is none."""
    for position, cell in enumerate(notebook.cells):
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return position
    return None


def study_facts(out: Path, notebooks: Iterable[NotebookNode]) -> dict[str, Any]:
    """Return `facts` about a run: from study.json, else from the parameters."""
    known = _study_json(out)
    settings = known.get("parameters", {})
    if not settings:
        for notebook in notebooks:
            settings |= parameters(notebook)["value"].to_dict()
    return facts(known, {**settings, "name": settings.get("name") or out.resolve().name})


def facts(known: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what pages tell, from what study.json holds (``known``) and the parameters.

    ``name`` of the study; ``drawn``, the sentence for drawn faces or ""; ``lines``, (name, value)
    texts about how the report was made.
    """
    return {
        "name": str(settings["name"]),
        "drawn": _drawn(settings),
        "lines": _lines(known, settings),
    }


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Write pages into a folder, each whole or not at all, none before all are on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pages.", dir=folder) as temporary:
        for name, html in pages.items():
            (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / name).write_text(html, encoding="utf-8")
        for name in pages:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / name).replace(folder / name)


def prose(markdown: str) -> NotebookNode:
    """Return a cell of text, for a page that no notebook has made."""
    return nbformat.v4.new_markdown_cell(markdown)


def shown(thing: Any) -> NotebookNode:
    """Return a cell that shows a figure or a table, for a page that no notebook has made."""
    output = nbformat.v4.new_output("display_data", {"text/html": thing._repr_html_()})
    return nbformat.v4.new_code_cell("", outputs=[output])


def _html(
    out: Path,
    notebooks: Mapping[str, NotebookNode],
    names: Mapping[str, str],
    sources: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the page of every part by name, the index last; ``sources``: notebooks to link to."""
    facts, pages = study_facts(out, notebooks.values()), {}
    chapters = [_link(plan, names[plan.part]) for plan in PAGES if plan.part in notebooks]
    for part, notebook in reversed(notebooks.items()):
        title = heading_one(notebook) or BY_PART[part].title
        source = (sources or {}).get(part, "")
        page = Page(f"{title} · {facts['name']}", facts, chapters, part, source=source)
        pages[names[part]] = exporter().export(notebook, page)
    return pages


def _link(plan: ChapterPlan, name: str) -> dict[str, str]:
    return {"part": plan.part, "title": plan.title, "file": name}


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise DataError(f"there is no executed notebook {path}") from None
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise DataError(f"{path} is no notebook: {error}; run its chapter again") from None


def _failure(notebook: NotebookNode, name: str) -> dict[str, Any]:
    position = failed_cell(notebook)
    if position is None:
        raise DataError(f"no cell of {name} failed")
    cell = notebook.cells[position]
    error = next(output for output in cell.outputs if output.output_type == "error")
    return {
        "notebook": name,
        "cell": cell.execution_count or position + 1,
        "error": strip_ansi(f"{error.ename}: {error.evalue}"),
        "traceback": strip_ansi("\n".join(error.traceback)),
        "source": cell.source,
    }


def _study_json(out: Path) -> dict[str, dict[str, Any]]:
    """Return study.json; nothing where there is none, or it is none that a run has written."""
    try:
        known = json.loads((out / "study.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return known if all(isinstance(known.get(name, {}), dict) for name in _SECTIONS) else {}


#: What is looked into of study.json.
_SECTIONS = ("parameters", "git", "versions", "hardware", "data", "parts")


def _drawn(settings: Mapping[str, Any]) -> str:
    drawn = [settings.get(name) == "demo" for name in ("fer2013", "target") if settings.get(name)]
    if not any(drawn):
        return ""
    which = "The faces" if all(drawn) else "Some of the faces"
    return f"{which} in this report are drawn, not photographed."


def _lines(known: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    git, states = known.get("git", {}), known.get("parts", {})
    commit = str(git.get("commit") or "")[:12]
    times = [
        f"{part} {state['seconds']:,.0f} s" for part, state in states.items() if "seconds" in state
    ]
    data = [f"{name} {digest[:12]}" for name, digest in known.get("data", {}).items()]
    versions = [f"{name} {number}" for name, number in known.get("versions", {}).items()]
    lines = [
        ("Study", settings.get("name")),
        ("Profile", settings.get("profile")),
        ("Seed", settings.get("seed")),
        ("Repeat with", without_folders(known.get("command", ""))),
        ("Same numbers again", _promise(states)),
        ("Finished", known.get("written")),
        ("Commit", f"{commit} with changes" if commit and git.get("dirty") else commit),
        ("Hardware", _hardware(known.get("hardware", {}), states)),
        ("Time per chapter", ", ".join(times)),
        ("Data", ", ".join(data)),
        ("Versions", ", ".join(versions)),
    ]
    return [(name, str(value)) for name, value in lines if value not in (None, "")]


def _gpus(states: Mapping[str, Any]) -> set[str]:
    return {gpu for state in states.values() for gpu in state.get("hardware", {}).get("gpus", [])}


def _hardware(hardware: Mapping[str, Any], states: Mapping[str, Any]) -> str:
    threads = sorted({state["threads"] for state in states.values() if "threads" in state})
    told = [
        hardware.get("processor"),
        f"{hardware['cores']} cores" if "cores" in hardware else None,
        f"{' or '.join(map(str, threads))} threads" if threads else None,
        " and ".join(sorted(_gpus(states))) or ("no GPU" if threads else None),
        hardware.get("system"),
    ]
    return ", ".join(part for part in told if part)


def _promise(states: Mapping[str, Any]) -> str:
    """Return whether a run with the same seed gives the same numbers."""
    if _gpus(states):
        return "on this GPU only up to rounding: it does not add in the same order every time"
    if any("threads" in state for state in states.values()):
        return (
            "the same seed gives the same numbers on this processor with as many threads and, "
            "where chapter B1 plans by time, the same plan"
        )
    return ""


#: What stands in the place of a face that is not published.
LEFT_OUT = "left out: face"


def publish(
    out: str | Path,
    to: str | Path,
    *,
    faces: bool = True,
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
    `MienError` if something is to be printed and there is no Chromium. Nothing is published then.
    """
    out, to = Path(out), Path(to)
    paths = {plan.part: notebook_path(out, plan.notebook) for plan in PAGES}
    there = {part: path for part, path in paths.items() if path.is_file()}
    if missing := sorted(set(only).difference(there)):
        raise DataError(f"{out} has no chapter {', '.join(missing)}; run it first (mien run STUDY)")
    if not only and not (out / page_name("C")).is_file():
        raise DataError(f"{out} has no index.html; run the whole study first (mien run STUDY.yaml)")
    there = {part: path for part, path in there.items() if not only or part in only}
    executed = {part: _read(path) for part, path in there.items()}
    names = {part: page_name(part) for part in there} | {next(iter(there)): "index.html"}
    sources = {part: f"notebooks/{path.name}" for part, path in there.items() if notebooks}
    files = {
        sources[part]: nbformat.writes(_to_be_published(executed[part], faces=faces))
        for part in sources
    }
    if known := _study_json(out):
        files["study.json"] = json.dumps(without_paths(known), indent=1, ensure_ascii=False)
    pages = _shown_faces(_html(out, executed, names, sources), faces=faces)
    own = [*(page_name(plan.part) for plan in PAGES), "study.json"]
    own += [f"notebooks/{plan.notebook}.ipynb" for plan in PAGES]
    return _publish(to, files | pages, own, [*pages.values()][::-1] if pdf else [])


def publish_folder(folder: Path, to: Path, *, faces: bool | None = None, pdf: bool = False) -> Path:
    """Publish the page of a sweep or a comparison, with the pages below it that it links to.

    `ParameterError` if photographs of faces are among them and nobody said whether to show them;
    `DataError` if a run of a sweep has failed.
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
    seen = [html for html in pages.values() if re.search(r'class="[^"]*mien-faces"', html)]
    if faces is None and not all('<p class="drawn">The faces' in html for html in seen):
        raise ParameterError(ASK)
    pages = _shown_faces(pages, faces=faces is not False)
    return _publish(to, dict(reversed(pages.items())), [], [pages["index.html"]] if pdf else [])


#: What is said where it was not said whether to show photographs.
ASK = "the pages show photographs of a person: say --faces to publish them, or --no-faces"


def _publish(
    to: Path, files: Mapping[str, str], own: Iterable[str], to_print: Sequence[str]
) -> Path:
    """Write files, print some pages, and remove what an earlier publication had of its ``own``."""
    printed = _printed(to_print) if to_print else b""
    write_pages(to, files)
    for name in set(own).difference(files):
        (to / name).unlink(missing_ok=True)
    (to / ".nojekyll").touch()
    (to / "index.pdf").unlink(missing_ok=True)
    if printed:
        with atomic_write(to / "index.pdf") as part:
            part.write_bytes(printed)
    return to / "index.html"


def _printed(pages: Sequence[str]) -> bytes:
    """Return pages, one behind the other, as a PDF that Chromium prints."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MienError(
            "a PDF is printed by Chromium, which is not there: install it (Debian: apt-get install "
            "chromium), or open the pages in any browser and print them"
        )
    whole, *others = (BeautifulSoup(html, "html.parser") for html in pages)
    for other in reversed(others):
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


def _shown_faces(pages: dict[str, str], *, faces: bool) -> dict[str, str]:
    return pages if faces else {name: without_faces(html) for name, html in pages.items()}


def _to_be_published(notebook: NotebookNode, *, faces: bool) -> NotebookNode:
    """Return an executed notebook without folders of this machine, and perhaps without faces."""
    notebook = deepcopy(notebook)
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
    return notebook


def without_faces(html: str) -> str:
    """Return a page in which a short note stands for every face."""
    page = BeautifulSoup(html, "html.parser")
    for face in page.select(".mien-faces"):
        note = page.new_tag("span", attrs={"class": "mien-left-out"})
        note.string = LEFT_OUT
        face.replace_with(note)
    return str(page)
