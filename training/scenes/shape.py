"""Figures: balls strung together and flat plates in space, and how a camera sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float, float]
Ball = tuple[float, float, float, float]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Chain:
    """Balls with skin drawn over them: x forwards, y to the left, z up, radius, in metres."""

    name: str
    balls: tuple[Ball, ...]
    colour: Colour
    nearer: float = 0.0  # what lies on another part's surface is drawn after it
    shaded: bool = True

    def grown(self, size: float) -> Chain:
        """Return the same chain so many times as large."""
        balls = tuple((x * size, y * size, z * size, r * size) for x, y, z, r in self.balls)
        return replace(self, balls=balls, nearer=self.nearer * size)


@dataclass(frozen=True)
class Plate:
    """A flat piece, by its corners in metres."""

    name: str
    corners: tuple[Point, ...]
    colour: Colour
    nearer: float = 0.0

    def grown(self, size: float) -> Plate:
        """Return the same plate so many times as large."""
        corners = tuple(_times(corner, size) for corner in self.corners)
        return replace(self, corners=corners, nearer=self.nearer * size)


@dataclass(frozen=True)
class Mark:
    """A place on a part that is to be found again in the picture."""

    part: str
    place: Point


@dataclass(frozen=True)
class Figure:
    """One body at one moment. The pattern, if any, mixes `second` into the colours."""

    parts: tuple[Chain | Plate, ...]
    marks: dict[str, Mark] = field(default_factory=dict)
    glints: tuple[str, ...] = ()  # marks that throw infra-red light back

    def grown(self, size: float) -> Figure:
        """Return the same figure so many times as large."""
        marks = {
            name: Mark(mark.part, _times(mark.place, size)) for name, mark in self.marks.items()
        }
        return Figure(tuple(part.grown(size) for part in self.parts), marks, self.glints)


@dataclass(frozen=True)
class View:
    """Where a figure stands in the picture: foot point, pixels a metre, heading, tilt."""

    x: float
    y: float
    scale: float
    heading: float  # 0: to the right, a quarter turn: away from the camera
    tilt: float  # how much higher, in metres, what lies one metre farther away is seen

    def see(self, place: Point) -> Point:
        """Return the place in the picture, and its distance behind the foot point in metres."""
        x, y, z = place
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        away = x * sin + y * cos
        right = x * cos - y * sin
        return (
            self.x + self.scale * right,
            self.y - self.scale * (z + self.tilt * away),
            away,
        )


Disc = tuple[float, float, float]
Box = tuple[int, int, int, int]  # left, top, right, bottom


def _times(place: Point, size: float) -> Point:
    return place[0] * size, place[1] * size, place[2] * size


def toned(colour: Colour, tone: float) -> Colour:
    """Return a colour so much lighter or darker."""
    red, green, blue = (int(max(0, min(255, value * tone))) for value in colour)
    return (red, green, blue)


@dataclass(frozen=True)
class Seen:
    """A part in the picture: discs in a row, or the corners of a polygon."""

    part: Chain | Plate
    discs: tuple[Disc, ...]
    away: float

    def covers(self, x: float, y: float) -> bool:
        """Say whether a point of the picture lies well within this part."""
        if isinstance(self.part, Plate):
            return False
        if len(self.discs) == 1:
            return math.dist((x, y), self.discs[0][:2]) < 0.8 * self.discs[0][2]
        return any(_within(x, y, first, second) for first, second in pairwise(self.discs))


def _within(x: float, y: float, first: Disc, second: Disc) -> bool:
    along_x, along_y = second[0] - first[0], second[1] - first[1]
    length = along_x**2 + along_y**2
    share = 0.0
    if length > 0:
        share = ((x - first[0]) * along_x + (y - first[1]) * along_y) / length
        share = min(1.0, max(0.0, share))
    radius = first[2] + share * (second[2] - first[2])
    return math.dist((x, y), (first[0] + share * along_x, first[1] + share * along_y)) < (
        0.8 * radius
    )


def seen(figure: Figure, view: View) -> list[Seen]:
    """Return the parts in the order in which they are to be painted: the farthest first."""
    parts = []
    for part in figure.parts:
        if isinstance(part, Chain):
            points = [(*view.see(ball[:3]), ball[3] * view.scale) for ball in part.balls]
        else:
            points = [(*view.see(corner), 0.0) for corner in part.corners]
        away = sum(point[2] for point in points) / len(points) - part.nearer
        discs = tuple((x, y, radius) for x, y, _, radius in points)
        parts.append(Seen(part, discs, away))
    return sorted(parts, key=lambda part: -part.away)


def extent(parts: list[Seen]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of all that is painted."""
    discs = [disc for part in parts for disc in part.discs]
    return (
        min(x - radius for x, _, radius in discs),
        min(y - radius for _, y, radius in discs),
        max(x + radius for x, _, radius in discs),
        max(y + radius for _, y, radius in discs),
    )


def within(area: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Return the whole pixels of an area, as far as a picture of this size goes."""
    return (
        max(0, math.floor(area[0]) - 1),
        max(0, math.floor(area[1]) - 1),
        min(width, math.ceil(area[2]) + 1),
        min(height, math.ceil(area[3]) + 1),
    )


@dataclass(frozen=True)
class Painting:
    """A figure's pixels on their own: colour, light (128: as it is) and cover, and their place."""

    left: int
    top: int
    colour: Bytes
    light: Bytes
    cover: Bytes


def paint(parts: list[Seen], box: Box, fine: int) -> Painting:
    """Paint what lies in the box (left, top, right, bottom), `fine` times finer, then reduced."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    colour = Image.new("RGB", (width * fine, height * fine), _ground(parts))
    cover = Image.new("L", colour.size)
    light = Image.new("L", (width, height), 128)
    brushes = ImageDraw.Draw(colour), ImageDraw.Draw(cover)
    shade = ImageDraw.Draw(light)
    farthest = max(0.05, *(part.away for part in parts), 0.0)
    for part in parts:
        discs = [(x - left, y - top, radius) for x, y, radius in part.discs]
        close = [(x * fine, y * fine, radius * fine) for x, y, radius in discs]
        if isinstance(part.part, Plate):
            brushes[0].polygon([disc[:2] for disc in close], fill=part.part.colour)
            brushes[1].polygon([disc[:2] for disc in close], fill=255)
        else:
            string(brushes[0], close, part.part.colour)
            string(brushes[1], close, 255)
            if part.part.shaded:
                _shade(shade, discs, _depth(part.away, farthest))
    soft = light.filter(ImageFilter.BoxBlur(_softness(parts)))
    return Painting(
        left,
        top,
        np.asarray(colour.reduce(fine)),
        np.asarray(soft),
        np.asarray(cover.reduce(fine)),
    )


def _ground(parts: list[Seen]) -> Colour:
    """Return the colour of the largest part, so that no seam shows where the cover is partial."""
    return max(parts, key=lambda part: max(disc[2] for disc in part.discs)).part.colour


def _softness(parts: list[Seen]) -> float:
    return 0.22 * max(disc[2] for part in parts for disc in part.discs)


# Light falls from above: each ball is darkest below, and brightest a little above its middle.
LIGHTS = ((1.0, 0.0, 92), (0.86, 0.10, 118), (0.66, 0.24, 140), (0.42, 0.38, 156))


def _shade(brush: ImageDraw.ImageDraw, discs: list[Disc], depth: float) -> None:
    for size, raised, light in LIGHTS:
        fill = round(light * depth)
        string(brush, [(x, y - raised * r, size * r) for x, y, r in discs], fill)


def _depth(away: float, farthest: float) -> float:
    """Return how dark a part is that lies behind the middle of a body."""
    return 1.0 - 0.24 * min(1.0, max(0.0, away / farthest))


def string(brush: ImageDraw.ImageDraw, discs: list[Disc], fill: Colour | int) -> None:
    """Draw discs in a row with skin between them."""
    for x, y, radius in discs:
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    for (x, y, radius), (u, v, other) in pairwise(discs):
        length = math.hypot(u - x, v - y)
        if length > abs(radius - other):
            # Where the common tangents touch, not merely the two diameters.
            turn = math.acos((radius - other) / length)
            along = math.atan2(v - y, u - x)
            corners = []
            for angle in (along + turn, along - turn):
                cos, sin = math.cos(angle), math.sin(angle)
                corners.append(
                    ((x + radius * cos, y + radius * sin), (u + other * cos, v + other * sin))
                )
            (a, b), (c, d) = corners
            brush.polygon([a, b, d, c], fill=fill)
