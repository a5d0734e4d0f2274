"""The models that a study compares. Who adds a rival adds it here, and nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """What all rooms must know of a model.

    Attributes
    ----------
    name : str
    part : str
        The chapter whose tables hold its answers to the person's faces.
    trained_in : str
        The chapter that trains it.
    file : str
        Its file in the study's folder ``models``.
    learned_from : str
        In words.
    colour, marker : str
        Of its figures: blue reads designed features, red and ochre learned ones.
    fitted_on_person : bool
        Whether it learned from the person's labelled faces, and is therefore judged out of fold.
    gap : str
        What a study that does not have this model lacks (`mien.study.material`); empty: none does.
    starts_from : str
        The model whose training its own goes on with; empty: it starts by itself.
    """

    name: str
    part: str
    trained_in: str
    file: str
    learned_from: str
    colour: str
    marker: str
    fitted_on_person: bool = False
    gap: str = ""
    starts_from: str = ""

    @property
    def chosen_on(self) -> tuple[str, str]:
        """The part and the set whose scores may choose this model's settings.

        The crowd's PublicTest, or the person's labelled faces where each was held out.
        """
        if self.fitted_on_person:
            return self.part, "target-labelled"
        return self.trained_in, "PublicTest"


#: The models by name, in the order of every table and legend.
MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "SVM-FER2013",
            part="A1",
            trained_in="A1",
            file="A1.skops",
            learned_from="the crowd's pictures, by designed features",
            colour="#5b90c7",
            marker="o",
            gap="A1",
        ),
        Model(
            "SVM-OpenFace",
            part="A2",
            trained_in="A2",
            file="A2.skops",
            learned_from="the person's labelled Action Units",
            colour="#004488",
            marker="s",
            fitted_on_person=True,
            gap="A2",
        ),
        Model(
            "NN-FER2013",
            part="B2",
            trained_in="B1",
            file="B1.keras",
            learned_from="the crowd's pictures",
            colour="#c17a17",
            marker="^",
        ),
        Model(
            "NN-FineTuned",
            part="B3",
            trained_in="B3",
            file="B3.keras",
            learned_from="the crowd's pictures, then the person's",
            colour="#8a2e44",
            marker="D",
            fitted_on_person=True,
            starts_from="NN-FER2013",
        ),
    )
}


def name_of(part: str) -> str | None:
    """Return the name of the model that a chapter trains or applies, or None.

    Examples
    --------
    >>> name_of("B1"), name_of("B2"), name_of("C")
    ('NN-FER2013', 'NN-FER2013', None)
    """
    names = [model.name for model in MODELS.values() if part in (model.trained_in, model.part)]
    return names[0] if names else None
