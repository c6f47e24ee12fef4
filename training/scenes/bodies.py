"""Bodies in a picture: painted into it, and what is known about them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.scenes.actors import Actor
from training.scenes.light import Bytes, Light
from training.scenes.noise import Floats
from training.scenes.quadruped import KEYPOINTS
from training.scenes.shape import Box, Figure, Painting, Seen, View, extent, paint, seen, within


@dataclass(frozen=True)
class Truth:
    """One body in a frame. `bbox` is left, top, width, height in pixels, within the picture.

    `visible` is the share of the body that the picture shows. A keypoint is (x, y, visible); one
    that something hides has a place all the same, one outside the picture may lie outside.
    `keypoints` is empty but for animals.
    """

    category: str
    species: str
    bbox: tuple[float, float, float, float]
    visible: float
    keypoints: dict[str, tuple[float, float, bool]]
    track: int


@dataclass(frozen=True)
class Body:
    """A body that has been painted: its parts, and which share of each pixel shows it."""

    actor: Actor
    passage: int
    view: View
    figure: Figure
    parts: list[Seen]
    box: Box
    cover: Bytes  # as though nothing stood before it
    shown: Bytes
    share: float  # of its area that lies within the picture


@dataclass(frozen=True)
class Easel:
    """A picture under way: its light, and how much darker it is where."""

    picture: Bytes
    light: Light
    falloff: Floats
    bottom: int  # the first row that the banner covers

    def put(
        self, actor: Actor, passage: int, view: View, figure: Figure, hiding: Bytes | None
    ) -> Body | None:
        """Paint a body; None if nothing of it lies within the picture."""
        parts = seen(figure, view)
        whole = extent(parts)
        box = within(whole, self.picture.shape[1], self.bottom)
        if box[2] - box[0] < 3 or box[3] - box[1] < 3:
            return None
        left, top, right, bottom = box
        painting = paint(parts, box, 2 if box[3] - box[1] > 90 else 3)
        shown = painting.cover
        if hiding is not None:
            before = hiding[top:bottom, left:right].astype(np.uint16)
            shown = (shown * (255 - before) // 255).astype(np.uint8)
        self._shadow(view, whole)
        colour = self._colour(painting, actor, view)
        place = self.picture[top:bottom, left:right]
        alpha = (shown[..., None] / np.float32(255)).astype(np.float32)
        mixed = (place + (colour - place) * alpha).astype(np.float32)
        if self.light.grey:
            _shine(mixed, parts, figure, view, replace(painting, cover=shown))
        np.clip(mixed, 0, 255, out=mixed)
        place[:] = mixed.astype(np.uint8)
        area = (whole[2] - whole[0]) * (whole[3] - whole[1])
        share = (right - left) * (bottom - top) / max(area, 1.0)
        return Body(
            actor, passage, view, figure, parts, box, painting.cover, shown, min(1.0, share)
        )

    def _colour(self, painting: Painting, actor: Actor, view: View) -> Floats:
        colour = painting.colour.astype(np.float32)
        pattern = _worn(actor, view, painting)
        if actor.patterned:
            main, second = (np.asarray(value, np.float32) for value in actor.colours)
            like = np.clip(1.4 - np.abs(colour - main).sum(-1) / 70, 0, 1)
            low, steep = (0.1, 5.0) if actor.patterned == "patches" else (0.45, 4.0)
            mix = (like * np.clip((pattern - low) * steep, 0, 1))[..., None]
            colour += (second - colour) * mix
        colour *= (painting.light * (1 + actor.fur * pattern) / 128)[..., None]
        if self.light.grey:
            colour *= 1.2  # fur and cloth throw infra-red light back
        top, left = painting.top, painting.left
        height, width = painting.cover.shape
        metres = self.picture.shape[1] * 0.9 / view.scale
        seen_far = self.light.graded(self.light.through_air(colour, metres))
        return (seen_far * self.falloff[top : top + height, left : left + width]).astype(np.float32)

    def _shadow(self, view: View, whole: tuple[float, float, float, float]) -> None:
        if not self.light.shadow:
            return
        half = 0.48 * (whole[2] - whole[0])
        low = max(2.0, half * max(0.12, view.tilt) * 0.9)
        middle = (whole[0] + whole[2]) / 2
        area = (middle - 1.5 * half, view.y - 1.8 * low, middle + 1.5 * half, view.y + 1.8 * low)
        left, top, right, bottom = within(area, self.picture.shape[1], self.bottom)
        if right <= left or bottom <= top:
            return
        x = (np.arange(left, right, dtype=np.float32) - middle) / half
        y = (np.arange(top, bottom, dtype=np.float32) - view.y) / low
        dark = self.light.shadow * np.exp(-1.6 * (x[None, :] ** 2 + y[:, None] ** 2))
        place = self.picture[top:bottom, left:right]
        place[:] = (place * (1 - dark)[..., None]).astype(np.uint8)


def truth(body: Body, later: list[Body]) -> Truth:
    """Return what is known about a body, given those that were painted after it."""
    shown = body.shown.astype(np.float32)
    left, top, right, bottom = body.box
    for other in later:
        x0, y0 = max(left, other.box[0]), max(top, other.box[1])
        x1, y1 = min(right, other.box[2]), min(bottom, other.box[3])
        if x1 > x0 and y1 > y0:
            over = other.shown[
                y0 - other.box[1] : y1 - other.box[1], x0 - other.box[0] : x1 - other.box[0]
            ]
            shown[y0 - top : y1 - top, x0 - left : x1 - left] *= 1 - over / np.float32(255)
    cover = float(body.cover.sum())
    actor = body.actor
    return Truth(
        category=actor.category,
        species=actor.species,
        bbox=_tight(body),
        visible=round(body.share * float(shown.sum()) / max(cover, 1.0), 4),
        keypoints=_keypoints(body, shown) if actor.category == "animal" else {},
        track=actor.number + 1000 * (body.passage + 500) if body.passage else actor.number,
    )


def _tight(body: Body) -> tuple[float, float, float, float]:
    solid = body.cover > 127
    columns, rows = np.flatnonzero(solid.any(0)), np.flatnonzero(solid.any(1))
    if not columns.size:
        columns, rows = np.arange(solid.shape[1]), np.arange(solid.shape[0])
    left, top = body.box[0] + int(columns[0]), body.box[1] + int(rows[0])
    return (
        float(left),
        float(top),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )


def _keypoints(body: Body, shown: Floats) -> dict[str, tuple[float, float, bool]]:
    order = {part.part.name: at for at, part in enumerate(body.parts)}
    left, top, right, bottom = body.box
    found = {}
    for name in KEYPOINTS:
        mark = body.figure.marks[name]
        x, y, _ = body.view.see(mark.place)
        visible = left <= x < right and top <= y < bottom
        if visible:
            # A keypoint at the rim of the body may lie on a pixel that shows none of it.
            column, row = int(x) - left, int(y) - top
            around = np.s_[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            some, whole = float(shown[around].max()), float(body.cover[around].max())
            before = body.parts[order[mark.part] + 1 :]
            visible = some >= 0.5 * max(whole, 1.0) and not any(
                part.covers(x, y) for part in before if not _own(mark.part, part.part.name)
            )
        found[name] = (x, y, visible)
    return found


def _own(part: str, other: str) -> bool:
    """Say whether one part is merely the other's surface, and hides nothing of it."""
    same = {"torso": {"belly", "neck", "tail"}, "neck": {"head"}, "nose": set(), "tail_tip": set()}
    limb = part.rpartition("_")[0]
    return other in same.get(part, set()) or (bool(limb) and other.startswith(limb))


def _worn(actor: Actor, view: View, painting: Painting) -> Floats:
    """Return the pattern as it lies on the body, for each pixel of the painting."""
    height, width = painting.cover.shape
    size = actor.pattern.shape[0] / (1.4 * actor.tall)  # cells a metre
    across = math.cos(view.heading)
    across = math.copysign(max(0.35, abs(across)), across)
    u = (np.arange(width) + painting.left - view.x) * (size / view.scale / across)
    v = (view.y - painting.top - np.arange(height)) * (size / view.scale)
    return actor.pattern[
        _mirrored(v, actor.pattern.shape[0])[:, None], _mirrored(u, actor.pattern.shape[1])[None, :]
    ]


def _mirrored(places: Floats, size: int) -> NDArray[np.int32]:
    """Return places within a pattern that goes back and forth without end."""
    return np.minimum(np.abs(places.astype(np.int32) % (2 * size) - size), size - 1)


def _shine(
    mixed: Floats, parts: list[Seen], figure: Figure, view: View, painting: Painting
) -> None:
    """Let eyes that look at the camera throw its light back."""
    order = {part.part.name: at for at, part in enumerate(parts)}
    for name in figure.glints:
        mark = figure.marks[name]
        x, y, _ = view.see(mark.place)
        column, row = int(x) - painting.left, int(y) - painting.top
        if (
            not (0 <= row < painting.cover.shape[0] and 0 <= column < painting.cover.shape[1])
            or not painting.cover[row, column]
        ):
            continue
        if any(part.covers(x, y) for part in parts[order[mark.part] + 1 :]):
            continue
        radius = max(1.1, 0.022 * view.scale)
        reach = math.ceil(radius * 3)
        rows = np.arange(max(0, row - reach), min(painting.cover.shape[0], row + reach + 1))
        columns = np.arange(
            max(0, column - reach), min(painting.cover.shape[1], column + reach + 1)
        )
        far = (
            (rows[:, None] + painting.top - y) ** 2 + (columns[None, :] + painting.left - x) ** 2
        ) / radius**2
        mixed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
            235 * np.exp(-0.9 * far.astype(np.float32))
        )[..., None]
