import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from mien.emotions import EMOTIONS, codes, named
from mien.evaluation.calibration import log_loss
from mien.evaluation.cross_validation import grouped_folds, out_of_fold
from mien.evaluation.probing import (
    ahead_from,
    best_at,
    by_measures,
    by_prior,
    by_probe,
    by_prototypes,
    clip_orders,
    curve_points,
    fused,
    gains,
    head,
    label_curve,
)


@pytest.fixture(scope="module")
def faces():
    """Labels of 60 faces in 30 clips, their folds, and noise that knows the clip of each."""
    random = np.random.default_rng(0)
    clips = np.repeat(np.arange(30), 2)
    labels = np.array(["happy", "sad", "angry"])[clips % 3]
    folds = grouped_folds(labels, clips, n_repeats=2)
    own = random.standard_normal((30, 40))[clips] + 0.1 * random.standard_normal((60, 40))
    return labels, folds, own


def probed(features, labels, folds):
    return out_of_fold(by_probe, features, labels, labels, folds)[0]


def accuracy(probabilities, labels) -> float:
    return float((named(probabilities.argmax(axis=-1)) == labels).mean())


def test_what_features_say_is_found(faces):
    labels, folds, noise = faces
    telling = np.where(labels[:, None] == ["happy", "sad"], 2.0, 0.0)
    found = probed(np.hstack([telling, noise[:, :3]]), labels, folds)
    assert found.shape == (2, 60, 7)
    assert accuracy(found, labels) > 0.95
    assert found.sum(axis=2) == pytest.approx(np.ones((2, 60)))
    absent = [code for code, name in enumerate(EMOTIONS) if name not in labels]
    assert (found[..., absent] == 0).all()


def test_what_only_the_clip_says_does_not_help(faces):
    labels, folds, noise = faces
    assert accuracy(probed(noise, labels, folds), labels) < 0.5
    leaking = np.stack([np.arange(60) % 2] * 2)
    assert accuracy(probed(noise, labels, leaking), labels) > 0.9


def test_more_copies_of_the_same_features_change_little(faces):
    labels, folds, noise = faces
    features = noise + np.where(labels[:, None] == "sad", 0.5, 0.0)
    once = probed(features, labels, folds[:1])
    often = probed(np.tile(features, 20), labels, folds[:1])
    assert often == pytest.approx(once, abs=0.02)


def test_a_fold_that_teaches_one_emotion_answers_it():
    labels = np.array(["sad"] * 4 + ["happy"] * 2)
    folds = np.array([[0, 0, 0, 0, 1, 1]])
    found = probed(np.arange(6.0)[:, None], labels, folds)
    assert named(found[0].argmax(axis=1)).tolist() == ["happy"] * 4 + ["sad"] * 2


def test_the_scale_of_a_feature_does_not_matter(faces):
    labels, folds, noise = faces
    telling = np.where(labels[:, None] == ["happy", "sad"], 2.0, 0.0)
    features = np.hstack([telling, noise[:, :3]])
    scaled = features * [1e-3, 1e3, 1.0, 1e2, 1e-2]
    found, again = (probed(given, labels, folds[:1]) for given in (features, scaled))
    assert again == pytest.approx(found, abs=1e-3)


def test_the_probe_is_a_layer(faces):
    """Two emotions and three, as scikit-learn has the two in another form."""
    labels, _, noise = faces
    for kept in (labels != "angry", labels != ""):
        weights, bias = head(noise[kept], labels[kept])
        shares = softmax(noise @ weights + bias, axis=1)
        assert shares == pytest.approx(
            by_probe(noise[kept], labels[kept], None, noise)[0], abs=1e-9
        )
        assert accuracy(shares[kept], labels[kept]) == 1


def test_missing_numbers_take_the_mean_of_the_rows_learned_from(faces):
    labels, _, noise = faces
    torn, mean = noise.copy(), noise.copy()
    torn[3, 5], mean[3, 5] = np.nan, np.delete(noise[:, 5], 3).mean()
    torn[:, 7], mean[:, 7] = np.nan, 0
    for answer in (by_probe, by_measures):
        found, expected = (answer(rows, labels, None, rows)[0] for rows in (torn, mean))
        assert found == pytest.approx(expected, abs=1e-6)


def test_the_fused_answer_is_the_mean_of_two(faces):
    labels, _, noise = faces
    probed, _ = by_probe(noise[:, :30], labels, None, noise[:, :30])
    measured, _ = by_measures(noise[:, 30:], labels, None, noise[:, 30:])
    found, _ = fused(10)(noise, labels, None, noise)
    assert found == pytest.approx((probed + measured) / 2)


def test_prototypes_answer_with_the_class_that_is_most_alike():
    features = np.array([[2.0, 0], [3, 0.1], [0, 2], [0.1, 3], [-2, -2]])
    labels = np.array(["happy", "happy", "sad", "sad", "angry"])
    found, _ = by_prototypes(features, labels, None, np.array([[5.0, -1], [-1, 4], [-9, -9]]))
    assert named(found.argmax(axis=1)).tolist() == ["happy", "sad", "angry"]
    assert found.sum(axis=1) == pytest.approx(np.ones(3))


def test_a_class_of_few_faces_is_drawn_to_the_middle():
    features = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [-6, 1]])
    sure = []
    for many in (1, 6):
        rows = np.vstack([features[:6], np.repeat(features[6:], many, axis=0)])
        labels = np.array(["happy"] * 6 + ["sad"] * many)
        sure.append(by_prototypes(rows, labels, None, features[6:])[0][0, codes(["sad"])[0]])
    assert sure[0] < sure[1]


def test_the_prior_makes_the_mean_answer_the_labels_shares():
    answers = np.full((8, 7), 1 / 7)
    labels = np.array(["happy"] * 5 + ["sad"])
    found, _ = by_prior(answers[:6], labels, None, answers[6:])
    assert found[:, codes(["happy", "sad"])] == pytest.approx(np.array([[0.75, 0.25]] * 2))


CANDIDATES = [by_probe, by_prototypes, by_measures, fused(15)]


@pytest.mark.parametrize("candidate", CANDIDATES, ids=["probe", "prototypes", "measures", "both"])
def test_a_candidate_can_only_guess_and_the_alarm_goes_off_where_clips_leak(candidate, faces):
    labels, folds, noise = faces
    clips, leaking = np.repeat(np.arange(30), 2).astype(str), np.stack([np.arange(60) % 2] * 2)
    honest, leaked = (
        accuracy(out_of_fold(candidate, noise, labels, clips, dealt)[0], labels)
        for dealt in (folds, leaking)
    )
    assert honest < 0.5 and leaked > 0.9


def test_the_prior_can_only_guess_and_the_alarm_goes_off_where_it_is_of_the_tested_faces():
    """Where every fold tests one emotion, the labels learned from speak against it."""
    labels = np.repeat(["happy", "sad"], 10)
    folds, answers = (labels == "sad")[None].astype(int), np.full((20, 7), 1 / 7)

    def peeking(rows, truth, clips, others):
        tested = labels[~np.isin(labels, truth)]
        return by_prior(np.full((len(tested), 7), 1 / 7), tested, clips, others)

    found = [out_of_fold(how, answers, labels, labels, folds)[0] for how in (by_prior, peeking)]
    assert [accuracy(shares, labels) for shares in found] == [0, 1]


# The curve


@pytest.fixture(scope="module")
def learnable(faces):
    labels, folds, noise = faces
    clips = np.repeat(np.arange(30), 2).astype(str)
    return (
        noise + np.where(labels[:, None] == ["happy", "sad"] * 20, 0.6, 0.0),
        labels,
        clips,
        folds,
    )


def noted(seen):
    def procedure(rows, labels, clips, others):
        seen.append((set(clips), set(others[:, 0])))
        return by_probe(rows, labels, clips, others)

    return procedure


def test_a_curve_learns_from_nested_clips_of_the_training_part_alone(learnable):
    rows, labels, clips, folds = learnable
    rows, seen = np.hstack([clips[:, None].astype(float), rows]), []
    orders = clip_orders(clips, 2)
    curve = label_curve(
        {"a": (noted(seen), rows)}, labels, clips, folds, orders=orders, names=clips, sizes=(2, 8)
    )
    few, some, everything = seen[:10], seen[10:20], seen[20:]
    for two, eight, every in zip(few, some, everything, strict=True):
        assert [len(two[0]), len(eight[0]), len(every[0])] == [2, 8, 24]
        assert two[0] < eight[0] < every[0]
        assert not {float(clip) for clip in every[0]} & every[1]
    again = []
    label_curve(
        {"b": (noted(again), rows)}, labels, clips, folds, orders=orders, names=clips, sizes=(2,)
    )
    assert [clips for clips, _ in again[:10]] == [clips for clips, _ in few]
    learned = curve.groupby("size")["learned"].first().to_dict()
    assert learned == {2: 4, 8: 16, 0: 48}


def test_a_curve_rises_with_what_can_be_learned_and_never_says_never(learnable):
    rows, labels, clips, folds = learnable
    orders = clip_orders(clips, 2)
    curve = label_curve(
        {"a": (by_probe, rows)}, labels, clips, folds, orders=orders, names=clips, sizes=(1, 4)
    )
    right, loss = (curve.groupby("size")[what].mean() for what in ("right", "loss"))
    assert right[1] < right[4] < right[0]
    assert np.isfinite(loss).all() and loss[0] < loss[1]
    full = out_of_fold(by_probe, rows, labels, clips, folds)[0]
    shares = (48 * full + np.isin(EMOTIONS, labels) / 3) / 49
    assert loss[0] == pytest.approx(np.mean([log_loss(own, codes(labels)) for own in shares]))
    assert right[0] == pytest.approx(accuracy(full, labels))


def test_a_curve_can_only_guess_and_the_alarm_goes_off_where_clips_leak(faces):
    labels, folds, noise = faces
    clips, leaking = np.repeat(np.arange(30), 2).astype(str), np.stack([np.arange(60) % 2] * 2)
    honest, leaked = (
        label_curve(
            {"a": (by_probe, noise)},
            labels,
            clips,
            dealt,
            orders=clip_orders(clips, 2),
            names=clips,
        )
        for dealt in (folds, leaking)
    )
    highest = [curve.groupby("size")["right"].mean().max() for curve in (honest, leaked)]
    assert highest[0] < 0.5 and highest[1] > 0.9


def test_points_stand_beside_a_model_that_needs_no_label(learnable):
    rows, labels, clips, folds = learnable
    orders, names = clip_orders(clips, 2), np.arange(60).astype(str)
    curve = label_curve(
        {"a": (by_probe, rows)}, labels, clips, folds, orders=orders, names=names, sizes=(4,)
    )
    start = pd.Series((labels == "happy").astype(float), names)[::-1]
    points = curve_points(curve, start=start)
    for _, point in points.iterrows():
        assert point["ahead"] == pytest.approx(point["accuracy"] - 1 / 3)
        assert point["low"] < point["accuracy"] < point["high"]
        assert point["ahead_low"] < point["ahead"] < point["ahead_high"]
    assert points["faces"].tolist() == [8, 48]
    assert "ahead" not in curve_points(curve)


def test_the_gain_at_the_end_is_of_the_same_faces_whatever_their_order():
    names = [f"{clip}_{frame}" for clip in range(20) for frame in range(2)]
    last = np.random.default_rng(0).integers(0, 2, 40).astype(float)
    before = last.copy()
    before[:8] = 1 - before[:8]
    rows = [
        pd.DataFrame({"model": "a", "file_name": names, "learned": learned, "right": right})
        for learned, right in ((4, last), (16, before), (60, last))
    ]
    curve = pd.concat(rows).assign(clip=lambda each: each["file_name"].str.split("_").str[0])
    (found,) = gains(curve.sample(frac=1, random_state=1)).to_dict("records")
    assert (found["before"], found["faces"]) == (16, 60)
    assert found["gain"] == pytest.approx((last - before).mean())
    assert found["low"] < found["gain"] < found["high"]
    assert gains(curve[curve["learned"] == 4]).empty


POINTS = pd.DataFrame(
    {
        "model": ["a"] * 3 + ["b"] * 3,
        "size": [2, 8, 0] * 2,
        "faces": [4.0, 16, 64] * 2,
        "accuracy": [0.3, 0.7, 0.8, 0.5, 0.6, 0.7],
        "ahead": [-0.3, 0.1, 0.2, -0.1, 0.0, 0.1],
        "ahead_low": -0.05,
        "ahead_high": 0.4,
    }
)


def test_the_best_guess_lies_between_the_points_and_may_need_no_label():
    found = best_at(POINTS, [2, 8, 32, 99], start=0.55)
    assert found["model"].tolist() == ["", "", "a", ""]
    assert found["accuracy"].tolist() == pytest.approx([0.55, 0.55, 0.75, 0.55])
    assert best_at(POINTS, [8], start=0.1)["model"].tolist() == ["b"]


def test_a_model_is_ahead_from_where_it_stays_ahead():
    found = ahead_from(POINTS)
    assert (found["model"], found["faces"], found["ahead"]) == ("a", 16, 0.2)
    assert ahead_from(POINTS.assign(ahead=[0.1, -0.1, 0.2, 0, 0, 0]))["faces"] == 64
    assert ahead_from(POINTS.assign(ahead=-0.1))["faces"] is None
