"""What a chapter's results depend on, and what of it has changed since they were made."""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mien.study import profiles, provenance, results
from mien.study.chapter import TAG
from mien.study.parameters import ChapterPlan, Study

PACKAGE = Path(__file__).parents[1]

#: Rooms that change no number by themselves: the settings of a profile are compared by value, the
#: command line only starts what is compared here.
_SILENT = {"cli.py", "study/profiles.py"}


def library(folders: Iterable[str]) -> dict[str, str]:
    """Return a hash of the rooms at the package's root, and one of each of these folders.

    Parameters
    ----------
    folders : iterable of str
        Names of folders of the package.

    Returns
    -------
    dict of str to str
        16 hexadecimal digits of a SHA-256 over names and bytes of the files, by folder; the
        root's name is ``mien``.
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


#: Parameters that say where things lie; what lies there is compared by content.
PLACES = {"name", "out", "fer2013", "target"}

#: Packages that render pages or are compared file by file.
_SILENT_PACKAGES = {"mien", "nbconvert"}


@dataclass(frozen=True)
class Source:
    """The notebook of a chapter as it stands in the project."""

    path: Path

    @classmethod
    def of(cls, plan: ChapterPlan) -> "Source":
        """Return the notebook of a chapter."""
        return cls(results.notebook_source(plan.notebook))

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The notebook's cells."""
        return json.loads(self.path.read_text(encoding="utf-8"))["cells"]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the text of all cells."""
        told = [[cell["cell_type"], _text(cell)] for cell in self.cells]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def parameters(self) -> list[str]:
        """The names in the cell tagged ``parameters``."""
        cells = [cell for cell in self.cells if "parameters" in cell["metadata"].get("tags", [])]
        lines = [line for cell in cells for line in ast.parse(_text(cell)).body]
        targets = [getattr(line, "target", None) or line.targets[0] for line in lines]
        return [target.id for target in targets]

    @property
    def gaps(self) -> list[str]:
        """The gaps that take cells away (`mien.study.chapter`)."""
        tags = [tag for cell in self.cells for tag in cell["metadata"].get("tags", [])]
        return [tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)]


def ingredients(
    study: Study,
    plan: ChapterPlan,
    data: Mapping[str, str],
    missing: Mapping[str, str],
    outcomes: Mapping[str, str | None],
) -> dict[str, Any]:
    """Return everything that a chapter's results depend on.

    Parameters
    ----------
    study : Study
    plan : ChapterPlan
    data : mapping
        Fingerprints of ``fer2013`` and ``target``.
    missing : mapping
        What the study must do without (`mien.study.chapter`).
    outcomes : mapping
        What is known of the results of earlier parts (`mien.running.record.outcome`).

    Returns
    -------
    dict
        ``notebook`` (hash), ``library`` (the folders that it needs: hash), ``parameters`` (that it
        takes, but for places; every one where it tells the command that repeats the study),
        ``profile`` (the settings that it declares), ``data`` (that it declares), ``missing``
        (that concerns it), ``versions``, ``reads``.
    """
    source = Source.of(plan)
    takes = set(Study.model_fields if plan.tells_command else source.parameters)
    return {
        "notebook": source.digest,
        "library": library(plan.library),
        "parameters": study.model_dump(include=takes - PLACES),
        "profile": {
            name: results.plain(value)
            for name, value in profiles.PROFILES[study.profile].items()
            if name in plan.settings
        },
        "data": {name: data[name] for name in plan.data if name in data},
        "missing": {
            gap: reason
            for gap, reason in missing.items()
            if gap in (plan.part, *plan.reads, *source.gaps)
        },
        "versions": {
            name: number
            for name, number in provenance.versions().items()
            if name not in _SILENT_PACKAGES
        },
        "reads": {part: outcomes.get(part) for part in plan.reads},
    }


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a chapter's ingredients."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two sets of ingredients.

    Examples
    --------
    >>> changes({"parameters": {"epochs": 3}}, {"parameters": {"epochs": 5}})
    ['parameter epochs was 3, is 5']
    """
    found = {kind: _differing(before.get(kind), now.get(kind)) for kind in _KINDS}
    said = ["notebook changed"] if before.get("notebook") != now.get("notebook") else []
    said += ["library: " + ", ".join(found["library"]) + " changed"] if found["library"] else []
    said += _was_is("parameter ", "parameters", found, before, now)
    if "profile" not in found["parameters"]:
        said += _was_is("profile setting ", "profile", found, before, now)
    said += [f"data: {name} changed" for name in found["data"]]
    said += [f"{gap} is left out or back" for gap in found["missing"]]
    said += _was_is("", "versions", found, before, now)
    said += [f"{part} ran again, with other results" for part in found["reads"]]
    return said


_KINDS = ("library", "parameters", "profile", "data", "missing", "versions", "reads")


def _differing(before: Mapping | None, now: Mapping | None) -> list[str]:
    before, now = before or {}, now or {}
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _was_is(
    prefix: str, kind: str, found: Mapping[str, list[str]], before: Mapping, now: Mapping
) -> list[str]:
    was, has = before.get(kind) or {}, now.get(kind) or {}
    return [
        f"{prefix}{name} was {was.get(name, 'not there')}, is {has.get(name, 'gone')}"
        for name in found[kind]
    ]


def _text(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
