"""mien predict: which files, what answers, what is said of bad ones."""

import csv
import io
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mien import cli
from mien.data.fer2013 import load_fer2013
from mien.data.images import find_images, open_image, prepare, to_grey48
from mien.emotions import EMOTIONS
from mien.errors import DataError
from mien.evaluation import calibration
from mien.network import SHIPPED, architecture, backend, inference, pretrained
from mien.photos.reading import read_faces
from mien.synthetic.anatomy import Identity
from mien.synthetic.rendering import draw_face


@pytest.fixture(scope="module")
def network():
    return pretrained.load_network()


@pytest.fixture
def folder(tmp_path):
    """Three drawn faces, one of them deeper, beside what is no image."""
    deep = tmp_path / "deep"
    deep.mkdir()
    smile, rest = {"AU06": 4.0, "AU12": 5.0, "AU25": 4.0}, {}
    for path, units in (("a.png", smile), ("b.JPG", rest), ("deep/c.png", smile)):
        draw_face(units, Identity(), size=96).save(tmp_path / path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "a.png").read_bytes())
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command in this process: status, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mien", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_folders_are_searched_to_the_bottom_for_images(folder):
    assert names(find_images([folder]), folder) == ["a.png", "b.JPG", "deep/c.png"]


def test_globs_are_read_here_and_every_file_counts_once(folder):
    found = find_images([folder / "*.png", folder / "a.png", folder / "**" / "*.png"])
    assert names(found, folder) == ["a.png", "deep/c.png"]
    assert names(find_images([folder / "d*"]), folder) == ["deep/c.png"]
    odd = folder / "deep" / "a[1].png"
    odd.write_bytes(b"")
    assert find_images([odd]) == [odd]


def test_a_file_that_is_named_counts_whatever_its_ending(folder):
    assert names(find_images([folder / "notes.txt"]), folder) == ["notes.txt"]


@pytest.mark.parametrize("name", ["none.png", "*.tif", "empty", "empty/*"])
def test_what_leads_to_no_image_is_named(folder, name):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"nothing is called|holds no image"):
        find_images([folder / "a.png", folder / name])


def test_answers_are_the_networks_calibrated(folder, network):
    paths = find_images([folder])
    answers = read_faces(paths, inference.answerer(*network))
    raw = inference.predict(network[0], np.stack([to_grey48(open_image(path)) for path in paths]))
    expected = calibration.apply_temperature(raw, pretrained.load_network()[1])
    shares = answers[[f"p_{emotion}" for emotion in EMOTIONS]].to_numpy()
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert answers["emotion"].tolist() == [EMOTIONS[code] for code in expected.argmax(axis=1)]
    np.testing.assert_allclose(answers["probability"], expected.max(axis=1), atol=1e-6)
    assert answers["file"].tolist() == [str(path) for path in paths]
    assert answers.loc[0, "emotion"] == "happy"


@pytest.fixture(params=[0, 1], ids=["plain", "with blocks"])
def own(request, tmp_path):
    """A small network in a file with bounds, its gains and biases no longer zero; and faces."""
    rng, blocks = np.random.default_rng(1), request.param
    model = architecture.build(stem=8, stem_blocks=blocks, stages=((12, 2), (20, blocks)), seed=3)
    for layer in model.layers:
        drawn = [weight + rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()]
        layer.set_weights(drawn)
    faces = rng.integers(0, 256, (35, 48, 48), dtype=np.uint8)
    file = tmp_path / "own.npz"
    pretrained.export_weights(model, file, temperature=1.7, calibration=faces)
    return file, faces


@pytest.mark.numerics
@pytest.mark.parametrize("mirror", [True, False])
def test_openvino_answers_as_keras_does(own, mirror):
    file, faces = own
    network, temperature = pretrained.load_network(file)
    raw = inference.predict(network, faces, mirror=mirror)
    expected = calibration.apply_temperature(raw, temperature)
    found = backend.by_openvino(file, mirror=mirror)(faces)
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.numerics
def test_whole_numbers_answer_nearly_as_floats_do(own):
    file, faces = own
    exact, found = (backend.by_openvino(file, int8=whole)(faces) for whole in (False, True))
    assert 1e-4 < np.abs(found - exact).mean() < 0.02
    assert np.ptp(exact, axis=0).max() > 0.05


def test_bounds_hold_what_the_convolutions_read(own, tmp_path):
    file, faces = own
    bounds = np.load(file)["bounds"]
    seen = prepare(faces)
    np.testing.assert_allclose(bounds[0], np.quantile(seen, (1e-4, 1 - 1e-4)), rtol=1e-5)
    assert (bounds[1:, 0] == 0).all()  # after a ReLU nothing is below
    assert (bounds[:, 1] > 0).all()
    network, _ = pretrained.load_network(file)
    assert len(bounds) == sum("conv" in type(layer).__name__.lower() for layer in network.layers)
    pretrained.export_weights(network, tmp_path / "without.npz")
    with pytest.raises(DataError, match=r"without\.npz has no bounds for int8; export it anew"):
        backend.by_openvino(tmp_path / "without.npz", int8=True)


def test_without_openvino_it_is_said_what_to_install(monkeypatch, command, folder):
    monkeypatch.setitem(sys.modules, "openvino", None)
    status, out, err = command(folder)
    assert (status, out) == (2, "") and "pip install openvino" in err and err.count("\n") == 1


@pytest.mark.real
def test_on_public_test_openvino_is_keras_and_whole_numbers_lose_nothing(real_fer2013, network):
    faces, codes = load_fer2013(real_fer2013.parent).split("PublicTest")
    exact, whole = (backend.by_openvino(SHIPPED, int8=int8)(faces) for int8 in (False, True))
    right, still = ((shares.argmax(axis=1) == codes).mean() for shares in (exact, whole))
    assert still > right - 0.002
    np.testing.assert_allclose(exact[::9], inference.answerer(*network)(faces[::9]), atol=0.001)


@pytest.mark.parametrize("option", [[], ["--int8"]])
def test_pictures_are_answered_without_a_backend_and_nobody_is_told(folder, option):
    run = [
        sys.executable,
        "-c",
        f"""
import sys
from mien import cli
sys.argv = ["mien", "predict", {str(folder)!r}, *{option}]
try:
    cli.main()
except SystemExit as left:
    assert not left.code, left.code
unwanted = ("keras", "tensorflow", "sklearn", "cv2", "openvino_telemetry")
loaded = [name for name in unwanted if sys.modules.get(name)]
assert not loaded, loaded
""",
    ]
    assert subprocess.run(run, capture_output=True, check=True).stdout.count(b"happy") == 2


def test_batches_and_threads_keep_the_order(folder, network):
    rng = np.random.default_rng(0)
    paths = []
    for number in range(23):
        paths.append(folder / f"n{number}.png")
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(paths[-1])
    answer = inference.answerer(*network, batch_size=4)
    whole, parts = read_faces(paths, answer), read_faces(paths, answer, batch_size=4)
    assert parts["file"].tolist() == [str(path) for path in paths]
    columns = whole.filter(like="p_").columns
    np.testing.assert_allclose(parts[columns], whole[columns], atol=0.02)  # of half precision


def test_a_bad_picture_among_good_ones_is_named_and_the_good_ones_are_read(folder, command):
    (folder / "a0.png").write_bytes((folder / "a.png").read_bytes()[:300])
    status, out, err = command(folder, "--csv")
    rows = {row["file"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(out))}
    assert status == 2
    assert err.count("\n") == 1 and "a0.png: is damaged, cut off or no image" in err
    assert "damaged" in rows["a0.png"]["problem"] and rows["a0.png"]["emotion"] == ""
    assert [rows[name]["problem"] for name in ("a.png", "b.JPG", "c.png")] == [""] * 3
    assert rows["a.png"]["emotion"] == "happy"


def test_json_and_csv_say_the_same_and_nothing_else(folder, command):
    (status, as_json, quiet), (_, as_csv, _) = command(folder, "--json"), command(folder, "--csv")
    frame = pd.read_csv(io.StringIO(as_csv))
    answers = json.loads(as_json)
    assert (status, quiet) == (0, "")
    assert [answer["emotion"] for answer in answers] == frame["emotion"].tolist()
    for answer, row in zip(answers, frame.to_dict("records"), strict=True):
        assert answer["box"] is None and answer["problem"] is None
        assert list(answer["probabilities"]) == list(EMOTIONS)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=5e-4)
        assert answer["probabilities"]["happy"] == pytest.approx(row["p_happy"])


def test_the_table_shows_files_answers_and_shares(folder, command):
    status, out, _ = command(folder / "a.png", folder / "b.JPG")
    assert status == 0
    assert f"in {folder}" in out.replace("\n", "")
    line = next(line for line in out.splitlines() if "a.png" in line)
    assert "happy" in line and len(line.split()) == 10


def test_faces_are_found_first_and_a_picture_without_one_says_so(folder, command):
    canvas = Image.new("RGB", (640, 300), (120, 130, 140))
    for number in range(2):
        canvas.paste(draw_face({"AU12": 4.0}, Identity(), size=120), (60 + 300 * number, 80))
    canvas.save(folder / "two.png")
    Image.new("RGB", (200, 200), "green").save(folder / "green.png")
    status, out, err = command(folder / "two.png", folder / "green.png", "--json", "--find-faces")
    one, two, none = json.loads(out)
    assert (status, err) == (0, "")
    assert [one["face"], two["face"], none["face"]] == [1, 2, None]
    assert one["box"][0] < 200 < two["box"][0]
    assert none["problem"] == "no face found" and none["emotion"] is None
    status, out, err = command(folder / "green.png", "--find-faces")
    assert status == 2 and "no face" in out and "no face found in any of 1 pictures" in err


def test_a_studys_network_answers_in_place_of_the_shipped_one(folder, command, tmp_path):
    model = architecture.build(stem=8, stages=((8, 0),), seed=3)
    pretrained.save(model, tmp_path / "own.keras")
    status, out, _ = command(folder / "a.png", "--json", "--weights", tmp_path / "own.keras")
    expected = inference.predict(model, to_grey48(open_image(folder / "a.png"))[None])[0]
    assert status == 0
    found = list(json.loads(out)[0]["probabilities"].values())
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_network_brings_its_temperature(folder, command, tmp_path):
    model = architecture.build(stem=8, stages=((8, 0),), seed=3)
    raw = inference.predict(model, to_grey48(open_image(folder / "a.png"))[None])
    calmer = calibration.apply_temperature(raw, 3.0)[0]
    pretrained.export_weights(model, tmp_path / "own.npz", temperature=3.0)
    for part in ("models", "results/B1"):
        (tmp_path / part).mkdir(parents=True)
    pretrained.save(model, tmp_path / "models/B1.keras")
    pretrained.save(model, tmp_path / "models/B1-2.keras")
    other = {inference.MIRRORED: 3.0, "the face alone": 9.0}
    fitted = {"temperatures": [{inference.MIRRORED: 5.0}, other]}
    (tmp_path / "results/B1/metrics.json").write_text(json.dumps(fitted))
    assert pretrained.load_network(tmp_path / "models/B1.keras")[1] == 5.0
    for file in ("own.npz", "models/B1-2.keras"):
        status, out, _ = command(folder / "a.png", "--json", "--weights", tmp_path / file)
        assert status == 0
        found = list(json.loads(out)[0]["probabilities"].values())
        np.testing.assert_allclose(found, calmer, atol=0.01)


def test_weights_that_do_not_fit_are_refused_in_words(folder, command, tmp_path):
    faces = keras.Input((48, 48, 1))
    answer = keras.layers.Dense(5, activation="softmax")(keras.layers.Flatten()(faces))
    keras.Model(faces, answer).save(tmp_path / "five.keras")
    (tmp_path / "torn.keras").write_bytes(b"PK")
    for name, said in (
        ("five.keras", "not one probability for each of angry, disgust"),
        ("torn.keras", "cannot be read as a .keras network"),
        ("none.keras", "none.keras cannot be read as a .keras network"),
        ("none.npz", "none.npz holds no weights of a mien network"),
        ("a.h5", "should end in .keras or .npz"),
    ):
        status, out, err = command(folder / "a.png", "--weights", tmp_path / name)
        assert (status, out) == (2, "")
        assert said in err and err.count("\n") == 1


def test_what_cannot_be_asked_is_refused_in_words(folder, command):
    for arguments, said in (
        ([folder / "nowhere"], "nothing is called"),
        ([folder / "a.png", "--json", "--csv"], "choose one"),
        ([folder / "a.png", "--int8", "--weights", "own.keras"], "one of --person STUDY"),
    ):
        status, out, err = command(*arguments)
        assert (status, out) == (2, "") and said in err and err.count("\n") == 1


NAMES = [
    b"Zo\xc3\xab \xf0\x9f\x98\x80.png",
    b"\xff\xfe.png",
    b'line\nend,"quoted".png',
    b" 1;2.png",
]


def test_any_file_name_is_written_so_that_it_can_be_opened_again(folder, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in NAMES:
        (odd / os.fsdecode(name)).write_bytes((folder / "a.png").read_bytes())
    run = [sys.executable, "-c", PREDICT, str(odd)]
    done = subprocess.run(run, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    as_json, as_csv, shown = done.stdout.split(b"\f\n")
    text = io.StringIO(as_csv.decode("utf-8", "surrogateescape"), newline="")
    for answers in (json.loads(as_json), list(csv.DictReader(text))):
        found = {os.fsencode(answer["file"]) for answer in answers}
        assert found == {bytes(odd) + b"/" + name for name in NAMES}
    assert shown.decode("ascii").count("happy") == 4


#: mien predict without a network, which would take seconds: everybody is happy.
PREDICT = """
import sys
import numpy as np
from mien import cli
from mien.network import backend
backend.by_openvino = lambda path, **how: lambda faces: np.tile(np.eye(7)[3], (len(faces), 1))
folder = sys.argv[1]
for form in ("--json", "--csv", ""):
    sys.argv = ["mien", "predict", folder, *filter(None, [form])]
    try:
        cli.main()
    except SystemExit as left:
        assert not left.code, left.code
    print("\\f" if form else "", flush=True)
"""


def test_names_that_could_play_tricks_on_a_terminal_are_made_harmless(folder, command):
    tricky = folder / "x\x1b[31m[red].png"
    tricky.write_bytes((folder / "a.png").read_bytes())
    _, out, _ = command(tricky, "--csv")
    assert "\x1b" not in out and "[red].png" in out
    _, out, _ = command(tricky, "--json")
    assert "\x1b" not in out and json.loads(out)[0]["file"] == str(tricky)
    _, out, _ = command(tricky)
    assert "\x1b" not in out and "[red].png" in "".join(out.split())
