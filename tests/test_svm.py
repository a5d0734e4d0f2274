"""The image SVMs: they learn, their probabilities are sound, both solvers agree."""

import sys

import numpy as np
import pytest
import sklearn.svm
import skops.io

from mien import svm
from mien.errors import DataError, ParameterError
from mien.features import Hog, Pixels, mirror
from mien.kernel import MirrorSvm, mirror_kernel
from mien.patches import PatchDictionary
from mien.symmetry import MirrorComponents


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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path))


SMALL = {"sizes": (6, 10), "atoms": 32, "even": 20, "odd": 10}


def models():
    return {
        "pixels": svm.pixel_svm(),
        "hog": svm.hog_svm(components=20),
        "strong": svm.strong_svm(**SMALL),
    }


@pytest.mark.parametrize("name", ["pixels", "hog", "strong"])
def test_each_step_learns_and_is_calibrated_without_changing_its_mind(name, gratings, cache):
    images, labels, held_out, truth = gratings
    model = models()[name].fit(images, labels)
    predicted = model.predict(held_out)
    assert np.mean(predicted == truth) > (0.5 if name == "pixels" else 0.9)
    assert (model.classes_[model.decision_function(held_out).argmax(axis=1)] == predicted).all()
    calibrated = svm.calibrate(model, held_out, truth)
    probabilities = calibrated.predict_proba(held_out)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (calibrated.classes_[probabilities.argmax(axis=1)] == predicted).all()
    assert (calibrated.predict(held_out) == predicted).all()


def test_the_strong_model_reads_a_mirrored_face_alike(gratings, cache):
    images, labels, held_out, _ = gratings
    model = svm.strong_svm(**SMALL).fit(images, labels)
    straight = model.decision_function(held_out)
    np.testing.assert_allclose(model.decision_function(mirror(held_out)), straight, atol=1e-3)


def test_the_strong_model_survives_the_disk(gratings, cache):
    images, labels, held_out, truth = gratings
    model = svm.calibrate(svm.strong_svm(**SMALL).fit(images, labels), held_out, truth)
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert all(kind.startswith(("mien.", "sklearn.")) for kind in types), types
    again = skops.io.loads(stored, trusted=types)
    np.testing.assert_allclose(again.predict_proba(held_out), model.predict_proba(held_out))


def test_training_on_mirrors_is_what_the_mirror_kernel_does():
    """The claim of Haasdonk and Burkhardt, by a plain least-squares SVM on twice the rows."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(80, 12)).astype(np.float32) / np.sqrt(12)
    labels = (rows[:, 0] + rows[:, 11] ** 2 > 0.1).astype(int)
    turned = rows * np.where(np.arange(12) < 8, 1, -1).astype(np.float32)
    ours = MirrorSvm(odd=4, penalty=0.1, tolerance=1e-6).fit(rows, labels)
    twice = np.concatenate([rows, turned])
    plain = MirrorSvm(odd=0, penalty=0.2, tolerance=1e-6).fit(twice, np.tile(labels, 2))
    tested = random.normal(size=(30, 12)).astype(np.float32) / np.sqrt(12)
    np.testing.assert_allclose(
        ours.decision_function(tested), plain.decision_function(tested), atol=1e-3
    )


def test_the_solver_finds_the_exact_solution():
    random = np.random.default_rng(1)
    rows = random.normal(size=(300, 30)).astype(np.float32) / np.sqrt(30)
    labels = random.integers(3, size=300)
    model = MirrorSvm(odd=10, penalty=0.05, landmarks=50, tolerance=1e-5).fit(rows, labels)
    kernel = mirror_kernel(rows, rows, odd=10, gamma=1.0).astype(float)
    targets = np.where(labels[:, None] == np.arange(3), 1.0, -0.5)
    exact = np.linalg.solve(kernel + 0.05 * np.eye(300), targets)
    np.testing.assert_allclose(model.weights_, exact, atol=2e-3 * np.abs(exact).max())
    assert model.steps_ < 100


@pytest.mark.parametrize("odd", [0, 5])
def test_components_keep_what_the_mirror_does(gratings, odd):
    images, *_ = gratings
    for descriptor in (PatchDictionary(atoms=16, grid=3 + odd % 2, sample=2000), Hog()):
        parts = MirrorComponents([descriptor], even=30, odd=20).fit(images)
        straight, turned = parts.transform(images[:40]), parts.transform(mirror(images[:40]))
        np.testing.assert_allclose(straight[:, :30], turned[:, :30], atol=1e-5)
        np.testing.assert_allclose(straight[:, 30:], -turned[:, 30:], atol=1e-5)


def test_enough_components_keep_every_angle(gratings):
    images, *_ = gratings
    hog = Hog(cell=12).fit(images)
    parts = MirrorComponents([hog], even=240, odd=240).fit(images).transform(images)
    rows, turned = hog.transform(images), hog.transform(mirror(images))
    even, odd = (rows + turned) / 2, (rows - turned) / 2
    wanted = np.concatenate([even - even.mean(axis=0), odd], axis=1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(parts @ parts.T, wanted @ wanted.T, atol=0.02)


def test_both_solvers_say_the_same(gratings):
    sklearnex = pytest.importorskip("sklearnex.svm")
    images, labels, held_out, _ = gratings
    rows, tested = Pixels().fit_transform(images), Pixels().fit_transform(held_out)
    assert isinstance(svm.solver(), sklearnex.SVC)
    fast = svm.solver().fit(rows, labels).predict(tested)
    stock = sklearn.svm.SVC().fit(rows, labels).predict(tested)
    assert np.mean(fast == stock) >= 0.98


def test_without_the_fast_solver_the_stock_one_serves(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearnex.svm", None)
    assert type(svm.solver(C=2.0)) is sklearn.svm.SVC


def test_calibration_refuses_a_class_that_it_cannot_see(gratings, cache):
    images, labels, held_out, truth = gratings
    model = svm.hog_svm(components=20).fit(images, labels)
    some = truth != 2
    with pytest.raises(DataError, match="no held-out image of class 2"):
        svm.calibrate(model, held_out[some], truth[some])


def test_constant_images_among_the_others_do_no_harm(gratings, cache):
    images, labels, *_ = gratings
    images = images.copy()
    images[:6] = 128
    for model in models().values():
        assert np.isfinite(model.fit(images, labels).decision_function(images[:9])).all()


def test_one_class_or_bad_settings_get_a_clear_message():
    rows = np.zeros((4, 3), np.float32)
    with pytest.raises(DataError, match="two classes"):
        MirrorSvm().fit(rows, [1, 1, 1, 1])
    with pytest.raises(ParameterError, match="penalty"):
        MirrorSvm(penalty=0).fit(rows, [0, 1, 0, 1])
    with pytest.raises(ParameterError, match="descriptor"):
        MirrorComponents([]).fit(np.zeros((4, 48, 48), np.uint8))
