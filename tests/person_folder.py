"""A person's folder that tests fill: pictures of a few pixels, tables as the tools write them."""

from pathlib import Path

import pandas as pd
from PIL import Image

from mien.data.person import Person
from mien.errors import Finding

FIELDS = list(Finding._fields)


def add_pictures(folder: Path, *places: str) -> None:
    """Draw pictures below ``images/``, each of its own grey."""
    for number, place in enumerate(places):
        path = folder / "images" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 6), 40 + number).save(path)


def add_table(folder: Path, place: str, text: str, encoding: str = "utf-8") -> None:
    """Write a table as it is, line ends and all."""
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def lost(person: Person) -> pd.DataFrame:
    """Return what of the person's files is not used, one line each."""
    return pd.DataFrame([found for found in person.findings if found.lost], columns=FIELDS)


def noted(person: Person) -> pd.DataFrame:
    """Return what is used and yet told."""
    return pd.DataFrame([found for found in person.findings if not found.lost], columns=FIELDS)
