"""A study: its parameters, its chapters and their order."""

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mien import project
from mien.errors import ParameterError
from mien.study import profiles, results

#: Parameters that every notebook takes.
COMMON = ("name", "fer2013", "target", "profile", "seed", "out")

# What chapters take that read the crowd, read the person, deal folds, train a network; the folders
# that all of them run.
_CROWD, _PERSON = ("skip_bad_rows", "public_share"), ("min_confidence", "find_faces")
_FOLD, _TRAINING = ("folds", "repeats"), ("minutes", "epochs", "batch_size", "learning_rate")
_ALWAYS = ("data", "photos", "evaluation", "report", "study")


@dataclass(frozen=True)
class ChapterPlan:
    """One chapter and everything that its results depend on; it is handed nothing else."""

    part: str
    notebook: str
    title: str
    reads: tuple[str, ...] = ()  # earlier parts whose results it reads
    data: tuple[str, ...] = ("fer2013", "target")  # what it loads
    parameters: tuple[str, ...] = ()  # of the study that its notebook takes beside `COMMON`
    library: tuple[str, ...] = _ALWAYS  # folders whose code it runs, directly or through others
    tells_command: bool = False  # that repeats the study, and so depends on every parameter

    @property
    def takes(self) -> set[str]:
        """The names of all parameters that the notebook takes."""
        return {*COMMON, *self.parameters}

    @property
    def settings(self) -> list[str]:
        """The names of the settings that it takes from the profile (`mien.study.profiles`)."""
        return [name for name, (parts, *_) in profiles.SETTINGS.items() if self.part in parts]


#: The chapters in the order in which they are read and run.
CHAPTERS: tuple[ChapterPlan, ...] = (
    ChapterPlan("0", "0_data", "The data", parameters=(*_CROWD, *_PERSON)),
    ChapterPlan(
        "A1",
        "A1_svm_fer2013",
        "SVM on FER2013",
        parameters=(*_CROWD, *_PERSON, "hog_cell", "svm_penalty", *_FOLD, "resamples"),
        library=(*_ALWAYS, "designed"),
    ),
    ChapterPlan(
        "A2",
        "A2_svm_action_units",
        "SVM on measured features",
        data=("target",),
        parameters=(*_PERSON, "designed", *_FOLD, "svm_kernel", "resamples"),
        library=(*_ALWAYS, "designed"),
    ),
    ChapterPlan(
        "B1",
        "B1_cnn_fer2013",
        "Network on FER2013",
        data=("fer2013",),
        parameters=(*_CROWD, "network", "trainings", *_TRAINING),
        library=(*_ALWAYS, "network"),
    ),
    ChapterPlan(
        "B2",
        "B2_cnn_on_target",
        "The network on the person",
        reads=("A2", "B1"),
        data=("target",),
        parameters=(*_PERSON, "designed", "weights", "resamples"),
        library=(*_ALWAYS, "network"),
    ),
    ChapterPlan(
        "B3",
        "B3_fine_tuning",
        "The network fine-tuned",
        reads=("B1", "B2"),
        data=("target",),
        parameters=(*_PERSON, *_FOLD, "fine_tune_epochs", "fine_tune_rate", "weights", "resamples"),
        library=(*_ALWAYS, "network"),
    ),
    ChapterPlan(
        "C",
        "C_comparison",
        "The comparison",
        reads=("0", "A1", "A2", "B1", "B2", "B3"),
        data=("target",),
        parameters=(*_PERSON, "designed", "weights", "resamples"),
        library=(*_ALWAYS, "network"),
        tells_command=True,
    ),
)

#: The chapters by part.
BY_PART: dict[str, ChapterPlan] = {chapter.part: chapter for chapter in CHAPTERS}


class Study(BaseModel):
    """The parameters of a study; of a number or text that chapters take, 0 or "" leaves the
    choice to the profile (`mien.study.profiles`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field("demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    fer2013: str = Field("demo", description='path of FER2013, or "demo"; empty: do without')
    target: str = Field("demo", min_length=1, description='folder of the person, or "demo"')
    profile: Literal["demo", "quick", "full"] = "demo"
    seed: int = Field(0, ge=0, le=2**31 - 1)
    out: str = Field("", description="where results go; empty: reports/<name>")
    weights: Literal["", "trained", "shipped"] = Field(
        "", description="B2, B3: trained by B1, or shipped with mien; empty: trained if FER2013 is"
    )
    skip_bad_rows: bool = Field(
        False, description="leave bad FER2013 rows, and tables that yield no row, out"
    )
    public_share: float = Field(
        0.0, ge=0, le=0.5, description="share of Training for a test split that FER2013 lacks"
    )
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="measured rows that are less sure are left out"
    )
    find_faces: bool = Field(
        False, description="cut the largest face out of every photo of the person first"
    )
    designed: Literal["", "openface", "blendshapes", "both"] = Field(
        "",
        description="A2, C: the measured features that meet the network; empty: Action Units "
        "(openface) where the person has some, else blendshapes",
    )

    hog_cell: int = Field(0, ge=0, le=16, description="A1: side of a HOG cell in pixels")
    svm_penalty: float = Field(0.0, ge=0, le=1e4, description="A1: C of the SVM on HOG")
    svm_kernel: Literal["", "rbf", "linear", "poly", "sigmoid"] = Field(
        "", description="A2: of its SVM; empty: the mean of three views"
    )
    folds: int = Field(5, ge=2, le=20, description="A2, B3: folds over the labelled faces")
    repeats: int = Field(0, ge=0, le=100, description="A2, B3: times the folds are drawn anew")
    network: str = Field(
        "residual", description="B1: residual, assignment (the course's) or FILE.keras"
    )
    trainings: int = Field(
        1, ge=1, le=20, description="B1: networks from different random numbers; B2, B3 use each"
    )
    minutes: float = Field(0.0, ge=0, le=1e6, description="B1: for a training without epochs")
    epochs: int = Field(0, ge=0, le=1000, description="B1: passes over Training")
    batch_size: int = Field(0, ge=0, le=4096, description="B1: images in a training step")
    learning_rate: float = Field(0.0, ge=0, le=1, description="B1: peak learning rate")
    fine_tune_epochs: int = Field(0, ge=0, le=1000, description="B3: most epochs on the person")
    fine_tune_rate: float = Field(0.0, ge=0, le=1, description="B3: learning rate")
    resamples: int = Field(2000, ge=100, le=100_000, description="A2 to C: bootstrap resamples")

    _file: Path | None = PrivateAttr(None)
    _settings: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _weights_have_a_source(self) -> Self:
        if self.weights == "trained" and not self.fer2013:
            raise PydanticCustomError("weights", "needs fer2013 to be trained on")
        if self.trainings > 1 and self.takes_shipped:
            raise PydanticCustomError(
                "trainings", "only one network comes with mien; more need fer2013 to be trained on"
            )
        return self

    @field_validator("network")
    @classmethod
    def _network_is_there(cls, value: str) -> str:
        mine = value.endswith(".keras") and Path(value).expanduser().is_file()
        if not mine and value not in ("residual", "assignment"):
            told = "say residual, assignment or the path of a FILE.keras that is there"
            raise PydanticCustomError("network", told)
        return value

    @property
    def takes_shipped(self) -> bool:
        """Whether B2 and B3 take the network that comes with mien instead of B1's."""
        return self.weights == "shipped" or not self.fer2013

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return results.study_folder(self.name, self.out)

    @property
    def command(self) -> str:
        """The command line that repeats the study in the project's folder, whatever its ``out``."""
        if self._file is None:
            file = "demo" if "demo" in (self.fer2013, self.target) else "fer2013"
            changed = self.model_dump(exclude_defaults=True, exclude={"out"})
            given = [f"{name}={value}" for name, value in changed.items()]
        else:
            file = project.study_name(self._file)
            given = [text for text in self._settings if _setting(text)[0] != "out"]
        settings = (f"--set {shlex.quote(text)}" for text in given)
        return " ".join(["mien run", shlex.quote(file), *settings])


def without_folders(command: str) -> str:
    """Return a command line whose absolute paths are cut to their last part, for a page."""
    return re.sub(r"(?<=[=\s'])/\S*/", "…/", command)


def load_study(path: str | Path, settings: Sequence[str] = ()) -> Study:
    """Read a study from a YAML file, or by its name, and check its parameters.

    A file that names a person's folder and no FER2013 does without FER2013. ``settings``,
    ``NAME=VALUE``, take the place of the file's. `ParameterError` if the file is no such YAML, or
    a name, type or value is not allowed; the text names the parameter, its value, what is allowed,
    and for an unknown name the nearest one.
    """
    file = project.study_file(path)
    given = _read_yaml(file) | dict(map(_setting, settings))
    if given.get("target", "demo") != "demo":
        given = {"fer2013": "", **given}
    study = make_study(given, source=str(path), texts=True)
    study._file, study._settings = file, tuple(settings)
    return study


def finished(given: str) -> Path:
    """Return the folder of a study's results, by this folder, the study's file or its name."""
    folder = Path(given)
    return folder if (folder / "study.json").is_file() else load_study(given).folder


def make_study(
    parameters: Mapping[str, Any], *, source: str = "study", texts: bool = False
) -> Study:
    """Return the checked study of these parameters, perhaps all as ``texts``; errors as above."""
    try:
        if texts:
            return Study.model_validate_strings(parameters)
        return Study.model_validate(parameters)
    except ValidationError as error:
        problems = [f"{source}: {_in_words(item)}" for item in error.errors()]
        raise ParameterError("\n".join(problems)) from None


def data_paths(fer2013: str, target: str, seed: int) -> tuple[Path, Path]:
    """Return the paths of FER2013 and of the target person; ``"demo"`` stands for drawn faces."""
    drawn = Path()
    if "demo" in (fer2013, target):
        from mien.synthetic.dataset import demo_folder  # here, because drawing is rarely needed

        drawn = demo_folder(seed)
    return (
        drawn / "fer2013.csv" if fer2013 == "demo" else Path(fer2013).expanduser(),
        drawn / "person" if target == "demo" else Path(target).expanduser(),
    )


def parts_to_run(only: str = "") -> list[ChapterPlan]:
    """Return the chapters named in ``"A1,C"``, in reading order; all of them for ``""``."""
    asked = [part.strip().upper() for part in only.split(",") if part.strip()]
    if unknown := [part for part in asked if part not in BY_PART]:
        raise ParameterError(
            f"there is no chapter {unknown[0]!r}; the chapters are {', '.join(BY_PART)}"
        )
    return [chapter for chapter in CHAPTERS if chapter.part in (asked or BY_PART)]


def _read_yaml(path: Path) -> dict[str, Any]:
    """Return what a file says, every value as the text that it is: `Study` knows the types."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except FileNotFoundError:
        names = ", ".join(project.shipped_studies())
        raise ParameterError(f"there is no study file {path} (mien ships {names})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ParameterError(f"{path} must hold lines of the form 'name: value'")
    return content


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = map(str.strip, text.partition("="))
    if not equals or not name:
        raise ParameterError(f"--set takes NAME=VALUE, not {text!r}")
    return name, value


def _in_words(problem: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else problem["type"]
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Study.model_fields, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(Study.model_fields)}"
        return f"there is no parameter {name!r}; {hint}"
    value = problem["input"] if problem["loc"] else problem["input"][name]
    return f"parameter {name!r} is {value!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
