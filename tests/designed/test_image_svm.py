"""The image SVMs: they learn, their probabilities are sound, both solvers agree."""

import sys

import numpy as np
import pytest
import sklearn.svm
import skops.io
from sklearn.metrics import log_loss

from mien.designed import descriptors, image_svm
from mien.designed.descriptors import PatchDictionary, Pixels
from mien.designed.image_svm import MirrorSvm, mirror_kernel
from mien.errors import DataError, ParameterError


@pytest.fixture(scope="module")
def gratings():
    """Stripes across, stripes down, and both, with noise: 240 to train on, 90 held out."""
    random = np.random.default_rng(0)
    place = np.arange(48)
    images, labels = [], []
    for i in range(330):
        down, across = np.sin(0.7 * place[:, None] + random.uniform(0, 6, size=(2, 1, 1)))
        wave = (down + 0 * across.T, across.T + 0 * down, down * across.T)[i % 3]
        images.append(np.clip(128 + 40 * wave + random.normal(0, 25, (48, 48)), 0, 255))
        labels.append(i % 3)
    images, labels = np.array(images, np.uint8), np.array(labels, np.int8)
    return images[:240], labels[:240], images[240:], labels[240:]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all tests, so that the same dictionaries are learned once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def few_patches(monkeypatch):
    monkeypatch.setattr(descriptors, "_PATCHES", 2000)


SMALL = {
    "patches": {6: 4, 10: 4},
    "edges": {8: 4},
    "atoms": 32,
    "even": 20,
    "odd": 10,
    "sample": 6000,
    "gamma": 1.0,
    "penalty": 0.05,
}


def models():
    return {
        "pixels": image_svm.pixel_svm(),
        "hog": image_svm.hog_svm(components=20),
        "strong": image_svm.strong_svm(**SMALL | {"patches": {6: 4}, "edges": {}}),
    }


@pytest.mark.parametrize("name", ["pixels", "hog", "strong"])
def test_each_step_learns_and_is_calibrated_without_changing_its_mind(name, gratings, cache):
    images, labels, held_out, truth = gratings
    model = models()[name].fit(images, labels)
    predicted = model.predict(held_out)
    assert np.mean(predicted == truth) > (0.5 if name == "pixels" else 0.9)
    assert (model.classes_[model.decision_function(held_out).argmax(axis=1)] == predicted).all()
    calibrated = image_svm.Calibrated(model).fit(held_out, truth)
    probabilities = calibrated.predict_proba(held_out)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (calibrated.classes_[probabilities.argmax(axis=1)] == predicted).all()
    assert (calibrated.predict(held_out) == predicted).all()


def test_the_strong_model_reads_a_mirrored_face_alike(gratings, cache):
    images, labels, held_out, _ = gratings
    model = image_svm.strong_svm(**SMALL).fit(images, labels)
    straight = model.decision_function(held_out)
    np.testing.assert_allclose(model.decision_function(held_out[..., ::-1]), straight, atol=1e-3)


def test_the_strong_model_survives_the_disk(gratings, cache):
    images, labels, held_out, truth = gratings
    model = image_svm.Calibrated(image_svm.strong_svm(**SMALL).fit(images, labels)).fit(
        held_out, truth
    )
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert all(kind.startswith(("mien.", "sklearn.")) for kind in types), types
    again = skops.io.loads(stored, trusted=types)
    np.testing.assert_allclose(again.predict_proba(held_out), model.predict_proba(held_out))


def test_training_on_mirrors_is_what_the_mirror_kernel_does(monkeypatch):
    """The claim of Haasdonk and Burkhardt, by a plain least-squares SVM on twice the rows."""
    monkeypatch.setattr(image_svm, "_TOLERANCE", 1e-6)
    random = np.random.default_rng(0)
    rows = random.normal(size=(80, 12)).astype(np.float32) / np.sqrt(12)
    labels = (rows[:, 0] + rows[:, 11] ** 2 > 0.1).astype(int)
    turned = rows * np.where(np.arange(12) < 8, 1, -1).astype(np.float32)
    odd = np.arange(12) >= 8
    ours = MirrorSvm(odd=odd, penalty=0.1).fit(rows, labels)
    twice = np.concatenate([rows, turned])
    plain = MirrorSvm(odd=odd & False, penalty=0.2).fit(twice, np.tile(labels, 2))
    tested = random.normal(size=(30, 12)).astype(np.float32) / np.sqrt(12)
    np.testing.assert_allclose(
        ours.decision_function(tested), plain.decision_function(tested), atol=1e-3
    )


def test_the_solver_finds_the_exact_solution(monkeypatch):
    monkeypatch.setattr(image_svm, "_LANDMARKS", 50)
    monkeypatch.setattr(image_svm, "_TOLERANCE", 1e-5)
    random = np.random.default_rng(1)
    rows = random.normal(size=(300, 30)).astype(np.float32) / np.sqrt(30)
    labels = random.integers(3, size=300)
    odd = np.arange(30) % 3 == 0
    model = MirrorSvm(odd=odd, penalty=0.05).fit(rows, labels)
    kernel = mirror_kernel(rows, rows, odd=odd, gamma=1.0).astype(float)
    targets = np.where(labels[:, None] == np.arange(3), 1.0, -0.5)
    exact = np.linalg.solve(kernel + 0.05 * np.eye(300), targets)
    np.testing.assert_allclose(model.weights_, exact, atol=2e-3 * np.abs(exact).max())


@pytest.mark.parametrize("grid", [3, 4])
@pytest.mark.parametrize("edges", [False, True])
def test_components_keep_what_the_mirror_does(gratings, few_patches, grid, edges):
    images, *_ = gratings
    shape = {"size": 8, "edges": edges, "grid": grid}
    parts = PatchDictionary(atoms=16, even=30, odd=20, **shape).fit(images)
    straight, turned = parts.transform(images[:40]), parts.transform(images[:40][..., ::-1])
    np.testing.assert_allclose(straight[:, :30], turned[:, :30], atol=1e-5)
    np.testing.assert_allclose(straight[:, 30:], -turned[:, 30:], atol=1e-5)


def test_enough_components_keep_every_angle(gratings, few_patches):
    images, *_ = gratings
    patches = PatchDictionary(atoms=16, grid=3, even=240, odd=240).fit(images)
    parts = patches.transform(images)
    rows, turned = patches.responses(images), patches.responses(images[..., ::-1])
    even, odd = (rows + turned) / 2, (rows - turned) / 2
    wanted = np.concatenate([even - even.mean(axis=0), odd], axis=1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(parts @ parts.T, wanted @ wanted.T, atol=0.02)


def test_both_solvers_say_the_same(gratings):
    sklearnex = pytest.importorskip("sklearnex.svm")
    images, labels, held_out, _ = gratings
    rows, tested = Pixels().fit_transform(images), Pixels().fit_transform(held_out)
    assert isinstance(image_svm.solver(), sklearnex.SVC)
    fast = image_svm.solver().fit(rows, labels).predict(tested)
    stock = sklearn.svm.SVC().fit(rows, labels).predict(tested)
    assert np.mean(fast == stock) >= 0.98


def test_without_the_fast_solver_the_stock_one_serves(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearnex.svm", None)
    assert type(image_svm.solver(C=2.0)) is sklearn.svm.SVC


def test_the_strong_model_grows_and_describes_nothing_twice(gratings, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path))
    images, labels, *_ = gratings
    steps = image_svm.strong_steps(**SMALL)
    assert list(steps) == [
        "6-pixel patches, no mirrors",
        "6-pixel patches",
        "6- and 10-pixel patches",
        "6- and 10-pixel patches, 8-pixel edges",
    ]
    kept = []
    for model in steps.values():
        model.fit(images, labels)
        kept.append(len(list((tmp_path / "descriptors").iterdir())))
    assert kept == [2, 2, 4, 6]  # a fit and a result each; a size is new in the last two steps
    alone, mirrored = (model["svm"] for model in list(steps.values())[:2])
    assert (alone.odd.sum(), mirrored.odd.sum()) == (0, 10)
    assert np.array_equal(alone.rows_, mirrored.rows_)


def test_both_losses_get_the_same_descriptor_and_kernel(gratings, cache):
    images, labels, held_out, truth = gratings
    whole = image_svm.strong_svm(**SMALL).fit(images, labels)
    squared, hinge = image_svm.losses_compared(whole, C=10.0).values()
    few = slice(0, len(images), 2)
    for model in (squared, hinge):
        model.fit(images[few], labels[few])
        assert model["descriptor"].estimator is whole["descriptor"]
        assert np.mean(model.predict(held_out) == truth) > 0.8
    kernel = {"odd": whole["svm"].odd, "gamma": whole["svm"].gamma}
    rows, new = (whole["descriptor"].transform(each) for each in (images[few], held_out))
    textbook = sklearn.svm.SVC(kernel="precomputed", C=10.0, break_ties=True)
    textbook.fit(mirror_kernel(rows, rows, **kernel), labels[few])
    values = textbook.decision_function(mirror_kernel(new, rows, **kernel))
    np.testing.assert_allclose(hinge.decision_function(held_out), values, atol=1e-4)
    apart = np.abs(hinge.decision_function(held_out) - squared.decision_function(held_out))
    assert apart.max() > 0.1


def test_a_mirror_turns_the_columns_that_the_svm_takes_for_odd(gratings, cache):
    images, labels, *_ = gratings
    model = image_svm.strong_svm(**SMALL).fit(images, labels)
    rows, turned = (model["descriptor"].transform(each) for each in (images, images[..., ::-1]))
    odd = model["svm"].odd
    assert rows.shape == (len(images), 3 * 30)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows[:, ~odd], turned[:, ~odd], atol=1e-5)
    np.testing.assert_allclose(rows[:, odd], -turned[:, odd], atol=1e-5)


def test_no_other_temperature_explains_the_held_out_images_better(gratings, cache):
    images, labels, held_out, truth = gratings
    model = image_svm.hog_svm(components=20).fit(images, labels)
    spoilt = np.where(np.arange(len(truth)) % 4 == 0, (truth + 1) % 3, truth)
    final = image_svm.Calibrated(model).fit(held_out, spoilt)
    losses = {}
    best = final.temperature_
    for factor in (0.8, 1.0, 1.25):
        final.temperature_ = factor * best
        losses[factor] = log_loss(spoilt, final.predict_proba(held_out))
    assert min(losses, key=losses.get) == 1.0


@pytest.mark.parametrize("name", ["pixels", "hog", "strong"])
def test_a_class_that_only_one_part_of_the_crowd_shows_does_no_harm(name, gratings, cache):
    images, labels, held_out, truth = gratings
    known = labels != 2
    model = models()[name].fit(images[known], labels[known])
    calibrated = image_svm.Calibrated(model).fit(held_out, truth)  # class 2 is held out only
    probabilities = calibrated.predict_proba(held_out)
    assert probabilities.shape == (len(held_out), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (calibrated.classes_[probabilities.argmax(axis=1)] == model.predict(held_out)).all()
    whole = models()[name].fit(images, labels)
    calibrated = image_svm.Calibrated(whole).fit(
        held_out[truth != 2], truth[truth != 2]
    )  # now not held out
    assert calibrated.predict_proba(held_out).shape == (len(held_out), 3)
    assert np.isfinite(calibrated.predict_proba(held_out)).all()


@pytest.mark.parametrize("name", ["pixels", "hog", "strong"])
def test_one_image_of_a_class_is_enough_to_go_on(name, gratings, cache):
    images, labels, held_out, truth = gratings
    few = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:1]])
    model = models()[name].fit(images[few], labels[few])
    one = np.concatenate([np.flatnonzero(truth != 2)[:3], np.flatnonzero(truth == 2)[:1]])
    calibrated = image_svm.Calibrated(model).fit(held_out[one], truth[one])
    assert np.isfinite(calibrated.predict_proba(held_out)).all()
    assert (calibrated.predict(held_out) == model.predict(held_out)).all()


@pytest.mark.parametrize("name", ["pixels", "hog", "strong"])
def test_constant_images_do_no_harm(name, gratings, cache):
    images, labels, held_out, _ = gratings
    some = images.copy()
    some[:6] = 128
    model = models()[name].fit(some, labels)
    assert np.isfinite(model.decision_function(some[:9])).all()
    flat = np.full_like(images[:60], 128)
    blind = image_svm.Calibrated(models()[name].fit(flat, labels[:60])).fit(flat[:9], labels[:9])
    np.testing.assert_allclose(blind.predict_proba(held_out).sum(axis=1), 1, rtol=1e-5)


def test_fewer_images_than_components_are_enough(gratings, cache):
    images, labels, held_out, _ = gratings
    for model in (image_svm.hog_svm(), image_svm.strong_svm(**SMALL | {"even": 90, "odd": 40})):
        model.fit(images[:24], labels[:24])
        assert np.isfinite(model.decision_function(held_out)).all()


def test_a_crowd_that_teaches_nothing_is_refused_in_words():
    codes = np.array([3, 3, 4])
    image_svm.check_crowd(codes, codes[:1])
    with pytest.raises(DataError, match="shows happy; an SVM needs images of at least two"):
        image_svm.check_crowd(codes[:2], codes)
    with pytest.raises(DataError, match="happy, sad; .* some of these in PublicTest"):
        image_svm.check_crowd(codes, np.array([0]))
    with pytest.raises(DataError, match="shows no emotion"):
        image_svm.check_crowd(codes[:0], codes)


def test_the_mirror_kernel_by_hand():
    face, odd = np.array([[0.0, 1.0]], np.float32), np.array([False, True])
    expected = np.float32((1 + np.exp(-4.0)) / 2)
    assert mirror_kernel(face, face, odd=odd, gamma=1.0) == expected


def test_the_kernel_of_faces_among_themselves_is_the_whole_kernel():
    rows = np.random.default_rng(0).normal(size=(2100, 6)).astype(np.float32)  # many tiles
    for odd in (np.zeros(6, bool), np.arange(6) % 3 == 1):
        whole = mirror_kernel(rows, rows.copy(), odd=odd, gamma=0.3)
        np.testing.assert_allclose(mirror_kernel(rows, rows, odd=odd, gamma=0.3), whole, atol=1e-6)


def test_one_class_or_bad_settings_get_a_clear_message():
    rows = np.zeros((4, 3), np.float32)
    with pytest.raises(DataError, match="two classes"):
        MirrorSvm(odd=np.zeros(3, bool)).fit(rows, [1, 1, 1, 1])
    with pytest.raises(ParameterError, match="penalty"):
        MirrorSvm(odd=np.zeros(3, bool), penalty=0).fit(rows, [0, 1, 0, 1])
