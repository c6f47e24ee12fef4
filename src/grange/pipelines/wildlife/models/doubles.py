"""Suppression of doubles: of boxes that overlap, the surest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# Of so many, the surest, doubles are looked for; so many at most stay.
MOST_CANDIDATES: Final = 3000
MOST_KEPT: Final = 300


def without_doubles(boxes: Array, confs: Array, groups: Array, most_overlap: float) -> Array:
    """The numbers of the boxes that stay, the surest first; of equal ones, the first.

    Args:
        boxes: Left, top, right, bottom.
        confs: How sure each is.
        groups: What each is: only boxes of the same group are doubles of each other.
        most_overlap: The share of their union that two may have in common.
    """
    order = np.argsort(-confs, kind="stable")[:MOST_CANDIDATES]
    kept: list[int] = []
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    while len(order) and len(kept) < MOST_KEPT:
        first, rest = order[0], order[1:]
        kept.append(first)
        low = np.maximum(boxes[rest, :2], boxes[first, :2])
        high = np.minimum(boxes[rest, 2:], boxes[first, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        union = areas[rest] + areas[first] - shared
        order = rest[(shared <= most_overlap * union) | (groups[rest] != groups[first])]
    return np.array(kept, np.intp)
