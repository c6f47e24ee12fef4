"""Who is in a scene, and where they are when."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.scenes.lens import Lens
from training.scenes.noise import Floats, clouds
from training.scenes.person import Person
from training.scenes.quadruped import Animal
from training.scenes.shape import Colour
from training.scenes.vehicle import Vehicle

# How high somebody is in the picture, as a share of its height: from far away to close by.
HEIGHTS = {"animal": (0.07, 1.0), "person": (0.14, 1.0), "vehicle": (0.08, 0.9)}


@dataclass(frozen=True)
class Actor:
    """Somebody who crosses the picture, again and again: from where, whither, how fast."""

    body: Animal | Person | Vehicle
    category: str
    species: str
    right: float  # metres, where it is at `moment`
    away: float
    heading: float
    moment: float
    period: float
    pause: float  # for how long it stands at `moment`
    grazes: bool
    pattern: Floats  # -1..1, over two heights of the body in width
    tall: float
    number: int

    @property
    def patterned(self) -> str:
        """Which pattern the coat has, if any."""
        return self.body.coat.pattern if isinstance(self.body, Animal) else ""

    @property
    def colours(self) -> tuple[Colour, Colour]:
        """The coat's main colour, and the pattern's."""
        if isinstance(self.body, Animal):
            return self.body.coat.main, self.body.coat.second
        return (0, 0, 0), (0, 0, 0)

    @property
    def fur(self) -> float:
        """How rough the surface looks."""
        return self.body.build.fur if isinstance(self.body, Animal) else 0.03

    def way(self, seconds: float) -> tuple[int, float, float]:
        """Return which passage it is, metres since the moment, and how much it moves (0..1)."""
        passage = math.floor((seconds - self.moment) / self.period + 0.5)
        since = seconds - self.moment - passage * self.period
        rest = self.pause / 2
        if abs(since) <= rest:
            return passage, 0.0, 0.0
        gone = abs(since) - rest
        # It starts and stops within half a second.
        eased = gone - 0.25 if gone > 0.5 else gone**2
        moving = min(1.0, gone / 0.5)
        if rest == 0:
            eased, moving = gone, 1.0
        return passage, math.copysign(eased, since) * self.body.speed, moving

    def grazing(self, seconds: float) -> float:
        """Return how low the head is, 0..1."""
        if not self.grazes:
            return 0.0
        since = seconds - self.moment
        since -= math.floor(since / self.period + 0.5) * self.period
        sunk = min(1.0, max(0.0, (self.pause / 2 + 0.3 - abs(since)) / 0.9))
        wave = 0.5 + 0.5 * math.cos(0.55 * since)
        return sunk * min(1.0, 1.7 * wave)


def draw_lots(
    rng: np.random.Generator,
    lens: Lens,
    kind: str,
    height: tuple[float, float] | None,
    number: int,
) -> Actor:
    """Choose somebody of a kind, and its way through the picture."""
    body, category, tall = _body(kind, rng)
    low, high = (math.log(share * lens.size[1]) for share in height or HEIGHTS[category])
    scale = math.exp(rng.uniform(low, high)) / tall
    # Nobody's feet are far below the picture, and nobody walks through the camera.
    feet = lens.size[1] * 1.06 - lens.horizon
    scale = min(scale, feet / lens.height, lens.focal / 1.4)
    away = lens.focal / scale
    half = lens.size[0] / 2 / scale
    turned = float(rng.normal(0, 0.38)) if rng.random() < 0.75 else float(rng.uniform(-1.6, 1.6))
    heading = turned + (math.pi if rng.random() < 0.5 else 0.0)
    stands = category != "vehicle" and rng.random() < 0.45
    grazes = stands and category == "animal" and rng.random() < 0.65
    coat = body.coat.pattern if isinstance(body, Animal) else ""
    cells = {"patches": 5.0, "spots": 22.0}.get(coat, 16.0)
    return Actor(
        body=body,
        category=category,
        species=kind if category == "animal" else category,
        right=float(rng.uniform(-0.8, 0.8)) * half,
        away=away,
        heading=heading,
        moment=float(rng.uniform(0.3, 4.7)),
        period=float(rng.uniform(24, 60)),
        pause=float(rng.uniform(2.5, 12)) if stands else 0.0,
        grazes=bool(grazes),
        pattern=clouds(rng, (480, 300), cells, 3),
        tall=tall,
        number=number,
    )


def _body(kind: str, rng: np.random.Generator) -> tuple[Animal | Person | Vehicle, str, float]:
    if kind == "person":
        person = Person.draw_lots(rng)
        return person, "person", person.size
    if kind == "vehicle":
        return Vehicle.draw_lots(rng), "vehicle", 1.7
    animal = Animal.draw_lots(kind, rng)
    return animal, "animal", animal.size
