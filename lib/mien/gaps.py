"""What a study must do without, and what that leaves of its notebooks.

A study may leave FER2013 out, and a person may have no Action Units. The chapters that cannot be
run then say why; of the others, the cells that carry a tag ``needs-<gap>`` (``needs-fer2013``,
``needs-A2``) are left out.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from mien.errors import DataError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from mien.study import Study
    from mien.target import Target

#: The tag of a cell that a gap takes away is this and the gap's name.
TAG = "needs-"


def gaps(study: Study, person: Target) -> dict[str, str]:
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
        raise DataError(
            f"the labelled faces in {study.target} come from {clips} clips, too few for "
            f"{study.folds} folds that keep clips whole: say folds={clips}, or label more"
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
            else "the person has no labelled Action Units (a *_AU.csv of OpenFace)"
        )
    return found


def leave_out(notebook: NotebookNode, part: str, missing: dict[str, str]) -> NotebookNode:
    """Return the notebook of a chapter without what cannot be computed, each time with the reason.

    Parameters
    ----------
    notebook : NotebookNode
    part : str
        Of the chapter. If it is itself missing, its title stays, and the reason.
    missing : dict of str to str
        From `gaps`.
    """
    kept = copy.copy(notebook)
    if part in missing:
        kept.cells = [notebook.cells[0], _note(missing[part], part, "This chapter is left out")]
        return kept
    kept.cells, told = [], set()
    for cell in notebook.cells:
        gap = next((gap for gap in missing if TAG + gap in cell.metadata.get("tags", [])), None)
        if gap is None:
            kept.cells.append(cell)
        elif gap not in told:
            told.add(gap)
            kept.cells.append(_note(missing[gap], gap, "Some of this chapter is left out"))
    return kept


def _note(reason: str, gap: str, what: str) -> NotebookNode:
    from nbformat.v4 import new_markdown_cell  # here, because importing nbformat takes a second

    return new_markdown_cell(f"*{what}: {reason}.*", id=f"without-{gap}")
