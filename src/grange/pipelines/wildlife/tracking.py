"""Tracks: which detections of a video show the same individual.

Each sampled frame's detections are matched with the tracks that are under
way, by where each should be by now. Pure arithmetic in a fixed order, so that
the same detections make the same tracks anywhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from grange.pipelines.wildlife.results import CONF_DIGITS, Box, Detection

# A track that was not seen in so many sampled frames and for so long has ended.
GAP_FRAMES: Final = 5
GAP_SECONDS: Final = 1.5
# How far from where it should be an individual may turn up, in sizes of its box.
REACH_SIZES: Final = 1.25
# How much larger or smaller it may have become.
SCALE: Final = 2.5
# What the newest step counts in the speed of a track.
FRESH: Final = 0.6
# A speed is believed for so long, then the individual is expected to have stopped.
SPEED_SECONDS: Final = 1.0
# How much overlap counts in how well a detection fits, beside nearness.
OVERLAP_SHARE: Final = 0.5
# Speeds need a time to divide by, even between frames that claim the same one.
_SHORTEST_SECONDS: Final = 1e-3


@dataclass(slots=True)
class Track:
    """One individual, as far as it was followed."""

    number: int
    category: str
    first: int
    last: int
    first_seconds: float
    last_seconds: float
    detections: int = 0
    conf: float = 0.0
    # Classes by the sum of what each detection says of them, weighted by its own confidence.
    votes: Counter[str] = field(default_factory=Counter)
    weight: float = 0.0

    @property
    def species(self) -> tuple[str, float] | None:
        """The class that most speaks for, and how sure that is; None where nothing was classified.

        Of equals it is the lesser number.
        """
        if not self.weight:
            return None
        name = min(self.votes, key=lambda one: (-self.votes[one], int(one)))
        return name, round(min(1.0, self.votes[name] / self.weight), CONF_DIGITS)

    def add(self, seconds: float, one: Detection) -> None:
        """Count a detection of it."""
        self.last, self.last_seconds = one.frame or 0, seconds
        self.detections += 1
        self.conf = max(self.conf, one.conf)
        if one.guesses:
            self.weight += one.conf
            for name, conf in one.guesses:
                self.votes[name] += one.conf * conf  # type: ignore[assignment]  # weights are no whole numbers


class Tracker:
    """Follows individuals through the sampled frames of one video, which are told in order."""

    def __init__(self, threshold: float) -> None:
        """Begin tracks at detections of this confidence; weaker ones only go on with a track."""
        self._threshold = threshold
        self._active: list[_Moving] = []
        self._frame = 0
        self.tracks: list[Track] = []

    def follow(self, seconds: float, detections: Sequence[Detection]) -> list[Detection]:
        """The detections of the next sampled frame, each with its track if it has one."""
        self._frame += 1
        self._active = [one for one in self._active if self._lives(one, seconds)]
        if not detections:
            return []
        found: list[_Moving | None] = [None] * len(detections)
        strong = [n for n, one in enumerate(detections) if one.conf >= self._threshold]
        weak = [n for n, one in enumerate(detections) if one.conf < self._threshold]
        for group in (strong, weak):
            self._match(seconds, detections, group, found)
        for place in strong:
            if found[place] is None:
                found[place] = self._begin(seconds, detections[place])
        return [
            one if moving is None else self._go_on(moving, seconds, one)
            for one, moving in zip(detections, found, strict=True)
        ]

    def _lives(self, one: _Moving, seconds: float) -> bool:
        recent = self._frame - one.frame <= GAP_FRAMES + 1
        return recent or seconds - one.track.last_seconds <= GAP_SECONDS

    def _match(
        self,
        seconds: float,
        detections: Sequence[Detection],
        group: Sequence[int],
        found: list[_Moving | None],
    ) -> None:
        """Give each detection of the group the track that fits it best, the best pairs first."""
        free = [one for one in self._active if all(one is not other for other in found)]
        places = [_Place(one.expected(seconds), one.track.category) for one in free]
        pairs = []
        for place in group:
            here = _Place(detections[place].box, detections[place].category)
            for number, there in enumerate(places):
                # Most are far apart: that is told most quickly.
                if abs(here.x - there.x) <= here.reach + there.reach:
                    fit = _fit(there, here)
                    if fit > 0:
                        pairs.append((-fit, free[number].track.number, place, number))
        taken: set[int] = set()
        for _, _, place, number in sorted(pairs):
            if found[place] is None and number not in taken:
                taken.add(number)
                found[place] = free[number]

    def _begin(self, seconds: float, one: Detection) -> _Moving:
        frame = one.frame or 0
        track = Track(len(self.tracks) + 1, one.category, frame, frame, seconds, seconds)
        self.tracks.append(track)
        moving = _Moving(track, one.box, self._frame)
        self._active.append(moving)
        return moving

    def _go_on(self, moving: _Moving, seconds: float, one: Detection) -> Detection:
        moving.move(one.box, seconds, self._frame)
        moving.track.add(seconds, one)
        return replace(one, track=moving.track.number)


class _Moving:
    """A track under way: where it was last, and how quickly its middle moves."""

    def __init__(self, track: Track, box: Box, frame: int) -> None:
        self.track = track
        self.box = box
        self.frame = frame
        self._speed: tuple[float, float] | None = None

    def expected(self, seconds: float) -> Box:
        """Where it should be by now."""
        if self._speed is None:
            return self.box
        passed = min(seconds - self.track.last_seconds, SPEED_SECONDS)
        x, y, width, height = self.box
        return x + self._speed[0] * passed, y + self._speed[1] * passed, width, height

    def move(self, box: Box, seconds: float, frame: int) -> None:
        """Say where it is."""
        if frame != self.frame:
            passed = max(seconds - self.track.last_seconds, _SHORTEST_SECONDS)
            (x, y), (old_x, old_y) = _middle(box), _middle(self.box)
            new = ((x - old_x) / passed, (y - old_y) / passed)
            old = self._speed or new
            self._speed = (
                FRESH * new[0] + (1 - FRESH) * old[0],
                FRESH * new[1] + (1 - FRESH) * old[1],
            )
        self.box, self.frame = box, frame


class _Place:
    """A box with what of it is asked for again and again."""

    __slots__ = ("box", "category", "reach", "size", "x", "y")

    def __init__(self, box: Box, category: str) -> None:
        self.box = box
        self.category = category
        self.x, self.y = _middle(box)
        self.size = math.sqrt(box[2] * box[3])
        self.reach = max(REACH_SIZES * self.size, box[2] / 2)


def _fit(expected: _Place, found: _Place) -> float:
    """How well a detection fits a track, up to 1; 0 where it is another individual."""
    if expected.category != found.category or min(expected.size, found.size) <= 0:
        return 0.0
    larger = max(expected.size, found.size)
    if larger > SCALE * min(expected.size, found.size):
        return 0.0
    # Boxes at the picture's edge are cut: the larger one says how large the individual is.
    distance = math.hypot(expected.x - found.x, expected.y - found.y)
    nearness = max(0.0, 1 - distance / (REACH_SIZES * larger))
    overlap = _overlap(expected.box, found.box)
    return OVERLAP_SHARE * overlap + (1 - OVERLAP_SHARE) * nearness


def _overlap(one: Box, other: Box) -> float:
    """What two boxes share, as a part of what they cover together."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _middle(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2
