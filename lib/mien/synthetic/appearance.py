"""What frames a drawn face and no muscle moves: hair, scarf, ears, neck, clothes, glasses, beard.

Curves in the face units of `mien.synthetic.anatomy`.
"""

from functools import lru_cache

import numpy as np

from mien.synthetic.anatomy import Identity, Shapes, ellipse, spline

# Hair lines from the picture's left temple to its right one, in face units.
_LINES = {
    "high": [
        (-0.75, -0.2),
        (-0.68, -0.56),
        (-0.45, -0.8),
        (0, -0.85),
        (0.45, -0.8),
        (0.68, -0.56),
        (0.75, -0.2),
    ],
    "side": [
        (-0.76, -0.15),
        (-0.68, -0.55),
        (-0.42, -0.88),
        (0.1, -0.77),
        (0.48, -0.66),
        (0.68, -0.45),
        (0.76, -0.1),
    ],
    "bangs": [
        (-0.77, 0.05),
        (-0.68, -0.52),
        (-0.4, -0.66),
        (0, -0.69),
        (0.4, -0.66),
        (0.68, -0.52),
        (0.77, 0.05),
    ],
    "curtain": [
        (-0.78, 0.15),
        (-0.7, -0.42),
        (-0.38, -0.76),
        (0.04, -1.0),
        (0.42, -0.78),
        (0.7, -0.42),
        (0.78, 0.15),
    ],
}

# style: hair line, thickness over the skull, how far down hair hangs behind (None: not at all),
# how wide it hangs, how curly
_STYLES = {
    "short": ("high", 0.07, None, 0, 0.0),
    "parted": ("side", 0.11, None, 0, 0.0),
    "fringe": ("bangs", 0.1, 0.55, 0.9, 0.0),
    "curtain": ("curtain", 0.1, 0.75, 0.95, 0.0),
    "long": ("side", 0.11, 1.7, 1.0, 0.0),
    "bob": ("curtain", 0.13, 0.7, 1.02, 0.0),
    "bun": ("high", 0.06, None, 0, 0.0),
    "curls": ("high", 0.3, 0.25, 1.08, 0.06),
}


def attire(who: Identity) -> Shapes:
    """Return the curves that frame somebody's face: ``name`` to float64 (n, 2) in face units."""
    found = _body(who.width) | _hair(who.style, who.width)
    if who.glasses:
        found |= _glasses(who.glasses, who.eye_gap * who.width)
    if who.beard:
        found |= _beard(who.width)
    if who.freckles:
        found["freckles"] = _freckles()
    return found


def _body(w: float) -> Shapes:
    shoulders = [(-1.75, 2.4), (-1.45, 1.62), (-0.55, 1.36), (0, 1.5), (0.55, 1.36), (1.45, 1.62)]
    return {
        "neck": np.array(
            [(-0.42, 0.5), (0.42, 0.5), (0.44, 1.25), (0.6, 1.5), (-0.6, 1.5), (-0.44, 1.25)]
        ),
        "neck_shade": ellipse(0, 0.98, 0.41, 0.26),
        "shoulders": spline([*shoulders, (1.75, 2.4)]),
        "ear_left": ellipse(-0.79 * w, -0.03, 0.1, 0.19),
        "ear_right": ellipse(0.79 * w, -0.03, 0.1, 0.19),
        "temple_left": ellipse(-0.6 * w, 0.1, 0.2, 0.6),
        "temple_right": ellipse(0.6 * w, 0.1, 0.2, 0.6),
    }


def _skull(w: float, thickness: float, curl: float, reach: float = 102) -> np.ndarray:
    """Return the upper contour of hair, from the left temple over the crown to the right one."""
    angle = np.deg2rad(np.linspace(-reach, reach, 41))
    swell = 1 + curl * (np.abs(np.sin(angle * 7)) - 0.5)
    return np.stack(
        [
            (0.785 * w + thickness) * swell * np.sin(angle),
            -0.2 - (0.94 + thickness) * swell * np.cos(angle),
        ],
        1,
    )


@lru_cache(maxsize=512)
def _cap(style: str, w: float) -> np.ndarray:
    line, thickness, _, _, curl = _STYLES[style]
    return np.concatenate([_skull(w, thickness, curl), spline(_LINES[line])[::-1] * (w, 1)])


def _hair(style: str, w: float) -> Shapes:
    if style == "bald":
        return {}
    if style == "scarf":
        inner = ellipse(0, -0.02, 0.74 * w, 0.98, n=40)
        outer = spline(
            [
                (0, -1.3),
                (0.6, -1.18),
                (0.93, -0.6),
                (0.96, 0.2),
                (0.9, 0.9),
                (1.1, 1.6),
                (0.6, 2),
                (-0.6, 2),
                (-1.1, 1.6),
                (-0.9, 0.9),
                (-0.96, 0.2),
                (-0.93, -0.6),
                (-0.6, -1.18),
            ],
            closed=True,
        )
        folds = {
            f"strand_{i}": spline(
                [(-0.85 + 0.1 * i, 1.0 + 0.14 * i), (0, 1.12 + 0.13 * i), (0.8, 0.75 + 0.2 * i)]
            )
            for i in range(3)
        }
        return {"scarf_outer": outer, "scarf_inner": inner} | folds
    _, thickness, hang, breadth, curl = _STYLES[style]
    found = {"hair_front": _cap(style, w)}
    if hang is not None:
        top = _skull(w, thickness, curl, 90)
        b = breadth * w
        sides = spline([(b, 0.2), (b + 0.04, 0.6 * hang), (0.92 * b, hang), (0.5 * b, hang + 0.06)])
        found["hair_back"] = np.concatenate([top, sides, (sides * (-1, 1))[::-1]])
    if style == "bun":
        found["bun"] = ellipse(0.05, -1.3, 0.3, 0.24)
    return found | ({} if curl else _strands(style, w))


def _strands(style: str, w: float) -> Shapes:
    """Return a few lines along which hair is combed, from the parting to the hair line."""
    line, thickness, *_ = _STYLES[style]
    outer, inner = _skull(w, thickness, 0), spline(_LINES[line]) * (w, 1)
    part = 0.33 if line == "side" else 0.5
    found = {}
    for i, end in enumerate((0.13, 0.3, 0.7, 0.87)):
        along = np.array((part + 0.35 * (end - part), part + 0.75 * (end - part), end))
        o, n = outer[(along * 40).astype(int)], inner[(along * (len(inner) - 1)).astype(int)]
        found[f"strand_{i}"] = spline(o + (n - o) * np.array([[0.3], [0.35], [0.6]]))
    return found


def _glasses(kind: str, gap: float) -> Shapes:
    power = 2 if kind == "round" else 3.4
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    ring = np.stack(
        [np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)], 1
    )
    ring = ring * (0.27, 0.25 if kind == "round" else 0.2) + (0.37 * gap, -0.1)
    ring = np.concatenate([ring, ring[:1]])
    return {
        "lens_left": ring * (-1, 1),
        "lens_right": ring,
        "lens_bridge": spline([(-0.11, -0.12), (0, -0.16), (0.11, -0.12)]),
        "lens_arm_left": np.array([(-0.63 * gap, -0.14), (-0.8, -0.2)]),
        "lens_arm_right": np.array([(0.63 * gap, -0.14), (0.8, -0.2)]),
    }


def _beard(w: float) -> Shapes:
    """Return the upper edge of a beard, from the picture's right temple to its left one."""
    half = np.array([(0.76 * w, -0.15), (0.67 * w, 0.14), (0.5, 0.36), (0.3, 0.42), (0.12, 0.385)])
    return {"beard": spline(np.concatenate([half, [(0, 0.4)], half[::-1] * (-1, 1)]))}


@lru_cache(maxsize=1)
def _freckles() -> np.ndarray:
    rng = np.random.default_rng(7)
    x = rng.uniform(0.12, 0.58, 22) * rng.choice((-1, 1), 22)
    return np.stack([x, rng.normal(0.16, 0.06, 22)], 1)
