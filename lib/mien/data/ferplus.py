"""FER+, ten raters' votes on every face of FER2013, where its file lies beside the data.

Barsoum, Zhang, Canton Ferrer and Zhang 2016, "Training deep networks for facial expression
recognition with crowd-sourced label distribution", arXiv:1608.01041;
github.com/microsoft/FERPlus, ``fer2013new.csv``: one line a face, in FER2013's order.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.fer2013 import Fer2013
from mien.errors import DataError

FILE = "fer2013new.csv"

#: FER+'s columns in the order of `mien.emotions.EMOTIONS`, then those without a class.
COLUMNS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
OTHERS = ("contempt", "unknown", "NF")


def votes(crowd: Fer2013) -> np.ndarray | None:
    """Return how many FER+ raters saw what in every face, or None where their file is not there.

    Int (n, 10): the seven emotions in their order, then `OTHERS`. `DataError` if the file, beside
    the source of ``crowd``, is no such table, or does not fit the faces row by row.
    """
    source = Path(crowd.source).expanduser()
    path = (source if source.is_dir() else source.parent) / FILE
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{FILE} cannot be read as FER+'s votes: {error}") from None
    if missing := [name for name in ("Usage", *COLUMNS, *OTHERS) if name not in table.columns]:
        raise DataError(f"{FILE} lacks the columns {', '.join(missing)} of FER+")
    wrong = table[[*COLUMNS, *OTHERS]].apply(pd.to_numeric, errors="coerce").isna().any(axis=1)
    if wrong.any():
        raise DataError(f"{FILE}, row {wrong.idxmax() + 1}: a vote is no number")
    if len(table) != len(crowd.usage):
        raise DataError(
            f"{FILE} has {len(table):,} rows, but {len(crowd.usage):,} faces were read; FER+ fits "
            "FER2013 in its original order, without left-out rows"
        )
    other = np.flatnonzero(table["Usage"].str.strip().to_numpy() != crowd.usage)
    if len(other):
        raise DataError(
            f"{FILE}, row {other[0] + 1}: usage is {table['Usage'].iloc[other[0]]!r}, that of the "
            f"face {crowd.usage[other[0]]!r}; FER+ fits FER2013 in its original order"
        )
    return table[[*COLUMNS, *OTHERS]].to_numpy(int)
