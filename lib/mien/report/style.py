"""What every figure shares: one style, fixed colours, and a `Picture` with its alt text.

Figures are drawn with matplotlib's own objects, never through pyplot, so that no figure depends
on what another left behind; and they are rendered the same to the byte each time. Colours stand
apart for colour-blind readers (CIEDE2000 distance of 14 or more for every two emotions, also as
simulated by Machado et al. 2009) and from the white ground (3:1 or more, WCAG 2.2 1.4.11).
Markers, labels and numbers say the same again, so colour never alone carries meaning.
"""

import base64
import html
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mien.emotions import EMOTIONS
from mien.models import MODELS

_COLOURS = "#901b10 #02a86e #a6879e #c16d08 #114b8a #6372ff #3b3b3b"
#: The colour of every emotion, the same in the whole study.
EMOTION_COLOURS = dict(zip(EMOTIONS, _COLOURS.split(), strict=True))

# a font that this machine lacks is replaced; that is no reason to warn a reader
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

INK, FAINT, GRID = "#1a1a1a", "#595959", "#dcdcdc"

#: Width in inches of a figure that stays readable on a telephone, of one with two panels.
WIDTH, WIDE = 5.2, 6.8

STYLE = {
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    **dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 9.5),
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    # file names and raters' labels may hold a $, which is no formula
    "text.parse_math": False,
    "svg.hashsalt": "mien",
}


@dataclass(frozen=True)
class Picture:
    """A figure and its ``alt`` text: the finding in words and numbers, for who does not see it.

    Figures that show ``faces`` of the study are PNG, and a report without faces leaves them out.
    """

    figure: Figure
    alt: str
    faces: bool = False

    def svg(self) -> bytes:
        """Return the figure as SVG, without date, the same to the byte every time."""
        with style():
            buffer = io.BytesIO()
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    def png(self) -> bytes:
        """Return the figure as PNG: grey where it is grey, else in its 256 best colours."""
        with style():
            self.figure.set_dpi(144)
            canvas = FigureCanvasAgg(self.figure)
            canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        grey = np.ptp(pixels.astype(np.int16), axis=2).max() == 0
        image = Image.fromarray(pixels[..., 0]) if grey else Image.fromarray(pixels).quantize(256)
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        kind, data = ("png", self.png()) if self.faces else ("svg+xml", self.svg())
        width, height = (round(96 * inches) for inches in self.figure.get_size_inches())
        return (
            f'<img alt="{html.escape(self.alt)}" '
            f'class="mien-figure{" mien-faces" if self.faces else ""}" '
            f'src="data:image/{kind};base64,{base64.b64encode(data).decode()}" '
            f'width="{width}" height="{height}">'
        )


@contextmanager
def style() -> Iterator[None]:
    """Draw in the study's style inside the block."""
    with mpl.rc_context(), warnings.catch_warnings():
        # a script that the font lacks shows as boxes; that is no reason to warn a reader
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def blank(height: float, *, width: float = WIDTH, **subplots) -> tuple[Figure, Any]:
    """Return an empty figure, in inches, and its axes (as ``Figure.subplots`` has them)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure, figure.subplots(**subplots)


def heat(
    axes: Axes,
    values: np.ndarray,
    texts: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float] = (0, 1),
    size: float = 9.5,
):
    """Draw a heat map of vector cells with a number in each; NaN stays blank. Returns the mesh."""
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap="Blues",
        vmin=limits[0],
        vmax=limits[1],
        edgecolors="white",
    )
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            value = values[row][column]
            colour = "black" if np.isnan(value) else readable_on(mesh.cmap(mesh.norm(value)))
            axes.text(
                column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=size
            )
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylim(len(rows), 0)
    return mesh


def readable_on(colour: Sequence[float]) -> str:
    """Return black or white, whichever contrasts more with an RGB(A) colour of 0..1.

    Relative luminance as WCAG 2.2 defines it; the two contrasts, 4.5:1, are equal at 0.179.
    """
    channels = np.asarray(colour[:3], dtype=float)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def look(model: str) -> tuple[str, str]:
    """Return the colour and the marker of a model; ink and a disc for whatever else is drawn."""
    known = MODELS.get(model)
    return (known.colour, known.marker) if known else (INK, "o")


def percent_axis(axis, *, signed: bool = False) -> None:
    """Label an axis of rates 0..1 in percent, or of differences in points (``signed``)."""

    def text(value: float, _place: int) -> str:
        number = f"{100 * abs(value):.3g}"
        if signed and float(number):
            return f"{'+' if value > 0 else '−'}{number}"
        return number if signed else f"{number} %"

    axis.set_major_formatter(mpl.ticker.FuncFormatter(text))


def rows_of(axes: Axes, names: Sequence[str], *, above: float = 0.0, signed: bool = False) -> None:
    """Name the rows 0, 1, … from the top of an axis of rates, with some room above the first."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5 - above)
    axes.tick_params("y", length=0)
    axes.grid(axis="x")
    percent_axis(axes.xaxis, signed=signed)


def legend(figure: Figure, axes: Axes, *, ncols: int = 2) -> None:
    """Say above a figure what is drawn on these axes."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=ncols)
