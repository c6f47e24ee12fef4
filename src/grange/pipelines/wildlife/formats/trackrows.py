"""Rows of the table of tracks, from one pass over a video's detections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import hypot
from typing import Final

from grange.pipelines.wildlife.formats.naming import clock_of, moment_of, pixels_of
from grange.pipelines.wildlife.results import CONF_DIGITS, Detection, Media, Results

TRACKS: Final = (
    *("file", "track", "category", "species", "species_confidence", "first_frame", "last_frame"),
    *("start_seconds", "end_seconds", "duration_seconds", "start_datetime", "detections"),
    *("max_confidence", "mean_confidence", "path_pixels"),
)
_SECONDS_DIGITS: Final = 4


@dataclass(slots=True)
class _Track:
    """What is remembered of an individual, however long it is seen."""

    first: int
    last: int
    detections: int = 0
    best: float = 0.0
    sum: float = 0.0
    weight: float = 0.0
    path: float = 0.0
    middle: tuple[float, float] | None = None
    categories: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, one: Detection, media: Media) -> None:
        """Count a sighting; they come in the order of their frames."""
        self.last = max(self.last, one.frame or 0)
        self.detections += 1
        self.best = max(self.best, one.conf)
        self.sum += one.conf
        self.categories[one.category] += 1
        self.weight += one.conf if one.guesses else 0.0
        for number, conf in one.guesses:
            self.votes[number] += one.conf * conf
        left, top, width, height = pixels_of(one.box, media)
        middle = (left + width / 2, top + height / 2)
        if self.middle is not None:
            self.path += hypot(middle[0] - self.middle[0], middle[1] - self.middle[1])
        self.middle = middle

    def species(self) -> tuple[str, float | None]:
        """What all sightings together take it for, each as far as it is sure of animal and kind.

        Returns the number of the class and its share of what could be voted;
        of equals the lesser number.
        """
        if not self.weight:
            return "", None
        best = min(self.votes, key=lambda number: (-self.votes[number], int(number)))
        return best, round(min(1.0, self.votes[best] / self.weight), CONF_DIGITS)


def track_rows(media: Media, head: Results) -> Iterator[tuple[str | float | int | None, ...]]:
    """A row for each individual of a video, by its number; detections are gone through once."""
    tracks: dict[int, _Track] = {}
    for one in media.detections:
        if one.track is not None:
            frame = one.frame or 0
            tracks.setdefault(one.track, _Track(frame, frame)).add(one, media)
    clock = clock_of(media)
    for number, track in sorted(tracks.items()):
        start, end = clock(track.first), clock(track.last)
        species, sure = track.species()
        category = max(track.categories, key=lambda one: (track.categories[one], -int(one)))
        moment = moment_of(media, start)
        yield (
            *(media.file, number, head.categories.get(category, category)),
            *(head.species.get(species, species), sure),
            *(track.first, track.last, start, end, round(end - start, _SECONDS_DIGITS)),
            *("" if moment is None else moment.isoformat(), track.detections, track.best),
            round(track.sum / track.detections, CONF_DIGITS),
            round(track.path, 1) if media.width else None,
        )
