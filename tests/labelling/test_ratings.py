"""Ratings on disk: nothing lost, nothing reordered, labels only where raters agree."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.person import load_person
from mien.errors import DataError, ParameterError
from mien.labelling import ratings
from mien.labelling.ratings import Ratings, order_of_faces


@pytest.fixture
def folder(tmp_path):
    """Two labelled faces and four unknown ones from two clips."""
    grey = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
    for name in (
        "happy/1_1",
        "sad/2_1",
        "unknown/3_1",
        "unknown/3_2",
        "unknown/4_1",
        "unknown/4_2",
    ):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(grey, len(name) + int(name[-1]), axis=1)).save(path)
    return tmp_path


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=30), st.text(min_size=1, max_size=5))
def test_an_order_holds_every_face_once_and_is_the_raters_own(clips, rater):
    order = order_of_faces(clips, rater)
    assert sorted(order) == list(range(len(clips)))
    assert (order == order_of_faces(clips, rater)).all()


def test_faces_of_a_clip_do_not_follow_each_other_where_that_can_be():
    clips = ["a"] * 8 + ["b"] * 8 + ["c"] * 8
    for rater in "ABCDEFGHIJ":
        shown = [clips[face] for face in order_of_faces(clips, rater)]
        assert all(before != after for before, after in pairwise(shown))
    assert (order_of_faces(clips, "A") != order_of_faces(clips, "B")).any()


def test_an_answer_is_on_disk_when_the_call_returns(folder):
    Ratings(folder).add("3_1.png", "Ann, B.", "sad", seconds=1.23)
    lines = (folder / "ratings.csv").read_text().splitlines()
    assert lines[0] == "file_name,rater,label,seconds,time"
    assert lines[1].startswith('3_1.png,"Ann, B.",sad,1.2,20')
    assert Ratings(folder).of("Ann, B.") == {"3_1.png": ["sad"]}


def test_a_file_that_is_there_keeps_its_columns_order_and_line_ends(folder):
    before = b"\xef\xbb\xbflabel;note;rater;file_name\r\nhappy;x;Z;4_1.png\r\n"
    (folder / "ratings.csv").write_bytes(before)
    table = Ratings(folder)
    table.add("3_1.png", "A", "sad", seconds=2)
    table.change("3_1.png", "A", "fear")
    text = (folder / "ratings.csv").read_bytes().decode()
    assert text == "label;note;rater;file_name\r\nhappy;x;Z;4_1.png\r\nfear;;A;3_1.png\r\n"
    table.change("3_1.png", "A", None)
    assert Ratings(folder).of("A") == {} and Ratings(folder).of("Z") == {"4_1.png": ["happy"]}


LONGER = [b"file_name,rater,label\n" + rows for rows in (b"x,A,sad,1\n", b"x,A,sad\ny,A,sad,1\n")]


@pytest.mark.parametrize("content", [b"name,who\nx,y\n", b"\xff\xfe\x00bad", b"a;b;c\n", *LONGER])
def test_another_table_is_refused_and_stays(folder, content):
    (folder / "ratings.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"ratings\.csv"):
        Ratings(folder)
    assert (folder / "ratings.csv").read_bytes() == content


def test_a_disk_that_takes_nothing_changes_nothing(folder, monkeypatch):
    table = Ratings(folder)
    table.add("3_1.png", "A", "sad", seconds=1)
    before = (folder / "ratings.csv").read_bytes()

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ratings, "atomic_write", full)
    with pytest.raises(DataError, match="No space left.*nothing was changed"):
        table.add("3_2.png", "A", "sad", seconds=1)
    assert (folder / "ratings.csv").read_bytes() == before


WRITER = """
import sys
from pathlib import Path
from mien.labelling.ratings import Ratings
table = Ratings(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    table.add(f"{number}.png", sys.argv[2], "sad", seconds=0)
"""


def test_two_processes_at_once_lose_no_line(folder):
    command = [sys.executable, "-c", WRITER, str(folder)]
    running = [subprocess.Popen([*command, rater, "500"]) for rater in ("A", "B")]
    assert [process.wait(timeout=600) for process in running] == [0, 0]
    for rater in ("A", "B"):
        assert len(Ratings(folder).of(rater)) == 500


@pytest.mark.parametrize("name", ["", " ", "a\nb", "=1+1", "x" * 41, "\x00", "@me"])
def test_a_name_that_would_spoil_the_table_is_refused(name):
    with pytest.raises(ParameterError, match="rater's name"):
        ratings.rater_name(name)


@pytest.mark.parametrize("name", ["Ann, B.", 'say "hi"', "<script>alert(1)</script>", "Zoë"])
def test_any_other_name_goes_to_disk_and_back(folder, name):
    Ratings(folder).add("3_1.png", ratings.rater_name(name), "sad", seconds=1)
    assert Ratings(folder).of(name) == {"3_1.png": ["sad"]}


def test_only_agreement_becomes_a_label(folder):
    table = Ratings(folder)
    said = {
        "3_1.png": "sad sad",
        "3_2.png": "sad fear",
        "4_1.png": "happy",
        "4_2.png": "unknown sad",
    }
    for name, labels in said.items():
        for rater, label in zip("AB", labels.split(), strict=False):
            table.add(name, rater, label, seconds=1)
    person = load_person(folder)
    settled = ratings.settle(folder, person)
    assert settled.to_numpy().tolist() == [["3_1.png", "sad", "2 of 2 raters"]]
    again = load_person(folder).faces.set_index("file_name")
    assert again.loc["3_1.png", ["set", "label"]].tolist() == ["labelled", "sad"]
    assert (folder / "images" / "unknown" / "3_1.png").is_file()
    alone = ratings.settle(folder, load_person(folder), alone=True)
    assert alone["file_name"].tolist() == ["4_1.png"]
    assert len((folder / "labels.csv").read_text().splitlines()) == 3
