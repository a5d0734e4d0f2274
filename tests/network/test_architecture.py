"""The network on small drawn patterns: quick enough for a suite, hard enough to fail honestly."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from mien.data.images import prepare
from mien.emotions import EMOTIONS, restrict
from mien.errors import DataError
from mien.network import architecture, inference, pretrained, training
from mien.network.training import Augment, Recipe, _State

SMALL = {"stem": 8, "stages": ((16, 1), (16, 1)), "dropout": 0.1}
TINY = {"stem": 8, "stages": ((8, 1),), "dropout": 0.1}


def patterns(n, seed=0):
    """Stripes at seven angles with noise: a class for every angle, mirror images kept apart."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 7
    rng.shuffle(codes)
    y, x = np.mgrid[:48, :48] / 48
    angle = np.pi * codes[:, None, None] / 7
    waves = np.sin(2 * np.pi * 5 * (x * np.cos(angle) + y * np.sin(angle)) + rng.random((n, 1, 1)))
    images = 128 + 60 * waves + rng.normal(0, 20, (n, 48, 48))
    return images.clip(0, 255).astype(np.uint8), codes


def dense(shape, answers):
    flat = keras.layers.Flatten()
    return keras.Sequential([keras.Input(shape), flat, keras.layers.Dense(answers)])


@pytest.fixture(scope="module")
def trained():
    model = architecture.build(**SMALL)
    faces, codes = patterns(448)
    check = patterns(140, seed=1)
    recipe = Recipe(epochs=6, batch_size=32, learning_rate=5e-3)
    history = training.train(model, faces, codes, *check, recipe)
    return model, history


def test_the_network_is_what_the_assignment_asks_for(trained):
    model, _ = trained
    kinds = [
        type(layer) for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)
    ]
    assert kinds[0] is keras.layers.Conv2D
    assert kinds[-2:] == [keras.layers.Dense, keras.layers.Softmax]
    assert keras.layers.Dropout in kinds and architecture.StandardizedConv2D in kinds
    assert model.output_shape == (None, len(EMOTIONS))


def test_it_learns_what_can_be_learned(trained):
    model, _ = trained
    faces, codes = patterns(140, seed=2)
    answers = inference.predict(model, faces, mirror=False)
    assert (answers.argmax(axis=1) == codes).mean() > 0.9
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert answers.dtype == np.float32


def test_history_tells_every_epoch(trained):
    _, history = trained
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert set(history) == {
        *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
    }
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history["learning_rate"].iloc[-1] == pytest.approx(0, abs=1e-6)


def test_the_turning_points_of_a_training_are_found():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3, 4],
            "val_accuracy": [0.3, 0.4, 0.5, 0.4],
            "val_loss": [1.5, 1.0, 1.1, 1.2],
        }
    )
    assert training.turning_points(history) == {
        "epochs": 4,
        "best_epoch": 3,
        "best_accuracy": 0.5,
        "lowest_loss_epoch": 2,
        "loss_rise": pytest.approx(0.2),
    }


def test_the_kept_weights_are_the_best_epochs(trained):
    model, history = trained
    faces, codes = patterns(140, seed=1)
    right = (inference.predict(model, faces, mirror=False).argmax(axis=1) == codes).mean()
    assert right == pytest.approx(history["val_accuracy"].max())


def test_a_standardised_convolution_keeps_a_rectified_signal_in_range():
    rng = np.random.default_rng(0)
    signal = np.maximum(rng.normal(0, 1, (64, 12, 12, 32)), 0).astype(np.float32)
    layer = architecture.StandardizedConv2D(
        64, kernel_initializer=keras.initializers.RandomNormal(5, 3)
    )
    answers = np.asarray(layer(signal))[:, 1:-1, 1:-1]
    assert abs(answers.mean()) < 0.1 and answers.std() == pytest.approx(1, abs=0.1)


def test_the_scale_and_offset_of_a_kernel_do_not_matter_and_its_gain_does():
    rng = np.random.default_rng(1)
    faces = rng.normal(0, 1, (4, 6, 6, 8)).astype(np.float32)
    layer = architecture.StandardizedConv2D(16)
    before = np.asarray(layer(faces))
    kernel, gain, bias = layer.get_weights()
    layer.set_weights([5 * kernel + 2, gain, bias])
    np.testing.assert_allclose(np.asarray(layer(faces)), before, atol=1e-2)
    layer.set_weights([kernel, 3 * gain, bias + 1])
    np.testing.assert_allclose(np.asarray(layer(faces)), 3 * before + 1, atol=1e-4)


def test_crops_and_mirror_images_are_averaged_with_the_face(trained):
    model, _ = trained
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (6, 24, 24), dtype=np.uint8)
    faces = np.pad(small, ((0, 0), (12, 12), (12, 12)), mode="edge")
    pictures = [Image.fromarray(face).resize((48, 48), Image.Resampling.BILINEAR) for face in small]
    middle = np.stack([np.asarray(picture) for picture in pictures])
    views = [faces, faces[:, :, ::-1], middle, middle[:, :, ::-1]]
    apart = [inference.predict(model, view, mirror=False) for view in views]
    found = inference.predict(model, faces, crops=[0.5])
    np.testing.assert_allclose(found, np.mean(apart, axis=0), atol=0.02)
    assert np.abs(found - inference.predict(model, faces)).max() > 0.05
    whole = inference.predict(model, middle, crops=[2.0], mirror=False)
    wider = np.mean(
        [inference.predict(model, view, mirror=False) for view in (middle, faces)], axis=0
    )
    assert np.abs(whole - wider).mean() < np.abs(whole - inference.predict(model, middle)).mean()


def test_the_first_kernels_are_cosines_of_both_signs_and_then_random():
    kernels = np.asarray(architecture.build(stem=64, stages=((8, 0),)).get_layer("stem").kernel)
    kernels = kernels.reshape(25, 64)
    np.testing.assert_allclose(kernels[:, 0:50:2], -kernels[:, 1:50:2])
    products = kernels[:, 0:50:2].T @ kernels[:, 0:50:2]
    strength = np.sqrt(np.diag(products))
    np.testing.assert_allclose(products, np.diag(strength**2), atol=1e-5)
    assert strength.argmin() == 0 and np.all(np.diff(strength) > -1e-5)  # low frequencies first
    assert np.abs(kernels[:, 50:].T @ kernels[:, 50:]).max() > 0.1
    plain = architecture.build(stem=64, stages=((8, 0),), cosines=False).get_layer("stem").kernel
    np.testing.assert_allclose(np.asarray(plain)[..., 50:].reshape(25, -1), kernels[:, 50:])


@pytest.mark.parametrize("half, chosen", [(0.65, "mixed_bfloat16"), (0.9, "float32")])
def test_the_precision_does_not_hang_on_what_is_tried_first(half, chosen, monkeypatch):
    """In a process that gets four times as fast while it computes."""
    calls = []

    def seconds(way, number):
        (layer,) = (c.cell_contents for c in way.__closure__ if hasattr(c.cell_contents, "filters"))
        calls.append(layer.compute_dtype)
        return (1 + 3 * 0.97 ** len(calls)) * (half if layer.compute_dtype == "bfloat16" else 1)

    monkeypatch.setattr(architecture.timeit, "timeit", seconds)
    assert architecture.fast_dtype.__wrapped__() == chosen
    assert set(calls) == {"bfloat16", "float32"}


@pytest.mark.parametrize("cosine", [True, False])
def test_the_learning_rate_rises_and_then_falls_or_stays(cosine):
    recipe = Recipe(epochs=1, cosine=cosine)
    rates = [recipe.rate(done, 100) for done in range(100)]
    np.testing.assert_allclose(rates[:9], 0.02 * np.arange(1, 10) / 10)
    assert rates[9] == max(rates) == pytest.approx(0.02)
    assert rates[54] == pytest.approx(0.01 if cosine else 0.02)
    assert rates[99] == pytest.approx(0 if cosine else 0.02)


@pytest.mark.parametrize("muon", [True, False])
def test_muon_moves_a_kernel_along_all_its_directions_alike(muon, eagerly):
    model, (faces, codes) = architecture.build(**TINY), patterns(32)
    state = _State(model, Recipe(epochs=1, muon=muon), steps=10)
    kernel = state.model.get_layer("stage1_halve").kernel
    before = keras.ops.convert_to_numpy(kernel).copy()
    state.step(prepare(faces), np.eye(7, dtype=np.float32)[codes])
    spread = np.linalg.svd(keras.ops.convert_to_numpy(kernel) - before, compute_uv=False)
    assert (spread[-1] > 0.5 * spread[0]) == muon


def test_folding_changes_no_answer_and_leaves_standard_layers_only(trained):
    model, _ = trained
    plain = architecture.fuse(model)
    faces, _ = patterns(20, seed=3)
    np.testing.assert_allclose(
        inference.predict(plain, faces), inference.predict(model, faces), atol=1e-4
    )
    assert not any(isinstance(layer, architecture.StandardizedConv2D) for layer in plain.layers)


def test_the_same_seed_gives_the_same_network_and_another_seed_another(eagerly):
    faces, codes = patterns(96)

    def weights(seed):
        model = architecture.build(**TINY, seed=seed)
        recipe = Recipe(epochs=1, batch_size=32, augment=Augment(), mixup=0.2)
        training.train(model, faces, codes, faces, codes, recipe, seed=seed)
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first = weights(0)
    np.testing.assert_allclose(first, weights(0), atol=1e-5)
    assert not np.allclose(first, weights(1), atol=1e-2)


def test_a_killed_training_goes_on_where_it_was(eagerly, tmp_path):
    faces, codes = patterns(96)
    given = (faces, codes, faces, codes)
    recipe = Recipe(epochs=4, batch_size=32, augment=Augment(), sizes=(32, 48))
    undisturbed = architecture.build(**TINY)
    whole = training.train(undisturbed, *given, recipe)

    class Killed(Exception):
        pass

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    kept = {"checkpoint": tmp_path / "checkpoint.npz"}
    with pytest.raises(Killed):
        training.train(architecture.build(**TINY), *given, recipe, on_epoch=kill, **kept)
    seen = []
    again = architecture.build(**TINY)
    rest = training.train(again, *given, recipe, on_epoch=seen.append, **kept)
    assert [row["epoch"] for row in seen] == [3, 4]
    for one, other in zip(undisturbed.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    pd.testing.assert_frame_equal(rest.drop(columns="seconds"), whole.drop(columns="seconds"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_checkpoint_of_another_training_is_not_continued(eagerly, tmp_path):
    faces, codes = patterns(64)
    for epochs, seed in ((1, 0), (1, 1), (2, 1)):
        seen = []
        training.train(
            architecture.build(**TINY),
            *(faces, codes, faces, codes),
            Recipe(epochs=epochs, batch_size=32),
            checkpoint=tmp_path / "checkpoint.npz",
            on_epoch=seen.append,
            seed=seed,
        )
        assert [row["epoch"] for row in seen] == [1, 2][:epochs]


def test_the_best_epoch_is_kept_over_a_break_too(eagerly, tmp_path, monkeypatch):
    faces, codes = patterns(64)
    right, after = iter([32, 40, 24, 16]), []

    def predict(*_, **__):
        return np.eye(7)[np.where(np.arange(64) < next(right), codes, codes - 1)]

    monkeypatch.setattr(training, "predict", predict)

    def note(row):
        after.append(model.get_weights())
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    recipe = Recipe(epochs=4, batch_size=8)
    given = (faces, codes, faces, codes, recipe)
    model = architecture.build(**TINY)
    with pytest.raises(KeyboardInterrupt):
        training.train(model, *given, checkpoint=tmp_path / "checkpoint.npz", on_epoch=note)
    again = architecture.build(**TINY)
    training.train(again, *given, checkpoint=tmp_path / "checkpoint.npz")
    for kept, best in zip(again.get_weights(), after[1], strict=True):
        np.testing.assert_array_equal(kept, best)
    assert not np.array_equal(after[2][0], after[1][0])


def test_a_torn_checkpoint_is_named(tmp_path):
    torn = tmp_path / "checkpoint.npz"
    torn.write_bytes(b"PK\x03\x04 torn")
    faces, codes = patterns(64)
    with pytest.raises(DataError, match=r"checkpoint\.npz is no checkpoint"):
        training.train(
            architecture.build(**TINY),
            *(faces, codes, faces, codes),
            Recipe(epochs=1),
            checkpoint=torn,
        )


def test_saved_and_loaded_networks_answer_alike(trained, tmp_path):
    model, _ = trained
    pretrained.save(model, tmp_path / "deep" / "network.keras")
    again = pretrained.load(tmp_path / "deep" / "network.keras")
    faces, _ = patterns(10, seed=4)
    np.testing.assert_array_equal(inference.predict(again, faces), inference.predict(model, faces))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["network.keras"]


def test_files_that_are_no_fitting_network_are_named(tmp_path):
    with pytest.raises(DataError, match=r"missing\.keras cannot be read.*not found"):
        pretrained.load(tmp_path / "missing.keras")
    text = tmp_path / "text.keras"
    text.write_text("not a network")
    with pytest.raises(DataError, match=r"cannot be read as a \.keras network"):
        pretrained.load(text)
    five = keras.Sequential(
        [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]
    )
    pretrained.save(five, tmp_path / "five.keras")
    with pytest.raises(DataError, match=r"answers .*5.*, not one probability for each of angry"):
        pretrained.load(tmp_path / "five.keras")
    pretrained.save(dense((9, 9, 1), 7), tmp_path / "wide.keras")
    with pytest.raises(DataError, match="48 x 48"):
        pretrained.load(tmp_path / "wide.keras")


def test_code_in_a_file_is_not_run(tmp_path):
    evil = keras.Sequential(
        [keras.Input((48, 48, 1)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()]
    )
    evil.add(keras.layers.Dense(7))
    evil.save(tmp_path / "evil.keras")
    with pytest.raises(DataError, match="cannot be read"):
        pretrained.load(tmp_path / "evil.keras")


def test_embedding_has_one_row_a_face(trained):
    model, _ = trained
    assert inference.embed(model, patterns(5)[0]).shape == (5, 16)


def test_any_number_of_faces_is_answered(trained):
    model, _ = trained
    faces, _ = patterns(70, seed=5)
    whole = inference.predict(model, faces, batch_size=32)
    assert inference.predict(model, faces[:0]).shape == (0, 7)
    np.testing.assert_allclose(inference.predict(model, faces[:1]), whole[:1], atol=1e-5)


def test_mirror_images_get_the_same_answer(trained):
    model, _ = trained
    faces, _ = patterns(6)
    np.testing.assert_allclose(
        inference.predict(model, faces), inference.predict(model, faces[:, :, ::-1]), atol=1e-6
    )


def test_what_is_no_face_or_no_label_is_refused(trained):
    model, _ = trained
    faces, codes = patterns(14)
    with pytest.raises(DataError, match="uint8 faces"):
        inference.predict(model, faces.astype(float))
    with pytest.raises(DataError, match="one label a face"):
        training.train(model, faces, codes[:3], faces, codes, Recipe(epochs=1))
    with pytest.raises(DataError, match="class codes"):
        training.train(model, faces, codes + 1, faces, codes, Recipe(epochs=1))
    with pytest.raises(ValidationError, match="epochs\n.* greater than or equal to 1"):
        Recipe(epochs=0)
    with pytest.raises(ValidationError, match="keep\n.* 'best' or 'last'"):
        Recipe(epochs=1, keep="first")


@given(st.sets(st.sampled_from(EMOTIONS), min_size=1), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_masked_probabilities_sum_to_one_and_leave_the_absent_at_zero(emotions, seed):
    answers = np.random.default_rng(seed).dirichlet(np.ones(7), size=5)
    masked = restrict(answers, sorted(emotions))
    np.testing.assert_allclose(masked.sum(axis=1), 1)
    absent = [code for code, emotion in enumerate(EMOTIONS) if emotion not in emotions]
    assert not masked[:, absent].any()


def test_importing_mien_imports_no_keras_and_its_network_no_tensorflow_by_itself(root):
    code = "import mien, sys; assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    for room in (root / "lib" / "mien" / "network").glob("*.py"):
        assert "import tensorflow" not in room.read_text()


def test_the_same_file_trains_on_jax():
    pytest.importorskip("jax")
    code = """
import json, keras, numpy as np
from mien.network import architecture, inference, training
assert keras.backend.backend() == "jax"
rng = np.random.default_rng(0)
codes = np.arange(64) % 7
faces = (codes[:, None, None] * 30 + rng.integers(0, 30, (64, 48, 48))).astype(np.uint8)
faces[:, :, :24] //= 2
model = architecture.build(stem=8, stages=((8, 1),), dropout=0)
recipe = training.Recipe(epochs=8, batch_size=32, learning_rate=0.02)
history = training.train(model, faces, codes, faces, codes, recipe)
print(json.dumps([list(history["loss"]), float(inference.predict(model, faces).sum())]))
"""
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    losses, total = json.loads(done.stdout.splitlines()[-1])
    assert losses[-1] < 0.9 * losses[0] and total == pytest.approx(64, abs=1e-2)


def test_validation_looks_at_the_images_that_are_not_learned_from(eagerly, monkeypatch):
    faces, codes = patterns(14)
    check, truth = patterns(7, seed=1)
    looked_at = []

    def predict(model, images, **_):
        looked_at.append(images)
        return np.eye(7)[truth[: len(images)]]

    monkeypatch.setattr(training, "predict", predict)
    model, recipe = architecture.build(**TINY), Recipe(epochs=1, batch_size=14)
    history = training.train(model, faces, codes, check, truth, recipe)
    assert [images is check for images in looked_at] == [True]
    assert history["val_accuracy"].tolist() == [1.0]
