"""Meadows, woods, moors, snow and dry land, and what stands about in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.scenes import props
from training.scenes.countries import COUNTRIES, Palette
from training.scenes.lens import Lens
from training.scenes.light import Bytes, Light
from training.scenes.noise import Floats, clouds, ridge
from training.scenes.shape import Colour, Figure, Painting, View, extent, paint, seen, toned, within


@dataclass(frozen=True)
class Land:
    """An empty landscape, ready for animals to walk through."""

    pixels: Floats  # in air, not yet graded
    nearer: tuple[float, ...]  # distances of what may hide somebody, the nearest first
    masks: tuple[Bytes, ...]  # what hides who is farther away than that; each holds those before

    def hiding(self, away: float) -> Bytes | None:
        """Return the mask of all that stands before something so far away."""
        count = sum(distance < away for distance in self.nearer)
        return self.masks[count - 1] if count else None


def make_land(
    rng: np.random.Generator, lens: Lens, country: str, light: Light, clutter: float
) -> Land:
    """Make a landscape; `clutter` of 1 puts the usual number of things in the way."""
    palette = COUNTRIES[country]
    pixels = _far(rng, lens, palette, light, snowy=country == "snow")
    _ground(pixels, rng, lens, palette, light)
    _blades(pixels, rng, lens, palette, light)
    near: list[tuple[float, Painting]] = []
    for away, figure, right in _things(rng, lens, palette, country, clutter):
        painting = _standing(pixels, figure, lens.view(right, away), light)
        if painting is not None and away < 25:
            near.append((away, painting))
    near.sort(key=lambda pair: pair[0])
    masks = []
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for _, painting in near:
        mask = mask.copy()
        height, width = painting.cover.shape
        place = mask[painting.top : painting.top + height, painting.left : painting.left + width]
        np.maximum(place, painting.cover, out=place)
        masks.append(mask)
    return Land(pixels, tuple(away for away, _ in near), tuple(masks))


def _far(
    rng: np.random.Generator, lens: Lens, palette: Palette, light: Light, *, snowy: bool
) -> Floats:
    """Paint the sky, the hills and the edge of the wood."""
    width, height = lens.size
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    blue = float(rng.uniform(0, 1))
    top = np.array([120 - 20 * blue, 150, 176 + 30 * blue], np.float32)
    low = np.array([208, 214, 218], np.float32)
    cover = np.clip(clouds(rng, lens.size, 3, 5, 2.2) * 0.7 + 0.4, 0, 1)[..., None]
    sky = top + (low - top) * np.clip(down * height / max(lens.horizon, 1), 0, 1) ** 0.7
    sky = sky + (np.float32(222) - sky) * cover * np.float32(rng.uniform(0.2, 0.9))
    sky = light.through_air(sky.astype(np.float32), 60.0)
    rows = np.arange(height, dtype=np.float32)[:, None]
    for away, rise, cells in ((2.6, 0.20, 3), (1.5, 0.12, 5)):
        line = lens.horizon - height * rise * (0.45 + 0.4 * ridge(rng, width, cells, 0.42))
        hill = light.through_air(np.asarray(palette.hill, np.float32), away * light.clear * 0.7)
        below = np.clip(rows - line[None, :], 0, 1)[..., None]
        sky = sky * (1 - below) + hill * below
    trees = _edge_of_wood(rng, lens, palette, snowy=snowy)
    colour, share = _split(trees)
    far: Floats = (sky * (1 - share) + light.through_air(colour, 55.0) * share).astype(np.float32)
    return far


def _edge_of_wood(
    rng: np.random.Generator, lens: Lens, palette: Palette, *, snowy: bool
) -> Image.Image:
    """Paint a row of distant trees, twice as fine."""
    width, height = lens.size
    base = palette.leaves[0]
    canvas = Image.new("RGBA", (width * 2, height * 2), (*base, 0))
    brush = ImageDraw.Draw(canvas)
    needles = rng.random() < (0.7 if snowy else 0.4)
    count = int(26 * min(palette.wooded, 2.2) + 6)
    unit = height * 2
    for _ in range(count):
        x = float(rng.uniform(-0.02, 1.02)) * width * 2
        foot = lens.horizon * 2 + unit * float(rng.uniform(0.0, 0.012))
        tall = unit * float(rng.uniform(0.06, 0.15)) * (0.6 + 0.4 * min(palette.wooded, 2))
        tone = float(rng.uniform(0.62, 1.1))
        colour = toned(palette.leaves[int(rng.integers(3))], tone)
        if needles:
            _conifer(brush, x, foot, tall, colour)
        else:
            _broad_tree(brush, rng, (x, foot), tall, colour)
    return canvas.reduce(2)


def _split(picture: Image.Image) -> tuple[Floats, Floats]:
    """Return a picture's colours, and how much of each pixel they cover."""
    both: Floats = np.asarray(picture).astype(np.float32)
    return both[..., :3], (both[..., 3:] / np.float32(255)).astype(np.float32)


def _conifer(
    brush: ImageDraw.ImageDraw, x: float, foot: float, tall: float, colour: Colour
) -> None:
    for step in range(5):
        low = foot - tall * step * 0.18
        half = tall * (0.19 - 0.032 * step)
        tip = (x, low - tall * 0.34)
        brush.polygon([(x - half, low), tip, (x + half, low)], fill=(*colour, 255))
        brush.polygon(
            [(x - half, low), tip, (x - half * 0.2, low)], fill=(*toned(colour, 1.14), 255)
        )


def _broad_tree(
    brush: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    foot: tuple[float, float],
    tall: float,
    colour: Colour,
) -> None:
    x, y = foot
    brush.rectangle((x - tall * 0.03, y - tall * 0.5, x + tall * 0.03, y), fill=(62, 54, 46, 255))
    for step in range(14):
        around = rng.normal(0, 0.2, 2) * tall
        u, v = x + float(around[0]), y - 0.62 * tall + float(around[1]) * 0.9 - tall * 0.01 * step
        r = tall * float(rng.uniform(0.09, 0.17))
        tone = 0.8 + 0.32 * (step / 14) * float(rng.uniform(0.7, 1.2))
        brush.ellipse((u - r, v - r, u + r, v + r), fill=(*toned(colour, tone), 255))


def _ground(
    pixels: Floats, rng: np.random.Generator, lens: Lens, palette: Palette, light: Light
) -> None:
    """Paint the ground: patches near and far in perspective, and perhaps a path."""
    width, height = lens.size
    first = max(0, min(height - 1, math.ceil(lens.horizon)))
    rows = np.arange(first, height, dtype=np.float32) + 0.5
    away = (lens.focal * lens.height / np.maximum(rows - lens.horizon, 0.3))[:, None]
    right = (np.arange(width, dtype=np.float32)[None, :] - width / 2) * away / lens.focal
    coarse = _laid(clouds(rng, (256, 256), 24, 4), right * 9, away * 9)
    fine = _laid(clouds(rng, (256, 256), 90, 2), right * 46, away * 30)
    fine *= np.clip(9 / away, 0, 1)
    mix = np.clip(0.5 + 0.5 * coarse, 0, 1)[..., None]
    ground, other = (np.asarray(colour, np.float32) for colour in (palette.ground, palette.other))
    colour = ground * (1 - mix) + other * mix
    if rng.random() < 0.45:
        bend, start = rng.uniform(-0.12, 0.12), rng.uniform(-2, 2)
        middle = start + bend * away + 0.5 * np.sin(away * 0.35)
        path = np.clip(1.6 - np.abs(right - middle) / rng.uniform(0.4, 1.0) + 0.3 * coarse, 0, 1)
        earth = np.asarray((150, 132, 104), np.float32) * 0.6 + ground * 0.4
        colour = colour * (1 - 0.75 * path[..., None]) + earth * 0.75 * path[..., None]
    colour = colour * (1 + 0.10 * coarse + 0.13 * fine)[..., None]
    # Haze over the far ground ends where the wood begins.
    pixels[first:] = light.through_air(colour, np.minimum(away, 60.0)[..., None])


def _laid(texture: Floats, right: Floats, away: Floats) -> Floats:
    """Lay a texture on the ground, mirrored at its edges so that it has no seams."""
    size = texture.shape[0]
    u = np.abs(right.astype(np.int32) % (2 * size) - size) % size
    v = np.abs(away.astype(np.int32) % (2 * size) - size) % size
    laid: Floats = texture[np.broadcast_to(v, u.shape), u]
    return laid


def _blades(
    pixels: Floats, rng: np.random.Generator, lens: Lens, palette: Palette, light: Light
) -> None:
    """Let grass grow: many blades far away, few and long ones near."""
    width, height = lens.size
    canvas = Image.new("RGBA", (width * 2, height * 2), (*palette.blades[0], 0))
    brush = ImageDraw.Draw(canvas)
    count = 1100
    rows = lens.horizon + (height * 1.08 - lens.horizon) * rng.random(count) ** 0.8
    for row in sorted(float(value) for value in rows):
        scale = max(0.0, (row - lens.horizon) / lens.height)
        tall = palette.tall * scale * 2 * float(rng.uniform(0.3, 1.0))
        if tall < 3:
            continue
        x, lean = float(rng.uniform(0, width * 2)), float(rng.normal(0, 0.3)) * tall
        colour = palette.blades[int(rng.integers(len(palette.blades)))]
        thick = max(1, round(scale * 0.016))
        foot = row * 2
        for side in (-0.4, 0.0, 0.5):
            root = (x + side * tall * 0.3, foot)
            bend = (x + side * tall * 0.6 + 0.4 * lean, foot - 0.55 * tall)
            tip = (x + side * tall + lean, foot - tall)
            brush.line((root, bend, tip), (*toned(colour, 0.9 + 0.3 * side), 255), thick)
    colour_of, share = _split(canvas.reduce(2))
    rows_at = np.maximum(np.arange(height, dtype=np.float32) - lens.horizon, 2)
    away = (lens.focal * lens.height / rows_at)[:, None, None]
    pixels += (light.through_air(colour_of, away) - pixels) * (0.8 * share)


def _things(
    rng: np.random.Generator, lens: Lens, palette: Palette, country: str, clutter: float
) -> list[tuple[float, Figure, float]]:
    """Choose what stands where, the farthest first."""
    half = lens.size[0] / 2 / lens.focal
    things = []
    count = int(rng.poisson(5 + 7 * palette.wooded) * clutter + rng.poisson(4 * clutter))
    for _ in range(count):
        away = float(np.exp(rng.uniform(np.log(3.0), np.log(45.0))))
        right = float(rng.uniform(-1.15, 1.15)) * half * away
        things.append((away, props.draw_lots(rng, palette, country, away), right))
    return sorted(things, key=lambda thing: -thing[0])


def _standing(pixels: Floats, figure: Figure, view: View, light: Light) -> Painting | None:
    """Paint something into the landscape; None if the picture does not show it."""
    parts = seen(figure, view)
    box = within(extent(parts), pixels.shape[1], pixels.shape[0])
    if box[2] - box[0] < 2 or box[3] - box[1] < 2:
        return None
    painting = paint(parts, box, 2)
    away = pixels.shape[1] * 0.9 / view.scale
    colour = (painting.colour * (painting.light[..., None] / np.float32(128))).astype(np.float32)
    share = painting.cover[..., None] / np.float32(255)
    place = pixels[box[1] : box[3], box[0] : box[2]]
    place += (light.through_air(colour, away) - place) * share
    return painting
