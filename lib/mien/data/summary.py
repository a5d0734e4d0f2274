"""What is in the data: the counts, samples and sentences of chapter 0."""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.fer2013 import Fer2013, constant_images, duplicates, has_copy_in
from mien.data.person import Person
from mien.emotions import EMOTIONS, UNKNOWN
from mien.evaluation.rater_agreement import Agreement, strength
from mien.report import text
from mien.report import text as prose

#: FER2013's splits in the order in which they are used.
USAGES = ("Training", "PublicTest", "PrivateTest")


def class_counts(crowd: Fer2013) -> pd.DataFrame:
    """Return the images of every emotion (rows) in every split (columns)."""
    counts = pd.crosstab(np.array(EMOTIONS)[crowd.labels], crowd.usage)
    return counts.reindex(index=list(EMOTIONS), columns=list(USAGES), fill_value=0).rename_axis(
        index="emotion", columns=None
    )


def majority_share(crowd: Fer2013, usage: str) -> tuple[str, float]:
    """Return the commonest emotion of a split and its share of the images (0..1)."""
    counts = class_counts(crowd)[usage]
    return str(counts.idxmax()), float(counts.max() / counts.sum())


def crowd_samples(crowd: Fer2013, *, usage: str, each: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of the first ``each`` images of every emotion in a split, and their captions."""
    rows, captions = [], []
    for code, emotion in enumerate(EMOTIONS):
        found = np.flatnonzero((crowd.labels == code) & (crowd.usage == usage))[:each]
        rows += list(found)
        captions += [emotion] * len(found)
    return np.array(rows, dtype=int), captions


def copy_table(crowd: Fer2013) -> pd.DataFrame:
    """Return how many images of every split have an exact copy, and where."""
    copied = duplicates(crowd)
    rows = []
    for usage in USAGES:
        row = {
            "split": usage,
            "images": int((crowd.usage == usage).sum()),
            "copies of an earlier row": int((copied["usage"] == usage).sum()),
        }
        if usage != "Training":
            row["also in Training"] = int(has_copy_in(crowd, usage).sum())
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["also in Training"] = frame["also in Training"].astype("Int64")
    return frame


def unusable(crowd: Fer2013) -> pd.DataFrame:
    """Return the constant images and the skipped rows (data rows, counted from 1)."""
    constant = pd.DataFrame(
        [(row + 1, "one constant grey; kept") for row in constant_images(crowd)],
        columns=["row", "what"],
    ).astype({"row": int})
    skipped = crowd.skipped.rename(columns={"reason": "what"})[["row", "what"]]
    return pd.concat([constant, skipped], ignore_index=True)


def person_counts(person: Person) -> pd.DataFrame:
    """Return faces, images, rows of Action Units and clips of the person by label."""
    order = [*person.emotions, UNKNOWN]
    groups = person.faces.groupby("label")
    counts = groups.agg(
        faces=("file_name", "size"),
        images=("has_image", "sum"),
        action_units=("has_units", "sum"),
        clips=("clip", "nunique"),
    )
    return counts.reindex(order, fill_value=0).rename(
        columns={"action_units": "rows of Action Units"}
    )


def person_samples(person: Person, *, each: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of the first ``each`` labelled faces with image of every emotion, captioned."""
    faces = person.faces[person.faces["has_image"] & (person.faces["set"] == "labelled")]
    rows = [
        row for emotion in person.emotions for row in faces.index[faces["label"] == emotion][:each]
    ]
    return np.array(rows, dtype=int), faces["label"].loc[rows].tolist()


def crowd_sentence(crowd: Fer2013) -> str:
    """Return what was read, in a sentence."""
    sizes = [f"{(crowd.usage == usage).sum():,} in {usage}" for usage in USAGES]
    total = text.count(len(crowd.labels), "image")
    return f"{text.escape(Path(crowd.source).name)} holds **{total}**: {text.listed(sizes)}."


def copies_sentence(crowd: Fer2013) -> str:
    """Return how much of the test splits Training contains, in a sentence."""
    parts = []
    for usage in USAGES[1:]:
        copied = has_copy_in(crowd, usage)
        share = text.percent(copied.mean() if len(copied) else None)
        parts.append(f"{text.count(int(copied.sum()), f'{usage} image')} ({share})")
    return f"{text.listed(parts)} stand in Training too, pixel by pixel."


def person_sentence(person: Person) -> str:
    """Return the size of the person's data and its commonest emotion, in two sentences."""
    labelled = person.faces[person.faces["set"] == "labelled"]
    with_units = labelled[labelled["has_units"]]
    unknown = int((person.faces["set"] == "unknown").sum())
    text = (
        f"{prose.count(int(labelled['has_image'].sum()), 'labelled image')}, "
        f"{prose.count(len(with_units), 'labelled row')} of Action Units from "
        f"{prose.count(with_units['clip'].nunique(), 'clip')}, "
        f"{prose.count(unknown, 'unknown face')}."
    )
    if len(labelled):
        counts = labelled["label"].value_counts()
        text += (
            f" Always answering *{counts.index[0]}* would be right on "
            f"{prose.percent(counts.iloc[0] / len(labelled))} of the labelled faces."
        )
    return text


def raters_sentence(agreement: Agreement) -> str:
    """Return how far the raters agree, in a sentence."""
    if agreement.pairs.empty:
        return "Fewer than two raters have labelled the unknown faces, so there is no agreement."
    row = agreement.pairs.iloc[0]
    text = (
        f"{prose.escape(row['a'])} and {prose.escape(row['b'])} agree on {row['agree']} of "
        f"{prose.count(row['n'], 'face')}"
    )
    if np.isfinite(row["kappa"]):
        text += f"; Cohen's kappa is {row['kappa']:.2f}, {strength(row['kappa'])} agreement"
    return text + "."


def crowd_answer(crowd: Fer2013) -> str:
    """Return what chapter 0 answers about FER2013, as a Markdown list."""
    emotion, share = majority_share(crowd, "PrivateTest")
    return (
        f"- {crowd_sentence(crowd)} *{emotion}* alone makes {text.percent(share)} of "
        f"PrivateTest.\n- {copies_sentence(crowd)}"
    )


def person_answer(person: Person, agreement: Agreement) -> str:
    """Return what chapter 0 answers about the person, as a Markdown list."""
    problems = text.count(len(person.told), "irregularity", "irregularities")
    return (
        f"- The person: {person_sentence(person)} {problems} in the files, listed above.\n"
        f"- {raters_sentence(agreement)}"
    )
