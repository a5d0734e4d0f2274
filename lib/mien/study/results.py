"""What a run keeps on disk, whole or not at all, and where in the folder of its study."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien import project
from mien.emotions import SHARES
from mien.errors import DataError
from mien.files import atomic_write, whole_folder

#: The variable by which a run of the whole study tells its kernels which folder is theirs.
RUN = "MIEN_RUN"

#: Parameters that say where things lie; what lies there is compared by content.
PLACES = frozenset({"name", "out", "fer2013", "target"})

#: Columns of predictions.csv, in order.
PREDICTION_COLUMNS = ("file_name", "set", "clip", "fold", "truth", "predicted", *SHARES)


def study_folder(name: str, out: str | Path = "") -> Path:
    """Return the folder of a study: ``out`` itself, or ``reports/<name>`` where it is empty."""
    return Path(out) if str(out) else project.project_root() / "reports" / name


def part_folder(study: Path, part: str) -> Path:
    """Return where the results of one part (``"A1"`` …) of a study lie."""
    return study / "results" / part


def model_path(study: Path, name: str) -> Path:
    """Return where the model called ``name`` (with its ending) of a study lies."""
    return study / "models" / name


def training_file(part: str, number: int) -> str:
    """Return the name of a part's network that was trained as the ``number``-th, from 0."""
    return f"{part}-{number + 1}.keras" if number else f"{part}.keras"


def models_of(study: Path, part: str) -> list[Path]:
    """Return the finished models of one part, all trainings; of C the person's with its cards."""
    if part == "C":
        return sorted((study / "models" / "person").glob("*"))
    found = sorted((study / "models").glob(f"{part}[.-]*"))
    return [path for path in found if ".checkpoint" not in path.name]


def checkpoints_of(study: Path, part: str) -> list[Path]:
    """Return what unfinished trainings of one part have left."""
    return sorted((study / "models").glob(f"{part}[.-]*checkpoint*"))


def notebook_path(study: Path, name: str) -> Path:
    """Return where the executed notebook called ``name`` (without ending) of a study lies."""
    return study / "notebooks" / f"{name}.ipynb"


def plain(value: Any) -> Any:
    """Return ``value`` in the types that JSON has; not-a-number and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict("records"))
    if isinstance(value, list | tuple | np.ndarray | pd.Series | pd.Index):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON to ``path``, whole or not at all."""
    with atomic_write(path) as temporary:
        text = json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=False)
        Path(temporary).write_text(text + "\n", encoding="utf-8")


def remove_leftovers(study: Path) -> None:
    """Remove what a killed run was writing; only for who holds the study's lock."""
    for folder in (study, study / "results", study / "models", study / "notebooks"):
        for path in folder.glob(".*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif not path.name.endswith(".lock"):
                path.unlink(missing_ok=True)


def save(
    study: Path,
    part: str,
    metrics: Mapping[str, Any],
    *,
    predictions: pd.DataFrame | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write metrics.json, predictions.csv and other tables of one part; return their folder.

    ``results/<part>`` appears whole or not at all; each of the ``tables`` becomes ``<name>.csv``.
    `DataError` if the predictions lack one of `PREDICTION_COLUMNS` or name a file twice.
    """
    tables = dict(tables or {})
    if predictions is not None:
        missing = [name for name in PREDICTION_COLUMNS if name not in predictions.columns]
        if missing:
            raise DataError(f"the predictions of {part} lack the columns {', '.join(missing)}")
        repeated = predictions["file_name"][predictions["file_name"].duplicated()]
        if len(repeated):
            raise DataError(f"the predictions of {part} name {repeated.iloc[0]!r} more than once")
        tables["predictions"] = predictions[list(PREDICTION_COLUMNS)]
    folder = part_folder(study, part)
    with whole_folder(folder) as temporary:
        write_json(temporary / "metrics.json", metrics)
        for name, frame in tables.items():
            # Six decimals are far below any noise here, and keep the files equal from run to run.
            how = {"float_format": "%.6g", "lineterminator": "\n"}
            frame.to_csv(temporary / f"{name}.csv", index=False, **how)
    return folder


def load_metrics(study: Path, part: str) -> dict[str, Any]:
    """Return the metrics of an earlier part; `DataError` if it has not been run in this study."""
    return json.loads(_existing(study, part, "metrics.json").read_text(encoding="utf-8"))


def load_table(study: Path, part: str, name: str) -> pd.DataFrame:
    """Return one table (without ``.csv``) of an earlier part; an empty text stays empty."""
    path = _existing(study, part, f"{name}.csv")
    texts = dict.fromkeys(("file_name", "clip", "truth", "predicted", "set"), str)
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    return frame.fillna(dict.fromkeys(frame.select_dtypes(exclude="number"), ""))


def save_rows(path: Path, labels: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
    """Store what rivals read of all labelled faces, (n, d) by name, with the labels (n,)."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, labels=labels.astype(str), **rows)


def save_winner(study: Path, files: Mapping[str, Path], card: Mapping[str, Any], told: str) -> None:
    """Store the person's model, its ``files``, in ``models/person`` with card.json and card.md."""
    with whole_folder(study / "models" / "person") as temporary:
        for name, path in files.items():
            shutil.copyfile(path, temporary / f"{name}{path.suffix}")
        write_json(temporary / "card.json", card)
        (temporary / "card.md").write_text(told + "\n", encoding="utf-8")


def load_winner(study: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return what `save_winner` stored, card and files; `DataError` if there is no such model."""
    folder = study / "models" / "person"
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        files = {path.stem: path for path in folder.iterdir() if path.stem != "card"}
        return card, {"model": files.pop("model"), **files}
    except (OSError, ValueError, KeyError):
        raise DataError(
            f"there is no model of the person in {folder}; run the whole study (mien run): chapter "
            "C stores it"
        ) from None


def scores_by_set(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the scores of one part by the name of the evaluated set."""
    return {score["set"]: score for score in metrics["scores"]}


def _existing(study: Path, part: str, name: str) -> Path:
    path = part_folder(study, part) / name
    if not path.is_file():
        raise DataError(
            f"chapter {part} has left no {name} in {path.parent}; run chapter {part} of this study"
            f" first (mien run STUDY.yaml --only {part})"
        )
    return path
