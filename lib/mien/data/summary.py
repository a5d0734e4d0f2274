"""What is in the data: the counts and samples of chapter 0."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.data import fer2013
from mien.data.fer2013 import Fer2013
from mien.data.fer2013_files import USAGES
from mien.data.person import Person
from mien.emotions import EMOTIONS, UNKNOWN, commonest, named


def crowd_facts(crowd: Fer2013) -> dict[str, Any]:
    """Return what chapter 0 tells of FER2013, as metrics.json holds it; counts are by split."""
    counts = crowd.counts()["PrivateTest"]
    return {
        "source": Path(crowd.source).name,
        "images": {usage: int((crowd.usage == usage).sum()) for usage in USAGES},
        "in_training": {
            usage: int(fer2013.copied_in_training(crowd, usage).sum()) for usage in USAGES[1:]
        },
        "nearly_in_training": {
            usage: int(fer2013.nearly_copied_in(crowd, usage).sum()) for usage in USAGES[1:]
        },
        "shared_out": list(crowd.shared_out),
        "majority": counts.idxmax(),
        "majority_share": float(counts.max() / counts.sum()),
    }


def crowd_samples(crowd: Fer2013, *, usage: str, each: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of the first ``each`` images of every emotion in a split, and their captions."""
    found, captions = _first_of_each(named(crowd.split(usage)[1]), each)
    return np.flatnonzero(crowd.usage == usage)[found], captions


def copy_table(crowd: Fer2013, facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return how many images of every split have a copy, and where (with `crowd_facts`)."""
    copied = crowd.usage[fer2013.copies(crowd)]
    exactly, nearly = (
        pd.array([None, *facts[name].values()], dtype="Int64")
        for name in ("in_training", "nearly_in_training")
    )
    return pd.DataFrame(
        {
            "split": USAGES,
            "images": list(facts["images"].values()),
            "copies of an earlier row": [int((copied == usage).sum()) for usage in USAGES],
            "also in Training": exactly,
            "in Training, exactly or nearly": nearly,
        }
    )


def unusable(crowd: Fer2013) -> pd.DataFrame:
    """Return the constant images and the skipped rows (data rows, counted from 1)."""
    rows = fer2013.constant_images(crowd) + 1
    constant = pd.DataFrame({"row": rows, "what": "one constant grey; kept"})
    skipped = crowd.skipped.rename(columns={"reason": "what"})[["row", "what"]]
    return pd.concat([constant, skipped], ignore_index=True)


def person_counts(person: Person) -> pd.DataFrame:
    """Return faces, images, clips and rows of every source of the person, by label."""
    counts = person.faces.groupby("label").agg(
        faces=("file_name", "size"), images=("has_image", "sum"), clips=("clip", "nunique")
    )
    for name, own in person.measured.items():
        counts[f"rows of {name}"] = pd.Series(own.has_row).groupby(person.faces["label"]).sum()
    return counts.reindex([*person.emotions, UNKNOWN], fill_value=0)


def person_facts(person: Person) -> dict[str, Any]:
    """Return what chapter 0 tells of a person with labelled faces, as metrics.json holds it."""
    labelled = (person.faces["set"] == "labelled").to_numpy()
    emotion, share = commonest(person.faces.loc[labelled, "label"])
    return {
        "labelled_images": len(person.labelled("has_image").rows),
        "measured": {
            name: int((own.has_row & labelled).sum()) for name, own in person.measured.items()
        },
        "clips": int(person.faces.loc[labelled, "clip"].nunique()),
        "unknown": int((~labelled).sum()),
        "majority": emotion,
        "majority_share": share,
        "irregularities": len(person.told),
    }


def person_samples(person: Person, *, each: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of the first ``each`` labelled faces with image of every emotion, captioned."""
    labelled = person.labelled("has_image")
    found, captions = _first_of_each(labelled.truth, each)
    return labelled.rows[found], captions


def _first_of_each(labels: np.ndarray, each: int) -> tuple[np.ndarray, list[str]]:
    """Return where the first ``each`` of every emotion stand in ``labels``, and what they are."""
    rows = [row for emotion in EMOTIONS for row in np.flatnonzero(labels == emotion)[:each]]
    return np.array(rows, dtype=int), labels[rows].tolist()


def witness_samples(
    person: Person, faces: np.ndarray, witnesses: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Return rows of every face followed by its witnesses', and their captions.

    ``faces`` (m,) are rows of faces, ``witnesses`` (m, count) those of labelled faces that speak
    for the ``answers`` (m,) to each.
    """
    rows = np.column_stack([faces, witnesses])
    captions = np.column_stack(
        [[f"unknown: {answer}" for answer in answers], person.faces["label"].to_numpy()[witnesses]]
    )
    return rows.ravel(), captions.ravel().tolist()
