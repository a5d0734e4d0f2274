"""The ``mien`` command.

What only one command needs is imported there: ``mien --help`` shall not wait for pandas.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mien import system
from mien.errors import DataError, MienError, ParameterError, grouped, printable

if TYPE_CHECKING:
    from mien.study.parameters import Study

#: Exit status of the command, beside those of errors (`mien.errors`).
DONE, CHAPTER_FAILED, REFUSED, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="What reads one person's face better: designed features, or learned ones?",
)
out_console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)
StudyFile = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY", help="a YAML file of parameters, or a study's name: demo, fer2013, person"
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="change one parameter")
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="where results go")]


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"mien {metadata.version('mien')}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="show it, end")
    ] = False,
) -> None: ...


@app.command()
def run(
    study_file: StudyFile,
    settings: Settings = None,
    out: Out = "",
    only: Annotated[str, typer.Option(metavar="A1,C", help="run only these chapters")] = "",
    force: Annotated[bool, typer.Option("--force", help="run what is current, too")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="chapters side by side")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="of each chapter; else all cores")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="longest time a chapter may take")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="share finished chapters with other studies"),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="wait for another run of this study")
    ] = False,
) -> None:
    """Run a study: its chapters in order, then its pages."""
    from mien.running import console, scheduler
    from mien.study.parameters import parts_to_run

    study = _load(study_file, settings, out)
    options = scheduler.Options(force, jobs, minutes, threads, store, wait)
    with console.Teller(study, out_console) as teller:
        page = scheduler.run(study, parts_to_run(only), options, tell=teller, tell_data=_tell_data)
    out_console.print(f"The report is in [bold]{_shown(page)}[/bold]")


@app.command()
def sweep(
    study_file: StudyFile,
    grid: Annotated[
        list[str], typer.Option("--grid", metavar="NAME=V1,V2", help="vary one parameter")
    ],
    settings: Settings = None,
    out: Out = "",
    only: Annotated[str, typer.Option(metavar="A1,C", help="run only these chapters")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="runs at once on this machine")] = 1,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="run on this Dask cluster instead")
    ] = "",
    threads: Annotated[
        int, typer.Option(min=0, help="threads of each run; 0: its share of the cores")
    ] = 0,
) -> None:
    """Run a study for every combination of some parameters' values, then compare them."""
    from concurrent.futures import ThreadPoolExecutor

    from mien.sweep import planning, runs

    if scheduler and jobs > 1:
        raise ParameterError("--jobs is for this machine, --scheduler for a cluster; leave one out")
    planned = planning.plan(
        study_file, planning.read_grid(grid), settings=settings or [], out=out, only=only
    )
    if not scheduler:
        threads = threads or max(1, system.cores() // jobs)
    pool = runs.dask_cluster(scheduler) if scheduler else ThreadPoolExecutor(jobs)
    with pool as executor:
        planning.check_data(planned)
        out_console.print(f"Sweep {planned.name}: {len(planned.runs)} runs", markup=False)
        statuses = runs.run(planned, executor, threads=threads, tell=_tell_run)
    from mien.sweep import pages  # here, because importing nbconvert takes seconds

    page = pages.render(planned, statuses)
    out_console.print(f"The sweep's page is in [bold]{_shown(page)}[/bold]")
    if any(status.state != "done" for status in statuses.values()):
        raise typer.Exit(CHAPTER_FAILED)


def _tell_run(status) -> None:
    if status.message:
        error_console.print(str(status), markup=False, style="red")
    else:
        out_console.print(str(status), markup=False)


@app.command()
def compare(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY…", help="files, names or results' folders")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="folder for the page")],
) -> None:
    """Put finished studies side by side: which model leads for whom, and over all persons."""
    from mien.sweep import studies as side_by_side

    page = side_by_side.render(studies, to)
    out_console.print(f"The comparison is in [bold]{_shown(page)}[/bold]")


@app.command()
def status(study_file: StudyFile, settings: Settings = None, out: Out = "") -> None:
    """Show which chapters of a study are current, and why others are not; run nothing."""
    from rich.markup import escape
    from rich.table import Table

    from mien.running import record, scheduler

    study = _load(study_file, settings, out)
    table = Table("chapter", "", "state", "why", box=None, pad_edge=False)
    for standing in record.status(study, scheduler.check_data(study)):
        colour = _COLOURS.get(standing.state, "yellow")
        why = "\n".join(standing.reasons)
        cells = (standing.plan.part, standing.plan.title, standing.state, why)
        table.add_row(*map(escape, cells), style=colour)
    Console(highlight=False).print(table)


_COLOURS = {"current": "green", "failed": "red", "running": "cyan", "skipped": "dim"}


@app.command()
def check(
    study_file: StudyFile,
    settings: Settings = None,
    out: Out = "",
    as_json: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
) -> None:
    """Check the parameters and the data of a study, and say what is not used; run nothing."""
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
    _say("results", _shown(study.folder))
    if found.lost:
        unused = sum(finding.count for finding in found.lost)
        told = "1 thing is" if unused == 1 else f"{unused:,} things are"
        out_console.print(f"{told} not used, or not as meant; see lost.")
    else:
        out_console.print("Everything is in order.")


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
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="they go into its notebooks/")],
    force: Annotated[bool, typer.Option("--force", help="replace what was changed there")] = False,
    exercises: Annotated[
        bool, typer.Option("--exercises", help="tasks for a course instead, in exercises/")
    ] = False,
    solutions: Annotated[
        bool, typer.Option("--solutions", help="their solutions instead, in solutions/")
    ] = False,
) -> None:
    """Copy the chapters and studies out; a run that is started in DIR takes these copies."""
    from mien import project

    if not (exercises or solutions):
        copies = project.copy_notebooks(folder, force=force)
        out_console.print(f"Chapters and studies are in [bold]{_shown(copies)}[/bold]")
        return
    from mien.exercises import tasks

    for wanted, solved in ((exercises, False), (solutions, True)):
        if wanted:
            written = tasks.write(folder, solved=solved, force=force)
            out_console.print(f"The chapters are in [bold]{_shown(written)}[/bold]")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to write the drawn data")],
    seed: Annotated[int, typer.Option(min=0, help="another seed draws other faces")] = 0,
) -> None:
    """Write the synthetic data: a crowd and one person, drawn from Action Units."""
    from mien.synthetic.dataset import write_demo

    write_demo(folder, seed=seed)
    out_console.print(f"Drawn faces are in [bold]{_shown(folder)}[/bold]")


@app.command()
def label(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="the person's folder")],
    rater: Annotated[str, typer.Option(metavar="NAME", help="who rates; else the login")] = "",
    what: Annotated[str, typer.Option(metavar="unknown|labelled|all")] = "unknown",
    again: Annotated[bool, typer.Option("--again", help="show every tenth face twice")] = False,
    study: Annotated[str, typer.Option(metavar="DIR", help="results to compare with")] = "",
    settle: Annotated[bool, typer.Option("--settle", help="turn agreement into labels")] = False,
    alone: Annotated[bool, typer.Option("--alone", help="one rater is enough to settle")] = False,
) -> None:
    """Rate faces in JupyterLab, or settle what raters agree on as labels.csv."""
    import getpass
    import subprocess
    import tempfile

    from mien.data.person import load_person
    from mien.labelling import rating_results, ratings

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
        notebook = rating_results.notebook_for(folder, Path(where), **given)
        subprocess.run([sys.executable, "-m", "jupyterlab", str(notebook)], check=False)


@app.command()
def collect(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="folder for the faces")],
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE…", help="photos, videos, folders, globs")
    ] = None,
    pick: Annotated[
        str, typer.Option(metavar="largest|all", help="of several faces in a picture")
    ] = "largest",
    clip_minutes: Annotated[
        float, typer.Option(min=0, help="photos taken within so many minutes are one clip")
    ] = 2.0,
    strike: Annotated[
        Path | None, typer.Option(metavar="LIST", help="delete the faces that contact.html listed")
    ] = None,
) -> int:
    """Cut the faces out of photos and videos, into a person's folder.

    Interrupted and called again, it goes on; called with other sources, it adds to the folder.
    Exit status: 0 all was read, 2 something could not be read or no face was found at all.
    """
    from mien.photos import collection
    from mien.photos.collected_folder import CollectedFolder

    if not sources and not strike:
        raise ParameterError("name the photos, videos or folders to collect from")
    album = CollectedFolder(to)
    if strike:
        struck = album.strike(_lines(strike))
        album.write_pages()
        out_console.print(f"{struck} faces are struck out")
    if not sources:
        return DONE
    photos, films = collection.plan(sources, album, clip_minutes=clip_minutes)
    with _bar("Looking for faces", collection.steps(photos, films)) as advance:
        told = collection.collect(photos, films, album, pick=pick, on_picture=advance)
    for problem in told.problems:
        error_console.print(f"mien: {printable(problem)}", markup=False, style="red")
    out_console.print(
        f"{told.pictures:,} pictures looked at: {told.faceless:,} without a face, {told.alike:,}"
        " near-duplicates left out"
    )
    faces = len(album.table())
    if not faces:
        raise DataError("no face was found")
    page = _shown(to / "contact.html")
    out_console.print(f"{faces:,} faces are in [bold]{_shown(to)}[/bold], to be seen on {page}")
    return REFUSED if told.problems else DONE


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


@app.command()
def measure(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="the person's folder")],
) -> None:
    """Measure the blendshapes of a person's photos and write them as blendshapes.csv."""
    from mien.photos import blendshapes, face_cache

    pictures = face_cache.pictures_of(folder)
    with _bar("Measuring faces", len(pictures)) as advance:
        measured = blendshapes.measure(pictures, on_picture=advance)
    faceless = measured.loc[measured["success"] == 0, "file_name"]
    for name in faceless:
        error_console.print(f"mien: {printable(name)}: no face found", markup=False)
    if len(faceless) == len(measured):
        raise DataError(f"no face was found in any of {len(measured):,} pictures")
    blendshapes.write_table(measured, folder / blendshapes.FILE)
    out_console.print(
        f"The blendshapes of {len(measured) - len(faceless):,} faces are in"
        f" [bold]{_shown(folder / blendshapes.FILE)}[/bold]"
    )


@app.command()
def publish(
    study_file: Annotated[
        Path, typer.Argument(metavar="STUDY", help="or the folder of a sweep or comparison")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="folder for the pages")],
    settings: Settings = None,
    out: Out = "",
    only: Annotated[str, typer.Option(metavar="A1,C", help="publish only these chapters")] = "",
    faces: Annotated[
        bool | None, typer.Option("--faces/--no-faces", help="say which, unless they are drawn")
    ] = None,
    notebooks: Annotated[
        bool, typer.Option("--notebooks", help="add the executed notebooks, linked to figures")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="add index.pdf, by Chromium")] = False,
) -> None:
    """Gather the pages of a study into a folder that any web server serves as it is."""
    from mien.running import pages
    from mien.running.record import Record
    from mien.study.parameters import parts_to_run

    if (study_file / "index.html").is_file() and not (study_file / "study.json").is_file():
        if only or notebooks:
            raise ParameterError("--only and --notebooks are for a study, not a folder of pages")
        page = pages.publish_folder(study_file, to, faces=faces, pdf=pdf)
        out_console.print(f"The pages are in [bold]{_shown(page.parent)}[/bold]")
        return
    study = _load(study_file, settings, out)
    record = Record.read(study)
    if faces is None and study.target != "demo":
        raise ParameterError(pages.ASK)
    if record.parts and (wrong := record.contradictions(study)):
        raise DataError(
            f"the chapters in {study.folder} do not belong together ({'; '.join(wrong)}); run the "
            "whole study again (mien run, without --only)"
        )
    parts = [plan.part for plan in parts_to_run(only)] if only else []
    more = {"only": parts, "notebooks": notebooks, "pdf": pdf}
    page = pages.publish(study.folder, to, faces=faces is not False, **more)
    out_console.print(f"The pages are in [bold]{_shown(page.parent)}[/bold]")


@app.command()
def predict(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE…", help='files, folders, globs such as "*.jpg"'),
    ] = None,
    person: Annotated[
        str, typer.Option(metavar="STUDY", help="with the model that a study has of its person")
    ] = "",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="of that model: how much it answers at which errors")
    ] = False,
    find_faces: Annotated[
        bool, typer.Option("--find-faces", help="find the faces in every picture first")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="write csv")] = False,
    network: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE.keras", help="a study's network")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="faces that are read at once")] = 256,
) -> int:
    """Read the expressions in pictures with the network that comes with mien, or a study's model.

    Exit status: 0 every picture was read, 2 one could not be read or no face was found in any.
    """
    from mien import prediction_output
    from mien.data.images import find_images
    from mien.network.backend import quiet

    if as_json and as_csv:
        raise ParameterError("--json and --csv are two answers; choose one")
    asked = not images and person if coverage else images
    if not asked or (person and network):
        raise ParameterError(
            "name IMAGES, and --person STUDY or --weights FILE; or --person STUDY --coverage alone"
        )
    if coverage:
        from mien.study import parameters, results

        card, _ = results.load_winner(parameters.finished(person))
        out_console.print(prediction_output.trade_table(card))
        return DONE
    paths = find_images(images)
    how = {"find_faces": find_faces, "batch_size": batch_size}
    with _bar("Reading faces", len(paths)) as advance, quiet():
        answers = _read(person, network, paths, {**how, "on_picture": advance})
    if as_json:
        typer.echo(prediction_output.as_json(answers))
    elif as_csv:
        typer.echo(prediction_output.as_csv(answers), nl=False)
    else:
        out_console.print(prediction_output.as_table(answers))
    return _problems(answers)


def _read(person: str, network: Path | None, paths: list[Path], how: dict):
    if person:
        from mien.network import backend
        from mien.study import parameters, predictions

        backend.check_backend()
        return predictions.read_photos(parameters.finished(person), paths, **how)
    from mien.network import SHIPPED, backend
    from mien.photos.reading import read_faces

    if network is None and len(paths) <= backend.FEW:
        return read_faces(paths, backend.by_numpy(SHIPPED), **how)
    backend.check_backend()
    from mien.network import inference

    loaded = inference.load_network(network)
    return read_faces(paths, inference.answerer(*loaded, batch_size=how["batch_size"]), **how)


def main() -> None:
    """Run the command; errors that are meant for people come without a traceback."""
    system.fasten()
    for stream in (sys.stdout, sys.stderr):  # whatever their encoding, say what can be said
        stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
        if code == STOPPED:  # Typer has made a status of Ctrl-C
            raise KeyboardInterrupt
    except MienError as error:
        error_console.print(f"mien: {error}", markup=False, style="red")
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        error_console.print("mien: stopped")
        sys.exit(STOPPED)
    except Exception as error:
        # Typer's own usage errors know how to show themselves and their exit status, 2.
        if not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(getattr(error, "exit_code", REFUSED))
    sys.exit(code if isinstance(code, int) else DONE)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal; hand out what takes it one step further."""
    from rich.progress import Progress

    shown = error_console.is_terminal
    with Progress(console=error_console, transient=True, disable=not shown) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _problems(answers) -> int:
    """Say what could not be read; return the exit status."""
    from mien.prediction_output import NO_FACE

    unread = answers[~answers["problem"].isin(["", NO_FACE])]
    for row in unread.itertuples():
        told = printable(f"{row.file}: {row.problem}")
        error_console.print(f"mien: {told}", markup=False, style="red")
    nothing = not (answers["problem"] == "").any()
    if nothing and unread.empty:
        said = f"mien: {NO_FACE} in any of {len(answers):,} pictures; without --find-faces a"
        error_console.print(f"{said} picture counts as one face", style="red")
    return REFUSED if nothing or len(unread) else DONE


def _load(study_file: Path, settings: list[str] | None, out: str) -> "Study":
    from mien.study.parameters import load_study

    return load_study(study_file, [*(settings or []), *([f"out={out}"] if out else [])])


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    main()
