"""A gallery of faces: each with its truth, its raters and what every model answered."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from PIL import Image

from mien.emotions import EMOTIONS
from mien.tables import number_text


@dataclass(frozen=True)
class Answer:
    """What one model answered for one face.

    Parameters
    ----------
    predicted : str
        The emotion that the model chose.
    probabilities : mapping of str to float
        Emotion to probability in 0..1; may be empty.
    """

    predicted: str
    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GalleryItem:
    """One face of a gallery.

    Parameters
    ----------
    image : PIL.Image.Image or None
        The face for display, None where there is none.
    file_name : str
    truth : str
        The label, or the raters' majority; empty where there is none.
    answers : mapping of str to Answer
        By model; the same models for every face of a gallery.
    raters : mapping of str to str
        Rater to label; empty for a labelled face.
    """

    image: Image.Image | None
    file_name: str
    truth: str
    answers: Mapping[str, Answer]
    raters: Mapping[str, str] = field(default_factory=dict)

    def erred(self, model: str) -> bool:
        """Return whether the model's answer differs from the truth (never where none is known)."""
        return bool(self.truth) and self.answers[model].predicted != self.truth


@dataclass(frozen=True, repr=False)
class Gallery:
    """Faces with the models' answers, which a notebook shows; `gallery` makes it."""

    faces: Sequence[GalleryItem]
    caption: str

    @property
    def models(self) -> list[str]:
        """The models that answered, in the order in which the faces name them."""
        return list(dict.fromkeys(model for face in self.faces for model in face.answers))

    @property
    def emotions(self) -> list[str]:
        """The truths that occur, in FER2013's order; last ``""`` where there is none."""
        truths = {face.truth for face in self.faces}
        known = [emotion for emotion in EMOTIONS if emotion in truths]
        return known + sorted(truths.difference(known, {""})) + [""] * ("" in truths)

    def __repr__(self) -> str:
        """Return the gallery as plain text."""
        lines = [self.caption]
        for face in self.faces:
            answers = ", ".join(f"{model} {given.predicted}" for model, given in _answers(face))
            lines.append(f"{face.file_name} ({face.truth or 'no majority'}): {answers}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cards = "\n".join(self._card(face) for face in self.faces)
        return (
            f'<div class="mien-faces-answers">\n{self._filter()}\n'
            f'<ul class="mien-gallery" aria-label="{escape(self.caption)}" '
            'style="display: flex; flex-wrap: wrap; gap: 1em; padding: 0; list-style: none">\n'
            f"{cards}\n</ul>\n</div>"
        )

    def _filter(self) -> str:
        """Controls that the page's script shows and serves; without it every face is shown."""
        emotions = "".join(
            f'<option value="{number}">{escape(emotion or "no majority")}</option>'
            for number, emotion in enumerate(self.emotions)
        )
        models = "".join(
            f'<label><input type="checkbox" value="{number}"> {escape(model)}</label>'
            for number, model in enumerate(self.models)
        )
        return (
            '<div class="mien-filter" role="group" aria-label="Filter the faces" hidden>'
            f'<label>Emotion <select><option value="">all</option>{emotions}</select></label>'
            f"<fieldset><legend>Got wrong by</legend>{models}</fieldset>"
            '<p class="mien-shown" role="status"></p></div>'
        )

    def _card(self, face: GalleryItem) -> str:
        erred = " ".join(
            str(number)
            for number, model in enumerate(self.models)
            if model in face.answers and face.erred(model)
        )
        answers = "".join(_answer(face, model, given) for model, given in _answers(face))
        return (
            f'<li class="mien-card" data-emotion="{self.emotions.index(face.truth)}" '
            f'data-erred="{erred}" style="max-width: 22em">\n{_picture(face)}\n'
            f'<p class="mien-card-text"><code>{escape(face.file_name)}</code><br>{_truth(face)}</p>'
            "\n<table><thead><tr>"
            '<th scope="col">Model</th><th scope="col">Answer</th><th scope="col">Probability</th>'
            f"</tr></thead><tbody>{answers}</tbody></table>\n</li>"
        )


def gallery(faces: Sequence[GalleryItem], *, caption: str = "Faces and answers") -> Gallery:
    """Return faces with the models' answers for display.

    Parameters
    ----------
    faces : sequence of GalleryItem
    caption : str
        What these faces are; read out to people who do not see the page.

    Returns
    -------
    Gallery
        Shown as HTML by a notebook, as plain text by ``print``. In the report it can be filtered
        by emotion and by which models erred.

    Examples
    --------
    >>> face = GalleryItem(None, "a_1.jpg", "happy", {"SVM": Answer("sad", {"sad": 0.6})})
    >>> print(gallery([face], caption="One face"))
    One face
    a_1.jpg (happy): SVM sad
    """
    return Gallery(faces, caption)


def data_uri(image: Image.Image) -> str:
    """Return an image as a ``data:`` address: JPEG for colour, PNG for everything else."""
    buffer = io.BytesIO()
    kind = "jpeg" if image.mode == "RGB" else "png"
    image.save(buffer, kind, **({"quality": 88} if kind == "jpeg" else {"optimize": True}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _answers(face: GalleryItem) -> list[tuple[str, Answer]]:
    return list(face.answers.items())


def _picture(face: GalleryItem) -> str:
    if face.image is None:
        return '<p class="mien-no-image">no image</p>'
    alt = f"Face {face.file_name}, {face.truth or 'no majority of the raters'}"
    return (
        f'<img class="mien-faces" width="96" height="96" alt="{escape(alt)}" '
        f'src="{data_uri(face.image)}">'
    )


def _truth(face: GalleryItem) -> str:
    truth = f"<strong>{escape(face.truth)}</strong>" if face.truth else "no majority"
    if not face.raters:
        return f"label {truth}"
    votes = ", ".join(f"{escape(rater)} {escape(label)}" for rater, label in face.raters.items())
    return f"raters {truth}<br><small>{votes}</small>"


def _answer(face: GalleryItem, model: str, given: Answer) -> str:
    mark = ""
    if face.truth:
        sign, word = ("✗", "wrong") if face.erred(model) else ("✓", "right")
        mark = f'<span class="mien-{word}" role="img" aria-label="{word}">{sign}</span> '
    share = given.probabilities.get(given.predicted)
    bar = ""
    if share is not None:
        text = number_text(share, percent=True, digits=0)
        bar = (
            f'{text} <span class="mien-bar"><span style="width: {100 * share:.0f}%"></span></span>'
        )
    return (
        f'<tr><th scope="row">{escape(model)}</th><td>{mark}{escape(given.predicted)}</td>'
        f'<td class="mien-number">{bar}</td></tr>'
    )
