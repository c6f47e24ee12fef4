"""What the tables and formats call things: best guesses, times of frames, pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, overload

from grange.pipelines.wildlife.results import Box, Detection, Guess, Kind, Media, Results

# So many detections of an item are held in memory.
HELD: Final = 5000
# Places have four digits, sizes are whole: their product has no more than four.
PIXEL_DIGITS: Final = 4
SECONDS_DIGITS: Final = 6
_UNFIT_FOR_NAMES = re.compile(r"[^\w]+")


class Sure(Sequence[Detection]):
    """Those of many detections that are sure enough, found anew each time."""

    def __init__(self, found: Sequence[Detection], threshold: float) -> None:
        """Look through `found`."""
        self._found = found
        self._threshold = threshold

    def __iter__(self) -> Iterator[Detection]:
        """They, in their order."""
        return (one for one in self._found if one.conf >= self._threshold)

    def __len__(self) -> int:
        """How many they are; they are counted."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Whether there is one."""
        return any(True for _ in self)

    @overload
    def __getitem__(self, place: int) -> Detection: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Detection]: ...

    def __getitem__(self, place: int | slice) -> Detection | Sequence[Detection]:
        """One of them, after all were looked at."""
        return tuple(self)[place]


def above(media: Media, threshold: float) -> Media:
    """The item with those detections alone that are sure enough."""
    if threshold <= 0 or not media.detections:
        return media
    sure = Sure(media.detections, threshold)
    return replace(media, detections=sure if len(media.detections) > HELD else tuple(sure))


def every_above(results: Iterable[Media], threshold: float) -> Iterator[Media]:
    """The items with those detections alone that are sure enough."""
    return (above(one, threshold) for one in results)


def best_guess(detection: Detection) -> Guess | None:
    """What the classifier takes the animal for; none where it was not asked."""
    return max(detection.guesses, key=lambda guess: guess[1], default=None)


def species_of(detection: Detection, head: Results) -> tuple[str, float | None]:
    """The name of what the classifier takes the animal for, and how sure it is."""
    guess = best_guess(detection)
    return ("", None) if guess is None else (head.species.get(guess[0], guess[0]), guess[1])


def clock_of(media: Media) -> Callable[[int], float]:
    """What says the time of a frame, in seconds from the first one of the video."""
    if media.times:
        known = dict(zip(media.processed, media.times, strict=True))
        return lambda frame: known.get(frame, 0.0)
    rate = media.frame_rate
    return lambda frame: round(float(frame / rate), SECONDS_DIGITS) if rate else 0.0


def moment_of(media: Media, seconds: float) -> datetime | None:
    """When something was seen, where it is known when the item was taken."""
    return None if media.taken is None else media.taken + timedelta(seconds=seconds)


def pixels_of(box: Box, media: Media) -> tuple[float, float, float, float]:
    """The box in pixels: left, top, width, height."""
    x, y, width, height = box
    return (
        round(x * media.width, PIXEL_DIGITS),
        round(y * media.height, PIXEL_DIGITS),
        round(width * media.width, PIXEL_DIGITS),
        round(height * media.height, PIXEL_DIGITS),
    )


def snake(name: str) -> str:
    """A name as COCO Camera Traps writes those of categories: `wild_boar`."""
    return _UNFIT_FOR_NAMES.sub("_", name.strip().lower()).strip("_") or "unnamed"


def folder_of(file: str) -> str:
    """The folder that an item lies in; empty at the top."""
    return file.rpartition("/")[0]


def name_of(file: str) -> str:
    """The last component of an item's path."""
    return file.rpartition("/")[2]


def is_video(media: Media) -> bool:
    """Whether the item has frames."""
    return media.kind is Kind.VIDEO
