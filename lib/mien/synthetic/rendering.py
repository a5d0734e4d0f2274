"""Drawing a face (`mien.synthetic.anatomy`) with Pillow: skin, light, hair, pose."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mien.synthetic.anatomy import Colour, Identity, Shapes, creases, frame, shapes

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
        s = spread
        return cls(
            yaw=float(np.clip(rng.normal(0, 11 * s), -28, 28)),
            pitch=float(np.clip(rng.normal(0, 6 * s), -14, 14)),
            roll=float(np.clip(rng.normal(0, 6 * s), -16, 16)),
            zoom=float(rng.normal(1, 0.06 * s)),
            shift=tuple(rng.normal(0, 0.05 * s, 2).tolist()),
            gaze=tuple((rng.normal(0, (0.03, 0.012)) * s).tolist()),
            light=float(rng.uniform(-120, 120)),
            contrast_light=float(rng.uniform(0.05, 0.3 + 0.4 * s)),
            brightness=float(np.exp(rng.normal(0, 0.17 * s))),
            contrast=float(np.exp(rng.normal(0, 0.14 * s))),
            blur=float(max(0, rng.normal(0.2, 0.3))) * s,
            noise=float(abs(rng.normal(0, 3.5))) * s,
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
    found = shapes(units, identity, gaze=view.gaze) | frame(identity)
    placed, curves, start = view.place(np.concatenate(list(found.values())), large), {}, 0
    for name, points in found.items():
        curves[name] = placed[start : start + len(points)]
        start += len(points)
    canvas = Canvas(large, view, curves)
    depth = creases(units, identity)
    canvas.behind(identity)
    canvas.head(identity, depth)
    canvas.folds(identity, depth)
    canvas.eyes(identity)
    canvas.mouth(identity)
    canvas.fill("hair_front", identity.hair)
    exposure = max(1.0, (150 / np.dot(identity.skin, (0.299, 0.587, 0.114))) ** 0.5)
    return _photograph(canvas.image.reduce(SUPERSAMPLING), view, exposure)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour that lies ``share`` (0..1) of the way from ``a`` to ``b``.

    Examples
    --------
    >>> mix((0, 0, 0), (200, 100, 50), 0.5)
    (100, 50, 25)
    """
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def tint(a: Colour, b: Colour) -> Colour:
    """Return a colour seen through a filter of another (multiplied)."""
    return tuple(x * y // 255 for x, y in zip(a, b, strict=True))


@lru_cache(maxsize=64)
def _taper(count: int) -> np.ndarray:
    """Return half the width of a brush stroke along its line, turned to its left, (count, 2)."""
    t = np.linspace(-1, 1, count)[:, None]
    return (0.5 - 0.4 * t**2) * np.array((-1.0, 1.0))


def ribbon(line: np.ndarray, width: float) -> np.ndarray:
    """Return the outline of a brush stroke along a line, thick in the middle, fine at its ends."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.hypot(along[:, :1], along[:, 1:]) + 1e-9
    side = along[:, ::-1] / length * (_taper(len(line)) * width)
    return np.concatenate([line + side, (line - side)[::-1]])


class Canvas:
    """A picture in the making, with the curves of one face placed on it (in its pixels)."""

    def __init__(self, size: tuple[int, int], view: View, curves: Shapes) -> None:
        self.view, self.curves = view, curves
        self.unit = 0.475 * size[0] * view.zoom
        self.image = _backdrop(size, view)
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def fill(self, name: str, paint: Colour, alpha: float = 1.0) -> None:
        """Fill a curve's inside."""
        self.pen.polygon(self.curves[name].ravel().tolist(), (*paint, int(255 * alpha)))

    def stroke(self, name: str, width: float, paint: Colour, alpha: float = 1.0) -> None:
        """Draw along a curve; ``width`` in face units; strokes too faint to see are left out."""
        if alpha > 0.06:
            outline = ribbon(self.curves[name], width * self.unit)
            self.pen.polygon(outline.ravel().tolist(), (*paint, int(255 * min(1, alpha))))

    def behind(self, who: Identity) -> None:
        """Paint what lies behind the head: hair, neck, clothes, ears."""
        if "hair_back" in self.curves:
            self.fill("hair_back", mix(who.hair, BLACK, 0.25))
        neck = tint(who.skin, (222, 200, 194))
        self.fill("neck", neck)
        self.fill("neck_shade", tint(neck, (205, 180, 175)), 0.7)
        self.fill("shoulders", who.cloth)
        for side in ("left", "right"):
            self.fill(f"ear_{side}", tint(who.skin, (236, 214, 206)))

    def head(self, who: Identity, depth: dict[str, float]) -> None:
        """Paint the skin of the head, shaded by one soft layer that multiplies its colour."""
        size = self.image.size
        shade = self._shade(who, depth).resize(size, Image.Resampling.BILINEAR)
        skin = ImageChops.multiply(Image.new("RGB", size, who.skin), shade)
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon(self.curves["head"].ravel().tolist(), 255)
        self.image.paste(skin, mask=mask)

    def _shade(self, who: Identity, depth: dict[str, float]) -> Image.Image:
        """Return light and shadow on the head, blurred, in half the picture's size."""
        size = self.image.size
        shade = Image.new("RGB", (size[0] // 2, size[1] // 2), (236, 230, 228))
        pen = ImageDraw.Draw(shade, "RGBA")
        angle = np.deg2rad(self.view.light)
        toward = np.array((np.sin(angle), -np.cos(angle))) * self.unit

        def soft(name: str, paint: Colour, alpha: float, move: float = 0.0) -> None:
            points = (self.curves[name] + toward * move) / 2
            pen.polygon(points.ravel().tolist(), (*paint, int(255 * min(1, alpha))))

        dusk, rose = (168, 122, 112), (255, 168, 158)
        strong = self.view.contrast_light
        for side in ("left", "right"):
            soft(f"temple_{side}", dusk, 0.2)
        soft("head", dusk, 0.25 + 0.75 * strong)
        soft("head", (243, 238, 236), 1.0, 0.14 + 0.32 * strong)
        for side in ("left", "right"):
            soft(f"socket_{side}", dusk, 0.3)
            soft(f"cheek_{side}", rose, 0.33)
            soft(f"cheek_{side}", WHITE, 0.35 + 0.5 * depth["cheek"], 0.07)
        soft("nose", dusk, 0.25 + 0.3 * strong, -0.05)
        soft("nose", (250, 246, 244), 0.75, 0.03)
        soft("under_lip", dusk, 0.6)
        broad = ImageFilter.BoxBlur(0.045 * self.unit)
        return shade.filter(broad).filter(ImageFilter.BoxBlur(0.03 * self.unit))

    def folds(self, who: Identity, depth: dict[str, float]) -> None:
        """Paint wrinkles, folds and the nose, each as deep as the muscles make it."""
        line = tint(who.skin, (140, 92, 84))
        for side in ("left", "right"):
            for i in range(2):
                self.stroke(f"forehead_{i}_{side}", 0.032, line, 0.65 * depth["forehead"])
            self.stroke(f"furrow_{side}", 0.045, line, 0.95 * depth["furrow"])
            self.stroke(f"fold_{side}", 0.045, line, 0.04 + 0.72 * depth["fold"])
            self.stroke(f"pouch_{side}", 0.035, line, 0.6 * depth["pouch"])
            self.stroke(f"dimple_{side}", 0.05, line, 0.85 * depth["dimple"])
            self.stroke(f"marionette_{side}", 0.045, line, 0.75 * depth["marionette"])
            for i in range(3):
                self.stroke(f"crow_{i}_{side}", 0.03, line, 0.65 * depth["crow"])
        for i in range(3):
            self.stroke(f"bridge_{i}", 0.038, line, 0.85 * depth["bridge"])
        self.stroke("chin_line", 0.045, line, 0.12 + 0.6 * depth["chin"])
        self._nose(line)

    def _nose(self, line: Colour) -> None:
        self.fill("nose_tip", WHITE, 0.12)
        for side in ("left", "right"):
            self.stroke(f"wing_{side}", 0.035, line, 0.75)
            self.fill(f"nostril_{side}", mix(line, BLACK, 0.45), 0.9)
        self.stroke("nose_base", 0.03, line, 0.55)

    def eyes(self, who: Identity) -> None:
        """Paint the eyeballs between the lids, the lids' edges, and the brows."""
        lash = mix(tint(who.skin, (90, 60, 58)), (20, 14, 16), 0.55)
        brow = mix(mix(who.hair, (40, 28, 24), 0.35), BLACK, 0.1)
        for side in ("left", "right"):
            self.fill(f"eye_{side}", (246, 243, 240))
            self.fill(f"iris_{side}", who.iris)
            self.fill(f"pupil_{side}", (12, 9, 10))
            self.fill(f"glint_{side}", WHITE, 0.9)
            self.stroke(f"upper_lid_{side}", 0.055, lash)
            self.stroke(f"lower_lid_{side}", 0.022, lash, 0.6)
            self.stroke(f"lid_fold_{side}", 0.026, tint(who.skin, (140, 92, 84)), 0.52)
            self.stroke(f"brow_{side}", 0.095 * who.brow_weight, brow, 0.94)

    def mouth(self, who: Identity) -> None:
        """Paint the lips and, between them, teeth."""
        red = mix(tint(who.skin, (220, 138, 136)), (196, 42, 66), 0.16)
        self.fill("opening", (64, 20, 26))
        self.fill("teeth", (244, 240, 234))
        self.fill("upper_lip", mix(red, BLACK, 0.1))
        self.fill("lower_lip", mix(red, WHITE, 0.06))
        self.stroke("mouth_line", 0.035, mix(red, (40, 8, 12), 0.75), 0.9)


def _backdrop(size: tuple[int, int], view: View) -> Image.Image:
    """Return an out-of-focus background around the view's colour."""
    rng = np.random.default_rng(view.seed)
    blots = np.array(view.backdrop) + rng.normal(0, 28, (4, 4, 1))
    small = Image.fromarray(np.clip(blots, 0, 255).astype(np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


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
