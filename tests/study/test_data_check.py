"""What a study has to work with: counted, and everything that is not used named."""

import json

import fer2013_csv
import pytest
from person_folder import add_pictures, add_table

from mien.errors import DataError
from mien.study.data_check import examine
from mien.study.parameters import make_study

TABLE = "file_name,confidence,AU01_r,AU01_c\n"
FACES = [f"{label}/{clip}_1.png" for clip, label in enumerate(["happy", "sad"] * 3)]


@pytest.fixture
def folder(tmp_path):
    add_pictures(tmp_path / "person", *FACES, "unknown/9_1.png")
    rows = [f"{clip}_1.png,0.9,1.0,0" for clip in range(6)]
    add_table(tmp_path / "person", "any.csv", TABLE + "\n".join(rows))
    return tmp_path / "person"


def study(folder, **parameters):
    return make_study({"name": "any", "fer2013": "", "target": str(folder), **parameters})


def told(folder, **parameters):
    mine = study(folder, **parameters)
    return json.loads(json.dumps(examine(mine).as_json(mine)))


def test_a_study_in_order_is_counted_and_nothing_is_lost(folder):
    add_table(folder, "ratings.csv", "file_name,rater,label\n9_1.png,a,sad\n9_1.png,b,sad\n")
    found = told(folder)
    assert list(found) == ["study", "fer2013", "person", "designed", "lost", "left_out"]
    assert found["designed"] == "SVM-OpenFace"
    assert found["study"] == "any" and found["fer2013"] is None and found["lost"] == []
    assert found["person"] == {
        **{"labelled": 6, "unknown": 1, "images": 7, "clips": 7},
        **{"measured": {"OpenFace 2": 6}, "ratings": 2, "raters": 2},
    }
    assert set(found["left_out"]) == {"A1", "B1"}


def test_everything_that_is_not_used_is_named_the_worst_first(folder):
    add_pictures(folder, "contempt/1.png", "contempt/2.png", "../stray.png")
    add_table(folder, "images/happy/cut.jpg", "no picture")
    add_table(folder, "happy.mov", "")
    add_table(folder, "ratings.csv", "file_name,rater,label\nnobody.png,a,sad\n")
    with (folder / "any.csv").open("a") as stream:
        stream.write("\nnobody.png,0.9,1.0,0\n")
    lost = told(folder)["lost"]
    assert [entry["what"] for entry in lost] == [
        *("folder", "image", "image", "row", "rating", "file")
    ]
    assert all(list(entry) == ["what", "where", "reason", "remedy"] for entry in lost)
    assert all(all(entry.values()) for entry in lost)
    assert {entry["where"] for entry in lost} == {
        *("images/contempt", "stray.png", "images/happy/cut.jpg"),
        *("any.csv, row 7 (nobody.png)", "ratings.csv, row 1", "happy.mov"),
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file_name,smile\n1_1.png,1\n", "no line of it names columns"),
        (f"{TABLE}x.png,1,1,1\ny.png,1,1,1\n", "no picture has its name"),
        (TABLE, "holds no row"),
        (f"{TABLE}1_1.png,,,\n", "holds no number"),
        ("", "no line of it names columns"),
    ],
)
def test_a_table_that_yields_no_row_is_refused_unless_the_study_does_without(text, why, folder):
    add_table(folder, "more/odd.csv", text)
    with pytest.raises(DataError, match=rf"(?s)more/odd\.csv: .*{why}.*skip_bad_rows"):
        examine(study(folder))
    found = told(folder, skip_bad_rows=True)
    assert [entry["what"] for entry in found["lost"]] == ["table"]


def test_rows_under_the_studys_confidence_are_lost(folder):
    assert told(folder, min_confidence=0.9)["lost"] == []
    add_table(folder, "any.csv", TABLE + "\n".join(f"{n}_1,0.{4 + n},1,1" for n in range(6)))
    found = told(folder, min_confidence=0.7)
    assert found["person"]["measured"] == {"OpenFace 2": 3}
    (entry,) = found["lost"]
    assert entry["where"] == "any.csv, rows 1-3 (0_1, 1_1, 2_1)" and "0.7" in entry["reason"]


@pytest.fixture
def crowd(tmp_path, rows):
    """Write a FER2013 of which a test may leave parts out."""

    def write(*usages):
        kept = [row for row in rows if row[2] in usages]
        return str(fer2013_csv.write(tmp_path, fer2013_csv.text_of(kept)))

    return write


def test_an_empty_split_is_refused_with_what_fills_it(folder, crowd, cache_folder):
    whole = told(folder, fer2013=crowd("Training", "PublicTest", "PrivateTest"))
    assert whole["fer2013"]["images"] == sum(whole["fer2013"]["splits"].values())
    path = crowd("Training", "PrivateTest")
    with pytest.raises(DataError, match=r"no image in PublicTest.*--set public_share=0\.1"):
        examine(study(folder, fer2013=path))
    found = examine(study(folder, fer2013=path, public_share=0.25))
    assert found.fer2013["splits"]["PublicTest"] > 0 and found.lost == []
    (noted,) = [finding for finding in found.findings if finding.what == "split"]
    assert noted.reason == "PublicTest was empty and got 25% of every emotion in Training"
    with pytest.raises(DataError, match="no image in Training: give a FER2013 that has it$"):
        examine(study(folder, fer2013=crowd("PublicTest", "PrivateTest")))


def test_votes_that_do_not_fit_are_told_and_stop_nothing(folder, crowd, cache_folder, tmp_path):
    path = crowd("Training", "PublicTest", "PrivateTest")
    (tmp_path / "fer2013new.csv").write_text("Usage,anger\nTraining,1\n")
    (entry,) = told(folder, fer2013=path)["lost"]
    assert entry["where"] == "fer2013new.csv" and "lacks the columns" in entry["reason"]
