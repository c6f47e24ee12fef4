"""Boxes, labels and poses, painted onto pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grange.pipelines.wildlife.pictures import Pixels
from grange.pipelines.wildlife.results import CATEGORIES, Detection


@dataclass(frozen=True, slots=True)
class Legend:
    """What the numbers of detections mean, and how sure they have to be to be painted."""

    categories: Mapping[str, str] = field(default_factory=lambda: dict(CATEGORIES))
    species: Mapping[str, str] = field(default_factory=dict)
    keypoints: Sequence[str] = ()
    skeleton: Sequence[tuple[str, str]] = ()
    # Points of a pose that the model is less sure of are not painted.
    pcutoff: float = 0.6


def draw(pixels: Pixels, detections: Sequence[Detection], legend: Legend) -> None:
    """Paint all of these detections onto a picture of any size, in place.

    Which of them are sure enough is the caller's business.
    """
    raise NotImplementedError
