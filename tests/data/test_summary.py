"""What chapter 0 counts, and whom it shows."""

import numpy as np
import pandas as pd
import pytest

from mien.data import summary
from mien.data.fer2013 import Fer2013
from mien.data.person import load_person
from mien.synthetic.dataset import write_demo


@pytest.fixture
def crowd():
    """Six faces; one of Training stands in PrivateTest too, one twice in PublicTest."""
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)
    images[3], images[5] = images[2], images[0]
    return Fer2013(
        images=images,
        _labels=np.array([3, 0, 3, 3, 0, 3], np.int8),
        usage=np.array(["Training"] * 2 + ["PublicTest"] * 2 + ["PrivateTest"] * 2),
        skipped=pd.DataFrame(columns=["row", "reason"]),
        fingerprint="",
        source="/somewhere/fer2013.csv",
    )


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=100, labelled=40)
    return load_person(folder / "person")


def test_the_facts_of_a_crowd_by_hand(crowd):
    assert summary.crowd_facts(crowd) == {
        "source": "fer2013.csv",
        "images": {"Training": 2, "PublicTest": 2, "PrivateTest": 2},
        "in_training": {"PublicTest": 0, "PrivateTest": 1},
        "nearly_in_training": {"PublicTest": 0, "PrivateTest": 1},
        "shared_out": [],
        "majority": "angry",
        "majority_share": 0.5,
    }
    copies = summary.copy_table(crowd, summary.crowd_facts(crowd)).set_index("split")
    assert copies["in Training, exactly or nearly"].tolist()[1:] == [0, 1]
    assert copies["copies of an earlier row"].tolist() == [0, 1, 1]
    assert copies["also in Training"].tolist()[1:] == [0, 1]
    balance = crowd.counts()
    assert balance.loc["happy"].tolist() == [1, 2, 1] and balance.loc["fear"].sum() == 0


def test_samples_of_the_crowd_are_the_first_of_their_class(crowd):
    rows, captions = summary.crowd_samples(crowd, usage="PublicTest", each=1)
    assert (rows.tolist(), captions) == ([2], ["happy"])


def test_the_facts_of_a_person_count_its_faces(person):
    facts = summary.person_facts(person)
    faces = person.faces[person.faces["set"] == "labelled"]
    assert facts["labelled_images"] == faces["has_image"].sum() < len(faces)
    assert facts["measured"] == {"OpenFace 2": faces["has_units"].sum()}
    assert facts["clips"] == faces["clip"].nunique()
    assert facts["unknown"] == len(person.faces) - len(faces)
    assert faces["label"].value_counts()[facts["majority"]] / len(faces) == facts["majority_share"]
    assert facts["majority_share"] == faces["label"].value_counts(normalize=True).max()
    by_label = summary.person_counts(person)
    assert by_label["faces"].sum() == len(person.faces)
    assert by_label["images"].drop("unknown").sum() == facts["labelled_images"]
    assert by_label["rows of OpenFace 2"].drop("unknown").sum() == facts["measured"]["OpenFace 2"]


def test_samples_of_a_person_have_an_image_and_their_label(person):
    for each in (2, 100):
        rows, captions = summary.person_samples(person, each=each)
        assert person.faces.loc[rows, "has_image"].all()
        assert person.faces.loc[rows, "label"].tolist() == captions
        assert list(dict.fromkeys(captions)) == person.emotions
        assert max(map(captions.count, captions)) == min(each, captions.count("happy"))
    assert len(rows) == len(person.labelled("has_image").rows)


def test_every_face_is_followed_by_its_witnesses(person):
    faces, witnesses = np.array([40, 41]), np.array([[3, 0], [7, 3]])
    rows, captions = summary.witness_samples(person, faces, witnesses, np.array(["sad", "happy"]))
    assert rows.tolist() == [40, 3, 0, 41, 7, 3]
    labels = person.faces["label"]
    assert captions == [
        *("unknown: sad", labels[3], labels[0]),
        *("unknown: happy", labels[7], labels[3]),
    ]
