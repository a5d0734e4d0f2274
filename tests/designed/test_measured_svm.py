"""The models on measured features: honest choice, sound probabilities, bad input."""

import numpy as np
import pytest

from mien.data.measured import BLENDSHAPES, UNITS
from mien.designed import measured_svm
from mien.designed.measured_svm import (
    MeasuredSvm,
    UnitFeatures,
    asked,
    mean_rbf,
    nearest_faces,
)
from mien.emotions import EMOTIONS, named
from mien.errors import DataError, MienError
from mien.evaluation.cross_validation import grouped_folds, out_of_fold

FEW = {"svm__C": (0.5, 2.0)}
NAMES = (*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS))


def made_up(n=60, *, seed=0, signal=2.0):
    """Rows in which AU12 tells happy from sad and AU05 tells surprise; two frames a clip."""
    random = np.random.default_rng(seed)
    labels = np.array(["happy", "sad", "surprise"])[np.arange(n) % 3]
    intensities = random.gamma(0.3, 1.0, size=(n, 17))
    intensities[labels == "happy", UNITS.index("AU12")] += signal
    intensities[labels == "surprise", UNITS.index("AU05")] += signal
    rows = np.hstack([np.minimum(intensities, 5) / 5, intensities > 1]).astype(np.float32)
    return rows, labels, np.array([f"clip{i // 6}" for i in range(n)])


def test_it_reads_units_that_tell():
    rows, labels, clips = made_up()
    folds = grouped_folds(labels, clips, n_repeats=2)
    model = MeasuredSvm(NAMES, candidates=FEW)
    probabilities, chosen = out_of_fold(asked(model), rows, labels, clips, folds)
    assert probabilities.shape == (2, 60, 7)
    assert len(chosen) == 2 * 5 and {choice["svm__C"] for choice in chosen} <= {0.5, 2.0}
    assert (named(probabilities.argmax(axis=2)) == labels).mean() > 0.8
    assert (probabilities.any(axis=(0, 1)) == np.isin(EMOTIONS, labels)).all()
    np.testing.assert_allclose(probabilities.sum(axis=2), 1)


def test_units_that_tell_nothing_give_no_more_than_chance():
    """A leak from the held-out rows would lift this far above one third."""
    rows, labels, clips = made_up(90, signal=0)
    folds = grouped_folds(labels, clips, n_repeats=4)
    found, _ = out_of_fold(asked(MeasuredSvm(NAMES, candidates=FEW)), rows, labels, clips, folds)
    assert (named(found.argmax(axis=2)) == labels).mean() < 0.5


def test_predictions_are_the_most_probable_class():
    rows, labels, clips = made_up(signal=0.7)
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips)
    probabilities = model.predict_proba(rows)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(rows)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_probabilities_are_modest_where_nothing_is_to_be_read():
    rows, labels, clips = made_up(90, signal=0)
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips)
    assert model.predict_proba(rows).max() < 0.75


def test_the_choice_never_sees_a_clip_on_both_sides():
    """Frames of a clip are copies with a label of their own: only a leak can read them."""
    random = np.random.default_rng(0)
    rows = np.repeat(random.gamma(1.0, 1.0, size=(20, 34)), 4, axis=0)
    labels = np.repeat(np.array(["happy", "sad"])[random.integers(2, size=20)], 4)
    clips = np.repeat(np.arange(20), 4)
    model = MeasuredSvm(NAMES, candidates={"svm__C": (1.0, 100.0)})
    assert model.fit(rows, labels, groups=clips).inner_accuracy_ < 0.8
    assert model.fit(rows, labels).inner_accuracy_ > 0.9


@pytest.fixture
def one_view(monkeypatch):
    monkeypatch.setattr(measured_svm, "NOISE", (0.0,))


def test_the_median_is_learned_from_the_rows_of_fit_only(one_view):
    rows, *_ = made_up()
    rows[:, 17:] = 0
    features = UnitFeatures(NAMES).fit(rows[:30])
    medians = np.median(rows[:30, :17], axis=0)
    np.testing.assert_allclose(features.medians_, medians)
    rows[30:, 3] = np.nan
    shown = features.transform(rows[30:]) * features.scales_.ravel()
    np.testing.assert_allclose(shown[:, 3], medians[3], atol=1e-6)
    np.testing.assert_allclose(shown[:, 4:], rows[30:, 4:17], atol=1e-6)


def test_the_views_by_hand(monkeypatch):
    """Presence doubles what is left of an intensity above the noise."""
    monkeypatch.setattr(measured_svm, "NOISE", (0.0, 0.3))
    rows = np.zeros((2, 34), np.float32)
    rows[0, 3], rows[1, 3], rows[1, 17 + 3] = 0.2, 1.0, 1.0
    features = UnitFeatures(NAMES).fit(rows)
    views = features._views(rows)[..., 3]
    np.testing.assert_allclose(views, [[0.2, 2.0], [0.0, 1.4]], rtol=1e-6)


def test_a_missing_unit_takes_the_median(one_view):
    rows, *_ = made_up()
    rows[:, 17:] = 0
    rows[:, 3] = np.nan
    rows[0, [5, 5 + 17]] = np.nan
    features = UnitFeatures(NAMES).fit(rows)
    shown = features.transform(rows)
    assert np.isfinite(shown).all()
    assert shown[0, 5] == pytest.approx(np.nanmedian(rows[:, 5]) / features.scales_.item())
    assert (shown[:, 3] == 0).all()


def test_the_kernel_is_the_mean_over_the_views():
    random = np.random.default_rng(0)
    left, right = random.normal(size=(4, 51)) / 6, random.normal(size=(5, 51)) / 6
    expected = np.mean(
        [
            np.exp(-np.square(left[:, None, part] - right[None, :, part]).sum(axis=2))
            for part in (slice(0, 17), slice(17, 34), slice(34, 51))
        ],
        axis=0,
    )
    np.testing.assert_allclose(mean_rbf(left, right), expected)


def test_units_that_never_vary_do_no_harm():
    rows, labels, clips = made_up()
    rows[:] = 1.0
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips)
    assert np.isfinite(model.predict_proba(rows)).all()


def test_one_face_of_an_emotion_is_no_obstacle():
    rows, labels, clips = made_up()
    keep = (labels != "sad") | (np.arange(60) == 1)
    rows, labels, clips = rows[keep], labels[keep], clips[keep]
    folds = grouped_folds(labels, clips, n_repeats=1)
    (found,), _ = out_of_fold(asked(MeasuredSvm(NAMES, candidates=FEW)), rows, labels, clips, folds)
    lonely = labels == "sad"
    assert found[lonely, EMOTIONS.index("sad")] == 0
    assert (named(found.argmax(axis=1)) == labels)[~lonely].mean() > 0.7


def test_what_an_inner_fold_lacks_is_never_its_answer():
    rows, labels, clips = made_up()
    keep = (labels != "sad") | (clips == "clip0")
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows[keep], labels[keep], groups=clips[keep])
    assert model.inner_accuracy_ > 0.9


def test_two_faces_lie_as_far_apart_in_every_view(monkeypatch):
    monkeypatch.setattr(measured_svm, "NOISE", (0.0, 0.01))
    rows, *_ = made_up()
    for factor in (1, 0.1):
        rows[:, :17] *= factor
        features = UnitFeatures(NAMES).fit_transform(rows)
        for view in np.split(features, 2, axis=1):
            distances = np.square(view[:, None] - view[None]).sum(axis=2)
            assert 1.5 < distances.mean() <= 2 + 1e-5


def test_fewer_clips_than_folds_is_told_or_handled():
    rows, labels, _ = made_up(12)
    clips = np.repeat(["a", "b", "c"], 4)
    with pytest.raises(DataError, match="clips"):
        grouped_folds(labels, clips, n_splits=5)
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips)
    assert set(model.predict(rows)) <= set(labels)


@pytest.mark.parametrize("clips", [None, np.zeros(60)])
def test_without_clips_or_with_one_clip_it_still_fits(clips):
    rows, labels, _ = made_up()
    assert (
        MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips).predict(rows) == labels
    ).any()


def test_one_emotion_only_is_certain():
    rows, labels, clips = made_up()
    happy = labels == "happy"
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows[happy], labels[happy], groups=clips[happy])
    assert set(model.predict(rows)) == {"happy"}
    assert (model.predict_proba(rows) == 1).all()


def test_two_emotions_have_two_columns():
    rows, labels, clips = made_up()
    two = labels != "sad"
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows[two], labels[two], groups=clips[two])
    assert model.predict_proba(rows).shape == (60, 2)
    assert (model.predict(rows[two]) == labels[two]).mean() > 0.9


@pytest.mark.parametrize(
    "rows, labels",
    [
        (np.zeros((0, 34)), []),
        (np.zeros((3, 34)), ["happy"]),
        (np.zeros((2, 17)), ["happy", "sad"]),
        (np.full((2, 34), np.nan), ["happy", "sad"]),
    ],
)
def test_bad_rows_get_a_clear_message(rows, labels):
    with pytest.raises(MienError, match="measured"):
        MeasuredSvm(NAMES).fit(rows, labels)


def test_a_wrong_width_names_the_shape():
    with pytest.raises(DataError, match=r"\(2, 35\)"):
        MeasuredSvm(NAMES).fit(np.zeros((2, 35)), ["happy", "sad"])


def test_the_nearest_face_of_a_face_is_itself():
    rows, labels, clips = made_up()
    model = MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips)
    which = nearest_faces(model, rows[:7], rows)
    assert which.shape == (7, 2)
    np.testing.assert_array_equal(which[:, 0], np.arange(7))


def test_repeating_gives_the_same(tmp_path):
    rows, labels, clips = made_up(signal=0.5)
    one, two = (
        MeasuredSvm(NAMES, candidates=FEW).fit(rows, labels, groups=clips).predict_proba(rows)
        for _ in range(2)
    )
    assert np.array_equal(one, two)


def blendshapes_of_happy(n=40):
    random = np.random.default_rng(0)
    labels, clips = np.repeat(["happy", "sad"], n // 2), np.repeat(np.arange(n // 2), 2)
    rows = random.uniform(0, 0.3, (n, 51)).astype(np.float32)
    rows[labels == "happy", 40] += 0.6
    rows[3, 7] = np.nan
    return rows, labels, clips.astype(str)


def test_any_measured_features_are_read_and_the_penalty_is_chosen_inside_the_fold():
    rows, labels, clips = blendshapes_of_happy()
    model = MeasuredSvm(BLENDSHAPES, n_splits=3)
    folds = grouped_folds(labels, clips, n_splits=4)
    probabilities, _ = out_of_fold(asked(model), rows, labels, clips, folds)
    assert np.mean(named(probabilities[0].argmax(axis=1)) == labels) == 1
    other = labels.copy()
    tested = folds[0] == 0
    other[tested] = "fear"  # what is tested must not matter to its own answers
    again, _ = out_of_fold(asked(model), rows, other, clips, folds)
    assert np.array_equal(again[0, tested], probabilities[0, tested])
    with pytest.raises(DataError, match="none of the labelled faces"):
        model.fit(np.full((4, 51), np.nan), labels[:4])


def test_the_scale_of_columns_is_chosen_inside_the_fold():
    """A thousandfold column of noise hides the one that tells, unless columns are scaled."""
    random = np.random.default_rng(2)
    labels, clips = np.array(["happy", "sad"])[np.arange(80) // 4 % 2], np.arange(80) // 4
    told = (labels == "sad") + random.normal(0, 0.2, 80)
    rows = np.stack([random.normal(0, 1000, 80), told], axis=1)
    model, folds = MeasuredSvm(("jawOpen", "AU12_r"), n_splits=4), grouped_folds(labels, clips)
    shares, chosen = out_of_fold(asked(model), rows, labels, clips, folds)
    assert all(choice["features__scale__with_std"] for choice in chosen)
    assert (named(shares.argmax(axis=2)) == labels).mean() > 0.9
    rows[:, 1] = 0
    assert model.fit(rows, labels, groups=clips).inner_accuracy_ < 0.75


def test_a_unit_is_its_intensity_and_presences_count_where_there_is_nothing_else():
    rows = np.array([[0.5, 1.0, 1.0, 0.2], [0.1, 0.0, 0.0, 0.4]], np.float32)
    some = UnitFeatures(("AU06_r", "AU06_c", "AU28_c", "AU12")).fit(rows)
    np.testing.assert_allclose(some._views(rows)[0], [[1.0, 0.2], [0.1, 0.4]])
    alone = UnitFeatures(("AU06_c", "AU28_c")).fit(rows[:, 1:3])
    np.testing.assert_allclose(alone._views(rows[:, 1:3])[0], rows[:, 1:3])


def test_the_nearest_face_and_the_kernel_of_blendshapes():
    rows, labels, clips = blendshapes_of_happy()
    model = MeasuredSvm(BLENDSHAPES, n_splits=3)
    alike = model.kernel(rows)
    assert alike.shape == (40, 40) and np.diag(alike) == pytest.approx(1)
    same = labels[:, None] == labels
    assert alike[same].mean() > 1.5 * alike[~same].mean()
    model.fit(rows, labels, groups=clips)
    assert nearest_faces(model, rows[:5], rows)[:, 0].tolist() == [0, 1, 2, 3, 4]
