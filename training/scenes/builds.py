"""What makes a deer a deer: proportions in units of the height at the shoulder, and coats."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from training.scenes.shape import Colour


@dataclass(frozen=True)
class Coat:
    """The colours of an individual; `second` shows where its pattern does."""

    main: Colour
    belly: Colour
    legs: Colour
    feet: Colour
    ears: Colour
    nose: Colour
    tail: Colour
    second: Colour
    pattern: str = ""  # "patches", "spots" or none

    def tinted(self, rng: np.random.Generator) -> Coat:
        """Return a coat a little lighter or darker, warmer or colder."""
        tint = rng.normal(1.0, 0.09) * (1 + rng.normal(0, 0.03, 3))
        colours = {
            name.name: tuple(
                int(min(250, max(14, value * share)))
                for value, share in zip(getattr(self, name.name), tint, strict=True)
            )
            for name in fields(self)
            if name.name not in {"pattern", "nose"}
        }
        return replace(self, **colours)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tail:
    """A tail: `angle` is how far it rises behind, in radians, and `curl` what it adds."""

    length: float
    thick: float
    thin: float
    angle: float
    curl: float = 0.0
    bush: float = 0.0


@dataclass(frozen=True)
class Neck:
    """A neck: how it rises from the chest, and how far it sinks to graze."""

    length: float
    rise: float
    graze: float
    thick: float
    thin: float


@dataclass(frozen=True)
class Head:
    """A head: `splay` of 1 has the ears stand out, 0 has them upright."""

    length: float
    skull: float
    muzzle: float
    pitch: float
    ear: float
    lobe: float
    splay: float


@dataclass(frozen=True)
class Build:
    """A species: height in metres, and proportions."""

    height: float
    length: float
    torso: tuple[tuple[float, float, float], ...]  # share of the length, height, radius
    hip: float
    stance: float
    legs: tuple[float, float, float]  # radius above, at the knee, of the foot
    neck: Neck
    head: Head
    tail: Tail
    coats: tuple[Coat, ...]
    trots: float
    adornment: str = ""
    fur: float = 0.10  # how rough the coat looks


DEER = Build(
    height=1.15,
    length=1.02,
    torso=(
        (-0.46, 0.83, 0.155),
        (-0.28, 0.84, 0.165),
        (0.0, 0.80, 0.175),
        (0.24, 0.79, 0.195),
        (0.42, 0.78, 0.185),
    ),
    hip=0.74,
    stance=0.085,
    legs=(0.115, 0.036, 0.034),
    neck=Neck(0.46, 0.95, -0.75, 0.135, 0.078),
    head=Head(0.30, 0.088, 0.045, -0.35, 0.15, 0.045, 0.75),
    tail=Tail(0.15, 0.045, 0.03, -0.9),
    coats=(
        Coat(
            (150, 98, 58),
            (196, 164, 128),
            (120, 82, 54),
            (48, 38, 34),
            (140, 100, 70),
            (30, 26, 26),
            (230, 220, 204),
            (170, 116, 72),
        ),
        Coat(
            (164, 104, 56),
            (210, 184, 150),
            (140, 96, 62),
            (50, 40, 34),
            (150, 104, 66),
            (30, 26, 26),
            (236, 228, 214),
            (238, 222, 196),
            "spots",
        ),
        Coat(
            (122, 96, 76),
            (170, 150, 128),
            (98, 78, 64),
            (42, 36, 34),
            (116, 96, 80),
            (30, 26, 26),
            (220, 212, 200),
            (140, 114, 92),
        ),
    ),
    trots=0.3,
    adornment="antlers",
)
BOAR = Build(
    height=0.82,
    length=1.22,
    torso=(
        (-0.44, 0.67, 0.20),
        (-0.24, 0.69, 0.245),
        (0.02, 0.67, 0.275),
        (0.26, 0.69, 0.30),
        (0.42, 0.66, 0.255),
    ),
    hip=0.54,
    stance=0.13,
    legs=(0.14, 0.05, 0.045),
    neck=Neck(0.22, 0.05, -0.55, 0.235, 0.185),
    head=Head(0.46, 0.165, 0.075, -0.42, 0.15, 0.055, 0.35),
    tail=Tail(0.26, 0.026, 0.028, -1.2),
    coats=(
        Coat(
            (74, 64, 58),
            (92, 82, 74),
            (50, 44, 42),
            (32, 28, 28),
            (60, 52, 48),
            (96, 74, 70),
            (40, 36, 34),
            (104, 94, 84),
        ),
        Coat(
            (98, 82, 66),
            (118, 102, 86),
            (60, 50, 44),
            (36, 32, 30),
            (78, 66, 56),
            (104, 82, 76),
            (48, 42, 38),
            (128, 112, 94),
        ),
    ),
    trots=0.5,
    adornment="tusks",
    fur=0.12,
)
FOX = Build(
    height=0.44,
    length=1.36,
    torso=(
        (-0.46, 0.79, 0.155),
        (-0.26, 0.81, 0.165),
        (0.0, 0.79, 0.165),
        (0.24, 0.79, 0.18),
        (0.43, 0.79, 0.165),
    ),
    hip=0.72,
    stance=0.09,
    legs=(0.115, 0.046, 0.048),
    neck=Neck(0.27, 0.55, -0.8, 0.145, 0.115),
    head=Head(0.40, 0.128, 0.042, -0.25, 0.21, 0.075, 0.2),
    tail=Tail(0.98, 0.06, 0.05, -0.45, 0.45, 0.075),
    coats=(
        Coat(
            (176, 92, 44),
            (236, 220, 200),
            (52, 40, 36),
            (34, 28, 28),
            (70, 46, 34),
            (22, 20, 20),
            (240, 232, 220),
            (188, 108, 58),
        ),
        Coat(
            (178, 106, 58),
            (226, 208, 186),
            (64, 50, 44),
            (36, 30, 30),
            (70, 50, 40),
            (22, 20, 20),
            (236, 226, 212),
            (190, 124, 76),
        ),
    ),
    trots=0.6,
    fur=0.12,
)
CATTLE = Build(
    height=1.36,
    length=1.22,
    torso=(
        (-0.46, 0.76, 0.20),
        (-0.28, 0.74, 0.245),
        (0.0, 0.71, 0.265),
        (0.26, 0.71, 0.265),
        (0.43, 0.69, 0.215),
    ),
    hip=0.60,
    stance=0.13,
    legs=(0.145, 0.056, 0.052),
    neck=Neck(0.34, 0.32, -0.82, 0.185, 0.13),
    head=Head(0.40, 0.125, 0.085, -0.75, 0.15, 0.05, 1.0),
    tail=Tail(0.62, 0.03, 0.026, -1.35, -0.15),
    coats=(
        Coat(
            (232, 226, 216),
            (226, 218, 206),
            (216, 206, 194),
            (60, 52, 48),
            (60, 54, 52),
            (150, 112, 104),
            (60, 54, 52),
            (42, 38, 38),
            "patches",
        ),
        Coat(
            (136, 74, 44),
            (150, 92, 60),
            (126, 70, 44),
            (56, 44, 40),
            (120, 68, 44),
            (160, 120, 108),
            (226, 214, 200),
            (226, 216, 204),
            "patches",
        ),
        Coat(
            (52, 46, 46),
            (60, 54, 52),
            (46, 42, 42),
            (34, 30, 30),
            (48, 44, 44),
            (90, 76, 72),
            (40, 36, 36),
            (62, 56, 54),
        ),
        Coat(
            (172, 138, 98),
            (208, 178, 138),
            (172, 136, 96),
            (60, 50, 44),
            (170, 132, 94),
            (120, 90, 80),
            (150, 116, 80),
            (202, 166, 122),
        ),
    ),
    trots=0.05,
    adornment="horns",
    fur=0.05,
)
BEAR = Build(
    height=1.02,
    length=1.20,
    torso=(
        (-0.44, 0.70, 0.26),
        (-0.24, 0.70, 0.275),
        (0.02, 0.68, 0.28),
        (0.27, 0.73, 0.285),
        (0.43, 0.68, 0.245),
    ),
    hip=0.52,
    stance=0.17,
    legs=(0.19, 0.105, 0.095),
    neck=Neck(0.26, 0.12, -0.6, 0.235, 0.18),
    head=Head(0.36, 0.175, 0.085, -0.30, 0.085, 0.065, 0.45),
    tail=Tail(0.09, 0.055, 0.045, -0.7),
    coats=(
        Coat(
            (94, 66, 44),
            (84, 60, 42),
            (66, 48, 36),
            (44, 34, 28),
            (84, 60, 42),
            (26, 22, 22),
            (84, 60, 42),
            (118, 86, 58),
        ),
        Coat(
            (62, 50, 44),
            (58, 48, 42),
            (48, 40, 36),
            (36, 30, 28),
            (56, 46, 40),
            (26, 22, 22),
            (56, 46, 40),
            (80, 66, 56),
        ),
        Coat(
            (138, 102, 66),
            (118, 86, 56),
            (92, 68, 48),
            (54, 42, 34),
            (118, 88, 58),
            (26, 22, 22),
            (118, 86, 56),
            (160, 122, 82),
        ),
    ),
    trots=0.1,
    fur=0.09,
)

BUILDS = {"deer": DEER, "boar": BOAR, "fox": FOX, "cattle": CATTLE, "bear": BEAR}
