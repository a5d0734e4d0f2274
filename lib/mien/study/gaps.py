"""What a study must do without, and what becomes of its chapters then.

A study may leave FER2013 out, and a person may have no Action Units. The chapters that cannot be
run then say why; of the others, the cells that carry a tag ``needs-<gap>`` (``needs-fer2013``,
``needs-A2``) are left out.
"""

import pandas as pd

from mien.data.person import Person
from mien.errors import DataError, printable
from mien.report import text
from mien.study.parameters import Study

#: The tag of a cell that a gap takes away is this and the gap's name.
TAG = "needs-"


def _example(labelled: pd.DataFrame) -> str:
    """Return a file's name and the clip that it tells."""
    face = labelled.iloc[0]
    return f"{printable(face['file_name'])} is of the clip {printable(face['clip'])}"


def gaps(study: Study, person: Person) -> dict[str, str]:
    """Return what the study must do without: ``"fer2013"`` or a part, and the reason in words.

    Raises
    ------
    DataError
        If the person's labelled images show fewer than two emotions: nothing could be compared;
        or if there are fewer clips than folds.
    """
    labelled = person.faces[person.faces["set"] == "labelled"]
    shown = sorted(set(labelled.loc[labelled["has_image"], "label"]))
    if len(shown) < 2:
        found = f"only {shown[0]}" if shown else "none"
        raise DataError(
            f"a study compares models on labelled images of two emotions or more, and {found} "
            f"is in {study.target}: sort images into images/<emotion>/ (mien predict reads "
            "faces without any labels)"
        )
    clips = labelled["clip"].nunique()
    if clips < study.folds:
        remedy = f"say folds={clips}, or label more" if clips > 1 else "label more"
        raise DataError(
            f"the labelled faces in {study.target} come from {text.count(clips, 'clip')}, too "
            f"few for {study.folds} folds that keep clips whole: {remedy}. A clip is what was "
            "filmed or taken in one go; its name is what stands before the last _ of a file's "
            f"name ({_example(labelled)}), so name pictures of different scenes differently"
        )
    found = {}
    if not study.fer2013:
        found["fer2013"] = "the study names no FER2013 (parameter fer2013)"
        found["A1"] = found["fer2013"] + ", from which this model would learn"
    if study.takes_shipped:
        why = found.get("fer2013", "the study says weights: shipped")
        found["B1"] = why + "; the network that comes with mien, already trained, takes its place"
    units = set(labelled.loc[labelled["has_units"], "label"])
    if len(units) < 2:
        found["A2"] = (
            f"labelled rows of Action Units show only {units.pop()}"
            if units
            else "the person has no labelled Action Units (a table of OpenFace, py-feat …)"
        )
    return found
