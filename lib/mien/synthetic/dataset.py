"""The demo data: a crowd and one person, drawn from Action Units, in the layouts of real data.

Every face starts from an emotion's prototype of Action Units, at a strength that is sometimes weak,
with a few muscles that do something else. The person's Action Units are then measured as badly as
OpenFace measures them: with noise, with the person's resting face as a bias, with units that are
missed, and with presences that do not always agree.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mien import system
from mien.data.measured import UNITS
from mien.emotions import EMOTIONS, UNKNOWN, index
from mien.errors import ParameterError
from mien.files import cache_dir, whole_folder
from mien.synthetic.anatomy import CLOTHS, Identity, colour
from mien.synthetic.rendering import View, draw_face

#: Raised whenever the drawn data change, so that data drawn before are not used again.
VERSION = 5

#: Common combinations of Action Units for each emotion, strengths relative to the strongest unit:
#: after EMFACS (Friesen and Ekman 1983, "EMFACS-7: Emotional Facial Action Coding System") and
#: the FACS Investigator's Guide (Ekman, Friesen and Hager 2002, table 10-1).
VARIANTS: dict[str, tuple[dict[str, float], ...]] = {
    "angry": (
        {"AU04": 1.0, "AU05": 0.5, "AU07": 0.8, "AU23": 0.9},
        {"AU04": 1.0, "AU05": 0.6, "AU07": 0.6, "AU17": 0.5, "AU23": 0.7},
        {"AU04": 1.0, "AU07": 0.9, "AU10": 0.5, "AU25": 0.6},
    ),
    "disgust": (
        {"AU09": 1.0, "AU17": 0.6, "AU15": 0.5},
        {"AU10": 1.0, "AU15": 0.6, "AU17": 0.7, "AU04": 0.3},
        {"AU09": 0.9, "AU10": 0.7, "AU25": 0.4},
    ),
    "fear": (
        {"AU01": 1.0, "AU02": 0.7, "AU04": 0.7, "AU05": 0.9, "AU20": 0.9, "AU25": 0.5},
        {"AU01": 0.9, "AU02": 0.6, "AU04": 0.6, "AU05": 1.0, "AU20": 0.7, "AU26": 0.5},
        {"AU01": 1.0, "AU04": 0.6, "AU05": 0.9, "AU20": 0.8},
    ),
    "happy": (
        {"AU06": 0.8, "AU12": 1.0, "AU25": 0.7},
        {"AU12": 0.9, "AU06": 0.5},
        {"AU06": 1.0, "AU12": 1.0, "AU25": 0.9, "AU26": 0.5},
    ),
    "sad": (
        {"AU01": 0.9, "AU04": 0.6, "AU15": 0.9},
        {"AU01": 0.8, "AU04": 0.5, "AU15": 0.8, "AU17": 0.8},
        {"AU01": 0.9, "AU04": 0.8, "AU15": 0.6, "AU07": 0.3},
    ),
    "surprise": (
        {"AU01": 0.9, "AU02": 0.9, "AU05": 0.8, "AU25": 0.7, "AU26": 0.9},
        {"AU01": 1.0, "AU02": 1.0, "AU05": 0.6, "AU26": 0.6},
        {"AU01": 1.0, "AU02": 1.0, "AU05": 0.5},
    ),
    "neutral": ({},),
}

#: What each emotion is taken for most often, by people and by models.
CONFUSED: dict[str, tuple[str, ...]] = {
    "angry": ("disgust", "sad", "neutral"),
    "disgust": ("angry", "sad"),
    "fear": ("surprise", "sad"),
    "happy": ("neutral", "surprise"),
    "sad": ("neutral", "angry", "disgust"),
    "surprise": ("fear", "happy"),
    "neutral": ("sad", "angry", "happy"),
}

#: Shares of the crowd's emotions: FER2013's, with disgust kept from vanishing.
CROWD_SHARES = dict(zip(EMOTIONS, (0.14, 0.06, 0.14, 0.24, 0.16, 0.11, 0.15), strict=True))

#: Shares of the crowd's splits: FER2013's (Goodfellow et al. 2013).
SPLITS = {"Training": 0.8, "PublicTest": 0.1, "PrivateTest": 0.1}

#: Shares of the person's emotions among the labelled faces; two emotions never show.
PERSON_SHARES = {"happy": 0.38, "sad": 0.2, "surprise": 0.19, "angry": 0.13, "disgust": 0.1}

#: What the unknown faces show: by emotion, the number of frames of every clip.
UNKNOWN_CLIPS = {
    "happy": (2, 1, 1),
    "sad": (2, 1),
    "angry": (1, 1),
    "surprise": (1, 1),
    "disgust": (1,),
}

_BUILD = {"width": 0.97, "jaw": 0.93, "eye_size": 1.06, "brow_weight": 1.7, "brow_height": -0.07}
_BUILD |= {"nose_width": 0.95, "mouth_width": 1.04, "lips": 1.15, "lopsided": 0.06}
_HUES = {"skin": colour("e0a877"), "hair": colour("33241d"), "iris": colour("5d3a1f")}
#: The one person, nobody's likeness: low, heavy brows, which look stern at rest and mislead models
#: of the crowd.
PERSON = Identity(style="parted", **_HUES, **_BUILD)
CROP = (100, 130)  # pixels, width and height of the person's pictures, which the face fills
_SPREAD = 0.8  # how much pose, light and camera vary

_README = """\
Every face here is drawn by mien from Action Units. Nobody in these pictures exists.

fer2013.csv   a crowd in the layout of FER2013
person/       one person: images/LABEL/CLIP_FRAME.jpg, person_AU.csv, ratings.csv
"""


def demo_folder(seed: int = 0) -> Path:
    """Return the folder of the demo data in the user's cache, drawn there if it is missing.

    It appears whole or not at all, also where several processes draw at once. Where the cache
    cannot be written, the system's folder for temporary files takes its place, with a warning.
    """
    try:
        return _drawn_in(cache_dir(), seed)
    except OSError as error:
        spare = system.spare_folder()
        warnings.warn(
            f"{cache_dir()} cannot be written ({error.strerror or error}), so the faces are drawn "
            f"in {spare}; set MIEN_CACHE_DIR to a folder that can be written",
            stacklevel=2,
        )
        return _drawn_in(spare, seed)


def _drawn_in(place: Path, seed: int) -> Path:
    folder = place / f"demo-{VERSION}-{seed}"
    if not folder.is_dir():
        with whole_folder(folder, replace=False) as temporary:
            write_demo(temporary, seed=seed)
    return folder


def write_demo(
    folder: str | Path, *, seed: int = 0, crowd: int = 3000, labelled: int = 100
) -> None:
    """Draw the crowd and the person and write them as real data would lie on disk.

    The folder gets ``fer2013.csv`` and ``person/`` with ``images/``, ``person_AU.csv``,
    ``ratings.csv``; equal seeds give equal bytes. 12 unknown faces of the person come on top of the
    ``labelled`` ones, 25 or more; the ``crowd`` are 100 or more. `ParameterError` if the folder
    already holds such data.
    """
    folder = Path(folder)
    for there in (folder / "fer2013.csv", folder / "person"):
        if there.exists():
            raise ParameterError(f"{there} is there already; name an empty or new folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(_README, encoding="utf-8", newline="\n")
    _write_person(folder / "person", labelled, np.random.default_rng([seed, 2]))
    _write_crowd(folder / "fer2013.csv", crowd, np.random.default_rng([seed, 1]))


def random_units(emotion: str, rng: np.random.Generator) -> dict[str, float]:
    """Return Action Units (0..5) of somebody who shows an emotion, strongly or hardly."""
    chosen = VARIANTS[emotion][rng.integers(len(VARIANTS[emotion]))]
    strength = 1.3 + 3.7 * rng.beta(2.3, 1.5)
    units = {unit: share * strength * rng.uniform(0.6, 1.3) for unit, share in chosen.items()}
    for unit in rng.choice(UNITS, size=rng.integers(0, 4), replace=False):
        units[unit] = units.get(unit, 0.0) + rng.exponential(0.7)
    return {str(unit): float(min(value, 5.0)) for unit, value in units.items()}


def quotas(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return how many of ``total`` fall to each share, by the largest remainders."""
    exact = total * pd.Series(shares) / sum(shares.values())
    counts = exact.astype(int)
    counts[(exact - counts).nlargest(total - counts.sum()).index] += 1
    return counts.to_dict()


def _write_crowd(path: Path, count: int, rng: np.random.Generator) -> None:
    usages, labels = [], []
    for usage, size in quotas(count, SPLITS).items():
        own = [name for name, n in quotas(size, CROWD_SHARES).items() for _ in range(n)]
        usages += [usage] * size
        labels += rng.permutation(own).tolist()
    pixels = []
    for label in labels:
        wrong = rng.random() < 0.05
        emotion = str(rng.choice(CONFUSED[label])) if wrong else label
        units, who = random_units(emotion, rng), Identity.random(rng)
        face = draw_face(units, who, view=View.random(rng, spread=_SPREAD))
        pixels.append(np.asarray(face.convert("L")))
    splits, shown = np.array(usages), np.array(labels)
    for number in range(max(4, count // 100)):  # copies of Training's pictures, label and all
        usage = ("Training", "PublicTest", "Training", "PrivateTest")[number % 4]
        row = int(rng.choice(np.flatnonzero(splits == usage)))
        same = np.flatnonzero((splits == "Training") & (shown == shown[row]))
        pixels[row] = pixels[int(rng.choice(same[same != row]))]
    pixels[int(rng.integers(usages.count("Training")))] = np.zeros((48, 48), np.uint8)
    texts = [" ".join(map(str, image.ravel().tolist())) for image in pixels]
    emotions = [index(label) for label in labels]
    table = pd.DataFrame({"emotion": emotions, "pixels": texts, "Usage": usages})
    table.to_csv(path, index=False, lineterminator="\n")


def _write_person(folder: Path, labelled: int, rng: np.random.Generator) -> None:
    rest = rng.exponential(0.5, len(UNITS)) * (rng.random(len(UNITS)) < 0.5)
    films = []
    for emotion, wanted in quotas(labelled, PERSON_SHARES).items():
        while wanted > 0:
            frames = min(int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])), wanted)
            films.append((emotion, emotion, frames))
            wanted -= frames
    films += [(name, UNKNOWN, frames) for name, clips in UNKNOWN_CLIPS.items() for frames in clips]
    rows, shown = [], {}
    for clip, film in enumerate(rng.permutation(len(films)), start=1):
        emotion, label, frames = films[film]
        for name, units in _film(folder / "images" / label, clip, frames, emotion, rng):
            true = np.array([units.get(unit, 0.0) for unit in UNITS])
            seen = np.where(rng.random(len(UNITS)) < 0.25, 0.0, true)  # some units are missed
            intensities = np.clip(0.65 * seen + rest + rng.normal(0, 0.85, len(UNITS)), 0, 5)
            presences = (intensities > 1.0) ^ (rng.random(len(UNITS)) < 0.1)
            confidence = float(rng.choice((0.98, 0.93, 0.88), p=(0.75, 0.1, 0.15)))
            rows.append([name, confidence, *intensities.round(2), *presences.astype(float), label])
            if label == UNKNOWN:
                shown[name] = emotion
    units = [*(f"{unit}_r" for unit in UNITS), *(f"{unit}_c" for unit in UNITS)]
    measured = pd.DataFrame(rows, columns=["file_name", "confidence", *units, "label"])
    # one image and one row are lost, and one measurement is in doubt, as happens in real folders
    happy = measured.index[measured["label"] == "happy"]
    image, row, doubt = rng.choice(happy, size=3, replace=False)
    (folder / "images" / "happy" / measured.loc[image, "file_name"]).unlink()
    measured.loc[doubt, "confidence"] = 0.71
    measured.drop(index=row).to_csv(folder / "person_AU.csv", index=False, lineterminator="\n")
    _ratings(shown, rng).to_csv(folder / "ratings.csv", index=False, lineterminator="\n")


def _film(
    folder: Path, clip: int, frames: int, emotion: str, rng: np.random.Generator
) -> list[tuple[str, dict[str, float]]]:
    """Draw the frames of one clip, near-copies of each other; return file names and units."""
    folder.mkdir(parents=True, exist_ok=True)
    units, view = random_units(emotion, rng), View.random(rng, spread=_SPREAD)
    view = replace(view, zoom=1.12 * view.zoom)
    who = replace(PERSON, cloth=colour(CLOTHS[rng.integers(len(CLOTHS))]))
    frame, taken = int(rng.integers(1, 60)), []
    for _ in range(frames):
        now = {unit: max(0.0, value + rng.normal(0, 0.15)) for unit, value in units.items()}
        here = replace(view, yaw=view.yaw + rng.normal(0, 1), roll=view.roll + rng.normal(0, 0.7))
        name = f"{clip}_{frame:02d}.jpg"
        draw_face(now, who, size=CROP, view=here).save(folder / name, quality=90)
        taken.append((name, now))
        frame += int(rng.integers(5, 30))
    return taken


def _ratings(shown: dict[str, str], rng: np.random.Generator) -> pd.DataFrame:
    """Return what two raters say of the unknown faces; of one to three faces they differ."""
    said = {"rater_1": dict(shown), "rater_2": dict(shown)}
    for name in rng.choice(list(shown), size=rng.integers(1, 4), replace=False):
        others = [other for other in CONFUSED[shown[name]] if other in PERSON_SHARES]
        said[str(rng.choice(list(said)))][str(name)] = str(rng.choice(others))
    rows = [(name, rater, label) for rater, all_ in said.items() for name, label in all_.items()]
    return pd.DataFrame(rows, columns=["file_name", "rater", "label"])
