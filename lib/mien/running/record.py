"""study.json: how every chapter stands and why it would run again; chapters that studies share."""

import csv
import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mien import project
from mien.errors import DataError
from mien.files import atomic_write, whole_folder
from mien.study import profiles, provenance, results
from mien.study.parameters import CHAPTERS, ChapterPlan, Study

if TYPE_CHECKING:
    from mien.study.data_check import StudyData

#: What differs from run to run though the numbers are the same.
_PASSING = ("seconds", "provenance")

#: Said of results on disk that are not the recorded ones.
CHANGED = "its results were changed since it ran"


@dataclass
class Record:
    """study.json of one study.

    ``parts`` has by part: ``state`` (running, done, failed, skipped), ``fingerprint`` and
    ``ingredients`` of its results (`ingredients`), ``outcome``, ``seconds``,
    ``threads``, ``git``, ``hardware``, ``finished``, ``from_store``. ``data`` are fingerprints of
    the data. ``pages`` has ``shows``, a fingerprint of what the pages were rendered from, and
    ``open``, the name of the first one.
    """

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study) -> "Record":
        """Return the record of earlier runs of this study, or an empty one."""
        try:
            known = json.loads((study.folder / "study.json").read_text(encoding="utf-8"))
            return cls(dict(known["parts"]), dict(known["data"]), dict(known["pages"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def outcomes(self) -> dict[str, str | None]:
        """Return the outcome of every part that has one."""
        return {part: known.get("outcome") for part, known in self.parts.items()}

    def lacks(self, study: Study, plan: ChapterPlan) -> str | None:
        """Return in words what is wrong with a chapter's results on disk; None if nothing is."""
        known = self.parts.get(plan.part, {})
        if known.get("state") != "done":
            return "its last run did not end well"
        try:
            results.notebook_path(study.folder, plan.notebook).stat()
            same = outcome(study.folder, plan.part) == known.get("outcome")
        except (DataError, OSError, ValueError):
            return "its results are gone"
        return None if same else CHANGED

    def contradictions(self, study: Study) -> list[str]:
        """Return in words which chapters do not belong together; no data are read.

        A chapter that failed, whose results were changed, or that read other results or data than
        others.
        """
        found, data = [], {}
        for plan in CHAPTERS:
            known = self.parts.get(plan.part, {})
            if known.get("state") in (None, "skipped"):
                continue
            if lacking := self.lacks(study, plan):
                found.append(f"{plan.part}: {lacking}")
                continue
            inputs = known.get("ingredients", {})
            found += [
                f"{plan.part} read other results of {part} than are there"
                for part, was in inputs.get("reads", {}).items()
                if was != self.parts.get(part, {}).get("outcome")
            ]
            for name, digest in inputs.get("data", {}).items():
                other = data.setdefault(name, (plan.part, digest))
                if other[1] != digest:
                    found.append(f"{plan.part} read another {name} than {other[0]}")
        return found

    def write(self, study: Study) -> None:
        """Write study.json, whole or not at all."""
        results.write_json(
            study.folder / "study.json",
            {
                "name": study.name,
                "command": study.command,
                "parameters": study.model_dump(),
                "seeds": {"seed": study.seed},
                "versions": provenance.versions(),
                "hardware": provenance.hardware(),
                "git": provenance.git_state(),
                "data": self.data,
                "written": now(),
                "parts": self.parts,
                "pages": self.pages,
            },
        )


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def outcome(study_folder: Path, part: str) -> str:
    """Return the SHA-256 (hex) of what a part has found out: equal for equal numbers.

    Of tables and metrics.json everything but `_PASSING` counts, of a stored model the arrays and,
    where it is a network, its layers.
    """
    metrics = results.load_metrics(study_folder, part)
    told: dict[str, Any] = {
        "metrics": {name: value for name, value in metrics.items() if name not in _PASSING}
    }
    for path in sorted(results.part_folder(study_folder, part).glob("*.csv")):
        told[path.name] = _table(path)
    for path in results.models_of(study_folder, part):
        told[path.name] = _model(path)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _table(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        kept = [place for place, name in enumerate(header) if name not in _PASSING]
        for row in [header, *rows]:
            digest.update(repr([row[place] for place in kept if place < len(row)]).encode())
    return digest.hexdigest()


def _model(path: Path) -> list[Any]:
    # Both formats are zip files; what they hold beside arrays and layers names times and addresses.
    if not zipfile.is_zipfile(path):
        return [hashlib.sha256(path.read_bytes()).hexdigest()]
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    return sorted(
        member.CRC
        for member in members
        if member.filename.endswith((".npy", ".h5")) or member.filename == "config.json"
    )


PACKAGE = Path(__file__).parents[1]

#: Rooms that change no number by themselves: the settings of a profile are compared by value, the
#: command line only starts what is compared here.
_SILENT = {"cli.py", "prediction_output.py", "study/profiles.py"}


def library(folders: Iterable[str]) -> dict[str, str]:
    """Return a hash of the rooms at the package's root (``mien``), and one of each of some folders.

    16 hexadecimal digits of a SHA-256 over names and bytes of the files.
    """
    return {"mien": _hash(PACKAGE.glob("*.py"))} | {
        folder: _hash((PACKAGE / folder).rglob("*")) for folder in folders
    }


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        name = path.relative_to(PACKAGE).as_posix()
        if name not in _SILENT and "__pycache__" not in path.parts:
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


#: Packages that render pages or are compared file by file.
_SILENT_PACKAGES = {"mien", "nbconvert"}


def notebook_digest(plan: ChapterPlan) -> str:
    """Return the SHA-256 (hex) of text and tags of all cells of a chapter's notebook."""
    text = project.notebook_source(plan.notebook).read_text(encoding="utf-8")
    cells = [
        [cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])]
        for cell in json.loads(text)["cells"]
    ]
    return fingerprint(cells)


def ingredients(
    study: Study,
    plan: ChapterPlan,
    data: Mapping[str, str],
    missing: Mapping[str, str],
    outcomes: Mapping[str, str | None],
) -> dict[str, Any]:
    """Return everything that a chapter's results depend on.

    ``notebook`` (hash), ``library`` (the folders that it needs: hash), ``parameters`` (that it
    takes, but for places; every one where it tells the command that repeats the study), ``profile``
    (its settings), ``data`` (fingerprints), ``missing`` (of what the study must do without, that
    which concerns it), ``versions``, ``reads`` (outcomes of earlier parts).
    """
    takes = set(Study.model_fields) if plan.tells_command else plan.takes
    parameters = study.model_dump(include=takes - results.PLACES)
    if parameters.get("network", "").endswith(".keras"):
        content = Path(study.network).expanduser().read_bytes()
        parameters["network"] += f" ({hashlib.sha256(content).hexdigest()[:16]})"
    return {
        "notebook": notebook_digest(plan),
        "library": library(plan.library),
        "parameters": parameters,
        "profile": {
            name: results.plain(profiles.settings(study.profile, name)) for name in plan.settings
        },
        "data": {name: data[name] for name in plan.data if name in data},
        "missing": {
            gap: reason
            for gap, reason in missing.items()
            if gap in (plan.part, *plan.reads, *plan.data)
        },
        "versions": {
            name: number
            for name, number in provenance.versions().items()
            if name not in _SILENT_PACKAGES
        },
        "reads": {part: outcomes.get(part) for part in plan.reads},
    }


def fingerprint(ingredients: Any) -> str:
    """Return the SHA-256 (hex) of what JSON can hold, such as a chapter's ingredients."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


#: What is said of a name of each kind of ingredient that has changed.
_SAID = {
    "library": "library: {name} changed",
    "parameters": "parameter {name} was {was}, is {now}",
    "profile": "profile setting {name} was {was}, is {now}",
    "data": "data: {name} changed",
    "missing": "{name} is left out or back",
    "versions": "{name} was {was}, is {now}",
    "reads": "{name} ran again, with other results",
}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two sets of ingredients."""
    for name in before.get("library", {}):
        if name != "mien" and not (PACKAGE / name).is_dir():
            return ["an earlier mien made it, whose modules have moved; run it again"]
    said = ["notebook changed"] if before.get("notebook") != now.get("notebook") else []
    profiles = [made.get("parameters", {}).get("profile") for made in (before, now)]
    for kind, sentence in _SAID.items():
        was, has = before.get(kind, {}), now.get(kind, {})
        if kind != "profile" or profiles[0] == profiles[1]:  # else its settings go without saying
            said += [
                sentence.format(
                    name=name, was=was.get(name, "not there"), now=has.get(name, "gone")
                )
                for name in {**was, **has}
                if was.get(name) != has.get(name)
            ]
    return said


#: How a chapter stands that did not end, by the state in its record, and why.
_UNFINISHED = {
    None: ("missing", "it has not been run"),
    "running": ("stale", "its last run was interrupted"),
    "failed": ("failed", "its last run failed"),
    "skipped": ("missing", "it was left out"),
}


def status(
    study: Study, study_data: "StudyData", chapters: Sequence[ChapterPlan] = CHAPTERS
) -> dict[str, tuple[str, list[str]]]:
    """Return by part, in reading order, how chapters stand, and why in words; nothing is run.

    They are current, stale (would run again), missing (have no results), failed, running or
    skipped.
    """
    record, found = Record.read(study), {}
    for plan in chapters:
        if plan.part in study_data.left_out:
            found[plan.part] = ("skipped", [study_data.left_out[plan.part]])
            continue
        settled = ("current", "skipped")
        first = [part for part in plan.reads if part in found and found[part][0] not in settled]
        known = record.parts.get(plan.part, {})
        was = known.get("ingredients", {})
        # What those that run first will find is not known yet.
        outcomes = record.outcomes() | {part: was.get("reads", {}).get(part) for part in first}
        now = ingredients(study, plan, study_data.fingerprints, study_data.left_out, outcomes)
        reasons = changes(was, now) if known else []
        reasons += [f"{', '.join(first)} will run first"] if first else []
        state = known.get("state")
        if state == "running" and is_running(study):
            found[plan.part] = ("running", [])
        elif state in _UNFINISHED:
            stands, why = _UNFINISHED[state]
            found[plan.part] = (stands, [why, *reasons])
        elif reasons:
            found[plan.part] = ("stale", reasons)
        elif lacking := record.lacks(study, plan):
            found[plan.part] = ("stale" if lacking == CHANGED else "missing", [lacking])
        else:
            found[plan.part] = ("current", [])
    return found


def is_running(study: Study) -> bool:
    """Return whether some process holds the study."""
    try:
        with filelock.FileLock(study.folder / ".lock", timeout=0):
            return False
    except OSError as error:  # a folder that cannot be written holds no runner
        return isinstance(error, filelock.Timeout)


def keep(store: Path, study: Study, plan: ChapterPlan, state: dict[str, Any]) -> None:
    """Copy a finished chapter of a study into a folder of them, by its fingerprint."""
    entry = store / state["fingerprint"]
    if not entry.is_dir():
        with whole_folder(entry, replace=False) as temporary:
            _copy(study.folder, temporary, plan)
            results.write_json(temporary / "entry.json", state)


def take(store: Path, study: Study, plan: ChapterPlan, fingerprint: str) -> dict[str, Any] | None:
    """Copy a chapter into a study, return what `keep` was told of it; None if it is not there."""
    entry = store / fingerprint
    try:
        state = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        if outcome(entry, plan.part) != state["outcome"]:
            raise ValueError("the entry was changed")
        _copy(entry, study.folder, plan)
    except (FileNotFoundError, ValueError, KeyError, DataError):
        shutil.rmtree(entry, ignore_errors=True)
        return None
    import nbformat  # here, because few runs take a chapter from a store
    from papermill.parameterize import parameterize_notebook

    # The parameters that the executed notebook shows shall name this study and its places.
    path = results.notebook_path(study.folder, plan.notebook)
    notebook = nbformat.read(path, as_version=4)
    nbformat.write(parameterize_notebook(notebook, study.model_dump(include=plan.takes)), path)
    return {**state, "from_store": True}


def _copy(source: Path, target: Path, plan: ChapterPlan) -> None:
    """Let a folder have the results, models and executed notebook of a chapter in another."""
    for path in _files(target, plan):
        path.unlink(missing_ok=True)
    for path in _files(source, plan):
        with atomic_write(target / path.relative_to(source)) as temporary:
            shutil.copyfile(path, temporary)


def _files(folder: Path, plan: ChapterPlan) -> list[Path]:
    written = results.part_folder(folder, plan.part).glob("*")
    models = results.models_of(folder, plan.part)
    return [*written, *models, results.notebook_path(folder, plan.notebook)]
