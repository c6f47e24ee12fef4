"""How good a model is: mean average precision, and the share of correct keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Curve:
    """One class: precision and recall with falling confidence, and the area below them."""

    confidence: Array
    precision: Array
    recall: Array
    average: float

    def at(self, threshold: float) -> tuple[float, float]:
        """Return precision and recall of what is at least so confident."""
        kept = int((self.confidence >= threshold).sum())
        if not kept:
            return 1.0, 0.0
        return float(self.precision[kept - 1]), float(self.recall[kept - 1])


def curve(found: Array, truth: Array, overlap: float = 0.5) -> Curve:
    """Compare boxes of one class.

    `found` has rows of frame, confidence, left, top, right, bottom; `truth` of frame, the same
    corners, and whether the body counts: finding one that does not is neither right nor wrong.
    """
    order = np.argsort(-found[:, 1], kind="stable")
    taken = np.zeros(len(truth), bool)
    hits = []
    for row in found[order]:
        candidates = np.flatnonzero(truth[:, 0] == row[0])
        shares = overlaps(row[2:6], truth[candidates, 1:5])
        # One that counts and is still free comes first.
        rank = (shares >= overlap) * (
            1 + shares + 2 * (truth[candidates, 5] > 0) * ~taken[candidates]
        )
        if not rank.size or rank.max() == 0:
            hits.append(0)
            continue
        best = candidates[int(rank.argmax())]
        counted = truth[best, 5] > 0
        hits.append(-1 if not counted else int(not taken[best]))
        taken[best] |= counted
    outcome = np.array(hits, np.int64)
    judged = outcome >= 0
    right = np.cumsum(outcome[judged])
    precision = right / np.arange(1, right.size + 1)
    recall = right / max(1, int((truth[:, 5] > 0).sum()))
    return Curve(found[order, 1][judged], precision, recall, _area(precision, recall))


def _area(precision: Array, recall: Array) -> float:
    """Return the area below the curve, taking at each recall the best precision from there on."""
    if not precision.size:
        return 0.0
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def overlaps(box: Array, others: Array) -> Array:
    """Return the intersection over union of a box with others, given by their corners."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - common
    shares: Array = common / np.maximum(area, 1e-9)
    return shares


def correct_keypoints(found: Array, truth: Array, sides: Array, share: float = 0.1) -> Array:
    """Return per animal and keypoint 1 if it is near enough, 0 if not, NaN if it is hidden.

    `found` and `truth` have places in pixels, `truth` also whether each is visible; near enough
    is `share` of the longer side of the animal's box.
    """
    away = np.linalg.norm(found[..., :2] - truth[..., :2], axis=-1)
    return np.where(truth[..., 2] > 0, away <= share * sides[:, None], np.nan)
