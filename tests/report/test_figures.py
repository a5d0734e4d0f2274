import base64
import io
import re
import warnings
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from mien.emotions import EMOTIONS
from mien.evaluation.calibration import reliability, risk_coverage
from mien.evaluation.paired_tests import compare
from mien.evaluation.rater_agreement import errors_among_voters
from mien.evaluation.scores import score_set
from mien.models import competitors
from mien.report import face_sheets, figures, style
from mien.report.style import FAINT, INK, Picture, readable_on

PERSON = ["angry", "disgust", "happy", "sad", "surprise"]
MODELS = {model.name: model for model in competitors("SVM-Blendshapes")}
MODEL_COLOURS = {name: model.colour for name, model in MODELS.items()}

# Severity 1.0 of Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for
# Simulation of Color Vision Deficiency", on linear RGB
SEEN_BY = {
    "most people": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopes": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other) -> float:
    dark, light = sorted(
        float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other)
    )
    return (light + 0.05) / (dark + 0.05)


def accuracy(value: float, n: int = 10) -> dict:
    """Return as much of a score as a figure of accuracies needs."""
    return {"accuracy": value, "accuracy_ci95": [value - 0.1, value + 0.1], "n": n}


@pytest.fixture(scope="module")
def results():
    """Scores of four models on 86 faces, and their pairs."""
    random = np.random.default_rng(0)
    truth, clips = random.choice(PERSON, 86), random.integers(0, 48, 86)
    answers = {
        model: np.where(random.random(86) < skill, truth, random.choice(PERSON, 86))
        for model, skill in zip(MODELS, (0.2, 0.5, 0.45, 0.7), strict=True)
    }
    found = {
        model: score_set(truth, given, labels=PERSON, set="target-labelled", clips=clips)
        for model, given in answers.items()
    }
    return found, compare(truth, answers, clips, pairs=list(combinations(answers, 2)))


@pytest.fixture(scope="module")
def every_chart(results):
    """One picture of every kind."""
    found, pairs = results
    random = np.random.default_rng(1)
    epochs = np.arange(1, 4)
    history = pd.DataFrame(
        {"epoch": epochs, "loss": [2, 1, 0.5], "accuracy": [0.2, 0.5, 0.6],
         "val_loss": [2, 1.5, 1.6], "val_accuracy": [0.3, 0.5, 0.45]}
    )  # fmt: skip
    probabilities = random.dirichlet(np.ones(7), 200)
    bins, error = reliability(random.choice(EMOTIONS, 200), probabilities, labels=EMOTIONS)
    units = pd.DataFrame(
        [(emotion, unit, 0.2 if (emotion, unit) == ("happy", "AU12") else 0.01,
          (emotion, unit) in {("happy", "AU12"), ("sad", "AU15")})
         for emotion in ("happy", "sad") for unit in ("AU01", "AU12", "AU15")],
        columns=["emotion", "unit", "drop", "prototype"],
    )  # fmt: skip
    curve = pd.DataFrame(
        {"model": ["SVM-OpenFace"] * 2 + ["a rival"] * 2, "faces": [34, 68] * 2,
         "accuracy": [0.45, 0.6, 0.4, 0.5], "low": 0.3, "high": 0.7, "log_loss": [1.2, 1, 1.3, 1.1]}
    )  # fmt: skip
    progress = pd.DataFrame(
        [("ours", 0.5, 0.4), ("ours", 1.0, 0.5), ("assignment's", 2.0, 0.25),
         ("packaged", 60.0, 0.7)], columns=["network", "minutes", "PublicTest accuracy"],
    )  # fmt: skip
    face = random.integers(0, 255, (48, 48), dtype=np.uint8)
    return {
        "confusion": figures.confusions({"NN-FineTuned": found["NN-FineTuned"]}),
        "confusions": figures.confusions(found),
        "accuracies": figures.accuracies(found, chance=0.3),
        "class_balance": figures.class_balance(
            pd.DataFrame({"Training": [30, 10], "PublicTest": [5, 5]}, index=["happy", "sad"])
        ),
        "learning_curves": figures.learning_curves(history),
        "reliability": figures.reliability(bins, error, model="NN-FER2013"),
        "differences": figures.differences(pairs),
        "per_emotion_recall": figures.per_emotion_recall(found),
        "unit_importance": figures.unit_importance(units),
        "fold_leak": figures.fold_leak(plain=[0.6, 0.62], grouped=[0.5, 0.52]),
        "label_curve": figures.label_curve(curve, start={"accuracy": 0.5, "log_loss": 1.0}),
        "errors_among_voters": figures.errors_among_voters(
            errors_among_voters(np.eye(7, 10, dtype=int) * 9, np.arange(7)[::-1], np.arange(7))
        ),
        "risk_coverage": figures.risk_coverage(
            {"NN-FER2013": risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, False, True])},
            allowed=0.1,
        ),
        "accuracy_by_minutes": figures.accuracy_by_minutes(progress),
        "face_grid": face_sheets.face_grid([face] * 3, ["a", "b", "c"], alt="Three faces."),
        "heat_faces": face_sheets.heat_faces([face] * 2, np.ones((2, 6, 6)), ["a", "b"]),
    }


def source(picture: Picture) -> tuple[str, bytes]:
    """The picture's media type and bytes, from its HTML."""
    image = BeautifulSoup(picture._repr_html_(), "html.parser").img
    kind, data = image["src"].removeprefix("data:").split(";base64,")
    return kind, base64.b64decode(data)


def test_every_kind_of_picture_is_one_small_self_contained_image(every_chart):
    for name, picture in every_chart.items():
        page = BeautifulSoup(picture._repr_html_(), "html.parser")
        assert [tag.name for tag in page.find_all()] == ["img"], name
        assert page.img["alt"] == picture.alt
        assert page.img["alt"].strip(), name
        kind, data = source(picture)
        assert kind == ("image/png" if picture.faces else "image/svg+xml"), name
        assert len(data) < 150_000, name
        if not picture.faces:
            assert not re.search(rb'(?:href|src)="(?!#|data:image/png)', data), name
            assert b"url(http" not in data, name


def test_faces_say_so(every_chart):
    shown = {name for name, picture in every_chart.items() if picture.faces}
    assert shown == {"face_grid", "heat_faces"}
    for name, picture in every_chart.items():
        classes = BeautifulSoup(picture._repr_html_(), "html.parser").img["class"]
        assert classes == ["mien-figure", "mien-faces"] if name in shown else ["mien-figure"]


def test_no_chart_is_wider_than_its_page(every_chart):
    for name, picture in every_chart.items():
        assert picture.figure.get_figwidth() <= 7, name


def test_nothing_is_cut_off_at_the_edge(every_chart):
    long_names = figures.accuracies({"a rather long name of a model": accuracy(0.98, 28709)})
    for name, picture in (every_chart | {"long names": long_names}).items():
        pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("L"))
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edge.min() > 250, name


def test_pictures_are_the_same_to_the_byte(results):
    found, _ = results
    for make in (figures.confusions, figures.per_emotion_recall):
        assert make(found).svg() == make(found).svg()
    grid = [face_sheets.face_grid([np.zeros((48, 48), np.uint8)], ["a"], alt="a") for _ in range(2)]
    assert grid[0].png() == grid[1].png() == grid[0].png()


def test_figures_leave_nothing_behind(every_chart):
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    every_chart["accuracies"].svg()
    figures.accuracies({"a": accuracy(0.5)}).png()
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_a_readers_own_matplotlib_settings_change_nothing(results):
    found, _ = results
    plain = figures.confusions(found).svg()
    with mpl.rc_context({"font.size": 30, "figure.facecolor": "black", "xtick.major.pad": 30}):
        assert figures.confusions(found).svg() == plain


def test_alt_text_is_escaped():
    picture = Picture(Figure(figsize=(1, 1)), '"><script>alert(1)</script>')
    page = BeautifulSoup(picture._repr_html_(), "html.parser")
    assert page.script is None
    assert page.img["alt"] == picture.alt


@pytest.mark.parametrize("seen", SEEN_BY)
@pytest.mark.parametrize("colours", [style.EMOTION_COLOURS, MODEL_COLOURS])
def test_colours_stand_apart_for_everybody(seen, colours):
    shown = np.clip(
        np.array([linear(c) for c in colours.values()]) @ np.transpose(SEEN_BY[seen]), 0, 1
    )
    gamma = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    lab = rgb2lab(gamma)
    distance = deltaE_ciede2000(lab[:, None], lab[None])
    assert distance[~np.eye(len(lab), dtype=bool)].min() > 14


def test_colours_stand_out_from_the_ground():
    for colours in (style.EMOTION_COLOURS, MODEL_COLOURS):
        assert min(contrast(colour, "white") for colour in colours.values()) > 3
    assert min(contrast(colour, "white") for colour in (INK, FAINT)) > 4.5


def test_every_emotion_and_model_has_its_own_look():
    assert list(style.EMOTION_COLOURS) == list(EMOTIONS)
    looks = [style.look(model) for model in MODELS]
    assert len({colour for colour, _ in looks}) == len({mark for _, mark in looks}) == len(MODELS)
    assert style.look("somebody's model") == (INK, "o")


@pytest.mark.parametrize("name", ["Blues", "viridis", "RdBu"])
def test_numbers_on_cells_are_readable(name):
    for value in np.linspace(0, 1, 101):
        colour = mpl.colormaps[name](value)
        assert contrast(colour[:3], readable_on(colour)) >= 4.5


def test_names_from_the_data_are_never_formulas():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        face = np.zeros((48, 48), np.uint8)
        for name in ("$\\frac{1$", "a$b$c", "笑\x00\udcff", "<b>"):
            face_sheets.face_grid([face], [name], alt=name).png()
            figures.accuracies({name: accuracy(0.5)}).svg()
            figures.class_balance(pd.DataFrame({name: [3, 4]}, index=["happy", "sad"])).svg()


def test_alt_of_a_confusion_matrix_states_the_finding():
    truth = ["happy"] * 33 + ["sad"] * 17
    answers = ["happy"] * 28 + ["sad"] * 5 + ["sad"] * 8 + ["angry"] * 7 + ["happy"] * 2
    score = score_set(truth, answers, labels=["happy", "sad"], set="target-labelled")
    assert figures.confusions({"SVM-OpenFace": score}).alt == (
        "Confusion matrix of SVM-OpenFace on target-labelled, 50 images. happy is read best "
        "(F1 88.9 %), sad worst (53.3 %, 17 faces). The largest error: of 17 faces that show sad, "
        "7 are answered angry (41 %); then, of 33 faces that show happy, 5 are answered sad (15 %)."
    )


def test_alt_of_a_perfect_confusion_matrix():
    score = score_set(["sad"], ["sad"], labels=["sad", "happy"], set="target-unknown")
    assert figures.confusions({"The model": score}).alt.endswith(
        "1 image. Every face shows sad. No face is answered wrongly."
    )


def test_confusions_have_the_same_emotions_and_scale(results):
    found, _ = results
    axes = figures.confusions(found).figure.axes
    meshes = [place.collections[0] for place in axes[:4]]
    assert {mesh.norm.vmin for mesh in meshes} == {0}
    assert {mesh.norm.vmax for mesh in meshes} == {1}
    for place, score in zip(axes, found.values(), strict=False):
        shown = [text.get_text() for text in place.texts]
        assert shown == [str(n) for row in score["confusion_matrix"] for n in row]
        assert place.get_ylim()[0] > place.get_ylim()[1]


def test_alt_of_accuracies():
    scores = {"A1": accuracy(0.4, 86), "B3": accuracy(0.7, 86)}
    picture = figures.accuracies(scores, chance=0.384)
    assert picture.alt == (
        "Accuracies with 95 % intervals, from high to low: B3 70.0 % (60.0 to 80.0 %, n = 86); "
        "A1 40.0 % (30.0 to 50.0 %, n = 86). Most frequent emotion: 38.4 %; intervals that "
        "reach down to it: A1."
    )


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("class_balance", "Training, 40 images: happy 30 (75.0 %), sad 10 (25.0 %)."),
        ("learning_curves", "highest in epoch 2 with 50.0 %"),
        ("learning_curves", "loss is lowest in epoch 2 with 1.50 and ends at 1.60"),
        ("unit_importance", "happy mostly AU12 (−20.0 points, in its prototype)"),
        ("fold_leak", "plain folds 61.0 % on average, folds that keep clips whole 51.0 %"),
        ("label_curve", "SVM-OpenFace 45.0 % with 34 and 60.0 % with 68; a rival 40.0 %"),
        ("errors_among_voters", "all 0.0 % of 6; angry 0.0 % of 1"),
        ("risk_coverage", "NN-FER2013 25.0 % of all, 0.0 % of the surer half"),
        ("accuracy_by_minutes", "the assignment's 25.0 % after 2.0 minutes"),
        ("accuracy_by_minutes", "the package's, trained earlier 70.0 % after 60.0 minutes"),
    ],
)
def test_alt_of_charts_states_the_finding(every_chart, name, finding):
    assert finding in every_chart[name].alt


def test_alt_of_differences_and_recall_follow_the_numbers(results, every_chart):
    found, pairs = results
    alt = every_chart["differences"].alt
    assert alt.count(", separated") == pairs["separated"].sum()
    assert alt.count(", not separated") == (~pairs["separated"]).sum()
    best = max(found, key=lambda model: found[model]["per_class"]["happy"]["recall"])
    assert re.search(rf"happy best by [^;]*{best}", every_chart["per_emotion_recall"].alt)


def test_faces_of_every_kind_are_shown():
    grey = np.full((48, 48), 128, np.uint8)
    colour = Image.new("RGB", (90, 90), "#c08060")
    picture = face_sheets.face_grid(
        [grey, colour, None, colour.convert("RGBA"), colour.convert("P")],
        ["a.jpg\nsad", "b.jpg", "c.jpg", "d", "e"],
        columns=3,
        alt="Five faces",
    )
    shown = [place.get_xlabel() for place in picture.figure.axes]
    assert shown[:3] == ["a.jpg\nsad", "b.jpg", "c.jpg"]
    assert picture.figure.axes[2].texts[0].get_text() == "no image"
    assert picture.alt == "Five faces" and picture.faces
    assert Image.open(io.BytesIO(picture.png())).width > 400


def test_grey_faces_stay_grey_and_whole():
    face = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))
    image = Image.open(io.BytesIO(face_sheets.face_grid([face], alt="a").png()))
    assert image.mode == "L"
    assert np.asarray(image).min() < 5


def test_long_captions_are_shortened_in_the_middle():
    picture = face_sheets.face_grid(
        [np.zeros((48, 48), np.uint8)] * 6, ["a_very_long_name_of_a_clip_0017.jpg"] * 6, alt="6"
    )
    shown = picture.figure.axes[0].get_xlabel()
    assert re.fullmatch(r"a_.*….*\.jpg", shown)


def test_empty_grid_is_no_error():
    face_sheets.face_grid([], [], alt="No face").png()


def test_alt_of_heat_faces_says_where_the_model_looked():
    face = np.zeros((48, 48), np.uint8)
    low = np.zeros((6, 6))
    low[4:] = 1
    assert face_sheets.heat_faces([face], [low], ["sad"]).alt == (
        "Where the model looked on 1 face: 0 % of the weight lies on the upper third of the "
        "image, 0 % on the middle and 100 % on the lower third."
    )
    assert "no map has any weight" in face_sheets.heat_faces([face], np.zeros((1, 6, 6)), [""]).alt
    face_sheets.heat_faces([face], np.zeros((1, 6, 6)), [""]).png()


def test_heat_is_laid_over_where_it_belongs():
    face = np.zeros((48, 48), np.uint8)
    low = np.zeros((6, 6))
    low[5] = 1
    picture = face_sheets.heat_faces([face], [low], ["sad"])
    pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGB")).astype(int)
    coloured = np.ptp(pixels, axis=2) > 60
    rows = np.flatnonzero(coloured.any(axis=1))
    assert rows.min() > 0.6 * len(pixels)
