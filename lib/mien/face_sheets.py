"""Sheets of faces: photographs in a grid, plain or with what a model looked at laid over them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mien.pictures import FAINT, GRID, WIDTH, Picture, style
from mien.prose import count, percent, printable


def face_grid(
    images: Sequence,
    captions: Sequence[str] | None = None,
    *,
    columns: int = 6,
    rows: Sequence[str] | None = None,
    right: Sequence[bool | None] | None = None,
    alt: str | None = None,
) -> Picture:
    """Show faces in a grid, each with its caption.

    Parameters
    ----------
    images : sequence of array or PIL image or None
        Grey uint8 (h, w), colour uint8 (h, w, 3), or ``None`` for a face without image.
    captions : sequence of str, optional
        One for each face, several lines allowed; long lines are shortened in the middle.
    columns : int
        Faces side by side.
    rows : sequence of str, optional
        A name at the left of every row, such as the emotion.
    right : sequence of bool or None, optional
        Marks a face as read right or wrong: a tick or a cross before its caption and a solid or
        dashed frame.
    alt : str, optional
        Alt text; by default the number of faces and their captions.
    """
    images = list(images)
    captions = (
        [str(caption) for caption in captions] if captions is not None else [""] * len(images)
    )
    marks = list(right) if right is not None else [None] * len(images)
    with style():
        sheet = _Sheet(captions, columns, rows)
        for place, (image, caption, mark) in enumerate(zip(images, captions, marks, strict=True)):
            sheet.frame(place, mark)
            sheet.show(place, image)
            sheet.caption(place, caption, mark)
    if alt is None:
        told = [printable(caption) for caption in captions if caption]
        alt = count(len(images), "face") + (f": {'; '.join(told)}" if told else "")
    return Picture(sheet.figure, alt, faces=True)


def heat_faces(
    images: Sequence,
    maps: np.ndarray,
    captions: Sequence[str] | None = None,
    *,
    columns: int = 6,
    alt: str | None = None,
) -> Picture:
    """Show faces with a map of what a model looked at laid over each.

    The strongest half of every map is also outlined, so the shape shows without colour.

    Parameters
    ----------
    images : sequence of array, PIL image or None
        As for `face_grid`.
    maps : array-like of float, shape (n, h, w)
        Weights of 0 or more at any resolution (Grad-CAM), each scaled to its own maximum.
    captions, columns, alt
        As for `face_grid`; by default the alt text says how much of the weight lies on the
        upper, middle and lower third of the images.
    """
    images = list(images)
    maps = [np.nan_to_num(np.clip(np.asarray(one, dtype=float), 0, None)) for one in maps]
    captions = (
        [str(caption) for caption in captions] if captions is not None else [""] * len(images)
    )
    with style():
        sheet = _Sheet(captions, columns, None)
        for place, (image, weights) in enumerate(zip(images, maps, strict=True)):
            sheet.frame(place, None)
            sheet.show(place, image, grey=True)
            sheet.overlay(place, weights)
            sheet.caption(place, captions[place], None)
    return Picture(sheet.figure, alt or _looked_at(maps), faces=True)


def _looked_at(maps: Sequence[np.ndarray]) -> str:
    thirds = [
        [part.sum() / weights.sum() for part in np.array_split(weights, 3)]
        for weights in maps
        if weights.sum() > 0
    ]
    if not thirds:
        return f"{count(len(maps), 'face')}; no map has any weight."
    upper, middle, lower = np.mean(thirds, axis=0)
    return (
        f"Where the model looked on {count(len(thirds), 'face')}: {percent(upper, digits=0)} of "
        f"the weight lies on the upper third of the image, {percent(middle, digits=0)} on the "
        f"middle and {percent(lower, digits=0)} on the lower third."
    )


class _Sheet:
    """A sheet of square pictures, laid out in inches from its upper left corner."""

    GAP, LINE, SIZE = 0.08, 0.155, 8.5

    def __init__(self, captions: Sequence[str], columns: int, rows: Sequence[str] | None):
        lines = max((caption.count("\n") + 1 for caption in captions if caption), default=0)
        self.columns = max(1, min(columns, len(captions)))
        self.left = 0.85 if rows is not None else self.GAP
        self.side = min((WIDTH - self.left) / self.columns - self.GAP, 1.3)
        self.pitch = self.side + lines * self.LINE + 0.04 + self.GAP
        height = -(-len(captions) // self.columns) * self.pitch + self.GAP
        width = self.left + self.columns * (self.side + self.GAP)
        self.figure = Figure(figsize=(width, max(height, 0.3)))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()
        for row, name in enumerate(rows or ()):
            self.axes.text(
                self.left - 0.08, self.GAP + row * self.pitch + self.side / 2, printable(name),
                ha="right", va="center", size=10,
            )  # fmt: skip

    def corner(self, place: int) -> tuple[float, float]:
        row, column = divmod(place, self.columns)
        return self.left + column * (self.side + self.GAP), self.GAP + row * self.pitch

    def _paint(self, place: int, pixels: np.ndarray, **options) -> None:
        x, y = self.corner(place)
        extent = (x, x + self.side, y + self.side, y)
        self.axes.imshow(pixels, extent=extent, aspect="auto", **options)

    def show(self, place: int, image, *, grey: bool = False) -> None:
        x, y = self.corner(place)
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

    def frame(self, place: int, right: bool | None) -> None:
        x, y = self.corner(place)
        look = {None: (GRID, "-", 0.8), True: ("#0b6b46", "-", 2.2), False: ("#a3260f", "--", 2.2)}
        colour, dashes, width = look[None if right is None else bool(right)]
        self.axes.add_patch(
            Rectangle(
                (x, y), self.side, self.side, fill=False, ec=colour, ls=dashes, lw=width, zorder=3
            )
        )

    def caption(self, place: int, text: str, right: bool | None) -> None:
        x, y = self.corner(place)
        tick = "" if right is None else ("✓ " if right else "✗ ")
        room = int((self.side + self.GAP / 2) / (0.6 * self.SIZE / 72))
        for number, line in enumerate(f"{tick}{text}".split("\n")):
            self.axes.text(
                x + self.side / 2, y + self.side + 0.04 + number * self.LINE,
                _shortened(printable(line), room), ha="center", va="top", size=self.SIZE,
            )  # fmt: skip


def _shortened(line: str, room: int) -> str:
    if len(line) <= room:
        return line
    tail = (room - 1) // 2
    return f"{line[: room - 1 - tail]}…{line[len(line) - tail :]}"
