"""The models that a study compares. Who adds a rival adds it here, and nowhere else."""

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Model:
    """What all rooms must know of a model."""

    name: str
    learned_from: str  # in words
    part: str  # the chapter whose tables hold its answers to the person's faces
    trained_in: str  # the chapter that trains it
    file: str = ""  # in the study's folder models
    colour: str = ""  # of its figures: blue reads designed features, red and ochre learned ones
    marker: str = ""
    network: bool = False  # its training is a matter of chance: another one answers otherwise
    fitted_on_person: bool = False  # it learned from labelled faces, so it is judged out of fold
    starts_from: str = ""  # the model whose training its own goes on with

    @property
    def chosen_on(self) -> tuple[str, str]:
        """The part and the set whose scores may choose this model's settings."""
        if self.fitted_on_person:
            return self.part, "target-labelled"
        return self.trained_in, "PublicTest"


#: What a study may declare as the designed features that meet the network in chapter C (its
#: parameter ``designed``), and the model that reads them.
DESIGNED: dict[str, str] = {
    "openface": "SVM-OpenFace",
    "blendshapes": "SVM-Blendshapes",
    "both": "SVM-Measured",
}

_OfMeasures = partial(
    Model,
    part="A2",
    trained_in="A2",
    file="A2.skops",
    colour="#004488",
    marker="s",
    fitted_on_person=True,
)

#: The models by name, in the order of every table and legend. Of those on measured features one is
#: a study's competitor, the others are its rivals.
MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "SVM-FER2013",
            "the crowd's pictures, by designed features",
            part="A1",
            trained_in="A1",
            file="A1.skops",
            colour="#5b90c7",
            marker="o",
        ),
        _OfMeasures("SVM-OpenFace", "the person's labels alone, by Action Units"),
        _OfMeasures("SVM-Blendshapes", "the person's labels alone, by blendshapes"),
        _OfMeasures("SVM-Measured", "the person's labels alone, by Action Units and blendshapes"),
        Model(
            "NN-FER2013",
            "the crowd's pictures",
            part="B2",
            trained_in="B1",
            file="B1.keras",
            colour="#c17a17",
            marker="^",
            network=True,
        ),
        Model(
            "NN-FineTuned",
            "the crowd's pictures, then the person's",
            part="B3",
            trained_in="B3",
            file="B3.keras",
            colour="#8a2e44",
            marker="D",
            network=True,
            fitted_on_person=True,
            starts_from="NN-FER2013",
        ),
    )
}

_OfImages = partial(Model, part="A1", trained_in="A1", fitted_on_person=True)
_OfANetwork = partial(Model, part="B3", trained_in="B3", network=True, fitted_on_person=True)
_Stored = partial(_OfANetwork, file="B3-labelled.npz")

#: The rivals by name, which complete the comparison: designed and learned features, taught with and
#: without the crowd's labels. ``part`` is the chapter whose table ``rivals`` holds its answers;
#: ``file``, where it is stored, has what it reads of all labelled faces, and their labels.
RIVALS: dict[str, Model] = {
    rival.name: rival
    for rival in (
        _OfImages("HOG + LR", "the person's labels alone, by gradients"),
        _OfImages("patches + LR", "the person's labels alone, by patches"),
        _OfImages("SVM-FER2013 + LR", "the crowd's labels, then the person's, by distances"),
        _OfANetwork(
            "untrained NN + LR", "the person's labels alone, by a network that has learned nothing"
        ),
        _Stored("NN-FER2013 + LR", "the crowd's labels, then the person's, by learned features"),
        _Stored("NN-FER2013 + prototypes", "as NN-FER2013 + LR, by the mean of every emotion"),
        _Stored(
            "NN-FER2013 + prior", "the crowd's labels, and how often the person shows which emotion"
        ),
        _OfANetwork(
            "NN-FineTuned, other start", "as NN-FineTuned, from the other of the two heads"
        ),
        _Stored(
            "measured and NN + LR", "as NN-FER2013 + LR, by learned and measured features together"
        ),
        _Stored(
            "measured and NN, fused",
            "as NN-FER2013 + LR, its probabilities averaged with those by measured features",
        ),
    )
}


def competitors(designed: str) -> list[Model]:
    """Return the models that chapter C compares where ``designed`` is that on measured features."""
    others = set(DESIGNED.values()) - {designed}
    return [model for model in MODELS.values() if model.name not in others]


def declared(designed: str) -> dict[tuple[str, str], str]:
    """Return the pairs that chapter C tests, declared before any study, and what each tells."""
    pairs = {
        ("SVM-FER2013", "NN-FER2013"): "designed or learned features, both taught by the crowd "
        "alone",
        (designed, "NN-FineTuned"): "the two that learned from the person; the network saw the "
        "crowd's labels as well, the SVM none of them",
        ("NN-FER2013", "NN-FineTuned"): "what the person's labels add to the crowd's network",
        ("SVM-FER2013", designed): "the crowd's labels or the person's, designed features both",
        ("SVM-FER2013", "NN-FineTuned"): "the least and the most that a model can have",
        (designed, "NN-FER2013"): "the person's labels and designed features, or the crowd's and "
        "learned ones",
        ("patches + LR", "untrained NN + LR"): "designed features or a network that has learned "
        "nothing, both taught by the person alone",
        ("SVM-FER2013 + LR", "NN-FER2013 + LR"): "designed or learned features, both taught by "
        "the crowd and then, in the same way, by the person",
        ("NN-FER2013 + LR", "NN-FineTuned"): "what tuning the layers adds to a new head",
        ("measured and NN + LR", "NN-FER2013 + LR"): "whether what people designed knows anything "
        "that the network does not",
        ("SVM-OpenFace", "SVM-Blendshapes"): "which measured features tell more, read by an SVM",
    }
    everything = "all that was measured, or a network, with the person's labels"
    return {("SVM-Measured", "NN-FineTuned"): everything} | pairs


def is_network(name: str) -> bool:
    """Return whether a model or rival is a network, which another training would change."""
    return name in MODELS | RIVALS and (MODELS | RIVALS)[name].network


def name_of(part: str, designed: str = "openface") -> str | None:
    """Return the name of the model that a chapter (A2: of ``designed`` features) has, or None."""
    models = competitors(DESIGNED[designed])
    return next((model.name for model in models if part in (model.trained_in, model.part)), None)
