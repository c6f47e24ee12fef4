"""Rough, cloudy and spotted surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]


def clouds(
    rng: np.random.Generator,
    size: tuple[int, int],
    cells: float,
    octaves: int = 4,
    stretch: float = 1.0,
) -> Floats:
    """Return height x width values around 0, mostly within -1..1.

    `cells` blobs lie across the width; `stretch` makes them wider than high.
    """
    width, height = size
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        across = max(2, round(cells * 2**octave))
        down = max(2, round(cells * 2**octave * height / width * stretch))
        if across > width:
            break
        grid = rng.standard_normal((down + 1, across + 1)).astype(np.float32)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(layer)
        weight *= 0.55
    return total * np.float32(0.6)


def ridge(rng: np.random.Generator, width: int, cells: float, rough: float = 0.5) -> Floats:
    """Return a line of hills: `width` heights, mostly within -1..1."""
    total = np.zeros(width, np.float32)
    weight = 1.0
    places = np.linspace(0.0, 1.0, width)
    while cells < width:
        knots = rng.standard_normal(int(cells) + 2)
        total += (weight * np.interp(places, np.linspace(0, 1, knots.size), knots)).astype(
            np.float32
        )
        weight *= rough
        cells *= 2
    return total * np.float32(0.6)
