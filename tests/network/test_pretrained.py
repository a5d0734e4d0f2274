import hashlib
import json

import numpy as np
import pytest

from mien.errors import DataError
from mien.network import architecture, inference, pretrained


@pytest.fixture(scope="module")
def model():
    """A network whose gains and biases are not those it starts with."""
    built = architecture.build(stem=8, stem_blocks=1, stages=((16, 1),))
    rng = np.random.default_rng(0)
    built.set_weights([w + np.abs(rng.normal(0, 0.2, w.shape)) for w in built.get_weights()])
    return built


def test_half_precision_keeps_the_answers(model, tmp_path):
    faces = np.random.default_rng(1).integers(0, 256, (16, 48, 48), dtype=np.uint8)
    pretrained.export_weights(model, tmp_path / "w.npz")
    again, _ = pretrained.load_network(tmp_path / "w.npz")
    np.testing.assert_allclose(
        inference.predict(again, faces), inference.predict(model, faces), atol=0.02
    )
    assert (tmp_path / "w.npz").stat().st_size < 2.2 * again.count_params() + 6000


def test_the_temperature_travels_with_the_weights(model, tmp_path):
    pretrained.export_weights(model, tmp_path / "w.npz", temperature=1.25)
    assert pretrained.load_network(tmp_path / "w.npz")[1] == 1.25
    pretrained.export_weights(model, tmp_path / "w.npz")
    assert pretrained.load_network(tmp_path / "w.npz")[1] == 1


def test_a_curve_is_shown_beside_figures_of_the_same_faces_only(tmp_path, monkeypatch):
    public = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
    curve = {"minutes": [1.0, 2.5], "accuracy": [0.25, 0.5]}
    curve["public"] = hashlib.sha256(public.tobytes()).hexdigest()
    monkeypatch.setattr(pretrained, "SHIPPED_CURVE", tmp_path / "curve.json")
    (tmp_path / "curve.json").write_text(json.dumps(curve))
    curve = pretrained.shipped_curve(public)
    assert curve["minutes"].tolist() == [1.0, 2.5]
    assert curve["PublicTest accuracy"].tolist() == [0.25, 0.5]
    assert pretrained.shipped_curve(255 - public).empty


def test_the_shipped_temperature_is_the_one_on_the_card(root):
    card = (root / "lib" / "mien" / "network" / "weights" / "MODEL_CARD.md").read_text(
        encoding="utf-8"
    )
    _, temperature = pretrained.load_network()
    assert f"stored beside the weights: {temperature:.2f}." in card


def test_nothing_pickled_is_read(tmp_path):
    np.savez(tmp_path / "evil.npz", shape=np.array([object()]), w0=np.zeros(1))
    with pytest.raises(DataError, match=r"evil\.npz holds no weights"):
        pretrained.load_network(tmp_path / "evil.npz")


def test_missing_and_foreign_files_are_named(model, tmp_path):
    with pytest.raises(DataError, match=r"none\.npz holds no weights.*No such file"):
        pretrained.load_network(tmp_path / "none.npz")
    pretrained.export_weights(model, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as arrays:
        fewer = {name: arrays[name] for name in arrays.files if name != "w3"}
    np.savez(tmp_path / "fewer.npz", **fewer)
    with pytest.raises(DataError, match=r"fewer\.npz holds no weights"):
        pretrained.load_network(tmp_path / "fewer.npz")
    with pytest.raises(DataError, match=r"fewer\.npz holds no weights"):
        np.savez(tmp_path / "fewer.npz", shape="{}")
        pretrained.load_network(tmp_path / "fewer.npz")


def test_the_shipped_network_is_small_and_answers_seven_emotions():
    model, _ = pretrained.load_network()
    assert model.output_shape == (None, 7)
    assert 2 * model.count_params() < 12e6


@pytest.mark.real
def test_the_shipped_network_reads_expressions(real_fer2013):
    """A tripwire, not a measurement: the first 200 PublicTest faces, far above chance."""
    import gzip

    rows = []
    with gzip.open(real_fer2013, "rt") as file:
        for line in file:
            if line.rstrip().endswith("PublicTest"):
                rows.append(line.split(","))
            if len(rows) == 200:
                break
    faces = np.array([row[1].split() for row in rows], dtype=np.uint8).reshape(-1, 48, 48)
    truth = np.array([int(row[0]) for row in rows])
    model, _ = pretrained.load_network()
    assert (inference.predict(model, faces).argmax(axis=1) == truth).mean() > 0.55
