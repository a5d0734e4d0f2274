"""The ``mien`` command.

What only one command needs is imported there: ``mien --help`` shall not wait for pandas.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from typer import Argument, Option

from mien import system
from mien.errors import DataError, MienError, ParameterError, grouped, printable

if TYPE_CHECKING:
    from mien.running.scheduler import Event
    from mien.study.parameters import ChapterPlan, Study

#: Exit status of the command, beside those of errors (`mien.errors`).
CHAPTER_FAILED, REFUSED, STOPPED = 1, 2, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help would take as long as all else
    help="What reads one person's face better: designed features, or learned ones?",
)
out_console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)
StudyFile = Annotated[
    Path,
    Argument(metavar="STUDY", help="a file of parameters, or a name: demo, fer2013, person"),
]
Settings = Annotated[
    list[str] | None, Option("--set", metavar="NAME=VALUE", help="change one parameter")
]
Out = Annotated[str, Option("--out", metavar="DIR", help="where results go")]
Only = Annotated[str, Option("--only", metavar="A1,C", help="these chapters alone")]
PersonFolder = Annotated[Path, Argument(metavar="FOLDER", help="the person's folder")]
PageFolder = Annotated[Path, Option("--to", metavar="DIR", help="folder for the pages")]
AsJson = Annotated[bool, Option("--json", help="write JSON")]


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"mien {metadata.version('mien')}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, Option("--version", callback=_tell_version, is_eager=True, help="show it, end")
    ] = False,
) -> None: ...


@app.command()
def run(
    study_file: StudyFile,
    settings: Settings = None,
    out: Out = "",
    only: Only = "",
    force: Annotated[bool, Option("--force", help="run what is current, too")] = False,
    jobs: Annotated[int, Option(min=1, help="chapters side by side")] = 1,
    threads: Annotated[int | None, Option(min=1, help="of each chapter; else all cores")] = None,
    minutes: Annotated[float | None, Option(min=0.01, help="a chapter may take so many")] = None,
    store: Annotated[
        Path | None, Option(metavar="DIR", help="share finished chapters with other studies")
    ] = None,
    wait: Annotated[bool, Option("--wait", help="wait for another run of this study")] = False,
) -> None:
    """Run a study: its chapters in order, then its pages."""
    from mien.running import scheduler
    from mien.study.parameters import parts_to_run

    study = _load(study_file, settings, out)
    options = scheduler.Options(force, jobs, minutes, threads, store, wait)
    chapters = parts_to_run(only)
    with _teller(study, chapters) as tell:
        page = scheduler.run(study, chapters, options, tell=tell, tell_data=_tell_data)
    _say_where("The report is in", page)


@contextmanager
def _teller(study: "Study", chapters: list["ChapterPlan"]) -> Iterator[Callable[["Event"], None]]:
    """Show which chapters run, how long each took, and what is next; hand out who is told."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    start, shown, left = time.perf_counter(), {}, list(chapters)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    on_terminal = out_console.is_terminal
    ends = {"current": "unchanged", "stored": "from the store", "failed": "failed"}
    live = Progress(*columns, console=out_console, transient=True, disable=not on_terminal)

    def tell(event: "Event") -> None:
        part, title = event.plan.part, f"{event.plan.part:>2}  {event.plan.title}"
        left[:] = [plan for plan in left if plan != event.plan]
        if part in shown:
            live.remove_task(shown.pop(part))
        if event.state in ("running", "waiting"):
            following = f"next: {left[0].part}" if left else "then the pages"
            note = f"{title} ... ({event.reason or following})"
            shown[part] = live.add_task(escape(note), total=None)
            if not on_terminal:
                out_console.print(note, markup=False)
        elif event.state == "skipped":
            out_console.print(f"{title:<32}  left out: {event.reason}", markup=False)
        else:
            elapsed = time.perf_counter() - start
            took = ends.get(event.state, f"{event.seconds:.1f} s")
            out_console.print(f"{title:<32} {took:>16}   elapsed {elapsed:.0f} s", markup=False)

    out_console.print(f"Study {study.name} (profile {study.profile})", markup=False)
    with live:
        yield tell


@app.command()
def sweep(
    study_file: StudyFile,
    grid: Annotated[list[str], Option("--grid", metavar="NAME=V1,V2", help="vary one parameter")],
    settings: Settings = None,
    out: Out = "",
    only: Only = "",
    jobs: Annotated[int, Option(min=1, help="runs at once on this machine")] = 1,
    scheduler: Annotated[str, Option(metavar="ADDRESS", help="run on this Dask cluster")] = "",
    threads: Annotated[int, Option(min=0, help="threads of a run; 0: its share of the cores")] = 0,
) -> None:
    """Run a study for all combinations of parameters, and compare."""
    from concurrent.futures import ThreadPoolExecutor

    from mien.sweep import planning, runs

    if scheduler and jobs > 1:
        raise ParameterError("--jobs is for this machine, --scheduler for a cluster; leave one out")
    planned = planning.plan(study_file, grid, settings=settings or [], out=out, only=only)
    if not scheduler:
        threads = threads or max(1, system.cores() // jobs)
    pool = runs.dask_cluster(scheduler) if scheduler else ThreadPoolExecutor(jobs)
    with pool as executor:
        planning.check_data(planned)
        out_console.print(f"Sweep {planned.name}: {len(planned.runs)} runs", markup=False)
        statuses = runs.run(planned, executor, threads=threads, tell=_tell_status)
    from mien.sweep import pages  # here, because importing nbconvert takes seconds

    _say_where("The sweep's page is in", pages.render(planned, statuses))
    if any(status.state != "done" for status in statuses.values()):
        raise typer.Exit(CHAPTER_FAILED)


def _tell_status(status) -> None:
    console, style = (error_console, "red") if status.message else (out_console, None)
    console.print(str(status), markup=False, style=style)


@app.command()
def compare(
    studies: Annotated[list[str], Argument(metavar="STUDY…", help="files, names or folders")],
    to: PageFolder,
) -> None:
    """Put finished studies side by side: who leads for whom."""
    from mien.sweep import studies as side_by_side

    _say_where("The comparison is in", side_by_side.render(studies, to))


@app.command()
def status(study_file: StudyFile, settings: Settings = None, out: Out = "") -> None:
    """Show which chapters are current, and why others are not."""
    from rich.table import Table

    from mien.running import record, scheduler
    from mien.study.parameters import BY_PART

    study = _load(study_file, settings, out)
    colours = {"current": "green", "failed": "red", "running": "cyan", "skipped": "dim"}
    table = Table("chapter", "", "state", "why", box=None, pad_edge=False)
    for part, (state, reasons) in record.status(study, scheduler.check_data(study)).items():
        cells = part, BY_PART[part].title, state, "\n".join(reasons)
        table.add_row(*map(escape, cells), style=colours.get(state, "yellow"))
    Console(highlight=False).print(table)


@app.command()
def check(
    study_file: StudyFile,
    settings: Settings = None,
    out: Out = "",
    as_json: AsJson = False,
) -> None:
    """Check a study's parameters and data, and say what is not used."""
    from mien.running import scheduler

    study = _load(study_file, settings, out)
    found = scheduler.check_data(study)
    if as_json:
        typer.echo(json.dumps(found.as_json(study), indent=1))
        return
    _say("study", f"{study.name}, profile {study.profile}, seed {study.seed}")
    _tell_data(found)
    for finding in grouped(found.findings):
        if not finding.lost:
            _say("noted", f"{finding.where}: {finding.reason}; {finding.remedy}")
    for part, reason in found.as_json(study)["left_out"].items():
        _say("left out", f"{part}: {reason}")
    _say("results", str(_shown(study.folder)))
    unused = sum(finding.count for finding in found.lost)
    told = f"Not used, or not as meant: {unused:,}; see lost."
    out_console.print(told if unused else "Everything is in order.")


def _tell_data(found) -> None:
    """Say what a study has to work with, and what of it is not used, the worst first."""
    if found.fer2013:
        splits = ", ".join(f"{count:,} {usage}" for usage, count in found.fer2013["splits"].items())
        skipped = f"{found.fer2013['skipped']} rows skipped"
        _say("FER2013", f"{found.fer2013['images']:,} images ({splits}), {skipped}")
    if found.person:
        told = "{labelled} labelled and {unknown} unknown faces, {images} images, {clips} clips"
        _say("person", told.format_map(found.person))
        rows = [f"{count} rows of {name}" for name, count in found.person["measured"].items()]
        _say("measured", ", ".join(rows) or "nothing")
        _say("ratings", "{ratings} by {raters} raters".format_map(found.person))
    if "A2" not in found.left_out and found.designed:
        _say("designed", f"{found.designed} meets the network in chapter C")
    for finding in grouped(found.lost):
        many = f"{finding.count} {finding.what}s" if finding.count > 1 else f"1 {finding.what}"
        _say("lost", f"{many}: {finding.where}: {finding.reason}; {finding.remedy}")


def _say(what: str, told: str) -> None:
    out_console.print(f"{what:<9} {printable(told)}", markup=False)


@app.command()
def notebooks(
    folder: Annotated[Path, Argument(metavar="DIR", help="they go into its notebooks/")],
    force: Annotated[bool, Option("--force", help="replace what was changed there")] = False,
    exercises: Annotated[
        bool, Option("--exercises", help="tasks for a course instead, in exercises/")
    ] = False,
    solutions: Annotated[
        bool, Option("--solutions", help="their solutions instead, in solutions/")
    ] = False,
) -> None:
    """Copy the chapters out; a run started in DIR takes the copies."""
    from mien import project

    if not (exercises or solutions):
        _say_where("Chapters and studies are in", project.copy_notebooks(folder, force=force))
        return
    from mien.exercises import tasks

    for wanted, solved in ((exercises, False), (solutions, True)):
        if wanted:
            _say_where("The chapters are in", tasks.write(folder, solved=solved, force=force))


@app.command()
def demo(
    folder: Annotated[Path, Argument(metavar="DIR", help="where to write the drawn data")],
    seed: Annotated[int, Option(min=0, help="another seed draws other faces")] = 0,
) -> None:
    """Write the drawn data: a crowd and a person, from Action Units."""
    from mien.synthetic.dataset import write_demo

    write_demo(folder, seed=seed)
    _say_where("Drawn faces are in", folder)


@app.command()
def label(
    folder: PersonFolder,
    rater: Annotated[str, Option(metavar="NAME", help="who rates; else the login")] = "",
    what: Annotated[str, Option(metavar="unknown|labelled|all")] = "unknown",
    again: Annotated[bool, Option("--again", help="show every tenth face twice")] = False,
    study: Annotated[str, Option(metavar="DIR", help="results to compare with")] = "",
    settle: Annotated[bool, Option("--settle", help="turn agreement into labels")] = False,
    alone: Annotated[bool, Option("--alone", help="one rater is enough to settle")] = False,
) -> None:
    """Rate faces in JupyterLab, or settle what raters agree on."""
    import getpass
    import subprocess
    import tempfile

    from mien.data.person import load_person
    from mien.labelling import ratings

    person = load_person(folder)
    if settle:
        settled = ratings.settle(folder, person, alone=alone)
        for row in settled.itertuples():
            out_console.print(f"{row.file_name}: {row.label} ({row.how})", markup=False)
        left = (person.faces["set"] == "unknown").sum() - len(settled)
        out_console.print(f"{len(settled)} faces got a label, {left} have none: {ratings.LABELS}")
        return
    ratings.Ratings(folder)
    given = {"rater": ratings.rater_name(rater or getpass.getuser()), "what": what}
    given |= {"again": again, "study": study}
    with tempfile.TemporaryDirectory(prefix="mien-label-") as where:
        notebook = ratings.notebook_for(folder, Path(where), **given)
        subprocess.run([sys.executable, "-m", "jupyterlab", str(notebook)], check=False)


@app.command()
def collect(
    to: Annotated[Path, Option("--to", metavar="FOLDER", help="folder for the faces")],
    sources: Annotated[
        list[str] | None, Argument(metavar="SOURCE…", help="photos, videos, folders, globs")
    ] = None,
    pick: Annotated[str, Option(metavar="largest|all", help="of a picture's faces")] = "largest",
    clip_minutes: Annotated[
        float, Option(min=0, help="photos taken within so many minutes are one clip")
    ] = 2.0,
    strike: Annotated[
        typer.FileText | None,
        Option(metavar="LIST", help="delete the faces that contact.html listed", errors="replace"),
    ] = None,
) -> None:
    """Cut the faces out of photos and videos, into a person's folder.

    Interrupted and called again, it goes on; called with other sources, it adds to the folder.
    Exit status: 0 all was read, 2 something could not be read or no face was found at all.
    """
    from mien.photos import collection

    if not sources and not strike:
        raise ParameterError("name the photos, videos or folders to collect from")
    album = collection.CollectedFolder(to)
    if strike:
        struck = album.strike([line for line in strike.read().splitlines() if line])
        album.write_pages()
        out_console.print(f"{struck} faces are struck out")
    if not sources:
        return
    planned = collection.plan(sources, album, clip_minutes=clip_minutes)
    with _bar("Looking for faces", collection.steps(planned)) as advance:
        told = collection.collect(planned, album, pick=pick, on_picture=advance)
    for problem in told.problems:
        _complain(problem)
    out_console.print(
        f"{told.pictures:,} pictures looked at: {told.faceless:,} without a face, {told.alike:,}"
        " near-duplicates left out"
    )
    faces = len(album.table())
    if not faces:
        raise DataError("no face was found")
    _say_where(f"contact.html shows them all: {faces:,} faces are in", to)
    if told.problems:
        raise typer.Exit(REFUSED)


@app.command()
def measure(folder: PersonFolder) -> None:
    """Measure the photos' blendshapes, as a table beside the photos."""
    from mien.photos import face_cache

    pictures = face_cache.pictures_of(folder)
    with _bar("Measuring faces", len(pictures)) as advance:
        measured = face_cache.measure(pictures, on_picture=advance)
    faceless = measured[measured["success"] == 0]
    for row in faceless.itertuples():
        _complain(f"{row.file_name}: {row.problem}")
    if len(faceless) == len(measured):
        raise DataError(f"no face was found in any of {len(measured):,} pictures")
    face_cache.write_table(measured, folder / face_cache.TABLE)
    found = len(measured) - len(faceless)
    _say_where(f"The blendshapes of {found:,} faces are in", folder / face_cache.TABLE)


@app.command()
def publish(
    study_file: Annotated[
        Path, Argument(metavar="STUDY", help="or a sweep's or comparison's folder")
    ],
    to: PageFolder,
    settings: Settings = None,
    out: Out = "",
    only: Only = "",
    faces: Annotated[
        bool | None, Option("--faces/--no-faces", help="say which, unless they are drawn")
    ] = None,
    notebooks: Annotated[
        bool, Option("--notebooks", help="add the executed notebooks, linked to figures")
    ] = False,
    pdf: Annotated[bool, Option("--pdf", help="add index.pdf, by Chromium")] = False,
) -> None:
    """Gather a study's pages into a folder for any web server."""
    from mien.running import pages
    from mien.running.record import Record
    from mien.study.parameters import parts_to_run

    if (study_file / "index.html").is_file() and not (study_file / "study.json").is_file():
        if only or notebooks:
            raise ParameterError("--only and --notebooks are for a study, not a folder of pages")
        pages.publish_folder(study_file, to, faces=faces, pdf=pdf)
    else:
        study = _load(study_file, settings, out)
        if wrong := Record.read(study).contradictions(study):
            raise DataError(
                f"the chapters in {study.folder} do not belong together ({'; '.join(wrong)}); run "
                "the whole study again (mien run, without --only)"
            )
        parts = [plan.part for plan in parts_to_run(only)] if only else []
        more = {"faces": faces, "only": parts, "notebooks": notebooks, "pdf": pdf}
        pages.publish(study.folder, to, **more)
    _say_where("The pages are in", to)


@app.command()
def predict(
    images: Annotated[
        list[str] | None, Argument(metavar="IMAGE…", help='files, folders, globs such as "*.jpg"')
    ] = None,
    person: Annotated[
        str, Option(metavar="STUDY", help="with the model that a study has of its person")
    ] = "",
    coverage: Annotated[
        bool, Option("--coverage", help="of that model: how much it answers at which errors")
    ] = False,
    find_faces: Annotated[
        bool, Option("--find-faces", help="find the faces in every picture first")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, Option("--csv", help="write csv")] = False,
    network: Annotated[
        Path | None, Option("--weights", metavar="FILE.keras", help="a study's network")
    ] = None,
    int8: Annotated[
        bool, Option("--int8", help="mien's network in whole numbers: faster, nearly as exact")
    ] = False,
    batch_size: Annotated[int, Option(min=1, help="faces that are read at once")] = 256,
) -> None:
    """Read expressions in pictures by mien's network or a study's.

    Exit status: 0 every picture was read, 2 one could not be read or no face was found in any.
    """
    from mien import prediction_output
    from mien.data.images import find_images
    from mien.network.backend import quiet

    if as_json and as_csv:
        raise ParameterError("--json and --csv are two answers; choose one")
    asked = not images and person if coverage else images
    if not asked or bool(person) + bool(network) + int8 > 1:
        raise ParameterError(
            "name IMAGES, and at most one of --person STUDY, --weights FILE and --int8; or "
            "--person STUDY --coverage alone"
        )
    if coverage:
        from mien.study import parameters, results

        card, _ = results.load_winner(parameters.finished(person))
        out_console.print(prediction_output.trade_table(card))
        return
    paths = find_images(images)
    how = {"find_faces": find_faces, "batch_size": batch_size}
    with _bar("Reading faces", len(paths)) as advance, quiet():
        answers = _read(person, network, int8, paths, {**how, "on_picture": advance})
    if as_json:
        typer.echo(prediction_output.as_json(answers))
    elif as_csv:
        typer.echo(prediction_output.as_csv(answers), nl=False)
    else:
        out_console.print(prediction_output.as_table(answers))
    unread = answers[~answers["problem"].isin(["", prediction_output.NO_FACE])]
    for row in unread.itertuples():
        _complain(f"{row.file}: {row.problem}")
    nothing = not (answers["problem"] == "").any()
    if nothing and unread.empty:
        said = f"{prediction_output.NO_FACE} in any of {len(answers):,} pictures"
        _complain(f"{said}; without --find-faces a picture counts as one face")
    if nothing or len(unread):
        raise typer.Exit(REFUSED)


def _read(person: str, network: Path | None, int8: bool, paths: list[Path], how: dict):
    from mien.network import SHIPPED, backend

    if person or network:
        backend.check_backend()
    if person:
        from mien.study import parameters, predictions

        return predictions.read_photos(parameters.finished(person), paths, **how)
    from mien.photos.reading import read_faces

    if not network:
        return read_faces(paths, backend.by_openvino(SHIPPED, int8=int8), **how)
    from mien.network import architecture, inference, pretrained

    loaded = pretrained.load_network(network, dtype=architecture.fast_dtype())
    return read_faces(paths, inference.answerer(*loaded, batch_size=how["batch_size"]), **how)


def main() -> None:
    """Run the command; errors that are meant for people come without a traceback."""
    if os.environ.pop(system.TETHERED, ""):
        system.end_with_stdin()
    for stream in (sys.stdout, sys.stderr):  # whatever their encoding, say what can be said
        stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = lambda message, *where: _complain(message, style="yellow")
    try:
        app()
    except MienError as error:
        error_console.print(f"mien: {error}", markup=False, style="red")
        sys.exit(error.exit_status)
    except SystemExit as ended:
        if ended.code == STOPPED:  # Typer has made a status of Ctrl-C
            keeps = sys.argv[1:2] in (["run"], ["sweep"], ["collect"], ["measure"])
            told = "; the same command goes on where this one was" if keeps else ""
            error_console.print(f"mien: stopped{told}")
        raise


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal; hand out what takes it one step further."""
    from rich.progress import Progress

    shown = error_console.is_terminal
    with Progress(console=error_console, transient=True, disable=not shown) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _load(study_file: Path, settings: list[str] | None, out: str) -> "Study":
    from mien.study.parameters import load_study

    return load_study(study_file, [*(settings or []), *([f"out={out}"] if out else [])])


def _shown(path: Path) -> Path:
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say_where(what: str, path: Path) -> None:
    out_console.print(f"{what} [bold]{escape(str(_shown(path)))}[/bold]")


def _complain(problem: object, *, style: str = "red") -> None:
    error_console.print(f"mien: {printable(problem)}", markup=False, style=style)


if __name__ == "__main__":
    main()
