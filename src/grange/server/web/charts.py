"""Small pictures of numbers, as a path for SVG: no script, no library."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 480.0
HEIGHT = 48.0
# A bar that is not zero is seen.
LEAST = 1.5
_GAP = 0.25


def columns(values: Sequence[int]) -> str:
    """A column for each number, side by side and as high as it is large: the path's `d`."""
    most = max(values, default=0) or 1
    step = WIDTH / max(len(values), 1)
    wide = step * (1 - _GAP)
    return "".join(
        f"M{place * step:.1f} {HEIGHT:g}v-{height:.1f}h{wide:.1f}V{HEIGHT:g}z"
        for place, height in enumerate(max(LEAST, value / most * HEIGHT) for value in values)
        if values[place]
    )
