"""What a model on measured features looked at, and whether it is better than chance."""

import numpy as np
import pandas as pd
import pytest

from mien.data.measured import UNITS
from mien.designed.measured_analysis import (
    PROTOTYPES,
    chance_test,
    shuffled_by_clip,
    textbook_agreement,
    textbook_hits,
    unit_importance,
)
from mien.designed.measured_svm import MeasuredSvm
from mien.emotions import EMOTIONS
from mien.evaluation.cross_validation import grouped_folds

NAMES = (*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS))
MODEL = MeasuredSvm(NAMES, candidates={"svm__C": (1.0,)}, n_splits=2)


@pytest.fixture(scope="module")
def faces():
    """AU12 and nothing else tells happy from sad: rows, labels, clips, folds."""
    random = np.random.default_rng(1)
    labels = np.array(["happy", "sad"])[np.arange(60) // 4 % 2]
    intensities = random.uniform(0, 0.3, size=(60, 17))
    intensities[labels == "happy", UNITS.index("AU12")] += 2
    clips = np.array([f"c{i // 4}" for i in range(60)])
    rows = np.hstack([intensities / 5, intensities > 1]).astype(np.float32)
    return rows, labels, clips, grouped_folds(labels, clips, n_repeats=2)


@pytest.fixture(scope="module")
def importance(faces):
    return unit_importance(*faces, model=MODEL, shuffles=5)


def test_the_unit_that_tells_is_the_important_one(importance):
    everything = importance[importance.emotion == "all"].set_index("unit")
    assert everything["drop"].idxmax() == "AU12"
    assert everything["drop"]["AU12"] > 0.2
    assert everything["drop"].drop("AU12").abs().max() < 0.05
    assert everything.probability_drop.idxmax() == "AU12"


def test_shuffling_takes_intensity_and_presence_together(faces):
    """A copy of the telling unit in its presence must not hide its importance."""
    rows, labels, clips, folds = faces
    found = unit_importance(rows, labels, clips, folds[:1], model=MODEL, shuffles=5)
    assert found.set_index(["emotion", "unit"])["drop"]["all", "AU12"] > 0.2


def test_sides_of_a_blendshape_are_shuffled_together_and_belong_to_no_prototype(faces):
    rows, labels, clips, folds = faces
    smile = rows[:, [UNITS.index("AU12")] * 2]
    names = ("mouthSmileLeft", "mouthSmileRight", "jawLeft")
    model = MeasuredSvm(names, candidates={"svm__C": (1.0,)}, n_splits=2)
    rows = np.column_stack([smile, np.zeros(len(smile))]).astype("f")
    found = unit_importance(rows, labels, clips, folds[:1], model=model, shuffles=5)
    drops = found.set_index(["emotion", "unit"])["drop"]
    assert drops.index.unique("unit").tolist() == ["mouthSmile", "jawLeft"]
    assert drops["all", "mouthSmile"] > 0.3 and drops["all", "jawLeft"] == 0
    assert not found["prototype"].any()
    agreement = textbook_agreement(found)
    assert agreement.empty and textbook_hits(agreement)["emotions"] == 0


def test_there_is_a_row_for_every_unit_and_emotion(importance):
    assert list(importance.emotion.unique()) == ["all", "happy", "sad"]
    assert importance.groupby("emotion").unit.apply(list).map(lambda u: u == list(UNITS)).all()
    happy = importance[importance.emotion == "happy"]
    assert set(happy.unit[happy.prototype]) == set(PROTOTYPES["happy"])


def test_prototypes_name_known_emotions_and_units():
    assert set(PROTOTYPES) <= set(EMOTIONS)
    assert {unit for units in PROTOTYPES.values() for unit in units} <= set(UNITS)


def test_agreement_by_hand():
    """Happy: both units of the prototype on top; sad: all four at the bottom."""
    drops = {
        "happy": [1.0 if unit in PROTOTYPES["happy"] else 0.0 for unit in UNITS],
        "sad": [-1.0 if unit in PROTOTYPES["sad"] else 0.0 for unit in UNITS],
    }
    table = pd.concat(
        pd.DataFrame(
            {
                "emotion": emotion,
                "unit": UNITS,
                "probability_drop": values,
                "prototype": [unit in PROTOTYPES[emotion] for unit in UNITS],
            }
        )
        for emotion, values in drops.items()
    )
    found = textbook_agreement(table).set_index("emotion")
    assert found.loc["happy", ["hits", "size", "auc"]].tolist() == [2, 2, 1.0]
    assert found.loc["sad", ["hits", "size", "auc"]].tolist() == [0, 4, 0.0]
    assert found.p["happy"] < 0.05 < found.p["sad"]
    assert textbook_hits(found.reset_index()) == {
        "units": 6, "hits": 2, "emotions": 2, "emotions_above": 1,
    }  # fmt: skip


def test_units_that_tell_beat_chance(faces):
    rows, labels, clips, folds = faces
    found = chance_test(rows, labels, clips, folds[0], model=MODEL)
    assert found["p"] == pytest.approx(1 / 1001)
    assert found["accuracy"] == 1 > found["best"] >= found["mean"]
    assert found["permutations"] == 1000


def test_noise_beats_chance_no_more_often_than_it_should(faces):
    _, labels, clips, folds = faces
    found = [
        chance_test(
            np.random.default_rng(seed).uniform(size=(60, 34)), labels, clips, folds[0],
            model=MODEL, permutations=39, seed=seed,
        )["p"]
        for seed in range(60)
    ]  # fmt: skip
    assert 0.05 <= np.mean(np.array(found) <= 0.25) <= 0.45
    assert 0.4 < np.mean(found) < 0.65


def test_shuffled_labels_keep_their_numbers_and_their_runs():
    random = np.random.default_rng(0)
    clips = np.repeat(np.arange(20), 3)
    labels = np.repeat(np.arange(20) % 4, 3)
    shuffled = shuffled_by_clip(labels, clips, random)
    assert np.array_equal(np.bincount(shuffled), np.bincount(labels))
    assert all(len(set(shuffled[clips == clip])) == 1 for clip in range(20))
    assert not np.array_equal(shuffled, labels)
