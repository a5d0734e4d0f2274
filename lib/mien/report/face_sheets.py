"""Faces on a page: sheets of photographs, with heat maps over them, and a gallery with answers."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mien.emotions import EMOTIONS
from mien.errors import printable
from mien.evaluation.heat_maps import thirds
from mien.report.style import FAINT, GRID, WIDTH, Picture, style
from mien.report.tables import TEMPLATES, Shown
from mien.report.text import count, percent

#: In inches: the gap between two faces, a line of a caption, whose letters have so many points.
_GAP, _LINE, _POINTS = 0.08, 0.155, 8.5


def face_grid(
    images: Sequence, captions: Sequence[str] | None = None, *, columns: int = 6, alt: str
) -> Picture:
    """Show faces in a grid of so many columns, each with its caption.

    Images are grey uint8 (h, w), colour uint8 (h, w, 3), PIL's, or ``None`` for a face without
    image. Captions may have several lines; long lines are shortened in the middle.
    """
    captions = [""] * len(images) if captions is None else captions
    return Picture(_sheet(images, captions, columns)[0], alt, faces=True)


@style()
def heat_faces(
    images: Sequence, maps: np.ndarray, captions: Sequence[str], *, columns: int = 6
) -> Picture:
    """Show faces with a map of what a model looked at laid over each, its strongest half outlined.

    ``maps`` are weights of 0 or more, (n, h, w) at any resolution, each scaled to its own maximum;
    other arguments as for `face_grid`.
    """
    maps = [np.nan_to_num(np.clip(np.asarray(one, dtype=float), 0, None)) for one in maps]
    figure, places = _sheet(images, captions, columns, grey=True)
    for place, weights in zip(places, maps, strict=True):
        if weights.any():
            size = (max(48, *weights.shape),) * 2
            smooth = Image.fromarray((weights / weights.max()).astype(np.float32))
            smooth = np.clip(np.asarray(smooth.resize(size, Image.Resampling.BILINEAR)), 0, 1)
            look = {"extent": (0, 1, 1, 0), "cmap": "inferno", "vmin": 0, "vmax": 1}
            place.imshow(smooth, alpha=0.65 * smooth, **look)
            at = (np.arange(size[0]) + 0.5) / size[0]
            if smooth.min() < 0.5:
                place.contour(at, at, smooth, [0.5], colors="white", linewidths=1.2)
    shares = list(thirds(dict(enumerate(maps))).values())
    alt = f"{count(len(maps), 'face')}; no map has any weight."
    if shares:
        upper, middle, lower = (percent(share, digits=0) for share in np.mean(shares, axis=0))
        alt = (
            f"Where the model looked on {count(len(shares), 'face')}: {upper} of the weight lies "
            f"on the upper third of the image, {middle} on the middle and {lower} on the lower "
            "third."
        )
    return Picture(figure, alt, faces=True)


@style()
def _sheet(images: Sequence, captions: Sequence[str], columns: int, *, grey: bool = False):
    """Draw images with captions; return the figure and the axes (0..1 downwards) of each."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    side = min((WIDTH - _GAP) / columns - _GAP, 1.3)
    room = int((side + _GAP / 2) / (0.6 * _POINTS / 72))
    told = [
        "\n".join(_shortened(printable(line), room) for line in str(caption).split("\n"))
        for caption in captions
    ]
    below = max((_LINE * (text.count("\n") + 1) for text in told if text), default=0) + 0.04
    width = _GAP + columns * (side + _GAP)
    height = _GAP + rows * (side + below + _GAP)
    figure = Figure(figsize=(width, height))
    at = {"left": _GAP / width, "right": 1 - _GAP / width, "wspace": _GAP / side}
    at |= {"top": 1 - _GAP / height, "bottom": (_GAP + below) / height}
    places = figure.subplots(
        rows, columns, squeeze=False, gridspec_kw={**at, "hspace": (below + _GAP) / side}
    ).ravel()
    for place in places:
        place.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
        place.spines[:].set(visible=True, color=GRID)
    for place in places[len(images) :]:
        place.set_visible(False)
    for place, image, text in zip(places, images, told, strict=False):
        place.set_xlabel(text, size=_POINTS, labelpad=2)
        if image is None:
            place.text(0.5, 0.5, "no image", ha="center", va="center", size=_POINTS, color=FAINT)
            continue
        if not isinstance(image, Image.Image):
            image = Image.fromarray(np.asarray(image))
        image = image.convert("L" if grey or image.mode in ("1", "L") else "RGB")
        look = {"extent": (0, 1, 1, 0), "cmap": "gray", "vmin": 0, "vmax": 255}
        place.imshow(np.asarray(image), aspect="auto", interpolation="bicubic", **look)
    return figure, places[: len(images)]


def _shortened(line: str, room: int) -> str:
    if len(line) <= room:
        return line
    tail = (room - 1) // 2
    return f"{line[: room - 1 - tail]}…{line[len(line) - tail :]}"


@dataclass(frozen=True)
class GalleryItem:
    """One face of a gallery.

    ``truth`` is the label, or the raters' majority, empty where there is none; ``answers`` are
    emotion and probability (0..1) by model; ``raters`` (rater to label) are empty for a labelled
    face.
    """

    image: Image.Image | None
    file_name: str
    truth: str
    answers: Mapping[str, tuple[str, float]]
    raters: Mapping[str, str] = field(default_factory=dict)


def gallery(faces: Sequence[GalleryItem], caption: str) -> Shown:
    """Show faces with the models' answers; in a report to be filtered by emotion and by error."""
    truths = {face.truth for face in faces}
    ordered = [*EMOTIONS, *sorted(truths.difference(EMOTIONS, {""})), ""]
    html = TEMPLATES.get_template("gallery.html.j2").render(
        faces=faces,
        caption=caption,
        emotions=[emotion for emotion in ordered if emotion in truths],
        models=list(dict.fromkeys(model for face in faces for model in face.answers)),
        data_uri=data_uri,
        percent=percent,
    )
    lines = [caption]
    for face in faces:
        answers = [f"{model} {emotion}" for model, (emotion, _) in face.answers.items()]
        lines.append(f"{face.file_name} ({face.truth or 'no majority'}): {', '.join(answers)}")
    return Shown(html, "\n".join(lines))


def data_uri(image: Image.Image) -> str:
    """Return an image as a ``data:`` address: JPEG for colour, PNG for everything else."""
    buffer = io.BytesIO()
    kind = "jpeg" if image.mode == "RGB" else "png"
    image.save(buffer, kind, quality=88, optimize=kind == "png")
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
