"""Study parameters: refused in words, before anything runs."""

import pytest

from mien.errors import ParameterError
from mien.study import profiles
from mien.study.parameters import CHAPTERS, load_study, make_study, parts_to_run, without_folders


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: trial\nprofile: quick\nseed: 3\n")
    return path


def test_file_and_settings_make_a_study(study_file):
    settings = ["seed=7", "learning_rate=1e-2", "name=123", "find_faces=true"]
    study = load_study(study_file, settings)
    assert (study.name, study.profile, study.seed) == ("123", "quick", 7)
    assert study.learning_rate == 0.01 and study.fer2013 == "demo" and study.find_faces is True
    assert study.command.endswith("--set " + " --set ".join(settings))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("sede=1", "did you mean 'seed'"),
        ("fine_tune_epoch=1", "did you mean 'fine_tune_epochs'"),
        ("seed=one", "'seed' is 'one'"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=1.5", "valid integer"),
        ("profile=quik", "'profile' is 'quik': input should be 'demo', 'quick' or 'full'"),
        ("folds=1", "greater than or equal to 2"),
        ("name=../escape", "'name' is '../escape'"),
        ("seed", "NAME=VALUE"),
        ("skip_bad_rows=perhaps", "valid boolean"),
    ],
)
def test_bad_settings_are_refused_in_words(study_file, setting, said):
    with pytest.raises(ParameterError) as refused:
        load_study(study_file, [setting])
    assert said in str(refused.value)
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "name: [", "\x00"])
def test_a_file_that_is_no_study_is_refused(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ParameterError, match="bad.yaml"):
        load_study(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match="there is no study file"):
        load_study(tmp_path / "none.yaml")


def test_every_problem_is_told_at_once():
    with pytest.raises(ParameterError) as refused:
        make_study({"seed": -1, "profil": "demo"})
    assert len(str(refused.value).splitlines()) == 2


def test_only_names_chapters_in_reading_order():
    assert [plan.part for plan in parts_to_run("c, a1")] == ["A1", "C"]
    assert parts_to_run("") == list(CHAPTERS)
    with pytest.raises(ParameterError, match="'D'"):
        parts_to_run("A1,D")


def test_chapters_read_only_earlier_ones():
    parts = [plan.part for plan in CHAPTERS]
    for position, plan in enumerate(CHAPTERS):
        assert set(plan.reads) <= set(parts[:position])


def test_every_profile_chooses_every_setting_and_some_chapter_declares_it():
    for parts, *chosen in profiles.SETTINGS.values():
        assert parts and set(parts.split()) <= {plan.part for plan in CHAPTERS}
        assert len(chosen) == len(profiles.PROFILES)
    assert {name for plan in CHAPTERS for name in plan.settings} == set(profiles.SETTINGS)


def test_more_trainings_than_one_need_something_to_train_on():
    assert make_study({"trainings": 3}).trainings == 3
    for given in ({"weights": "shipped"}, {"fer2013": ""}):
        with pytest.raises(ParameterError, match="'trainings' is 2: only one network comes with"):
            make_study({"trainings": 2, **given})


def test_a_network_is_named_or_lies_in_a_file(tmp_path):
    for network in ("asignment", str(tmp_path / "mine.keras")):
        with pytest.raises(ParameterError, match=f"'{network}': say residual, assignment or the"):
            make_study({"network": network})
    (tmp_path / "mine.keras").touch()
    assert make_study({"network": str(tmp_path / "mine.keras")})


def test_a_command_is_shown_without_folders():
    command = "mien run /home/me/my.yaml --set target=/data/me --set seed=1"
    assert without_folders(command) == "mien run …/my.yaml --set target=…/me --set seed=1"
