"""What an item's small record says was found in it, counted while its frames pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grange.pipelines.wildlife.kit import Kit
from grange.pipelines.wildlife.results import Detection, Kind, Media
from grange.pipelines.wildlife.tracking import Track

JSON = Any


@dataclass(slots=True)
class Found:
    """What was found of one category."""

    conf: float = 0.0
    # Those that are sure enough to be painted.
    detections: int = 0
    tracks: int = 0

    def plain(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {"conf": self.conf, "detections": self.detections, "tracks": self.tracks}


class Tally:
    """Counts an item's detections."""

    def __init__(self, kit: Kit) -> None:
        """Begin with none."""
        self._kit = kit
        self._head = kit.head()
        self._found: dict[str, Found] = {}
        self._species: dict[str, float] = {}
        self.poses = False
        self.tracks = 0

    def add(self, detections: Sequence[Detection]) -> None:
        """Count the detections of a frame."""
        for one in detections:
            found = self._found.setdefault(one.category, Found())
            found.conf = max(found.conf, one.conf)
            found.detections += one.conf >= self._kit.label_threshold
            self.poses = self.poses or bool(one.pose)
            if one.track is None and one.guesses:
                self._name(*one.guesses[0])

    def follow(self, tracks: Iterable[Track]) -> None:
        """Count the individuals, of which each has one species."""
        for one in tracks:
            self.tracks += 1
            self._found[one.category].tracks += 1
            if one.species is not None:
                self._name(*one.species)

    def record(self, media: Media, *, labelled: str | None, thumb: str | None) -> dict[str, JSON]:
        """The item's record."""
        in_video = media.kind is Kind.VIDEO
        rate = media.frame_rate
        return {
            "kind": str(media.kind),
            "width": media.width,
            "height": media.height,
            "frames": media.frames if in_video else 1,
            "analysed": len(media.processed) if in_video else 1,
            "frame_rate": str(rate) if rate else None,
            "variable_rate": media.variable_rate,
            "seconds": 0.0,
            "taken": media.taken.isoformat() if media.taken else None,
            "found": {
                self._head.categories.get(category, category): found.plain()
                for category, found in sorted(self._found.items())
            },
            "species": dict(sorted(self._species.items(), key=lambda one: (-one[1], one[0]))),
            "thumb": thumb,
            "labelled": labelled,
            "poses": self.poses,
            # From here on a find counts, unless somebody who looks says otherwise.
            "typical": self._kit.label_threshold,
            "loss": "",
        }

    def _name(self, number: str, conf: float) -> None:
        name = self._head.species.get(number, number)
        self._species[name] = max(self._species.get(name, 0.0), conf)
