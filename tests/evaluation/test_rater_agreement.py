import warnings

import numpy as np
import pandas as pd
import pytest

from mien.emotions import codes
from mien.errors import DataError
from mien.evaluation.rater_agreement import (
    NO_IMAGE,
    ONE_LABEL,
    cohen_kappa,
    errors_among_voters,
    fleiss_kappa,
    rater_agreement,
    strength,
    with_voters,
)

# Fleiss 1971, table 1: how many of six psychiatrists gave each of 30 patients the diagnoses
# depression, personality disorder, schizophrenia, neurosis, other
PSYCHIATRISTS = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""

# Fleiss 1981, Statistical Methods for Rates and Proportions (14 raters, 10 subjects)
FOURTEEN = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def labels_of(counts) -> np.ndarray:
    return np.array([np.repeat(list("abcde"), row) for row in counts])


def ratings(**raters: str) -> pd.DataFrame:
    """Ratings of files f0, f1, … from words such as ``one="shh."`` (sad, happy, none)."""
    names = {"s": "sad", "h": "happy", "a": "angry"}
    return pd.DataFrame(
        [
            (f"f{number}", rater, names[letter])
            for rater, word in raters.items()
            for number, letter in enumerate(word)
            if letter != "."
        ],
        columns=["file_name", "rater", "label"],
    )


def test_fleiss_kappa_of_the_psychiatrists():
    counts = [[int(digit) for digit in row] for row in PSYCHIATRISTS.split()]
    assert np.sum(counts, axis=0) / 180 == pytest.approx(
        [0.144, 0.144, 0.167, 0.306, 0.239], abs=5e-4
    )
    assert fleiss_kappa(labels_of(counts)) == pytest.approx(0.430, abs=5e-4)


def test_fleiss_kappa_of_fourteen_raters():
    assert fleiss_kappa(labels_of(FOURTEEN)) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_by_hand():
    # 50 proposals: both yes 20, both no 15, only the first yes 5, only the second 10;
    # observed .7, by chance .5 x .6 + .5 x .4 = .5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_kappa_is_undefined_where_everybody_used_one_label():
    assert np.isnan(cohen_kappa(["sad"] * 3, ["sad"] * 3))
    assert np.isnan(fleiss_kappa([["sad", "sad"]] * 3))
    assert np.isnan(cohen_kappa([], []))
    result = rater_agreement(ratings(one="sss", two="sss"))
    assert result.pairs.loc[0, ["n", "agree", "agreement"]].tolist() == [3, 3, 1.0]
    assert np.isnan(result.pairs.loc[0, "kappa"])
    assert result.pairs.loc[0, "note"] == result.groups.loc[0, "note"] == ONE_LABEL


def test_one_rater_with_one_label_against_two_is_defined():
    assert cohen_kappa(["sad", "sad"], ["sad", "happy"]) == 0


def test_pairs_count_only_what_both_labelled():
    row = rater_agreement(ratings(one="shs.", two="ssss")).pairs.iloc[0]
    assert (row["a"], row["b"], row["n"], row["agree"]) == ("one", "two", 3, 2)
    other = rater_agreement(ratings(one="ssss", two="shs.")).pairs.iloc[0]
    assert (other["n"], other["agree"]) == (3, 2)


def test_each_model_is_one_more_rater():
    models = {
        "NN": {"f0": "sad", "f1": "happy", "f2": "angry", "f3": ""},
        "SVM": pd.Series({"f0": "happy"}),
    }
    result = rater_agreement(ratings(one="shah", two="shah"), models)
    assert list(zip(result.pairs["a"], result.pairs["b"], strict=True)) == [
        ("one", "two"), ("one", "NN"), ("two", "NN"), ("one", "SVM"), ("two", "SVM"),
    ]  # fmt: skip
    assert result.pairs["n"].tolist() == [4, 3, 3, 1, 1]
    assert result.groups["added"].tolist() == ["", "NN", "SVM"]
    assert result.groups["n_raters"].tolist() == [2, 3, 3]
    assert result.groups["n"].tolist() == [4, 3, 1]
    assert result.groups["unanimous"].tolist() == [4, 3, 0]
    assert result.groups["kappa"].tolist()[:2] == [1.0, 1.0]


def test_what_a_model_does_to_the_raters_kappa_has_an_interval():
    raters = ratings(one="shsahsahshsa", two="shsahsahshhs")
    models = {
        "echo": dict(zip((f"f{n}" for n in range(12)), raters["label"][:12], strict=True)),
        "sad": {f"f{number}": "sad" for number in range(12)},
    }
    groups = rater_agreement(raters, models).groups.set_index("added")
    assert np.isnan(groups.loc["", "change"])
    for name in models:
        row = groups.loc[name]
        assert row["change"] == pytest.approx(row["kappa"] - groups.loc["", "kappa"])
        assert row["change_low"] <= row["change"] <= row["change_high"]
    assert groups.loc["sad", "change_high"] < 0 < groups.loc["echo", "change"]
    # so few images cannot tell whether the echo helps
    assert groups.loc["echo", "change_low"] <= 0.0 < groups.loc["echo", "change_high"]


def test_raters_without_a_shared_image():
    result = rater_agreement(ratings(one="ss..", two="..ss"))
    assert result.pairs.loc[0, ["n", "note"]].tolist() == [0, NO_IMAGE]
    assert np.isnan(result.pairs.loc[0, "agreement"])
    assert result.groups.loc[0, "note"] == NO_IMAGE


def test_one_rater_is_compared_with_the_models_only():
    result = rater_agreement(ratings(one="sh"), {"NN": {"f0": "sad", "f1": "sad"}})
    assert result.pairs["b"].tolist() == ["NN"]
    assert result.groups["added"].tolist() == ["NN"]


def test_nobody_rated():
    result = rater_agreement(ratings(), {"NN": {"f0": "sad"}})
    assert result.pairs.empty
    assert result.groups.empty


def test_of_two_labels_by_one_rater_the_last_counts():
    twice = pd.concat([ratings(one="s", two="h"), ratings(one="h")])
    assert rater_agreement(twice).pairs.loc[0, ["n", "agree"]].tolist() == [1, 1]


def test_a_rater_with_the_name_of_a_model_is_refused():
    with pytest.raises(DataError, match="name of a rater and of a model"):
        rater_agreement(ratings(NN="s"), {"NN": {"f0": "sad"}})


@pytest.mark.parametrize(
    ("kappa", "word"),
    [(-0.1, "poor"), (0.2, "slight"), (0.21, "fair"), (0.6, "moderate"), (0.8, "substantial"),
     (0.81, "almost perfect"), (1, "almost perfect")],
)  # fmt: skip
def test_landis_and_kochs_words(kappa, word):
    assert strength(kappa) == word


@pytest.mark.real
def test_real_raters(real_person):
    result = rater_agreement(pd.read_csv(real_person / "ratings.csv"))
    assert result.pairs.loc[0, ["n", "agree"]].tolist() == [12, 10]


#: Of four images: 8 happy and 2 neutral; 5 happy, 5 sad; 4 sad, 3 neutral, 3 of something else; 6
#: of something else and 4 angry.
VOTES = np.zeros((4, 10), int)
for _image, _place, _count in [
    (0, 3, 8), (0, 6, 2), (1, 3, 5), (1, 4, 5), (2, 4, 4), (2, 6, 3), (2, 7, 3), (3, 8, 6),
    (3, 0, 4),
]:  # fmt: skip
    VOTES[_image, _place] = _count


def test_answers_agree_with_voters_as_counted_by_hand():
    labels, answers = codes(["happy", "happy", "neutral", "angry"]), codes(["happy", "sad"] * 2)
    found = with_voters(VOTES, {"model": answers, "label": labels}, labels)
    table = found.set_index(["emotion", "who"])
    model, label, voter = (table.loc["all", who] for who in ("model", "label", "another voter"))
    assert (model["n"], model["n_plurality"], model["n_majority"]) == (4, 2, 1)
    assert (model["plurality"], label["plurality"], model["majority"]) == (0.5, 0.5, 1)
    assert model["voter"] == pytest.approx((0.8 + 0.5 + 0 + 0) / 4)
    assert label["voter"] == pytest.approx((0.8 + 0.5 + 0.3 + 0.4) / 4)
    alike = [56 + 2, 20 + 20, 12 + 6 + 6, 30 + 12]
    assert voter["voter"] == pytest.approx(sum(alike) / 90 / 4)
    assert voter["plurality"] == pytest.approx((0.8 + 0.4) / 2)
    assert table.loc[("happy", "label"), "n"] == 2
    assert table.loc[("angry", "label"), "n_plurality"] == 0


def test_errors_are_parted_by_how_many_voters_made_them():
    labels, answers = codes(["neutral", "sad", "neutral", "angry"]), codes(["happy"] * 3 + ["sad"])
    found = errors_among_voters(VOTES, answers, labels).set_index("emotion")
    assert found.loc["all", ["more", "as many", "fewer", "none", "n"]].tolist() == [
        0.25, 0.25, 0, 0.5, 4
    ]  # fmt: skip
    assert found.loc["neutral", ["more", "none", "n"]].tolist() == [0.5, 0.5, 2]
    assert errors_among_voters(VOTES, labels, labels).loc[0, "n"] == 0
