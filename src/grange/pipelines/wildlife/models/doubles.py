"""Suppression of doubles: of boxes that overlap, the surest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# Of so many, the surest, doubles are looked for; so many at most stay.
MOST_CANDIDATES: Final = 1000
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
    doubles = _doubles(boxes[order], groups[order], most_overlap)
    gone = np.zeros(len(order), bool)
    kept: list[int] = []
    for number in range(len(order)):
        if gone[number]:
            continue
        kept.append(number)
        if len(kept) == MOST_KEPT:
            break
        gone |= doubles[number]
    return order[kept]


def _doubles(boxes: Array, groups: Array, most_overlap: float) -> Array:
    """For each pair of boxes whether one is a double of the other."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas[:, None] + areas[None, :] - shared
    return np.asarray((shared > most_overlap * union) & (groups[:, None] == groups[None, :]))
