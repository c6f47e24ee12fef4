"""People who walk upright, with a hat or a rucksack at times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.scenes.shape import Ball, Chain, Colour, Figure, Plate, Point

SKIN: tuple[Colour, ...] = ((232, 190, 160), (198, 150, 116), (140, 98, 72), (98, 68, 52))
CLOTHES: tuple[Colour, ...] = (
    (196, 60, 48),
    (52, 84, 140),
    (72, 92, 60),
    (222, 168, 60),
    (64, 64, 70),
    (206, 204, 198),
    (128, 92, 64),
    (96, 64, 110),
)


@dataclass(frozen=True)
class Person:
    """One walker: height, clothes and what they carry."""

    size: float
    skin: Colour
    jacket: Colour
    trousers: Colour
    hair: Colour
    hat: bool
    rucksack: bool

    speed = 1.35
    stride = 1.45

    @classmethod
    def draw_lots(cls, rng: np.random.Generator) -> Person:
        """Make somebody."""
        return cls(
            size=float(rng.uniform(1.5, 1.92)),
            skin=SKIN[int(rng.integers(len(SKIN)))],
            jacket=CLOTHES[int(rng.integers(len(CLOTHES)))],
            trousers=CLOTHES[int(rng.integers(1, len(CLOTHES)))],
            hair=((52, 40, 32), (96, 70, 44), (170, 140, 96), (150, 148, 146))[
                int(rng.integers(4))
            ],
            hat=bool(rng.random() < 0.4),
            rucksack=bool(rng.random() < 0.5),
        )

    def pose(self, way: float, seconds: float, moving: float, grazing: float) -> Figure:
        """Return the body after so much of its way; a person does not graze."""
        phase = 2 * math.pi * way / self.stride
        bob = 0.02 * math.cos(2 * phase) * moving
        parts: list[Chain | Plate] = []
        for side, turn in ((1, 0.0), (-1, math.pi)):
            parts += self._leg(side, phase + turn, moving)
            parts += self._arm(side, phase + turn + math.pi, moving, bob)
        parts += self._body(bob)
        parts += self._face(bob, 0.3 * math.sin(0.9 * seconds))
        return Figure(tuple(parts)).grown(self.size / 1.75)

    def _leg(self, side: int, phase: float, moving: float) -> list[Chain]:
        swing = 0.42 * math.sin(phase) * (0.25 + 0.75 * moving)
        fold = max(0.0, math.cos(phase)) * 0.75 * moving
        hip: Point = (0.0, 0.09 * side, 0.90)
        knee = _hung(hip, 0.43, swing)
        ankle = _hung(knee, 0.42, swing - fold)
        toe = (ankle[0] + 0.17, ankle[1], ankle[2] - 0.02 + 0.1 * swing)
        return [
            Chain("leg", ((*hip, 0.095), (*knee, 0.066), (*ankle, 0.048)), self.trousers),
            Chain("shoe", ((*ankle, 0.05), (*toe, 0.042)), (46, 38, 34), 0.01),
        ]

    def _arm(self, side: int, phase: float, moving: float, bob: float) -> list[Chain]:
        swing = 0.5 * math.sin(phase) * (0.2 + 0.8 * moving)
        shoulder: Point = (0.0, 0.2 * side, 1.40 + bob)
        elbow = _hung(shoulder, 0.29, swing - 0.05)
        hand = _hung(elbow, 0.27, swing + 0.35)
        return [
            Chain("arm", ((*shoulder, 0.062), (*elbow, 0.05), (*hand, 0.042)), self.jacket, 0.03),
            Chain("hand", ((*hand, 0.045),), self.skin, 0.05),
        ]

    def _body(self, bob: float) -> list[Chain]:
        balls: tuple[Ball, ...] = (
            (0.0, -0.06, 0.93, 0.115),
            (0.0, 0.0, 1.12, 0.13),
            (0.01, 0.0, 1.30 + bob, 0.155),
        )
        wide: tuple[Ball, ...] = ((0.0, -0.15, 1.38 + bob, 0.075), (0.0, 0.15, 1.38 + bob, 0.075))
        hips: tuple[Ball, ...] = ((0.0, -0.07, 0.93, 0.105), (0.0, 0.07, 0.93, 0.105))
        parts = [
            Chain("hips", hips, self.trousers, -0.01),
            Chain("body", balls, self.jacket),
            Chain("shoulders", wide, self.jacket),
        ]
        if self.rucksack:
            bag: tuple[Ball, ...] = ((-0.2, 0.0, 1.08, 0.12), (-0.21, 0.0, 1.34 + bob, 0.13))
            parts.append(Chain("rucksack", bag, (58, 70, 56), 0.005))
        return parts

    def _face(self, bob: float, turn: float) -> list[Chain]:
        cos, sin = math.cos(turn), math.sin(turn)
        z = 1.63 + bob
        back: Ball = (-0.025 * cos, -0.025 * sin, z + 0.025, 0.108)
        front: Ball = (0.04 * cos, 0.04 * sin, z - 0.02, 0.088)
        nose: Ball = (0.125 * cos, 0.125 * sin, z - 0.02, 0.02)
        parts = [
            Chain("neck", ((0.0, 0.0, 1.44 + bob, 0.06), (0.0, 0.0, 1.55 + bob, 0.055)), self.skin),
            Chain("hair", (back,), self.hair, -0.005),
            Chain("face", (front, nose), self.skin, 0.01),
        ]
        if self.hat:
            brim: tuple[Ball, ...] = (
                (-0.06 * cos, -0.06 * sin, z + 0.085, 0.03),
                (0.17 * cos, 0.17 * sin, z + 0.07, 0.018),
            )
            top: Ball = (-0.01, 0.0, z + 0.075, 0.1)
            parts += [
                Chain("hat", (top,), self.jacket, 0.02),
                Chain("brim", brim, self.jacket, 0.04),
            ]
        return parts


def _hung(start: Point, length: float, angle: float) -> Point:
    return (
        start[0] + length * math.sin(angle),
        start[1],
        start[2] - length * math.cos(angle),
    )
