"""What a study has to work with, what of it is not used, and what it must do without.

A study may leave FER2013 out, and of a person nothing may be measured. The chapters that cannot be
run then say why; of the others, the cells that carry a tag ``needs-<gap>`` (``needs-fer2013``,
``needs-A2``) are left out.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mien.data import fer2013, fer2013_files, ferplus
from mien.data.fer2013 import Fer2013
from mien.data.measured import SHAPES
from mien.data.person import Person, load_person
from mien.errors import DataError, Finding, grouped, printable
from mien.models import DESIGNED
from mien.photos import face_cache, landmarks
from mien.report import text
from mien.study.parameters import CHAPTERS, Study, data_paths


@dataclass(frozen=True)
class StudyData:
    """The data of a study, counted, and the model on measured features that meets the network."""

    fingerprints: dict[str, str]  # of ``fer2013`` and ``target``
    left_out: dict[str, str]  # `gaps`
    fer2013: dict[str, Any] | None = None  # ``images``, ``splits``, ``skipped`` rows
    person: dict[str, Any] = field(default_factory=dict)  # `_counts`
    findings: list[Finding] = field(default_factory=list)
    designed: str = ""

    @property
    def lost(self) -> list[Finding]:
        """What is not used, one entry for each place, the worst first."""
        lost = [finding for finding in self.findings if finding.lost]
        return sorted(lost, key=lambda finding: finding.badness)

    def as_json(self, study: Study) -> dict[str, Any]:
        """Return all of this as ``mien check --json`` writes it."""
        told = self.left_out
        return {
            "study": study.name,
            "fer2013": self.fer2013,
            "person": self.person,
            "designed": self.designed,
            "lost": [dict(zip(Finding._fields[:4], found, strict=False)) for found in self.lost],
            "left_out": {plan.part: told[plan.part] for plan in CHAPTERS if plan.part in told},
        }


def examine(study: Study) -> StudyData:
    """Read the data of a study, count them, and find what is not used.

    `DataError` if the data cannot be read or do not make a study: a split of FER2013 is empty, the
    person shows too little (`gaps`), or a table yields no row and the study does not say
    ``skip_bad_rows``.
    """
    where, target = data_paths(study.fer2013, study.target, study.seed)
    fingerprints, counted, findings = {}, None, []
    if study.fer2013:
        crowd = fer2013.load_fer2013(
            where, skip_bad_rows=study.skip_bad_rows, public_share=study.public_share
        )
        fingerprints["fer2013"] = crowd.fingerprint
        findings += _unused_of_crowd(crowd, where, study)
        counted = {
            "images": len(crowd.usage),
            "splits": {usage: int((crowd.usage == usage).sum()) for usage in fer2013.USAGES},
            "skipped": len(crowd.skipped),
        }
    person = person_of(study, target)
    fingerprints["target"] = person.fingerprint
    useless = [found for found in person.findings if found.lost and found.what == "table"]
    if useless and not study.skip_bad_rows:
        lines = [f"\n  {found.where}: {found.reason}; {found.remedy}" for found in grouped(useless)]
        raise DataError(
            f"{len(useless)} of the tables in {study.target} cannot be used:{''.join(lines)}\n"
            "Mend them, or set skip_bad_rows to do without them."
        )
    left_out, findings = gaps(study, person), findings + person.findings
    competitor = DESIGNED[designed(study, person)]
    return StudyData(fingerprints, left_out, counted, _counts(person), findings, competitor)


def person_of(study: Study, folder: Path) -> Person:
    """Load the person of a study, with what mien finds in the photos by itself.

    Where the study says ``find_faces``, the largest face is cut out of every photo; where not,
    photos that are not cropped are told. Where there is no table of blendshapes, the photos are
    measured, into mien's cache; where the models of faces are not to be had, a finding says so.
    """
    load = partial(load_person, folder, min_confidence=study.min_confidence)
    if study.find_faces:
        face_cache.look_at(face_cache.pictures_of(folder))
        load = partial(load, cut=face_cache.cut_largest)
    person, told = load(), []
    if not person.faces["has_image"].any():
        return person
    if SHAPES not in person.measured and (problem := landmarks.missing()):
        told = [Finding("table", face_cache.TABLE, "the photos are not measured", problem, False)]
    elif SHAPES not in person.measured:
        measured = face_cache.measure(face_cache.pictures_of(folder))
        with tempfile.TemporaryDirectory() as aside:
            table = Path(aside, face_cache.TABLE)
            face_cache.write_table(measured, table)
            person = load(tables=[table]) if measured["success"].any() else person
    told += [] if study.find_faces else face_cache.uncropped(folder)
    return replace(person, findings=[*person.findings, *told])


def _counts(person: Person) -> dict[str, Any]:
    faces = Counter(person.faces["set"])
    return {
        "labelled": faces["labelled"],
        "unknown": faces["unknown"],
        "images": int(person.faces["has_image"].sum()),
        "clips": int(person.faces["clip"].nunique()),
        "measured": {name: int(own.has_row.sum()) for name, own in person.measured.items()},
        "ratings": len(person.ratings),
        "raters": int(person.ratings["rater"].nunique()),
    }


def _unused_of_crowd(crowd: Fer2013, where: Path, study: Study) -> list[Finding]:
    """Refuse FER2013 without one of its splits; tell of rows, images and votes not used."""
    empty = [usage for usage in fer2013.USAGES if not (crowd.usage == usage).any()]
    if empty:
        remedy = ", or say --set public_share=0.1, which takes a tenth of every emotion in Training"
        raise DataError(
            f"{study.fer2013} has no image in {' and '.join(empty)}: give a FER2013 that has it"
            + ("" if "Training" in empty else remedy)
        )
    name, remedy = where.name, "mend the row; it is left out because of skip_bad_rows"
    found = [
        Finding("row", f"{name}, row {row}", reason, remedy)
        for row, reason in crowd.skipped[["row", "reason"]].itertuples(index=False)
    ]
    for usage in crowd.shared_out:
        reason = f"{usage} was empty and got {study.public_share:.0%} of every emotion in Training"
        found.append(Finding("split", name, reason, "used; its figures are not FER2013's", False))
    if where.is_dir() and fer2013_files.csv_inside(where) is None:
        remedy = "move it below train, validation or test"
        reason = "lies in no folder for training or a test"
        elsewhere = fer2013_files.images_elsewhere(where)
        found += [Finding("image", f"{name}/{place}", reason, remedy) for place in elsewhere]
    try:
        ferplus.votes(crowd)
    except DataError as error:
        remedy = "put Microsoft's file beside a whole FER2013; B1 goes on without its votes"
        found.append(Finding("file", ferplus.FILE, str(error), remedy))
    return found


#: The tag of a cell that a gap takes away is this and the gap's name.
TAG = "needs-"


def gaps(study: Study, person: Person) -> dict[str, str]:
    """Return what the study must do without: ``"fer2013"`` or a part, and the reason in words.

    `DataError` if the labelled images show fewer than two emotions, or clips are fewer than folds.
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
        name, clip = map(printable, labelled[["file_name", "clip"]].iloc[0])
        raise DataError(
            f"the labelled faces in {study.target} come from {text.count(clips, 'clip')}, too "
            f"few for {study.folds} folds that keep clips whole: {remedy}. A clip is what was "
            "filmed or taken in one go; its name is what stands before the last _ of a file's "
            f"name ({name} is of the clip {clip}), so name pictures of different scenes differently"
        )
    found, why = {}, "the study says weights: shipped"
    if not study.fer2013:
        found["fer2013"] = why = "the study names no FER2013 (parameter fer2013)"
        found["A1"] = why + ", from which this model would learn"
    if study.takes_shipped:
        found["B1"] = why + "; the network that comes with mien, already trained, takes its place"
    declared = designed(study, person)
    shown = _shown(person, declared)
    if len(shown) < 2:
        only = "".join(f", only of {emotion}" for emotion in shown)
        needed = {
            "openface": "Action Units (a table of OpenFace, py-feat …), and no blendshapes",
            "blendshapes": "blendshapes (mien measure takes them from photos)",
            "both": "faces with both Action Units (a table of OpenFace, py-feat …) and blendshapes",
        }[declared]
        found["A2"] = f"the person has no labelled {needed}{only}"
    return found


def designed(study: Study, person: Person) -> str:
    """Return which measured features meet the network (`mien.models.DESIGNED`).

    What the study declares; else Action Units where labelled ones show two emotions, else
    blendshapes where these do.
    """
    some = (name for name in ("openface", "blendshapes") if len(_shown(person, name)) > 1)
    return study.designed or next(some, "openface")


def _shown(person: Person, declared: str) -> set[str]:
    """Return the emotions of the labelled faces of which these features were measured."""
    return set(person.labelled(person.features(declared).has_row).truth)
