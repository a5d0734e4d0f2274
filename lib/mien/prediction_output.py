"""What was read in pictures (`mien.photos.reading`) as a table for the terminal, JSON or csv."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mien.emotions import EMOTIONS, SHARES, named
from mien.errors import printable

#: The problem of a picture in which no face was found; the answer of a model that abstains.
NO_FACE, UNSURE = "no face found", "unsure"
_PLACE = ("left", "top", "width", "height")


def face_table(rows: list[tuple], shares: np.ndarray) -> pd.DataFrame:
    """Return `read_faces` of ``rows`` and the probabilities (k, 7) of those without a problem.

    A row has ``file, face, left, top, width, height, problem``.
    """
    frame = pd.DataFrame(rows, columns=["file", "face", *_PLACE, "problem"], dtype=object)
    frame = frame.astype({"face": int, **dict.fromkeys(_PLACE, "Int64")})
    problems = frame.pop("problem")
    read = frame.index[problems == ""]
    answers = pd.DataFrame(shares.astype(float), columns=list(SHARES), index=read)
    answers.insert(0, "emotion", named(shares.argmax(axis=1)))
    answers.insert(1, "probability", shares.max(axis=1).astype(float))
    answers = answers.reindex(frame.index).fillna({"emotion": ""})
    return frame.join(answers).assign(problem=problems)


def as_table(answers: pd.DataFrame) -> Table:
    """Return what was read in pictures as a table for the terminal, shares in percent."""
    searched = bool(answers["left"].notna().any())
    folders = {file[: max(file.rfind("/"), file.rfind(os.sep)) + 1] for file in answers["file"]}
    folder = folders.pop() if len(folders) == 1 else ""
    shown = Table(box=SIMPLE_HEAD, padding=0, title_justify="left")
    shown.title = Text(f"in {printable(folder)}") if folder else None
    shown.add_column("file", overflow="fold")
    for name in (*(["face", "place"] if searched else []), "emotion"):
        shown.add_column(name, no_wrap=True)
    for name in ("%", *EMOTIONS):
        shown.add_column(name[:3], justify="right", no_wrap=True)
    for row in answers.to_dict("records"):
        shares = [row["probability"], *(row[f"p_{emotion}"] for emotion in EMOTIONS)]
        cells = [row["emotion"], *(f"{100 * share:.0f}" for share in shares)]
        if row["problem"]:
            cells = ["no face" if row["problem"] == NO_FACE else "unreadable"]
        if searched:
            place = "{width}x{height}+{left}+{top}".format_map(row) if row["face"] else ""
            cells = [str(row["face"] or ""), place, *cells]
        shown.add_row(Text(printable(row["file"].removeprefix(folder))), *cells)
    return shown


def trade_table(card: Mapping[str, Any]) -> Table:
    """Return what the model of a card (`mien.study.comparison.winner`) answers at which errors."""
    shown = Table(box=SIMPLE_HEAD, padding=0, title_justify="left")
    shown.title = Text(f"{card['model']}, {card['faces']} labelled faces, each held out")
    for name in ("errors at most", "answers from %", "answered %", "of these wrong %"):
        shown.add_column(name, justify="right")
    for row in card["coverage"]:
        cells = [row[name] for name in ("allowed", "threshold", "coverage", "error")]
        shown.add_row(*("–" if cell is None else f"{100 * cell:.0f}" for cell in cells))
    return shown


def as_json(answers: pd.DataFrame) -> str:
    """Return what was read in pictures as a JSON list with one object a face or a problem."""
    found = []
    for row in answers.to_dict("records"):
        box = [row[side] for side in _PLACE]
        shares = {emotion: round(row[f"p_{emotion}"], 4) for emotion in EMOTIONS}
        found.append(
            {
                "file": row["file"],
                "face": row["face"] or None,
                "box": None if pd.isna(box[0]) else list(map(int, box)),
                "emotion": row["emotion"] or None,
                "probability": None if row["problem"] else round(row["probability"], 4),
                "probabilities": None if row["problem"] else shares,
                "problem": row["problem"] or None,
            }
        )
    return json.dumps(found, indent=1)


def as_csv(answers: pd.DataFrame) -> bytes:
    """Return the frame as csv in UTF-8, names that are no UTF-8 by their bytes.

    What could steer a terminal, other than an end of line, becomes the replacement character.
    """
    harmless = answers.assign(file=["".join(map(_harmless, name)) for name in answers["file"]])
    csv = harmless.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    return csv.encode("utf-8", "surrogateescape")


def _harmless(char: str) -> str:
    kept = char.isprintable() or char in "\t\r\n" or "\udc80" <= char <= "\udcff"
    return char if kept else "\ufffd"
