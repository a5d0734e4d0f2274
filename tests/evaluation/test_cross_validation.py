import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError, ParameterError
from mien.evaluation.cross_validation import grouped_folds, out_of_fold, plain_folds

IMAGES = st.lists(
    st.tuples(st.sampled_from(["sad", "happy", "angry"]), st.integers(0, 15)),
    min_size=6,
    max_size=60,
).filter(lambda images: len({clip for _, clip in images}) >= 4)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@settings(deadline=None, max_examples=60)
@given(IMAGES, st.integers(2, 4), st.integers(0, 3))
def test_a_clip_is_never_split_and_no_fold_is_empty(images, n_splits, seed):
    labels, clips = map(np.array, zip(*images, strict=True))
    folds = grouped_folds(labels, clips, n_splits=n_splits, n_repeats=2, seed=seed)
    assert folds.shape == (2, len(labels))
    for fold in folds:
        assert set(fold) == set(range(n_splits))
        assert pd.Series(fold).groupby(clips).nunique().max() == 1


@settings(deadline=None, max_examples=30)
@given(IMAGES, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_images(images, random):
    order = list(range(len(images)))
    random.shuffle(order)
    labels, clips = map(np.array, zip(*images, strict=True))
    folds = grouped_folds(labels, clips, n_splits=3, seed=7)
    assert (grouped_folds(labels[order], clips[order], n_splits=3, seed=7) == folds[:, order]).all()


def test_repeats_differ_and_are_the_first_of_many():
    labels = ["sad", "happy"] * 20
    clips = np.arange(40)
    many = grouped_folds(labels, clips, n_repeats=6, seed=2)
    assert len({tuple(fold) for fold in many}) == 6
    assert (grouped_folds(labels, clips, n_repeats=2, seed=2) == many[:2]).all()


def test_emotions_are_spread_evenly():
    labels = np.array(["sad"] * 30 + ["happy"] * 10)
    clips = np.arange(40) // 2
    for fold in grouped_folds(labels, clips, n_repeats=5):
        counts = pd.crosstab(fold, labels)
        assert counts["sad"].tolist() == [6] * 5
        assert counts["happy"].tolist() == [2] * 5


def test_plain_folds_leak_and_grouped_folds_do_not():
    labels, clips = ["sad", "happy"] * 20, np.repeat(np.arange(10), 4)
    plain = plain_folds(labels)[0]
    assert pd.Series(plain).groupby(clips).nunique().max() > 1
    assert (np.bincount(plain) == 8).all()


def test_an_emotion_of_one_clip_is_tested_without_having_been_seen():
    labels = np.array(["sad"] * 8 + ["fear"] * 2)
    clips = np.array([*"abcdefgh", "z", "z"])
    fold = grouped_folds(labels, clips, n_splits=4)[0]
    tested = fold[labels == "fear"]
    assert len(set(tested)) == 1
    assert "fear" not in labels[fold != tested[0]]


@pytest.mark.parametrize("maker", ["grouped", "plain"])
def test_every_emotion_rarer_than_folds_still_works(maker):
    labels = np.array(["sad", "sad", "happy", "happy", "angry", "fear"])
    folds = (
        grouped_folds(labels, np.arange(6), n_splits=5)
        if maker == "grouped"
        else plain_folds(labels, n_splits=5)
    )
    assert set(folds[0]) == set(range(5))


def test_one_labelled_image_of_an_emotion_works():
    labels = ["sad"] * 9 + ["happy"]
    assert set(plain_folds(labels, n_splits=3)[0]) == {0, 1, 2}
    assert set(grouped_folds(labels, range(10), n_splits=3)[0]) == {0, 1, 2}


def test_too_few_clips_are_refused_in_words():
    with pytest.raises(DataError, match="5 folds need at least 5 clips, but there are 2"):
        grouped_folds(["sad"] * 10, list("ab") * 5)
    with pytest.raises(DataError, match="5 folds need at least 5 labelled images"):
        plain_folds(["sad"] * 4)
    with pytest.raises(DataError, match="3 labels but 2 clips"):
        grouped_folds(["sad"] * 3, ["a", "b"], n_splits=2)


@pytest.mark.parametrize("how", [{"n_splits": 1}, {"n_repeats": 0}])
def test_folds_out_of_range_are_refused(how):
    with pytest.raises(ParameterError):
        grouped_folds(["sad"] * 10, range(10), **how)


@pytest.mark.real
def test_real_clips_stay_whole(real_person):
    table = pd.read_csv(real_person / "phoebe_AU.csv", skipinitialspace=True)
    table = table[table["label"] != "unknown"]
    clips = table["file_name"].str.rpartition("_")[0].to_numpy()
    folds = grouped_folds(table["label"], clips, n_repeats=20)
    assert folds.shape == (20, 86)
    for fold in folds:
        assert pd.Series(fold).groupby(clips).nunique().max() == 1
        assert np.bincount(fold).min() >= 12


def test_a_procedure_gets_the_rows_of_a_fold_without_their_labels():
    rows, labels = np.arange(12.0)[:, None], np.array(["sad", "happy"] * 6)
    clips = np.repeat(np.arange(6), 2).astype(str)
    folds, seen = grouped_folds(labels, clips, n_splits=3, n_repeats=2), []

    def answer(learned, truth, groups, others):
        seen.append(others[:, 0].astype(int))
        kept = np.setdiff1d(np.arange(12), seen[-1])
        assert learned[:, 0].tolist() == kept.tolist()
        assert truth.tolist() == labels[kept].tolist() and groups.tolist() == clips[kept].tolist()
        return others / 12 * np.eye(7)[3], seen[-1].tolist()

    found, chosen = out_of_fold(answer, rows, labels, clips, folds)
    assert chosen == [rows.tolist() for rows in seen]
    assert found.shape == (2, 12, 7)
    for happy in found[..., 3]:
        assert happy * 12 == pytest.approx(np.arange(12))
    assert sorted(np.concatenate(seen[:3])) == sorted(np.concatenate(seen[3:])) == list(range(12))
    assert not any(set(clips[rows]) & set(np.delete(clips, rows)) for rows in seen)
