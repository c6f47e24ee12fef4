"""Boxes, labels and poses, painted onto pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from grange.pipelines.wildlife.media.labels import label
from grange.pipelines.wildlife.results import ANIMAL, CATEGORIES, PERSON, VEHICLE, Detection

if TYPE_CHECKING:
    from grange.pipelines.wildlife.pictures import Pixels
    from grange.pipelines.wildlife.results import Point

Colour = tuple[int, int, int]

# Okabe and Ito's, which people with any colour vision tell apart, by night and by day.
_COLOURS: Final[Mapping[str, Colour]] = {
    ANIMAL: (230, 159, 0),
    PERSON: (86, 180, 233),
    VEHICLE: (204, 121, 167),
}
_OTHER: Final[Colour] = (0, 158, 115)
_DARK: Final[Colour] = (0, 0, 0)
_BONE: Final[Colour] = (255, 255, 255)
# Along the body, from dark violet to yellow: the keypoints in the model's order.
_JOINTS: Final[Sequence[Colour]] = (
    (126, 3, 168),
    (170, 35, 149),
    (204, 71, 120),
    (229, 107, 93),
    (248, 149, 64),
    (253, 195, 40),
    (240, 249, 33),
)
# One pixel of a line for so many of the picture's shorter side.
_SIDE_PER_PIXEL: Final = 300
_MAX_THICKNESS: Final = 4
# Letters of so many pixels' height; smaller pictures than the last have no room for them.
_SIDE_PER_LETTER: Final = 28
_MIN_LETTERS: Final = 10
_MAX_LETTERS: Final = 32
_SMALLEST_LABELLED: Final = 96


@dataclass(frozen=True, slots=True)
class Legend:
    """What the numbers of detections mean, and how sure they have to be to be painted."""

    categories: Mapping[str, str] = field(default_factory=lambda: dict(CATEGORIES))
    species: Mapping[str, str] = field(default_factory=dict)
    keypoints: Sequence[str] = ()
    skeleton: Sequence[tuple[str, str]] = ()
    # Points of a pose that the model is less sure of are not painted.
    pcutoff: float = 0.6

    def bones(self) -> list[tuple[int, int]]:
        """The places of the skeleton's ends among the keypoints."""
        places = {name: place for place, name in enumerate(self.keypoints)}
        return [(places[a], places[b]) for a, b in self.skeleton if a in places and b in places]


def draw(pixels: Pixels, detections: Sequence[Detection], legend: Legend) -> None:
    """Paint all of these detections onto a picture of any size, in place.

    Which of them are sure enough is the caller's business.
    """
    thickness = _thickness(pixels)
    bones = legend.bones() if any(each.pose for each in detections) else []
    for each in detections:
        if each.pose:
            _draw_pose(pixels, each.pose, bones, legend.pcutoff, thickness)
    # The surest on top.
    for each in sorted(detections, key=lambda each: each.conf):
        _draw_box(pixels, each, legend, thickness)


def _thickness(pixels: Pixels) -> int:
    side = int(min(pixels.shape[:2]))
    return max(1, min(_MAX_THICKNESS, round(side / _SIDE_PER_PIXEL)))


def _draw_box(pixels: Pixels, detection: Detection, legend: Legend, thickness: int) -> None:
    height, width = pixels.shape[:2]
    x, y, w, h = detection.box
    left, top = _within(x * width, width), _within(y * height, height)
    right, bottom = _within((x + w) * width, width), _within((y + h) * height, height)
    colour = _COLOURS.get(detection.category, _OTHER)
    _frame(pixels, (left, top, right, bottom), colour, thickness)
    if min(height, width) >= _SMALLEST_LABELLED:
        letters = max(_MIN_LETTERS, min(_MAX_LETTERS, min(height, width) // _SIDE_PER_LETTER))
        _paste(pixels, label(_said(detection, legend), colour, letters), left, top)


def _frame(pixels: Pixels, box: tuple[int, int, int, int], colour: Colour, thickness: int) -> None:
    left, top, right, bottom = box
    # A dark line around the coloured one, for a bright ground.
    for grown, paint, lines in ((1, _DARK, 1), (0, colour, thickness)):
        x0, y0 = max(0, left - grown), max(0, top - grown)
        x1, y1 = right + grown, bottom + grown
        pixels[y0 : y0 + lines, x0 : x1 + 1] = paint
        pixels[max(y0, y1 - lines + 1) : y1 + 1, x0 : x1 + 1] = paint
        pixels[y0 : y1 + 1, x0 : x0 + lines] = paint
        pixels[y0 : y1 + 1, max(x0, x1 - lines + 1) : x1 + 1] = paint


def _said(detection: Detection, legend: Legend) -> str:
    """The best name that there is, and how sure its model was of it."""
    if detection.guesses:
        species, conf = detection.guesses[0]
        return f"{legend.species.get(species, species)} {conf:.2f}"
    category = detection.category
    return f"{legend.categories.get(category, category)} {detection.conf:.2f}"


def _paste(pixels: Pixels, text: Pixels, left: int, top: int) -> None:
    """Above the corner where there is room, else below it; never over the right edge."""
    width = pixels.shape[1]
    y = top - len(text) if top >= len(text) else top
    x = max(0, min(left, width - text.shape[1]))
    room = pixels[y : y + len(text), x : x + text.shape[1]]
    room[:] = text[: room.shape[0], : room.shape[1]]


def _draw_pose(
    pixels: Pixels,
    pose: Sequence[Point],
    bones: Sequence[tuple[int, int]],
    pcutoff: float,
    thickness: int,
) -> None:
    height, width = pixels.shape[:2]
    sure = {
        place: (_within(x * width, width), _within(y * height, height))
        for place, (x, y, conf) in enumerate(pose)
        if conf >= pcutoff
    }
    if not sure:
        return
    # Pillow paints on memory of its own: only as much of the picture goes there as it takes.
    radius = thickness + 1
    margin = radius + 2
    left = max(0, min(x for x, _ in sure.values()) - margin)
    top = max(0, min(y for _, y in sure.values()) - margin)
    right = max(x for x, _ in sure.values()) + margin
    bottom = max(y for _, y in sure.values()) + margin
    patch = pixels[top : bottom + 1, left : right + 1]
    picture = Image.fromarray(np.ascontiguousarray(patch))
    points = {place: (x - left, y - top) for place, (x, y) in sure.items()}
    brush = ImageDraw.Draw(picture)
    _draw_bones(brush, points, bones, radius)
    _draw_joints(brush, points, len(pose), radius)
    patch[:] = np.asarray(picture)


def _draw_bones(
    brush: ImageDraw.ImageDraw,
    points: Mapping[int, tuple[int, int]],
    bones: Sequence[tuple[int, int]],
    radius: int,
) -> None:
    shown = [(points[a], points[b]) for a, b in bones if a in points and b in points]
    for width, paint in ((radius + 1, _DARK), (radius - 1, _BONE)):
        for ends in shown:
            brush.line(ends, fill=paint, width=width)


def _draw_joints(
    brush: ImageDraw.ImageDraw, points: Mapping[int, tuple[int, int]], joints: int, radius: int
) -> None:
    for place, (x, y) in points.items():
        around = (x - radius, y - radius, x + radius, y + radius)
        paint = _JOINTS[place * len(_JOINTS) // joints]
        brush.ellipse(around, fill=paint, outline=_DARK)


def _within(place: float, size: int) -> int:
    return max(0, min(size - 1, round(place)))
