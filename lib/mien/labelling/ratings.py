"""Raters' answers on disk, the order in which faces are shown, and what the answers say.

Labels where raters agree; the faces on which they differ; the models as raters.
"""

import hashlib
import io
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import filelock
import numpy as np
import pandas as pd

from mien import project
from mien.data.person import Person, majorities
from mien.emotions import EMOTIONS, UNKNOWN
from mien.errors import DataError, ParameterError, printable
from mien.evaluation.intervals import accuracy_interval, clustered_mean
from mien.evaluation.rater_agreement import rater_agreement
from mien.files import atomic_write, whole_folder
from mien.models import MODELS
from mien.study import results

FILE, LABELS = "ratings.csv", "labels.csv"

#: The columns of a new file. One that is there keeps its own, as long as it has the first three.
COLUMNS = ("file_name", "rater", "label", "seconds", "time")

#: What a rater may say of a face; "unknown" stands for "I cannot tell".
ANSWERS = (*EMOTIONS, UNKNOWN)


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
    shuffled = pd.Series(clips, dtype=object).iloc[random.permutation(len(clips))]
    faces = shuffled.groupby(shuffled)
    starts = shuffled.map({clip: random.random() for clip in shuffled.unique()})
    places = (faces.cumcount() + starts) / faces.transform("size")
    order = places.sort_values().index.tolist()
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
        said = _stripped(self._read()[0])
        own = said[said["rater"] == rater]
        return own.groupby("file_name", sort=False)["label"].agg(list).to_dict()

    def table(self) -> pd.DataFrame:
        """Return every rater's first answer to every face: ``file_name``, ``rater``, ``label``."""
        return _stripped(self._read()[0]).drop_duplicates(list(COLUMNS[:2]), ignore_index=True)

    def add(self, file_name: str, rater: str, label: str, *, seconds: float) -> None:
        """Append one answer; `DataError` if the disk does not take it, and nothing is changed."""
        row = {"file_name": file_name, "rater": rater, "label": label}
        row |= {"seconds": f"{seconds:.1f}", "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        self._change(lambda rows: pd.concat([rows, pd.DataFrame([row], columns=rows.columns)]))

    def change(self, file_name: str, rater: str, label: str | None) -> None:
        """Replace a rater's last answer to a face, or take it back (None); errors as `add`."""

        def changed(rows: pd.DataFrame) -> pd.DataFrame:
            said = _stripped(rows)
            own = rows.index[(said["file_name"] == file_name) & (said["rater"] == rater)][-1:]
            rows.loc[own, "label"] = label
            return rows.drop(index=own) if label is None else rows

        self._change(changed)

    def _change(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Write what ``change`` makes of the rows, read anew under the lock."""
        try:
            with filelock.FileLock(self.path.with_name(f".{FILE}.lock"), timeout=60):
                rows, how = self._read()
                with atomic_write(self.path) as part:
                    change(rows).to_csv(part, index=False, **how)
        except (OSError, filelock.Timeout) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{self.path} takes no answer: {reason}; nothing was changed") from None

    def _read(self) -> tuple[pd.DataFrame, dict[str, str]]:
        """Return the rows as they are, and how the file separates fields and lines."""
        try:
            text = self.path.read_bytes().decode("utf-8-sig") if self.path.exists() else ""
            text = text or ",".join(COLUMNS)
            first = text.partition("\n")[0]
            sep, end = max(",;\t", key=first.count), "\r\n" if first.endswith("\r") else "\n"
            rows = pd.read_csv(io.StringIO(text), sep=sep, dtype=str, na_filter=False)
            if not isinstance(rows.index, pd.RangeIndex):
                raise ValueError("its first line has more fields than its header")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} cannot be read as csv in UTF-8: {error}") from None
        rows.columns = rows.columns.str.strip()
        if not set(COLUMNS[:3]) <= set(rows):
            raise DataError(
                f"{self.path} has the columns {', '.join(rows)[:100]}, not file_name, rater and "
                "label; name them so, or move the file away"
            )
        return rows.fillna(""), {"sep": sep, "lineterminator": end}


def _stripped(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(COLUMNS[:3])].apply(lambda column: column.str.strip())


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


def folder_of(folder: str) -> Path:
    """Return a person's folder; for ``"demo"`` a copy of it in ``reports/label/person``."""
    if folder != "demo":
        return Path(folder).expanduser()
    from mien.synthetic.dataset import demo_folder  # here, because drawing is rarely needed

    copy = results.study_folder("label") / "person"
    if not copy.exists():
        with whole_folder(copy) as part:
            shutil.copytree(demo_folder() / "person", part, dirs_exist_ok=True)
    return copy


def notebook_for(folder: Path, where: Path, **parameters: object) -> Path:
    """Write ``notebooks/label.ipynb`` with some of its ``parameters`` into ``where``."""
    import papermill  # here, because it takes a second

    path, given = where / "label.ipynb", {"folder": str(folder.resolve()), **parameters}
    papermill.execute_notebook(project.notebook_source("label"), path, given, prepare_only=True)
    return path


def look(person: Person, table: pd.DataFrame, study: str = "") -> dict[str, pd.DataFrame]:
    """Return what `Ratings.table` says, with the models of a study's folder as raters, if any.

    Frames: ``pairs`` and ``groups`` as of `mien.evaluation.rater_agreement.Agreement`; ``differ``
    (``file_name`` and what every rater said, for the faces on which they differ); ``models``
    (``model``, ``n``, ``agreement`` with the raters' majority, 0..1, ``low`` and ``high``, its 95 %
    interval over clips).
    """
    told = table[table["label"] != UNKNOWN]
    answers, parts = {}, dict.fromkeys(model.part for model in MODELS.values())
    for part in parts if study and len(told) else ():
        home = Path(study).expanduser()
        if (results.part_folder(home, part) / "predictions.csv").exists():
            frame = results.load_table(home, part, "predictions")
            model = results.load_metrics(home, part)["model"]
            answers[model] = frame.set_index("file_name")["predicted"]
    agreement = rater_agreement(told, answers)
    said = table.pivot(index="file_name", columns="rater", values="label").fillna("")
    differ = said[[len(set(row) - {""}) > 1 for row in said.to_numpy()]]
    faces = person.faces.set_index("file_name")
    faces = faces.assign(majority=pd.Series(majorities(told), dtype=object))
    rows = []
    for model, given in answers.items():
        own = faces.assign(given=given.replace("", np.nan)).dropna(subset=["given", "majority"])
        right = (own["given"] == own["majority"]).to_numpy(float)
        if len(own):
            interval = accuracy_interval(clustered_mean(right, own["clip"]))
            rows.append((model, len(own), right.mean(), *interval))
    return {
        "pairs": agreement.pairs,
        "groups": agreement.groups,
        "differ": differ.rename(columns=printable).reset_index().rename_axis(columns=None),
        "models": pd.DataFrame(rows, columns=["model", "n", "agreement", "low", "high"]),
    }
