"""Who a drawn face is: proportions, skin, hair, glasses. Nobody who lives was drawn from."""

from dataclasses import dataclass

import numpy as np

SKINS = ("fbe0cf", "f6d0b1", "eebd95", "e0a877", "cd9160", "b3774a", "94603c", "75482d", "573522")
HAIRS = ("1d1a1c", "33241d", "553826", "7d5232", "b07c45", "d9b36c", "a14a2a", "9b9ba0", "e4e2dd")
IRISES = ("3b2417", "5d3a1f", "7b5a2e", "5f7a4a", "4f7fa3", "7c8f9c")
CLOTHS = ("33658a", "86bbd8", "758e4f", "f6ae2d", "f26419", "7a4b8c", "c44569", "f0ead6", "3d3d46")
STYLES = ("short", "parted", "fringe", "curtain", "long", "bob", "bun", "curls", "bald", "scarf")

Colour = tuple[int, int, int]


def colour(text: str) -> Colour:
    """Return the red, green and blue (0..255) of a hexadecimal colour such as ``"fbe0cf"``."""
    return tuple(bytes.fromhex(text))


@dataclass(frozen=True)
class Identity:
    """What stays the same when a face moves: proportions, colours, hair, glasses.

    Proportions are factors around 1, colours red, green and blue in 0..255; ``age`` (lines at
    rest), ``beard``, ``freckles``, ``crease`` (fold of the upper lid) and ``makeup`` are amounts
    in 0..1, ``lopsided`` is how much stronger (-0.3..0.3) the right half of the picture moves.
    """

    skin: Colour = (238, 189, 149)
    hair: Colour = (85, 56, 38)
    iris: Colour = (93, 58, 31)
    cloth: Colour = (51, 101, 138)
    style: str = "short"
    glasses: str = ""
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
    beard: float = 0.0
    freckles: float = 0.0
    crease: float = 0.7
    makeup: float = 0.2
    lopsided: float = 0.0

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Identity":
        """Return somebody whom nobody knows.

        Examples
        --------
        >>> Identity.random(np.random.default_rng(1)) == Identity.random(np.random.default_rng(1))
        True
        """
        tone = rng.integers(len(SKINS))
        age = float(rng.beta(1.3, 2.2))
        style = str(
            rng.choice(STYLES, p=(0.18, 0.14, 0.12, 0.1, 0.12, 0.09, 0.07, 0.1, 0.05, 0.03))
        )
        shade = (
            rng.integers(7, 9) if rng.random() < age - 0.35 else rng.integers(3 if tone > 4 else 7)
        )
        shaven = style in ("long", "bob", "bun", "scarf", "fringe") or rng.random() < 0.6
        beard = 0.0 if shaven else float(rng.uniform(0.25, 1))
        return cls(
            skin=colour(SKINS[tone]),
            hair=colour(HAIRS[shade]),
            iris=colour(IRISES[rng.integers(3 if tone > 4 else len(IRISES))]),
            cloth=colour(CLOTHS[rng.integers(len(CLOTHS))]),
            style=style,
            glasses=str(rng.choice(("", "round", "square"), p=(0.82, 0.1, 0.08))),
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
            beard=beard,
            freckles=float(rng.uniform(0.4, 1)) if tone < 3 and rng.random() < 0.25 else 0.0,
            crease=rng.uniform(0.1, 1),
            makeup=0.0 if beard else float(rng.beta(1, 2)),
            lopsided=float(np.clip(rng.normal(0, 0.1), -0.3, 0.3)),
        )
