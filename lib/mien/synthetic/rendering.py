"""Drawing a face (`mien.synthetic.anatomy`) with Pillow: skin, light, hair, pose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mien.synthetic.anatomy import Colour, Identity, creases, frame, shapes

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SUPERSAMPLING = 3  # drawn this much larger, then averaged down: Pillow's polygons have hard edges


@dataclass(frozen=True)
class View:
    """How a face is looked at and lit: everything about a picture that says nothing of emotion.

    ``yaw``, ``pitch`` and ``roll`` in degrees (right, down, clockwise), ``zoom`` 1 for a face that
    fills the frame's width, ``shift`` and ``gaze`` in face units, ``light`` the direction from
    which light falls (degrees, 0 from above, 90 from the right), ``blur`` in pixels of the picture,
    ``noise`` the standard deviation in grey levels; ``seed`` draws noise and background.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    light: float = -30.0
    contrast_light: float = 0.3
    brightness: float = 1.0
    contrast: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    backdrop: Colour = (150, 165, 180)
    seed: int = 0

    @classmethod
    def random(cls, rng: np.random.Generator, *, spread: float = 1.0) -> "View":
        """Return a random view; ``spread`` 0 is a passport photograph, 1 the wild."""
        return cls(
            yaw=float(np.clip(rng.normal(0, 11 * spread), -28, 28)),
            pitch=float(np.clip(rng.normal(0, 6 * spread), -14, 14)),
            roll=float(np.clip(rng.normal(0, 6 * spread), -16, 16)),
            zoom=float(rng.normal(1, 0.06 * spread)),
            shift=tuple(rng.normal(0, 0.05 * spread, 2).tolist()),
            gaze=tuple((rng.normal(0, (0.03, 0.012)) * spread).tolist()),
            light=float(rng.uniform(-120, 120)),
            contrast_light=float(rng.uniform(0.05, 0.3 + 0.4 * spread)),
            brightness=float(np.exp(rng.normal(0, 0.17 * spread))),
            contrast=float(np.exp(rng.normal(0, 0.14 * spread))),
            blur=float(max(0, rng.normal(0.2, 0.3))) * spread,
            noise=float(abs(rng.normal(0, 3.5))) * spread,
            backdrop=mix(tuple(rng.integers(30, 230, 3).tolist()), (128, 132, 140), 0.55),
            seed=int(rng.integers(2**31)),
        )

    def place(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return pixel positions of points in face units, float64 (n, 2)."""
        x, y = points[:, 0], points[:, 1]
        depth = 0.75 * np.sqrt(np.maximum(0, 1 - (x / 1.0) ** 2 - (y / 1.5) ** 2)) - 0.4
        depth += 0.2 * np.exp(-((x / 0.12) ** 2) - ((y - 0.2) / 0.16) ** 2)
        turn, nod, roll = np.deg2rad((self.yaw, self.pitch, self.roll))
        seen = np.stack(
            [x * np.cos(turn) + depth * np.sin(turn), y * np.cos(nod) + depth * np.sin(nod)]
        )
        seen *= 1 + 0.06 * (depth * np.cos(turn) - x * np.sin(turn))
        tilt = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        middle = np.array(size) / 2
        unit = 0.475 * size[0] * self.zoom
        return (tilt @ seen).T * unit + middle + (np.array(self.shift) + (0, 0.03)) * unit


def draw_face(
    units: Mapping[str, float],
    identity: Identity,
    *,
    size: int | tuple[int, int] = 48,
    view: View | None = None,
) -> Image.Image:
    """Draw somebody's face with the muscles that Action Units name pulled, mode ``"RGB"``.

    ``units`` as of `mien.synthetic.anatomy.shapes`; ``size`` in pixels, one side of a square or
    width and height; by default it is seen straight from the front.
    """
    view = view or View()
    size = (size, size) if isinstance(size, int) else tuple(size)
    large = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
    unit = 0.475 * large[0] * view.zoom
    curves = shapes(units, identity, gaze=view.gaze) | frame(identity)
    placed = view.place(np.concatenate(list(curves.values())), large)
    ends = np.cumsum([len(points) for points in curves.values()])[:-1]
    parts: dict[str, list[np.ndarray]] = {}  # the eyes of both sides are one part, as crow's feet
    for name, points in zip(curves, np.split(placed, ends), strict=True):
        parts.setdefault(re.sub(r"(_\d)?(_left|_right)?$", "", name), []).append(points)
    depth = creases(units, identity)
    blots = np.random.default_rng(view.seed).normal(0, 28, (4, 4, 1)) + view.backdrop
    behind = Image.fromarray(np.clip(blots, 0, 255).astype(np.uint8))
    image = behind.resize(large, Image.Resampling.BICUBIC)  # out of focus
    pen = ImageDraw.Draw(image, "RGBA")
    for part, paint, alpha, width in _layers(identity, depth):
        if part == "head":
            shade = _shade(parts, view, unit, depth["cheek"], large)
            mask = Image.new("L", large)
            ImageDraw.Draw(mask).polygon(parts["head"][0].ravel().tolist(), 255)
            image.paste(ImageChops.multiply(Image.new("RGB", large, paint), shade), mask=mask)
        elif alpha > 0.06:  # else too faint to see
            for points in parts.get(part, ()):
                outline = ribbon(points, width * unit) if width else points
                pen.polygon(outline.ravel().tolist(), (*paint, int(255 * min(1, alpha))))
    exposure = max(1.0, (150 / np.dot(identity.skin, (0.299, 0.587, 0.114))) ** 0.5)
    return _photograph(image.reduce(SUPERSAMPLING), view, exposure)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour that lies ``share`` (0..1) of the way from ``a`` to ``b``."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def tint(a: Colour, b: Colour) -> Colour:
    """Return a colour seen through a filter of another (multiplied)."""
    return tuple(x * y // 255 for x, y in zip(a, b, strict=True))


def ribbon(line: np.ndarray, width: float) -> np.ndarray:
    """Return the outline of a brush stroke along a line, thick in the middle, fine at its ends."""
    padded = np.concatenate([line[:1], line, line[-1:]])
    along = padded[2:] - padded[:-2]
    length = np.hypot(along[:, :1], along[:, 1:]) + 1e-9
    half = (0.5 - 0.4 * np.linspace(-1, 1, len(line))[:, None] ** 2) * (-width, width)
    side = along[:, ::-1] / length * half
    return np.concatenate([line + side, (line - side)[::-1]])


def _layers(who: Identity, depth: dict[str, float]) -> list[tuple[str, Colour, float, float]]:
    """Return what is painted, in order: part, colour, opacity, width of a stroke or 0 to fill."""
    neck, line = tint(who.skin, (222, 200, 194)), tint(who.skin, (140, 92, 84))
    lash = mix(tint(who.skin, (90, 60, 58)), (20, 14, 16), 0.55)
    brow = mix(mix(who.hair, (40, 28, 24), 0.35), BLACK, 0.1)
    red = mix(tint(who.skin, (220, 138, 136)), (196, 42, 66), 0.16)
    return [
        ("hair_back", mix(who.hair, BLACK, 0.25), 1, 0),
        ("neck", neck, 1, 0),
        ("neck_shade", tint(neck, (205, 180, 175)), 0.7, 0),
        ("shoulders", who.cloth, 1, 0),
        ("ear", tint(who.skin, (236, 214, 206)), 1, 0),
        ("head", who.skin, 1, 0),
        ("forehead", line, 0.65 * depth["forehead"], 0.032),
        ("furrow", line, 0.95 * depth["furrow"], 0.045),
        ("fold", line, 0.04 + 0.72 * depth["fold"], 0.045),
        ("pouch", line, 0.6 * depth["pouch"], 0.035),
        ("dimple", line, 0.85 * depth["dimple"], 0.05),
        ("marionette", line, 0.75 * depth["marionette"], 0.045),
        ("crow", line, 0.65 * depth["crow"], 0.03),
        ("bridge", line, 0.85 * depth["bridge"], 0.038),
        ("chin_line", line, 0.12 + 0.6 * depth["chin"], 0.045),
        ("nose_tip", WHITE, 0.12, 0),
        ("wing", line, 0.75, 0.035),
        ("nostril", mix(line, BLACK, 0.45), 0.9, 0),
        ("nose_base", line, 0.55, 0.03),
        ("eye", (246, 243, 240), 1, 0),
        ("iris", who.iris, 1, 0),
        ("pupil", (12, 9, 10), 1, 0),
        ("glint", WHITE, 0.9, 0),
        ("upper_lid", lash, 1, 0.055),
        ("lower_lid", lash, 0.6, 0.022),
        ("lid_fold", line, 0.52, 0.026),
        ("brow", brow, 0.94, 0.095 * who.brow_weight),
        ("opening", (64, 20, 26), 1, 0),
        ("teeth", (244, 240, 234), 1, 0),
        ("upper_lip", mix(red, BLACK, 0.1), 1, 0),
        ("lower_lip", mix(red, WHITE, 0.06), 1, 0),
        ("mouth_line", mix(red, (40, 8, 12), 0.75), 0.9, 0.035),
        ("hair_front", who.hair, 1, 0),
    ]


def _shade(
    parts: dict[str, list[np.ndarray]], view: View, unit: float, cheek: float, size: tuple[int, int]
) -> Image.Image:
    """Return light and shadow on the head, blurred, which multiply the skin's colour."""
    small = Image.new("RGB", (size[0] // 2, size[1] // 2), (236, 230, 228))
    pen = ImageDraw.Draw(small, "RGBA")
    angle, strong, dusk = np.deg2rad(view.light), view.contrast_light, (168, 122, 112)
    toward = np.array((np.sin(angle), -np.cos(angle))) * unit
    for part, paint, alpha, move in (  # moved towards the light
        ("temple", dusk, 0.2, 0),
        ("head", dusk, 0.25 + 0.75 * strong, 0),
        ("head", (243, 238, 236), 1, 0.14 + 0.32 * strong),
        ("socket", dusk, 0.3, 0),
        ("cheek", (255, 168, 158), 0.33, 0),
        ("cheek", WHITE, 0.35 + 0.5 * cheek, 0.07),
        ("nose", dusk, 0.25 + 0.3 * strong, -0.05),
        ("nose", (250, 246, 244), 0.75, 0.03),
        ("under_lip", dusk, 0.6, 0),
    ):
        for points in parts[part]:
            moved = (points + toward * move) / 2
            pen.polygon(moved.ravel().tolist(), (*paint, int(255 * min(1, alpha))))
    small = small.filter(ImageFilter.BoxBlur(0.045 * unit)).filter(ImageFilter.BoxBlur(0.03 * unit))
    return small.resize(size, Image.Resampling.BILINEAR)


def _photograph(image: Image.Image, view: View, exposure: float) -> Image.Image:
    """Return the picture as a camera sees it, which opens its aperture for darker skin."""
    if view.blur > 0.05:
        image = image.filter(ImageFilter.GaussianBlur(view.blur))
    width, height = image.size
    angle = np.deg2rad(view.light)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    falling = 1 + 0.5 * view.contrast_light * (x * np.sin(angle) - y * np.cos(angle))
    falling = (falling * view.brightness * exposure).astype(np.float32)
    pixels = np.asarray(image, np.float32) * falling[..., None]
    pixels = 128 + (pixels - 128) * np.float32(view.contrast)
    if view.noise > 0.05:
        rng = np.random.default_rng(view.seed)
        pixels += rng.standard_normal((height, width, 1), np.float32) * np.float32(view.noise)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
