"""A scene: who walks where before which landscape, in what light; frames at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from training.scenes import actors
from training.scenes.actors import Actor
from training.scenes.bodies import Easel, Truth, truth
from training.scenes.camera import STARTED, Banner, Sensor, as_bytes
from training.scenes.countries import COUNTRIES
from training.scenes.landscape import make_land
from training.scenes.lens import Lens
from training.scenes.light import LIGHTS, Bytes, Light
from training.scenes.quadruped import SPECIES
from training.scenes.shape import Figure, View

CATEGORIES = ("animal", "person", "vehicle")
NAMES = ("CREEK", "RIDGE", "MEADOW", "GATE", "OAK 2", "SALT LICK")


@dataclass(frozen=True)
class Frame:
    """A picture (height x width x 3, RGB) and who is in it, the farthest first."""

    pixels: Bytes
    animals: tuple[Truth, ...]


class Scene:
    """A place with its visitors. `frame(t)` depends on the seed, the arguments and `t` alone."""

    def __init__(  # noqa: PLR0913 - what is not said, the seed decides
        self,
        seed: int,
        size: tuple[int, int] = (640, 360),
        *,
        kinds: Sequence[str] | None = None,
        count: int | None = None,
        light: str | None = None,
        country: str | None = None,
        height: tuple[float, float] | None = None,
        clutter: float = 1.0,
        started: datetime = STARTED,
        camera: str | None = None,
    ) -> None:
        """Make a scene of `count` visitors (none: 0), each of one of the kinds.

        A kind is a species, "person" or "vehicle"; `height` says between which shares of the
        picture's height the visitors' heights lie; people are higher than animals, if not said.
        """
        rng = np.random.default_rng([seed, 0])
        self.size = size
        self.seed = seed
        name = light or LIGHTS[int(rng.choice(3, p=(0.5, 0.2, 0.3)))]
        self.light = Light.draw_lots(name, rng)
        where = country or tuple(COUNTRIES)[int(rng.integers(len(COUNTRIES)))]
        self.country = where
        width, tall = size
        self._lens = Lens(
            size,
            focal=0.9 * width,
            horizon=tall * float(rng.uniform(0.24, 0.44)),
            height=float(rng.uniform(0.7, 1.3)),
        )
        land = make_land(np.random.default_rng([seed, 1]), self._lens, where, self.light, clutter)
        self._land = land
        self._falloff = self.light.falloff(size)
        self._still = as_bytes(self.light.graded(land.pixels) * self._falloff)
        self._sensor = Sensor(np.random.default_rng([seed, 2]), size, self.light)
        place = camera or NAMES[int(rng.integers(len(NAMES)))]
        coldest, warmest = (-9, 2) if where == "snow" else (3, 24)
        celsius = int(rng.integers(coldest, warmest))
        self._banner = Banner(size, place.upper(), started, celsius)
        self.actors = self._cast(np.random.default_rng([seed, 3]), kinds, count, height)

    def _cast(
        self,
        rng: np.random.Generator,
        kinds: Sequence[str] | None,
        count: int | None,
        height: tuple[float, float] | None,
    ) -> list[Actor]:
        chosen = kinds or (*SPECIES, *SPECIES, "person", "person", "person", "vehicle", "vehicle")
        if count is None:
            count = int(rng.choice(5, p=(0.12, 0.46, 0.24, 0.12, 0.06)))
        herd = count > 1 and rng.random() < 0.4
        first = chosen[int(rng.integers(len(chosen)))]
        return [
            actors.draw_lots(
                rng,
                self._lens,
                first if herd else chosen[int(rng.integers(len(chosen)))],
                height,
                number,
            )
            for number in range(1, count + 1)
        ]

    def frame(self, t_seconds: float) -> Frame:
        """Return the picture at a time, and the truth about it."""
        picture = self._still.copy()
        shown: list[tuple[Actor, int, View, Figure]] = []
        for actor in self.actors:
            passage, way, moving = actor.way(t_seconds)
            right = actor.right + way * math.cos(actor.heading)
            away = actor.away + way * math.sin(actor.heading)
            if away < self._lens.focal * 0.25 / self.size[1] or abs(way) > 60:
                continue
            view = self._lens.view(right, away, actor.heading)
            figure = actor.body.pose(way + 100, t_seconds, moving, actor.grazing(t_seconds))
            shown.append((actor, passage, view, figure))
        shown.sort(key=lambda entry: entry[2].scale)
        easel = Easel(picture, self.light, self._falloff, self.size[1] - self._banner.height)
        bodies = [
            body
            for actor, passage, view, figure in shown
            if (
                body := easel.put(
                    actor, passage, view, figure, self._land.hiding(self._lens.focal / view.scale)
                )
            )
        ]
        rng = np.random.default_rng([self.seed, 4, round(t_seconds * 1e6) & 0xFFFFFFFF])
        pixels = self._sensor.expose(picture, rng)
        self._banner.put(pixels, t_seconds)
        truths = (truth(body, bodies[at + 1 :]) for at, body in enumerate(bodies))
        return Frame(pixels, tuple(found for found in truths if found.visible > 0))
