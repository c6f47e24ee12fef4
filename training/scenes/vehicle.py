"""Jeeps and pickups: a side drawn out to the width of a car, windows and wheels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from training.scenes.shape import Colour, Figure, Plate, Point, toned

PAINTS: tuple[Colour, ...] = (
    (92, 104, 76),
    (206, 208, 204),
    (168, 52, 44),
    (58, 82, 118),
    (190, 166, 118),
    (64, 66, 70),
    (222, 186, 74),
)
GLASS: Colour = (96, 118, 130)
TYRE: Colour = (36, 34, 34)
DARK: Colour = (48, 48, 50)

# The lower body and the cabin, seen from the right: metres ahead and up.
Outline = tuple[tuple[float, float], ...]
LOWER: Outline = ((-2.0, 0.45), (-2.05, 0.98), (0.95, 1.0), (2.0, 0.92), (2.1, 0.72), (2.08, 0.45))
CABINS: dict[str, Outline] = {
    "jeep": ((-1.95, 0.98), (-1.9, 1.72), (0.45, 1.74), (0.95, 1.0)),
    "pickup": ((-0.55, 0.98), (-0.4, 1.64), (0.5, 1.66), (1.05, 1.0)),
}
WINDOWS: dict[str, tuple[Outline, ...]] = {
    "jeep": (
        ((-1.8, 1.12), (-1.78, 1.6), (-0.95, 1.62), (-0.95, 1.12)),
        ((-0.82, 1.12), (-0.82, 1.62), (0.38, 1.64), (0.72, 1.12)),
    ),
    "pickup": (((-0.4, 1.12), (-0.3, 1.54), (0.42, 1.56), (0.8, 1.12)),),
}
REAR_LIGHT: Outline = ((-0.1, 0.7), (0.1, 0.7), (0.1, 0.9), (-0.1, 0.9))  # aside and up
HALF = 0.9  # of the width


@dataclass(frozen=True)
class Vehicle:
    """One car."""

    kind: str
    paint: Colour
    size: float

    speed = 3.2
    stride = 2 * math.pi * 0.36

    @classmethod
    def draw_lots(cls, rng: np.random.Generator) -> Vehicle:
        """Make a car."""
        kind = ("jeep", "pickup")[int(rng.integers(2))]
        return cls(kind, PAINTS[int(rng.integers(len(PAINTS)))], float(rng.uniform(0.92, 1.1)))

    def pose(self, way: float, seconds: float, moving: float, grazing: float) -> Figure:
        """Return the car after so much of its way."""
        shake = 0.012 * math.sin(9 * seconds) * moving
        above = [
            *self._hull(LOWER, self.paint, 0.0),
            *self._hull(CABINS[self.kind], self.paint, 0.05),
            *self._glass(),
            *self._details(),
        ]
        parts = [
            replace(plate, corners=tuple((x, y, z + shake) for x, y, z in plate.corners))
            for plate in above
        ]
        for x in (-1.3, 1.3):
            for side in (1, -1):
                parts += self._wheel(x, side, way)
        return Figure(tuple(parts)).grown(self.size)

    def _hull(self, outline: Outline, paint: Colour, inset: float) -> list[Plate]:
        half = HALF - inset
        plates = [
            Plate("side", tuple((x, side * half, z) for x, z in outline), toned(paint, tone))
            for side, tone in ((1, 0.92), (-1, 0.92))
        ]
        for (x, z), (u, w) in pairwise((*outline, outline[0])):
            flat = abs(u - x) / (math.hypot(u - x, w - z) or 1)
            tone = 0.72 + 0.42 * flat if z + w > 1.2 else 0.5
            corners: tuple[Point, ...] = ((x, -half, z), (u, -half, w), (u, half, w), (x, half, z))
            plates.append(Plate("skin", corners, toned(paint, tone)))
        return plates

    def _glass(self) -> list[Plate]:
        half = HALF - 0.04
        plates = [
            Plate("window", tuple((x, side * half, z) for x, z in window), GLASS, 0.03)
            for window in WINDOWS[self.kind]
            for side in (1, -1)
        ]
        *_, (x, z), (u, w) = CABINS[self.kind]
        low, high = (u - 0.12 * (u - x), w + 0.16 * (z - w)), (x + 0.1 * (u - x), z - 0.1 * (z - w))
        screen: tuple[Point, ...] = (
            (low[0] + 0.02, -0.74, low[1]),
            (high[0] + 0.02, -0.7, high[1]),
            (high[0] + 0.02, 0.7, high[1]),
            (low[0] + 0.02, 0.74, low[1]),
        )
        return [*plates, Plate("screen", screen, toned(GLASS, 1.15), 0.1)]

    def _details(self) -> list[Plate]:
        plates = []
        for y in (-0.68, 0.68):
            lamp: tuple[Point, ...] = tuple(
                (2.12, y + 0.14 * math.cos(turn), 0.75 + 0.1 * math.sin(turn))
                for turn in np.linspace(0, 2 * math.pi, 10)
            )
            plates.append(Plate("lamp", lamp, (244, 238, 206), 0.1))
            rear = tuple((-2.07, y + aside, z) for aside, z in REAR_LIGHT)
            plates.append(Plate("light", rear, (176, 36, 32), 0.1))
        bar: tuple[Point, ...] = (
            (2.14, -0.85, 0.42),
            (2.14, 0.85, 0.42),
            (2.14, 0.85, 0.56),
            (2.14, -0.85, 0.56),
        )
        return [*plates, Plate("bar", bar, DARK, 0.12)]

    def _wheel(self, x: float, side: int, way: float) -> list[Plate]:
        y = side * (HALF + 0.01)
        turn = way / 0.36
        rings = (("tyre", 0.37, TYRE, 0.06), ("rim", 0.21, (158, 158, 156), 0.08))
        plates = [
            Plate("arch", _ring(x, y - 0.005 * side, 0.45, 0.40, 0.0), DARK, 0.05),
            Plate("inner", _ring(x, y - 0.22 * side, 0.37, 0.37, 0.0), TYRE, 0.05),
        ]
        plates += [
            Plate(name, _ring(x, y, radius, 0.37, turn), colour, nearer)
            for name, radius, colour, nearer in rings
        ]
        spoke = (
            (x + 0.18 * math.cos(turn), y, 0.37 - 0.18 * math.sin(turn)),
            (x - 0.05 * math.sin(turn), y, 0.37 - 0.05 * math.cos(turn)),
            (x - 0.18 * math.cos(turn), y, 0.37 + 0.18 * math.sin(turn)),
            (x + 0.05 * math.sin(turn), y, 0.37 + 0.05 * math.cos(turn)),
        )
        return [*plates, Plate("spoke", spoke, (110, 110, 110), 0.09)]


def _ring(x: float, y: float, radius: float, z: float, turn: float) -> tuple[Point, ...]:
    return tuple(
        (x + radius * math.cos(angle + turn), y, z + radius * math.sin(angle + turn))
        for angle in np.linspace(0, 2 * math.pi, 20)
    )
