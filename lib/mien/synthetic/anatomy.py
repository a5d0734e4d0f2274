"""Who a drawn face is, where its parts move when muscles pull, and what frames it.

Nobody living is drawn. Face units: the face is about 1.5 wide and 2.1 high, its middle at 0, 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.data.measured import UNITS

SKINS = ("fbe0cf", "f6d0b1", "eebd95", "e0a877", "cd9160", "b3774a", "94603c", "75482d", "573522")
HAIRS = ("1d1a1c", "33241d", "553826", "7d5232", "b07c45", "d9b36c", "a14a2a", "9b9ba0", "e4e2dd")
IRISES = ("3b2417", "5d3a1f", "7b5a2e", "5f7a4a", "4f7fa3", "7c8f9c")
CLOTHS = ("33658a", "86bbd8", "758e4f", "f6ae2d", "f26419", "7a4b8c", "c44569", "f0ead6", "3d3d46")
STYLES = ("short", "parted", "long")
Colour = tuple[int, int, int]


def colour(text: str) -> Colour:
    """Return the red, green and blue (0..255) of a hexadecimal colour such as ``"fbe0cf"``."""
    return tuple(bytes.fromhex(text))


@dataclass(frozen=True)
class Identity:
    """What stays the same when a face moves: proportions, colours, hair.

    Proportions are factors around 1; ``age`` (lines at rest) is in 0..1, ``lopsided`` is how much
    stronger (-0.3..0.3) the right half of the picture moves.
    """

    skin: Colour = (238, 189, 149)
    hair: Colour = (85, 56, 38)
    iris: Colour = (93, 58, 31)
    cloth: Colour = (51, 101, 138)
    style: str = "short"
    width: float = 1.0
    jaw: float = 1.0
    eye_size: float = 1.0
    eye_gap: float = 1.0
    eye_tilt: float = 0.0
    brow_weight: float = 1.0
    brow_height: float = 0.0
    nose_width: float = 1.0
    nose_length: float = 0.0
    mouth_width: float = 1.0
    lips: float = 1.0
    age: float = 0.1
    lopsided: float = 0.0

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Identity":
        """Return somebody whom nobody knows."""
        tone = rng.integers(len(SKINS))
        age = float(rng.beta(1.3, 2.2))
        grey = rng.random() < age - 0.35
        shade = rng.integers(7, 9) if grey else rng.integers(3 if tone > 4 else 7)
        return cls(
            skin=colour(SKINS[tone]),
            hair=colour(HAIRS[shade]),
            iris=colour(IRISES[rng.integers(3 if tone > 4 else len(IRISES))]),
            cloth=colour(CLOTHS[rng.integers(len(CLOTHS))]),
            style=str(rng.choice(STYLES)),
            width=rng.uniform(0.92, 1.08),
            jaw=rng.uniform(0.86, 1.12),
            eye_size=rng.uniform(0.88, 1.14),
            eye_gap=rng.uniform(0.94, 1.07),
            eye_tilt=rng.uniform(-0.025, 0.035),
            brow_weight=rng.uniform(0.65, 1.5),
            brow_height=rng.uniform(-0.035, 0.045),
            nose_width=rng.uniform(0.82, 1.3),
            nose_length=rng.uniform(-0.05, 0.05),
            mouth_width=rng.uniform(0.86, 1.14),
            lips=rng.uniform(0.7, 1.35),
            age=age,
            lopsided=float(np.clip(rng.normal(0, 0.1), -0.3, 0.3)),
        )


Shapes = dict[str, np.ndarray]


def strengths(units: Mapping[str, float]) -> dict[str, float]:
    """Return every unit's intensity 0..5 as a strength 0..1; units that are not named rest at 0."""
    return {unit: min(max(float(units.get(unit, 0.0)), 0.0), 5.0) / 5 for unit in UNITS}


def spline(points: object, *, closed: bool = False, steps: int = 5) -> np.ndarray:
    """Return a smooth curve through control points (Catmull and Rom 1974), float64 (m, 2)."""
    points = np.asarray(points, dtype=float)
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    padded = np.concatenate([before, points, after])
    u = np.arange(steps) / steps
    weights = np.stack(
        [-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2], 1
    )
    around = padded[np.arange(len(padded) - 3)[:, None] + np.arange(4)]  # (segments, 4, 2)
    curve = (weights / 2 @ around).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float, *, n: int = 20) -> np.ndarray:
    """Return ``n`` points on an ellipse around (x, y), float64 (n, 2)."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.c_[x + rx * np.cos(angle), y + ry * np.sin(angle)]


def shapes(
    units: Mapping[str, float], identity: Identity, *, gaze: tuple[float, float] = (0.0, 0.0)
) -> Shapes:
    """Return every curve of a face that muscles move: outlines and centre lines, float64 (n, 2).

    In face units; ``*_left`` is the picture's left. ``units`` are intensities 0..5 by Action Unit,
    what is not named rests at 0; ``gaze`` is where the eyes look, right and down (about ±0.05).
    """
    pull = strengths(units)
    found = _head(pull, identity) | _nose(pull, identity) | _mouth(pull, identity)
    for side, name in ((-1, "left"), (1, "right")):
        here = {unit: min(1, s * (1 + side * identity.lopsided)) for unit, s in pull.items()}
        parts = _brow(here, identity) | _eye(here, identity, (side * gaze[0], gaze[1]))
        parts |= _cheek(here, identity, found["mouth_line"][-1 if side > 0 else 0])
        found |= {f"{part}_{name}": points * (side, 1) for part, points in parts.items()}
    return found


def creases(units: Mapping[str, float], identity: Identity) -> dict[str, float]:
    """Return how deep (0..1) every fold of the face is, by the FACS manual's appearance changes."""
    pull, age = strengths(units), identity.age
    brow = max(pull["AU01"], 0.9 * pull["AU02"])
    smile = max(pull["AU12"], 0.9 * pull["AU10"], 0.7 * pull["AU09"], 0.4 * pull["AU06"])
    return {
        "forehead": 0.95 * brow + 0.25 * age,
        "furrow": pull["AU04"] + 0.3 * pull["AU09"] + 0.15 * age,
        "bridge": pull["AU09"] + 0.15 * pull["AU10"],
        "fold": min(1, smile + 0.3 * pull["AU15"] + 0.4 * age),
        "crow": min(1, pull["AU06"] + 0.3 * pull["AU07"] + 0.2 * age),
        "pouch": min(1, 0.9 * pull["AU06"] + 0.8 * pull["AU07"] + 0.3 * age),
        "dimple": min(1, pull["AU14"] + 0.3 * pull["AU12"] + 0.3 * pull["AU20"]),
        "marionette": min(1, pull["AU15"] + 0.2 * pull["AU17"] + 0.15 * age),
        "chin": pull["AU17"],
        "cheek": min(1, pull["AU06"] + 0.5 * pull["AU12"]),
    }


def _head(pull: dict[str, float], who: Identity) -> Shapes:
    w, jaw, drop = who.width, who.jaw, 0.2 * pull["AU26"] - 0.03 * pull["AU17"]
    half = [
        (0, -1.13),
        (0.42 * w, -1.04),
        (0.69 * w, -0.72),
        (0.77 * w, -0.25),
        (0.75 * w, 0.15 + 0.1 * drop),
        (0.64 * w * jaw, 0.55 + 0.5 * drop),
        (0.36 * w * jaw, 0.88 + 0.95 * drop),
    ]
    right = np.array([*half, (0, 1.0 + drop)])
    left = np.array(half[:0:-1]) * (-1, 1)
    chin = 0.82 + drop - 0.03 * pull["AU17"]
    return {
        "head": spline(np.concatenate([right, left]), closed=True, steps=4),
        "chin_line": spline([(-0.13, chin - 0.05), (0, chin - 0.08), (0.13, chin - 0.05)]),
    }


def _brow(pull: dict[str, float], who: Identity) -> Shapes:
    along = np.array([0.0, 0.33, 0.68, 1.0])
    inner, outer = (1 - along) ** 1.3, along**0.9
    # Together with AU1 the frown no longer pulls the inner end down: the oblique brow of grief.
    frown = pull["AU04"] * (1 - min(1, 1.4 * pull["AU01"]) * 0.85)
    rise = 0.19 * pull["AU01"] * inner + 0.18 * pull["AU02"] * outer
    fall = frown * (0.16 * inner + 0.06) + 0.07 * pull["AU09"] * inner
    y = np.array([-0.45, -0.52, -0.54, -0.45]) - who.brow_height - rise + fall
    x = np.array([0.14, 0.3, 0.48, 0.62]) * who.width
    x = x - (0.05 * pull["AU04"] + 0.02 * pull["AU09"]) * (1 - along)
    brow = np.c_[x, y]
    lines = [brow[1:3].mean(0) - (0, lift) for lift in (0.15, 0.26)]
    return {
        "brow": spline(brow),
        "furrow": spline([(0.07, -0.5), (0.05, -0.4), (0.07 - 0.02 * frown, -0.28)]),
        **{
            f"forehead_{i}": spline(
                [(0, y + 0.03), (0.2, y + 0.01), (x + 0.1, y), (x + 0.2, y + 0.04)]
            )
            for i, (x, y) in enumerate(lines)
        },
    }


def _eye(pull: dict[str, float], who: Identity, gaze: tuple[float, float]) -> Shapes:
    size, cx, cy = who.eye_size, 0.355 * who.eye_gap * who.width, -0.15
    t = np.linspace(-1, 1, 13)  # inner corner to outer corner
    squint = max(pull["AU07"], 0.85 * pull["AU06"], 0.75 * pull["AU09"])
    grief = pull["AU01"] * (1 - pull["AU02"])
    high = 0.1 * size * (1 + 0.62 * pull["AU05"] - 0.5 * squint - 0.12 * pull["AU04"])
    low = 0.082 * size * (1 - 0.6 * squint - 0.15 * pull["AU12"] + 0.1 * pull["AU05"])
    high = high * (1 - pull["AU45"]) - low * pull["AU45"]
    x = cx + 0.185 * size * t
    middle = cy - who.eye_tilt * t + 0.02 * grief * t - 0.02 * squint
    upper = middle - high * (1 - np.abs(t + 0.1) ** 2.3 / 1.25) * (np.abs(t) < 1)
    upper += (0.03 * grief + 0.012 * pull["AU04"] * -1) * t * (1 - t**2)
    lower = np.maximum(middle + low * (1 - t**2), upper)

    def within(points: np.ndarray) -> np.ndarray:
        px = np.clip(points[:, 0], x[0], x[-1])
        py = np.clip(points[:, 1], np.interp(px, x, upper), np.interp(px, x, lower))
        return np.c_[px, py]

    ix, iy, r = cx + gaze[0], cy - 0.008 + gaze[1], 0.098 * size
    fold = 0.045 + 0.03 * pull["AU02"] + 0.012 * pull["AU05"] - 0.02 * pull["AU04"]
    crow = np.array([x[-1] + 0.05, middle[-1]])
    return {
        "eye": np.concatenate([np.c_[x, upper], np.c_[x, lower][::-1]]),
        "upper_lid": np.c_[x, upper],
        "lower_lid": np.c_[x, lower],
        "iris": within(ellipse(ix, iy, r, r)),
        "pupil": within(ellipse(ix, iy, 0.48 * r, 0.48 * r, n=12)),
        "glint": within(ellipse(ix - 0.03, iy - 0.035, 0.024, 0.024, n=8)),
        "lid_fold": np.c_[x, np.minimum(upper, middle - 0.02) - fold * (1 - 0.5 * t**2)][1:],
        "socket": ellipse(cx, cy - 0.05, 0.27, 0.2),
        "pouch": np.c_[x, lower + 0.045 + 0.03 * (1 - t**2)][1:-1],
        **{
            f"crow_{i}": np.stack([crow + (0, 0.03 * d), crow + (0.11, 0.085 * d - 0.01)])
            for i, d in enumerate((-1, 0, 1))
        },
    }


def _nose(pull: dict[str, float], who: Identity) -> Shapes:
    w, y = 0.135 * who.nose_width, 0.25 + who.nose_length
    lift = 0.075 * pull["AU09"] + 0.035 * pull["AU10"]
    w += 0.02 * pull["AU09"] + 0.012 * pull["AU12"]
    side = np.array(
        [(w, y - 0.085 - lift), (w + 0.022, y - 0.02 - lift), (w - 0.02, y + 0.03 - lift)]
    )
    half = np.array([(0.055, -0.3), (0.06, 0), (w, y - 0.03), (0, y + 0.05)])
    low = y + 0.022 - lift
    base = [(0.045 - w, low), (0, y + 0.05 - 0.5 * lift), (w - 0.045, low)]
    bridge = -0.16 + 0.075 * np.arange(3)
    return {
        "nose": np.concatenate([half * (-1, 1), half[::-1]]),
        "nose_tip": ellipse(0, y - 0.05 - 0.5 * lift, 0.065, 0.055, n=14),
        "wing_left": spline(side * (-1, 1)),
        "wing_right": spline(side),
        "nose_base": spline(base),
        "nostril_left": ellipse(-0.55 * w, y + 0.016 - lift, 0.34 * w, 0.024, n=12),
        "nostril_right": ellipse(0.55 * w, y + 0.016 - lift, 0.34 * w, 0.024, n=12),
        **{
            f"bridge_{i}": spline(
                [(-0.085 - 0.02 * i, b + 0.03), (0, b - 0.02), (0.085 + 0.02 * i, b + 0.03)]
            )
            for i, b in enumerate(bridge)
        },
    }


def _mouth(pull: dict[str, float], who: Identity) -> Shapes:
    t = np.linspace(-1, 1, 17)
    flat, bow = 1 - np.abs(t) ** 2.4, 1 - t**2
    reach = 0.1 * pull["AU12"] + 0.12 * pull["AU20"] + 0.02 * pull["AU14"] + 0.015 * pull["AU15"]
    reach -= 0.05 * pull["AU23"] + 0.035 * pull["AU17"] + 0.05 * pull["AU26"]
    x = (0.265 * who.mouth_width + reach) * t
    corner = 0.17 * pull["AU15"] - 0.2 * pull["AU12"] + 0.04 * pull["AU20"] - 0.02 * pull["AU14"]
    corner -= 0.012  # a mouth at rest does not look sad
    y = 0.56 + 0.5 * who.nose_length + corner * (1 + who.lopsided * t) * np.abs(t) ** 2
    y += 0.03 * pull["AU12"] * bow - 0.065 * pull["AU17"] * bow
    raised = pull["AU10"] + 0.35 * pull["AU09"]
    open_ = (
        0.11 * pull["AU25"] + 0.36 * pull["AU26"] + 0.035 * min(1, 3 * pull["AU25"]) * pull["AU12"]
    )
    sneer = 0.085 * raised * flat * (0.75 + 0.5 * np.abs(t))
    gape = min(1.0, 8 * open_)
    inner_top = y - 0.2 * open_ * flat - sneer * gape
    inner_bottom = y + 0.8 * open_ * flat - 0.012 * gape * sneer
    thin = (1 - 0.62 * pull["AU23"]) * (1 - 0.28 * pull["AU12"]) * (1 - 0.35 * pull["AU20"])
    cupid = flat * (1 - 0.22 * np.exp(-((t / 0.13) ** 2)))
    top = inner_top - (0.062 * who.lips * thin + 0.035 * raised) * cupid - sneer * (1 - gape)
    bottom = inner_bottom + 0.078 * who.lips * thin * (1 + 0.35 * pull["AU17"]) * bow**0.8
    teeth = np.minimum(inner_bottom, inner_top + 0.085 * flat)

    def between(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        return np.concatenate([np.c_[x, above], np.c_[x, below][::-1]])

    return {
        "upper_lip": between(top, inner_top),
        "lower_lip": between(inner_bottom, bottom),
        "opening": between(inner_top, inner_bottom),
        "teeth": between(inner_top, teeth)[1:-1],
        "mouth_line": np.c_[x, (inner_top + inner_bottom) / 2],
        "under_lip": np.c_[0.8 * x, bottom + 0.035][4:13],
    }


def _cheek(pull: dict[str, float], who: Identity, corner: np.ndarray) -> Shapes:
    cx, cy = abs(corner[0]), corner[1]
    rise = 0.09 * pull["AU06"] + 0.06 * pull["AU12"]
    top = 0.2 + who.nose_length - 0.07 * pull["AU09"] - 0.03 * pull["AU10"]
    wing = 0.15 * who.nose_width + 0.03
    out = cx + 0.06
    return {
        "fold": spline(
            [(wing, top), (0.5 * wing + 0.5 * out, (top + cy) / 2 - 0.02), (out, cy + 0.02)]
        ),
        "dimple": spline([(cx + 0.05, cy - 0.055), (cx + 0.08, cy), (cx + 0.05, cy + 0.05)]),
        "marionette": spline(
            [(cx + 0.02, cy + 0.02), (cx + 0.05, cy + 0.08), (cx + 0.04, cy + 0.16)]
        ),
        "cheek": ellipse(0.47 * who.width, 0.24 - rise, 0.19, 0.15 - 0.02 * pull["AU06"]),
    }


# Hair lines from the picture's left temple to its right one, in face units.
_HIGH = [(-0.75, -0.2), (-0.68, -0.56), (-0.45, -0.8), (0, -0.85)]
_HIGH += [(0.45, -0.8), (0.68, -0.56), (0.75, -0.2)]
_SIDE = [(-0.76, -0.15), (-0.68, -0.55), (-0.42, -0.88), (0.1, -0.77)]
_SIDE += [(0.48, -0.66), (0.68, -0.45), (0.76, -0.1)]


def frame(who: Identity) -> Shapes:
    """Return the curves that frame somebody's face: ``name`` to float64 (n, 2) in face units."""
    w, thickness = who.width, 0.07 if who.style == "short" else 0.11
    shoulders = [(-1.75, 2.4), (-1.45, 1.62), (-0.55, 1.36), (0, 1.5), (0.55, 1.36), (1.45, 1.62)]
    hair_line = spline(_HIGH if who.style == "short" else _SIDE)[::-1] * (w, 1)
    found = {
        "neck": np.array(
            [(-0.42, 0.5), (0.42, 0.5), (0.44, 1.25), (0.6, 1.5), (-0.6, 1.5), (-0.44, 1.25)]
        ),
        "neck_shade": ellipse(0, 0.98, 0.41, 0.26),
        "shoulders": spline([*shoulders, (1.75, 2.4)]),
        "ear_left": ellipse(-0.79 * w, -0.03, 0.1, 0.19),
        "ear_right": ellipse(0.79 * w, -0.03, 0.1, 0.19),
        "temple_left": ellipse(-0.6 * w, 0.1, 0.2, 0.6),
        "temple_right": ellipse(0.6 * w, 0.1, 0.2, 0.6),
        "hair_front": np.concatenate([_skull(w, thickness, 102), hair_line]),
    }
    if who.style == "long":
        sides = spline([(w, 0.2), (w + 0.04, 1.02), (0.92 * w, 1.7), (0.5 * w, 1.76)])
        around = [_skull(w, thickness, 90), sides, (sides * (-1, 1))[::-1]]
        found["hair_back"] = np.concatenate(around)
    return found


def _skull(w: float, thickness: float, reach: float) -> np.ndarray:
    """Return the upper contour of hair, from the left temple over the crown to the right one."""
    angle = np.deg2rad(np.linspace(-reach, reach, 41))
    x, y = (0.785 * w + thickness) * np.sin(angle), (0.94 + thickness) * np.cos(angle)
    return np.c_[x, -0.2 - y]
