"""study.json: what was asked, what it ran on, and how every part of a study stands."""

import csv
import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mien import provenance, results
from mien.study import Study

#: What differs from run to run though the numbers are the same.
_PASSING = ("seconds", "provenance")


@dataclass
class Record:
    """study.json of one study.

    Attributes
    ----------
    path : Path
    parts : dict
        By part: ``state`` (running, done, failed, skipped), ``fingerprint`` and ``ingredients`` of
        its results (`mien.freshness`), ``outcome``, ``seconds``, ``threads``, ``git``,
        ``hardware``, ``finished``, ``from_store``.
    data : dict
        Fingerprints of the data.
    pages : dict
        ``shows``, a fingerprint of what the pages were rendered from, and ``open``, the name of
        the first one.
    """

    path: Path
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study) -> "Record":
        """Return the record of earlier runs of this study, or an empty one."""
        path = study.folder / "study.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(known["parts"]), dict(known["data"]), dict(known["pages"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def outcomes(self) -> dict[str, str | None]:
        """Return the outcome of every part that has one."""
        return {part: known.get("outcome") for part, known in self.parts.items()}

    def write(self, study: Study) -> None:
        """Write study.json, whole or not at all."""
        results.write_json(
            self.path,
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
    """Return the SHA-256 (hex) of what a part has found out, times and provenance left out.

    Two runs with the same numbers have the same outcome: of the tables every column but
    ``seconds`` counts, of metrics.json everything but ``seconds`` and ``provenance``, of a stored
    model the arrays and, where it is a network, its layers.

    Parameters
    ----------
    study_folder : Path
    part : str
        Its results are there.
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
