"""A backend that is not there, or has too little memory, is told in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from mien.errors import ParameterError
from mien.network import architecture, inference, training
from mien.network.backend import check_backend, enough_memory, quiet


@pytest.fixture
def no_setting(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return monkeypatch


def test_other_settings_of_keras_json_do_not_concern_mien(tmp_path):
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-7}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    shapes = "from mien.network import pretrained; print(pretrained.load_network()[0].input_shape)"
    done = subprocess.run(
        [sys.executable, "-c", shapes],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "(None, 48, 48, 1)", done.stderr


def test_tensorflow_unless_something_else_is_said(no_setting, tmp_path):
    assert check_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert check_backend() == "jax"
    no_setting.setenv("KERAS_BACKEND", "tensorflow")
    assert check_backend() == "tensorflow"
    no_setting.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text("[broken")
    assert check_backend() == "tensorflow"


def test_a_misspelt_backend_is_named_with_the_right_ones(no_setting):
    no_setting.setenv("KERAS_BACKEND", "tensorfow")
    said = "KERAS_BACKEND says 'tensorfow'.* use tensorflow, jax, torch"
    with pytest.raises(ParameterError, match=said):
        check_backend()


def test_a_backend_that_is_not_installed_is_named_with_the_remedy(no_setting, tmp_path):
    no_setting.setitem(sys.modules, "torch", None)
    no_setting.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else name)
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    with pytest.raises(ParameterError, match=r"keras\.json says 'torch'.*pip install torch"):
        check_backend()


@pytest.mark.parametrize("command", [["run"], ["check"]])
def test_a_study_is_refused_before_anything_runs(mien_here, tmp_path, command):
    done = mien_here(
        *command, "notebooks/studies/demo.yaml", "--out", str(tmp_path / "s"), KERAS_BACKEND="thano"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "KERAS_BACKEND says 'thano'" in done.stderr
    assert not (tmp_path / "s").exists()


def test_quiet_swallows_what_other_languages_write_and_nothing_after(capfd):
    with quiet():
        os.write(2, b"chatter")
    os.write(2, b"news")
    assert capfd.readouterr().err == "news"
    with pytest.raises(ZeroDivisionError), quiet():
        os.write(2, 1 // 0)


def exhausted():
    """Return the errors with which the backends say that memory is full."""
    import jax
    import tensorflow as tf

    return [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),  # as PyTorch's
        MemoryError(),
    ]


@pytest.mark.parametrize("number", range(4))
def test_too_little_memory_is_told_with_the_remedy(number):
    told = pytest.raises(ParameterError, match="batch_size of 64 faces.* 32 or less")
    with told as error, enough_memory(64):
        raise exhausted()[number]
    assert "\n" not in str(error.value)


def test_other_errors_stay_as_they_are():
    with pytest.raises(ValueError, match="shape"), enough_memory(64):
        raise ValueError("a wrong shape")


def test_training_and_answering_ask_for_a_smaller_batch(monkeypatch):
    model = architecture.build(stem=8, stages=((8, 0),))
    faces, codes = np.zeros((40, 48, 48), np.uint8), np.zeros(40, int)

    def full(*_, **__):
        raise exhausted()[0]

    monkeypatch.setattr("keras.Model.predict_on_batch", full)
    with pytest.raises(ParameterError, match="batch_size of 40"):
        inference.predict(model, faces)
    monkeypatch.setattr("keras.Model.train_on_batch", full)
    with pytest.raises(ParameterError, match="batch_size of 20"):
        recipe = training.Recipe(epochs=1, batch_size=20)
        training.train(model, faces, codes, faces, codes, recipe)
