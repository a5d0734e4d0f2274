"""Faces on a page: sheets of photographs, with heat maps over them, and a gallery with answers."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mien.emotions import EMOTIONS
from mien.errors import printable
from mien.evaluation.heat_maps import thirds
from mien.report.style import FAINT, GRID, WIDTH, Picture, style
from mien.report.text import count, percent


def face_grid(
    images: Sequence, captions: Sequence[str] | None = None, *, columns: int = 6, alt: str
) -> Picture:
    """Show faces in a grid of so many columns, each with its caption.

    Images are grey uint8 (h, w), colour uint8 (h, w, 3), PIL's, or ``None`` for a face without
    image. Captions may have several lines; long lines are shortened in the middle.
    """
    captions = [""] * len(images) if captions is None else [str(caption) for caption in captions]
    with style():
        sheet = _Sheet(captions, columns)
        for place, image in enumerate(images):
            sheet.show(place, image)
    return Picture(sheet.figure, alt, faces=True)


def heat_faces(
    images: Sequence, maps: np.ndarray, captions: Sequence[str], *, columns: int = 6
) -> Picture:
    """Show faces with a map of what a model looked at laid over each, its strongest half outlined.

    ``maps`` are weights of 0 or more, (n, h, w) at any resolution, each scaled to its own maximum;
    other arguments as for `face_grid`.
    """
    maps = [np.nan_to_num(np.clip(np.asarray(one, dtype=float), 0, None)) for one in maps]
    with style():
        sheet = _Sheet([str(caption) for caption in captions], columns)
        for place, (image, weights) in enumerate(zip(images, maps, strict=True)):
            sheet.show(place, image, grey=True)
            sheet.overlay(place, weights)
    return Picture(sheet.figure, _looked_at(maps), faces=True)


def _looked_at(maps: Sequence[np.ndarray]) -> str:
    shares = list(thirds(dict(enumerate(maps))).values())
    if not shares:
        return f"{count(len(maps), 'face')}; no map has any weight."
    upper, middle, lower = np.mean(shares, axis=0)
    return (
        f"Where the model looked on {count(len(shares), 'face')}: {percent(upper, digits=0)} of "
        f"the weight lies on the upper third of the image, {percent(middle, digits=0)} on the "
        f"middle and {percent(lower, digits=0)} on the lower third."
    )


class _Sheet:
    """A sheet of square pictures, laid out in inches from its upper left corner."""

    GAP, LINE, SIZE = 0.08, 0.155, 8.5

    def __init__(self, captions: Sequence[str], columns: int):
        self.captions = captions
        lines = max((caption.count("\n") + 1 for caption in captions if caption), default=0)
        self.columns = max(1, min(columns, len(captions)))
        self.side = min((WIDTH - self.GAP) / self.columns - self.GAP, 1.3)
        self.pitch = self.side + lines * self.LINE + 0.04 + self.GAP
        height = -(-len(captions) // self.columns) * self.pitch + self.GAP
        width = self.GAP + self.columns * (self.side + self.GAP)
        self.figure = Figure(figsize=(width, max(height, 0.3)))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def corner(self, place: int) -> tuple[float, float]:
        row, column = divmod(place, self.columns)
        return self.GAP + column * (self.side + self.GAP), self.GAP + row * self.pitch

    def _paint(self, place: int, pixels: np.ndarray, **options) -> None:
        x, y = self.corner(place)
        extent = (x, x + self.side, y + self.side, y)
        self.axes.imshow(pixels, extent=extent, aspect="auto", **options)

    def show(self, place: int, image, *, grey: bool = False) -> None:
        x, y = self.corner(place)
        frame = Rectangle((x, y), self.side, self.side, fill=False, ec=GRID, lw=0.8, zorder=3)
        self.axes.add_patch(frame)
        room = int((self.side + self.GAP / 2) / (0.6 * self.SIZE / 72))
        for number, line in enumerate(self.captions[place].split("\n")):
            self.axes.text(
                x + self.side / 2, y + self.side + 0.04 + number * self.LINE,
                _shortened(printable(line), room), ha="center", va="top", size=self.SIZE,
            )  # fmt: skip
        if image is None:
            self.axes.text(
                x + self.side / 2, y + self.side / 2, "no image", ha="center", va="center",
                size=self.SIZE, color=FAINT,
            )  # fmt: skip
            return
        if not isinstance(image, Image.Image):
            image = Image.fromarray(np.asarray(image))
        image = image.convert("L" if grey or image.mode in ("1", "L") else "RGB")
        self._paint(
            place, np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="bicubic"
        )

    def overlay(self, place: int, weights: np.ndarray) -> None:
        peak = weights.max(initial=0)
        if peak == 0:
            return
        x, y = self.corner(place)
        size = max(48, *weights.shape)
        smooth = Image.fromarray((weights / peak).astype(np.float32)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        smooth = np.clip(np.asarray(smooth), 0, 1)
        self._paint(place, smooth, cmap="inferno", vmin=0, vmax=1, alpha=0.65 * smooth)
        at = (np.arange(size) + 0.5) / size * self.side
        if smooth.min() < 0.5:
            self.axes.contour(x + at, y + at, smooth, [0.5], colors="white", linewidths=1.2)


def _shortened(line: str, room: int) -> str:
    if len(line) <= room:
        return line
    tail = (room - 1) // 2
    return f"{line[: room - 1 - tail]}…{line[len(line) - tail :]}"


@dataclass(frozen=True)
class Answer:
    """What one model answered for one face: an emotion, and its probability (0..1)."""

    predicted: str
    probability: float


@dataclass(frozen=True)
class GalleryItem:
    """One face of a gallery.

    ``truth`` is the label, or the raters' majority, empty where there is none; ``answers`` are of
    the same models for every face; ``raters`` (rater to label) are empty for a labelled face.
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
    """Faces with the models' answers: HTML in a notebook, plain text in ``print``.

    In the report it can be filtered by emotion and by which models erred.
    """

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
        others = sorted(truths.difference(known, {""}))
        return [*known, *others, ""] if "" in truths else [*known, *others]

    def __repr__(self) -> str:
        """Return the gallery as plain text."""
        lines = [self.caption]
        for face in self.faces:
            answers = [f"{model} {given.predicted}" for model, given in face.answers.items()]
            truth = face.truth or "no majority"
            lines.append(f"{face.file_name} ({truth}): {', '.join(answers)}")
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
        answers = "".join(_answer(face, model, given) for model, given in face.answers.items())
        return (
            f'<li class="mien-card" data-emotion="{self.emotions.index(face.truth)}" '
            f'data-erred="{erred}" style="max-width: 22em">\n{_picture(face)}\n'
            f'<p class="mien-card-text"><code>{escape(face.file_name)}</code><br>{_truth(face)}</p>'
            "\n<table><thead><tr>"
            '<th scope="col">Model</th><th scope="col">Answer</th><th scope="col">Probability</th>'
            f"</tr></thead><tbody>{answers}</tbody></table>\n</li>"
        )


def data_uri(image: Image.Image) -> str:
    """Return an image as a ``data:`` address: JPEG for colour, PNG for everything else."""
    buffer = io.BytesIO()
    kind = "jpeg" if image.mode == "RGB" else "png"
    image.save(buffer, kind, quality=88, optimize=kind == "png")
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


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
    width = f"{100 * given.probability:.0f}%"
    bar = f'<span class="mien-bar"><span style="width: {width}"></span></span>'
    return (
        f'<tr><th scope="row">{escape(model)}</th><td>{mark}{escape(given.predicted)}</td>'
        f'<td class="mien-number">{percent(given.probability, digits=0)} {bar}</td></tr>'
    )
