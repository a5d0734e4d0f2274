"""Studies side by side: persons counted and pooled, leaders named, nothing of this machine told."""

import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from mien.errors import DataError, ParameterError
from mien.evaluation.scores import score_set
from mien.study import results
from mien.study.parameters import make_study
from mien.sweep import studies

LABELS = ["happy", "sad", "neutral"]
FOUND = ("SVM-OpenFace", "NN-FineTuned")


def write_study(folder, name, *, skill=(0.6, 0.8), person="", difference=0.2, **parameters):
    """Write a finished study as far as a comparison reads it."""
    random = np.random.default_rng(len(name))
    truth = random.choice(LABELS, 40)
    scores = []
    for model, rate in zip(FOUND, skill, strict=True):
        answers = np.where(np.arange(40) < 40 * rate, truth, np.roll(LABELS, 1)[0])
        score = score_set(truth, answers, labels=LABELS, set="target-labelled", resamples=100)
        scores.append({**score, "model": model})
    low, high = difference - 0.1, difference + 0.1
    pairs = pd.DataFrame({"a": [FOUND[1]], "b": [FOUND[0]], "difference": [difference],
                          "ci_low": [low], "ci_high": [high], "separated": [low > 0]})  # fmt: skip
    results.save(folder, "C", {"scores": scores}, tables={"pairs": pairs})
    given = {"name": name, "target": f"/home/somebody/{name}", **parameters}
    known = {"name": name, "parameters": make_study(given).model_dump(), "parts": {"C": {}}}
    known |= {"data": {"target": person or name, "fer2013": "crowd"}, "command": "mien run /home/x"}
    (folder / "study.json").write_text(json.dumps(known))
    return str(folder)


@pytest.fixture
def persons(tmp_path):
    given = {"ann": 0.2, "bob": 0.1, "cleo": -0.1, "dan": 0.15, "eve": 0.05}
    return [write_study(tmp_path / name, name, difference=gap) for name, gap in given.items()]


def page_of(given, to):
    page = studies.render(given, to)
    return page.read_text(encoding="utf-8"), BeautifulSoup(page.read_text("utf-8"), "html.parser")


def test_few_persons_are_counted_and_leaders_named(persons, tmp_path):
    html, page = page_of(persons[:3], tmp_path / "to")
    text = " ".join(page.main.get_text().split())
    assert "ann: NN-FineTuned," in text and "the study's paired test separates them" in text
    assert "persons are counted" in text and "best" not in text.lower()
    assert "/home" not in html and str(tmp_path) not in html
    table = next(t for t in page.select("table") if "over persons" in t.caption.get_text())
    cells = [cell.get_text() for cell in table.select("tbody tr")[0].select("td")]
    assert cells == [FOUND[1], FOUND[0], "3", "2", "1"]
    boards = [t for t in page.select("table") if "By model and study" in t.caption.get_text()]
    assert len(boards) == 1 and len(boards[0].select("tbody tr")) == 6


def test_enough_persons_are_pooled_by_random_effects(persons, tmp_path):
    found = studies.differences([studies.read(one) for one in persons]).iloc[0]
    gaps = np.array([0.2, 0.1, -0.1, 0.15, 0.05])  # of equal variances: the mean
    assert found["difference"] == pytest.approx(gaps.mean())
    assert found["low"] < gaps.mean() < found["high"]
    _, page = page_of(persons, tmp_path / "to")
    assert "pooled by random effects" in page.main.get_text()


def test_a_tie_is_told_as_one(tmp_path):
    given = [write_study(tmp_path / name, name, skill=(0.8, 0.8)) for name in ("ann", "bob")]
    _, page = page_of(given, tmp_path / "to")
    text = " ".join(page.main.get_text().split())
    assert text.count(f"a tie with {FOUND[1]}") == 2 and "0.0 points" not in text


def test_what_is_not_another_person_alone_is_not_pooled(persons, tmp_path):
    other = write_study(tmp_path / "full", "full", profile="full")
    _, page = page_of([persons[0], other], tmp_path / "one")
    assert "not pooled: they differ in profile" in " ".join(page.main.get_text().split())
    again = write_study(tmp_path / "again", "again", person="ann")
    _, page = page_of([persons[0], again], tmp_path / "two")
    assert "two of them are of one person" in page.main.get_text()


def test_what_cannot_be_compared_is_refused_and_nothing_written(persons, tmp_path):
    with pytest.raises(ParameterError, match="two studies or more"):
        studies.render(persons[:1], tmp_path / "to")
    with pytest.raises(ParameterError, match="have one name"):
        studies.render([persons[0]] * 2, tmp_path / "to")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="has no results; run it first"):
        (tmp_path / "mine.yaml").write_text(f"out: {tmp_path / 'nothing'}\n")
        studies.render([persons[0], str(tmp_path / "mine.yaml")], tmp_path / "to")
    assert not (tmp_path / "to").exists()
