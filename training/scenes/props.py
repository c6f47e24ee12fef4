"""What stands about in a landscape and hides animals: trees, bushes, rocks, logs and grass."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from training.scenes.countries import Palette
from training.scenes.shape import Ball, Chain, Colour, Figure, toned

SNOW: Colour = (228, 233, 240)


def draw_lots(rng: np.random.Generator, palette: Palette, country: str, away: float) -> Figure:
    """Make something that belongs to the country; nothing broad right before the camera."""
    chances = {"tree": palette.wooded, "bush": 0.9, "rock": 0.5, "log": 0.25, "tuft": 1.6}
    if country == "wood":
        chances |= {"tuft": 1.0, "rock": 0.3}
    if away < 5:
        chances |= {"bush": 0.0, "log": 0.0, "rock": 0.15}
    names = list(chances)
    weights = np.array([chances[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    if name == "tree":
        return tree(rng, palette, bare=country == "snow")
    if name == "bush":
        return bush(rng, palette, snowy=country == "snow")
    if name == "rock":
        return rock(rng)
    if name == "log":
        return log(rng, palette)
    return tuft(rng, palette)


def tree(rng: np.random.Generator, palette: Palette, *, bare: bool) -> Figure:
    """Make a trunk with some branches, and leaves where the picture may still show them."""
    thick = float(rng.uniform(0.09, 0.28))
    lean = float(rng.normal(0, 0.06))
    colour = toned(palette.bark, float(rng.uniform(0.75, 1.2)))
    trunk: list[Ball] = [(0.0, 0.0, 0.8 * thick, thick * 1.08), (0.0, 0.0, 2.5 * thick, thick)]
    trunk += [(lean * z, 0.0, z, thick * (1 - z * 0.07)) for z in (2.0, 4.5, 8.0)]
    parts = [Chain("trunk", tuple(trunk), colour), *_blades(rng, palette, thick)]
    for _ in range(int(rng.integers(2, 6))):
        z, side = float(rng.uniform(1.2, 5)), float(rng.choice([-1, 1]))
        long, rise = float(rng.uniform(0.6, 2.2)), float(rng.uniform(-0.1, 0.9))
        end = lean * z + side * long
        middle = lean * z + side * long * 0.5
        branch: tuple[Ball, ...] = (
            (lean * z, 0.0, z, thick * 0.35),
            (middle, 0.0, z + rise * long * 0.35, thick * 0.22),
            (end, 0.0, z + rise * long, thick * 0.08),
        )
        parts.append(Chain("branch", branch, toned(colour, 0.9), 0.01))
        if not bare:
            parts += _leaves(rng, palette, (end, z + rise * long), 0.55, 22)
    return Figure(tuple(parts))


def bush(rng: np.random.Generator, palette: Palette, *, snowy: bool) -> Figure:
    """Make a heap of leaves."""
    size = float(rng.uniform(0.35, 0.95))
    parts = _leaves(rng, palette, (0.0, 0.55 * size), size * 0.75, 90)
    if snowy:
        parts = [
            replace(leaf, colour=SNOW) if leaf.balls[0][2] > 0.75 * size else leaf for leaf in parts
        ]
    return Figure(tuple(parts))


def _leaves(
    rng: np.random.Generator,
    palette: Palette,
    middle: tuple[float, float],
    spread: float,
    count: int,
) -> list[Chain]:
    parts = []
    for step in range(count):
        x, z = (float(value) for value in rng.normal(0, 0.5, 2) * spread)
        colour = palette.leaves[int(rng.integers(len(palette.leaves)))]
        tone = float(rng.uniform(0.7, 1.0)) + 0.3 * step / count + 0.2 * z / spread
        radius = spread * float(rng.uniform(0.05, 0.17))
        x, z = middle[0] + 1.3 * x, max(0.0, middle[1] + z)
        turn = float(rng.uniform(0, 2 * math.pi))
        tip = (x + 2 * radius * math.cos(turn), 0.0, z + 2 * radius * math.sin(turn), 0.15 * radius)
        parts.append(
            Chain(
                "leaf",
                ((x, 0.0, z, 0.8 * radius), tip),
                toned(colour, tone),
                0.02 + step * 0.001,
                shaded=False,
            )
        )
    return parts


def rock(rng: np.random.Generator) -> Figure:
    """Make a boulder."""
    size = float(rng.uniform(0.2, 0.7))
    grey = float(rng.uniform(0.7, 1.15))
    balls: tuple[Ball, ...] = (
        (-0.5 * size, 0.0, 0.10 * size, 0.4 * size),
        (-0.05 * size, 0.0, 0.28 * size, 0.5 * size),
        (0.55 * size, 0.0, 0.12 * size, 0.36 * size),
    )
    return Figure((Chain("rock", balls, toned((138, 134, 128), grey)),))


def log(rng: np.random.Generator, palette: Palette) -> Figure:
    """Make a fallen trunk."""
    long, thick = float(rng.uniform(0.8, 2.2)), float(rng.uniform(0.1, 0.22))
    turn = float(rng.uniform(-0.5, 0.5))
    x, y = long * math.cos(turn), long * math.sin(turn)
    balls: tuple[Ball, ...] = ((-x, -y, thick * 0.8, thick), (x, y, thick * 0.7, thick * 0.8))
    colour = toned(palette.bark, float(rng.uniform(0.8, 1.25)))
    end: tuple[Ball, ...] = ((x, y, thick * 0.7, thick * 0.6),)
    return Figure((Chain("log", balls, colour), Chain("cut", end, (176, 148, 108), 0.05 + abs(y))))


def tuft(rng: np.random.Generator, palette: Palette) -> Figure:
    """Make a clump of high grass."""
    tall = palette.tall * float(rng.uniform(1.4, 2.8)) + 0.1
    return Figure(tuple(_grass(rng, palette, tall, 0.13, 16)))


def _blades(rng: np.random.Generator, palette: Palette, thick: float) -> list[Chain]:
    """Let grass stand before the foot of something thick."""
    return _grass(rng, palette, 0.2 + 0.5 * thick, 0.8 * thick, 30)


def _grass(
    rng: np.random.Generator, palette: Palette, tall: float, spread: float, count: int
) -> list[Chain]:
    parts = []
    for _ in range(count):
        x, lean = float(rng.normal(0, spread)), float(rng.normal(0, 0.35)) * tall
        high = tall * float(rng.uniform(0.5, 1.0))
        colour = palette.blades[int(rng.integers(len(palette.blades)))]
        balls: tuple[Ball, ...] = (
            (x, 0.0, -0.35 * spread, 0.011),
            (x + 0.35 * lean, 0.0, 0.6 * high, 0.008),
            (x + lean, 0.0, high, 0.003),
        )
        tone = float(rng.uniform(0.8, 1.15))
        parts.append(Chain("blade", balls, toned(colour, tone), 0.5, shaded=False))
    return parts
