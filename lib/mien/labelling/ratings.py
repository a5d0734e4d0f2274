"""A rater's answers on disk, the order in which faces are shown, and labels from agreement."""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock
import numpy as np
import pandas as pd

from mien.data.person import Person
from mien.emotions import EMOTIONS, UNKNOWN
from mien.errors import DataError, ParameterError, printable
from mien.files import atomic_write

FILE, LABELS = "ratings.csv", "labels.csv"

#: The columns of a new file. One that is there keeps its own, as long as it has the first three.
COLUMNS = ("file_name", "rater", "label", "seconds", "time")

#: What a rater may say of a face; "unknown" stands for "I cannot tell".
ANSWERS = (*EMOTIONS, UNKNOWN)

#: Of so many faces one is shown a second time, for a rater's agreement with themself.
AGAIN_EVERY = 10


def rater_name(text: str) -> str:
    """Return a rater's name as it is written to disk; `ParameterError` if it is not fit."""
    name = text.strip()
    if not name or len(name) > 40 or printable(name) != name or name[0] in "=+-@":
        raise ParameterError(
            f"{printable(text)[:40]!r} is no rater's name: use 1 to 40 printable characters on one "
            "line, the first of them none of = + - @"
        )
    return name


def order_of_faces(clips: Sequence[str], rater: str) -> np.ndarray:
    """Return an order (n,) of faces of the rater's own, in which those of a clip are spread.

    Every clip's faces, shuffled, are set at equal distances with a random start; a face that would
    follow one of its own clip changes places with the next of another. The rater's name seeds it.
    """
    seed = int.from_bytes(hashlib.sha256(rater.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    of_clip = defaultdict(list)
    for face in random.permutation(len(clips)):
        of_clip[clips[face]].append(int(face))
    placed = [
        ((number + start) / len(faces), face)
        for faces, start in ((faces, random.random()) for faces in of_clip.values())
        for number, face in enumerate(faces)
    ]
    order = [face for _, face in sorted(placed)]
    for here in range(1, len(order)):
        before = clips[order[here - 1]]
        other = (there for there in range(here, len(order)) if clips[order[there]] != before)
        there = next(other, here)
        order.insert(here, order.pop(there))
    return np.array(order, dtype=int)


class Ratings:
    """``ratings.csv`` of a person's folder: every answer is on disk when the call returns.

    Several raters may write at once: each change reads the file anew under a lock and replaces it
    whole. Lines, columns and their order stay as they are. `DataError` if the file is there and is
    no table with ``file_name``, ``rater`` and ``label``.
    """

    def __init__(self, folder: Path):
        self.path = Path(folder) / FILE
        self._read()

    def of(self, rater: str) -> dict[str, list[str]]:
        """Return what a rater said of every face, in the order of the file."""
        said = defaultdict(list)
        for row in self._read()[1]:
            if row.get("rater", "").strip() == rater:
                said[row.get("file_name", "").strip()].append(row.get("label", "").strip())
        return dict(said)

    def table(self) -> pd.DataFrame:
        """Return every rater's first answer to every face: ``file_name``, ``rater``, ``label``."""
        rows = [[row.get(name, "").strip() for name in COLUMNS[:3]] for row in self._read()[1]]
        return pd.DataFrame(rows, columns=list(COLUMNS[:3])).drop_duplicates(list(COLUMNS[:2]))

    def add(self, file_name: str, rater: str, label: str, *, seconds: float) -> None:
        """Append one answer; `DataError` if the disk does not take it, and nothing is changed."""
        row = {"file_name": file_name, "rater": rater, "label": label}
        row |= {"seconds": f"{seconds:.1f}", "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        with self._changing() as rows:
            rows.append(row)

    def change(self, file_name: str, rater: str, label: str | None) -> None:
        """Replace a rater's last answer to a face, or take it back (None); errors as `add`."""
        with self._changing() as rows:
            for number in reversed(range(len(rows))):
                here = rows[number].get("file_name", "").strip(), rows[number].get("rater", "")
                if here == (file_name, rater):
                    if label is None:
                        del rows[number]
                    else:
                        rows[number]["label"] = label
                    return

    @contextmanager
    def _changing(self) -> Iterator[list[dict[str, str]]]:
        """Hand out the rows under the lock and write what the block has made of them."""
        try:
            with filelock.FileLock(self.path.with_name(f".{FILE}.lock"), timeout=60):
                columns, rows, dialect = self._read()
                yield rows
                text = io.StringIO(newline="")
                lines = csv.DictWriter(text, columns, extrasaction="ignore", **dialect)
                lines.writeheader()
                lines.writerows(rows)
                with atomic_write(self.path) as part:
                    part.write_bytes(text.getvalue().encode("utf-8"))
        except (OSError, filelock.Timeout) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{self.path} takes no answer: {reason}; nothing was changed") from None

    def _read(self) -> tuple[list[str], list[dict[str, str]], dict[str, str]]:
        """Return the columns, the rows, and how the file separates fields and lines."""
        dialect = {"delimiter": ",", "lineterminator": "\n"}
        if not self.path.exists():
            return list(COLUMNS), [], dialect
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} cannot be read as UTF-8: {error}") from None
        first = text.partition("\n")[0]
        dialect["delimiter"] = max(",;\t", key=first.count)
        dialect["lineterminator"] = "\r\n" if first.endswith("\r") else "\n"
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=dialect["delimiter"])
        columns = [name.strip() for name in next(lines, [])] or list(COLUMNS)
        if not set(COLUMNS[:3]) <= set(columns):
            raise DataError(
                f"{self.path} has the columns {', '.join(columns)[:100]}, not file_name, rater and "
                "label; name them so, or move the file away"
            )
        rows = [dict(zip(columns, line, strict=False)) for line in lines if line]
        return columns, rows, dialect


def with_themself(said: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    """Return how many faces a rater answered twice, and how many of them alike.

    Examples
    --------
    >>> with_themself({"a.jpg": ["sad", "sad"], "b.jpg": ["sad"], "c.jpg": ["sad", "fear"]})
    (2, 1)
    """
    twice = [answers[:2] for answers in said.values() if len(answers) > 1]
    return len(twice), sum(first == second for first, second in twice)


def settle(folder: Path, person: Person, *, alone: bool = False) -> pd.DataFrame:
    """Turn unknown faces on which the raters agree into labelled ones, in ``labels.csv``.

    Faces that it already names keep their label. More than half of at least two raters must agree,
    or of one where ``alone``; one who cannot tell does not agree. Returns the new lines:
    ``file_name``, ``label``, ``how`` (``"2 of 3 raters"``). `DataError` if ``ratings.csv`` cannot
    be read or ``labels.csv`` written.
    """
    unknown = set(person.faces.loc[person.faces["set"] == "unknown", "file_name"])
    rows = []
    for name, said in Ratings(folder).table().groupby("file_name")["label"]:
        label, votes = Counter(said).most_common(1)[0]
        enough = votes > len(said) / 2 and len(said) >= (1 if alone else 2)
        if name in unknown and label in EMOTIONS and enough:
            rows.append((name, label, f"{votes} of {len(said)} raters"))
    settled = pd.DataFrame(rows, columns=["file_name", "label", "how"])
    path = Path(folder) / LABELS
    try:
        before = [pd.read_csv(path, dtype=str)] if path.exists() else []
        if rows:
            with atomic_write(path) as part:
                pd.concat([*before, settled]).to_csv(part, index=False, lineterminator="\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be written: {error}") from None
    return settled


def disagreements(table: pd.DataFrame) -> pd.DataFrame:
    """Return the faces of `Ratings.table` on which raters differ, with a column for every rater."""
    said = table.pivot(index="file_name", columns="rater", values="label").fillna("")
    differ = [len(set(row) - {""}) > 1 for row in said.to_numpy()]
    return said[differ].rename(columns=printable).reset_index().rename_axis(columns=None)
