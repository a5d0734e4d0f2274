"""What a chapter's results depend on, and what of it has changed since they were made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mien import project
from mien.study import profiles, provenance, results
from mien.study.parameters import ChapterPlan, Study

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
