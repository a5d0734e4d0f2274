"""Fitted models on disk: they answer as before, and foreign files are refused in words."""

import numpy as np
import pytest
import sklearn.svm
import skops.io
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.designed import image_svm, storage
from mien.designed.measured_svm import MeasuredSvm
from mien.errors import DataError


@pytest.mark.parametrize("classes", [2, 5])
def test_a_stored_svc_answers_as_the_fitted_one(tmp_path, classes):
    rng = np.random.default_rng(0)
    labels = np.arange(200) % classes
    rows = rng.normal(size=(200, 12)).astype(np.float32) + labels[:, None] * 0.3
    fitted = make_pipeline(StandardScaler(), image_svm.solver(C=2.0)).fit(rows, labels)
    storage.save(fitted, tmp_path / "model.skops")
    loaded = storage.load(tmp_path / "model.skops")
    assert type(loaded[-1]) is sklearn.svm.SVC
    fresh = rng.normal(size=(50, 12)).astype(np.float32)
    np.testing.assert_allclose(
        loaded.decision_function(fresh), fitted.decision_function(fresh), atol=1e-4
    )
    assert (loaded.predict(fresh) == fitted.predict(fresh)).all()


def test_a_calibrated_image_model_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(140) % 7
    images = rng.integers(0, 256, (140, 48, 48)).astype(np.uint8)
    model = image_svm.hog_svm(components=10).fit(images, labels)
    final = image_svm.Calibrated(model).fit(images[:70], labels[:70])
    storage.save(final, tmp_path / "model.skops")
    loaded = storage.load(tmp_path / "model.skops")
    np.testing.assert_allclose(
        loaded.predict_proba(images[:20]), final.predict_proba(images[:20]), atol=1e-4
    )


def test_a_model_of_any_measured_columns_comes_back(tmp_path):
    rows = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    labels = np.array(["happy", "sad"] * 20)
    fitted = MeasuredSvm(["jawOpen", "mouthClose", "AU12_r"]).fit(rows, labels)
    storage.save(fitted, tmp_path / "model.skops")
    loaded = storage.load(tmp_path / "model.skops")
    np.testing.assert_allclose(loaded.predict_proba(rows), fitted.predict_proba(rows))


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no model"):
        storage.load(tmp_path / "none.skops")
    (tmp_path / "bad.skops").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="bad.skops cannot be read"):
        storage.load(tmp_path / "bad.skops")


def test_code_in_a_file_is_not_run(tmp_path):
    import subprocess

    skops.io.dump(subprocess.Popen, tmp_path / "evil.skops")
    with pytest.raises(DataError, match="Popen"):
        storage.load(tmp_path / "evil.skops")


def test_a_model_of_an_earlier_mien_asks_for_its_chapter_in_one_line(tmp_path):
    moved = type("MeasuredSvm", (BaseEstimator,), {"__module__": "mien.units"})
    skops.io.dump(moved(), tmp_path / "A2.skops")
    with pytest.raises(DataError, match=r"A2\.skops cannot be read .* an earlier mien .*again$"):
        storage.load(tmp_path / "A2.skops")
