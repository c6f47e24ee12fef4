"""What was found in a video or picture: the types that all of the pipeline speaks.

Places are fractions of the picture as it is shown, from its top left corner,
so that they hold for every size of it. Pure data: no file, no library.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

# x, y, width, height
Box = tuple[float, float, float, float]
# x, y, and how sure the model is of it
Point = tuple[float, float, float]
# The number of a class in the categories of its result, and how sure the model is of it.
Guess = tuple[str, float]

# The detector's categories, as MegaDetector numbers them.
ANIMAL: Final = "1"
PERSON: Final = "2"
VEHICLE: Final = "3"
CATEGORIES: Final = {ANIMAL: "animal", PERSON: "person", VEHICLE: "vehicle"}

# As many digits as the field's files carry.
CONF_DIGITS: Final = 3
PLACE_DIGITS: Final = 4


class Kind(StrEnum):
    """What an item is."""

    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Detection:
    """One animal, person or vehicle in one picture, or in one frame of a video."""

    category: str
    conf: float
    box: Box
    # The number of the frame in the original video, from 0; none in a picture.
    frame: int | None = None
    # Equal in all frames that show the same individual; none in a picture.
    track: int | None = None
    # Best first.
    guesses: tuple[Guess, ...] = ()
    # One for each keypoint of the pose model, in its order; empty where no pose was asked for.
    pose: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """One item: what it is and what was found in it.

    `failure` says why there is no result; then there are no detections either.
    """

    file: str
    kind: Kind = Kind.IMAGE
    width: int = 0
    height: int = 0
    # When it was taken, as the file says; with a zone only where the file names one.
    taken: datetime | None = None
    failure: str = ""
    detections: Sequence[Detection] = ()
    # ---- of videos
    # Exact; of a variable rate it is the mean.
    frame_rate: Fraction | None = None
    variable_rate: bool = False
    # All frames that it has, and those that were analysed, ascending.
    frames: int = 0
    processed: Sequence[int] = ()
    # Seconds from the first frame, one for each of `processed`; empty where the rate is constant.
    times: Sequence[float] = ()

    def seconds_at(self, frame: int) -> float:
        """The time of an analysed frame, from the first frame of the video."""
        if self.times:
            return self.times[bisect_left(self.processed, frame)]
        return float(frame / self.frame_rate) if self.frame_rate else 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """What made a result: the models, as the result's readers are told of them."""

    detector: str = ""
    classifier: str = ""
    pose: str = ""
    typical_threshold: float = 0.2
    conservative_threshold: float = 0.05
    # When the work was done; not part of any item's result, whose bytes depend on the input alone.
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one item or of many, with the names that their numbers mean."""

    media: Sequence[Media]
    source: Source = field(default_factory=Source)
    categories: dict[str, str] = field(default_factory=lambda: dict(CATEGORIES))
    species: dict[str, str] = field(default_factory=dict)
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
