"""The table of models agrees with the chapters that make them."""

import pytest

from mien.models import DESIGNED, MODELS, RIVALS, competitors, declared, name_of
from mien.study.parameters import BY_PART


def test_every_model_is_made_by_a_chapter_that_chapter_c_reads():
    for model in MODELS.values():
        assert {model.part, model.trained_in} <= set(BY_PART["C"].reads), model.name
        assert model.file.split(".")[0] == model.trained_in


def test_a_model_starts_from_one_whose_chapter_its_own_reads():
    tuned = [model for model in MODELS.values() if model.starts_from]
    assert tuned
    for model in tuned:
        assert MODELS[model.starts_from].trained_in in BY_PART[model.trained_in].reads


def test_a_model_is_chosen_by_the_crowd_or_by_faces_that_were_held_out():
    assert MODELS["NN-FER2013"].chosen_on == ("B1", "PublicTest")
    assert MODELS["NN-FineTuned"].chosen_on == ("B3", "target-labelled")


def test_chapters_without_a_model_have_no_name():
    assert [name_of(part) for part in ("0", "A2", "C")] == [None, "SVM-OpenFace", None]
    assert name_of("A2", "blendshapes") == "SVM-Blendshapes"


@pytest.mark.parametrize("designed", DESIGNED.values())
def test_the_declared_pairs_are_of_models_and_rivals_each_once(designed):
    names = [frozenset(pair) for pair in declared(designed)]
    assert len(set(names)) == len(names)
    assert set().union(*names) <= {*MODELS, *RIVALS}
    four = [model.name for model in competitors(designed)]
    assert len(four) == 4 and designed in four
    every_two = {frozenset((a, b)) for a in four for b in four if a != b}
    assert every_two <= set(names)  # the verdict compares the best model with each of the others
    assert frozenset(("SVM-OpenFace", "SVM-Blendshapes")) in names
    assert frozenset(("SVM-Measured", "NN-FineTuned")) in names
    assert not set(MODELS) & set(RIVALS)


def test_rivals_complete_the_two_by_two():
    for designed, learned in (
        ("SVM-FER2013", "NN-FER2013"),  # the crowd's labels alone
        ("patches + LR", "untrained NN + LR"),  # the person's alone
        ("SVM-FER2013 + LR", "NN-FER2013 + LR"),  # both
    ):
        assert (designed, learned) in declared("SVM-OpenFace")
    for rival in RIVALS.values():
        assert rival.part in BY_PART["C"].reads
