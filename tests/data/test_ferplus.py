"""FER+'s votes beside FER2013: read row by row, refused where they do not fit."""

import dataclasses

import pandas as pd
import pytest
from fer2013_csv import four_faces

from mien.data import ferplus
from mien.emotions import EMOTIONS
from mien.errors import DataError


@pytest.fixture
def crowd(tmp_path):
    return four_faces(tmp_path)


@pytest.fixture
def votes(crowd):
    frame = pd.DataFrame(0, index=range(4), columns=[*ferplus.COLUMNS, *ferplus.OTHERS])
    frame.insert(0, "Usage", crowd.usage)
    frame["happiness"] = [10, 6, 5, 0]
    frame["neutral"] = [0, 4, 5, 0]
    frame["contempt"] = [0, 0, 0, 9]
    return frame


def write(votes, crowd):
    from pathlib import Path

    votes.to_csv(Path(crowd.source).with_name(ferplus.FILE), index=False)


def test_votes_are_read_row_by_row(crowd, votes):
    write(votes, crowd)
    found = ferplus.votes(crowd)
    assert found[:, EMOTIONS.index("happy")].tolist() == [10, 6, 5, 0]
    assert found[:, EMOTIONS.index("neutral")].tolist() == [0, 4, 5, 0]
    assert found[:, 7].tolist() == [0, 0, 0, 9] and found.sum() == 39


def test_its_columns_are_the_emotions_in_order():
    from mien.emotions import canonical

    assert tuple(map(canonical, ferplus.COLUMNS)) == EMOTIONS


def test_without_the_file_it_is_not_asked(crowd):
    assert ferplus.votes(crowd) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda votes: votes[:3], r"has 3 rows, but 4 faces were read"),
        (lambda votes: votes.assign(Usage="Training"), r"row 2: usage is 'Training'"),
        (lambda votes: votes.drop(columns="fear"), r"lacks the columns fear"),
        (lambda votes: votes.assign(fear=["a", 0, 0, 0]), r"row 1: a vote is no number"),
    ],
)
def test_votes_that_do_not_fit_are_refused(crowd, votes, change, said):
    write(change(votes), crowd)
    with pytest.raises(DataError, match=said):
        ferplus.votes(crowd)


def test_left_out_rows_are_noticed(crowd, votes):
    write(votes, crowd)
    fewer = dataclasses.replace(crowd, usage=crowd.usage[1:])
    with pytest.raises(DataError, match="without left-out rows"):
        ferplus.votes(fewer)
