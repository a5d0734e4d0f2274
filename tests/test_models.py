"""The table of models agrees with the chapters that make them."""

from mien.models import MODELS, name_of
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
