"""DIVE's annotations, version 2: the tracks of one video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from grange.pipelines.wildlife.formats.importing.names import Detected, Numbers
from grange.pipelines.wildlife.formats.importing.sizes import Shape, Sizes
from grange.pipelines.wildlife.formats.jsontext import open_json
from grange.pipelines.wildlife.formats.mdreading import (
    MOST_DETECTIONS,
    conf_of,
    count_of,
    list_of,
    mapping_of,
    number_of,
    rate_of,
    refuse,
)
from grange.pipelines.wildlife.results import ANIMAL, Detection, Guess, Kind, Media, Results

JSON = Any

_SUFFIXES: Final = (".json", ".dive", ".annotations")
# What a track says whose type nobody has said.
_UNSAID: Final = "unknown"


class Tracks:
    """One video, named after the file; a track's type is the category or the species of it all."""

    def __init__(self, path: Path, sizes: Sizes) -> None:
        """Read the names of all types, and the rate."""
        self._path = path
        self._file = _media_name(path.name)
        self._sizes = sizes
        self._categories = Detected()
        self._species = Numbers()
        self._rate = 0.0
        with open_json(path) as text:
            for name in text.members():
                if name == "tracks":
                    for key in text.members():
                        self._types(mapping_of(text.value(), f"tracks.{key}"), f"tracks.{key}")
                elif name == "fps":
                    given = text.value()
                    self._rate = 0.0 if given is None else number_of(given, "fps")
                else:
                    text.value()
            text.end()
        self.head = Results(
            media=(), categories=self._categories.names, species=self._species.names
        )

    def __iter__(self) -> Iterator[Media]:
        """The video."""
        found: list[Detection] = []
        shape: Shape | None = None
        with open_json(self._path) as text:
            for name in text.members():
                if name != "tracks":
                    text.value()
                    continue
                for key in text.members():
                    where = f"tracks.{key}"
                    track = mapping_of(text.value(), where)
                    shape = shape or self._sizes.of(self._file)
                    found += self._detections(track, key, where, shape)
                    if len(found) > MOST_DETECTIONS:
                        refuse("the file", f"has more than {MOST_DETECTIONS:,} detections")
        found.sort(key=lambda one: one.frame or 0)
        processed = tuple(sorted({one.frame or 0 for one in found}))
        width, height = shape.shown if shape else (0, 0)
        yield Media(
            file=self._file,
            kind=Kind.VIDEO,
            width=width,
            height=height,
            detections=tuple(found),
            frame_rate=rate_of(self._rate) if self._rate > 0 else None,
            frames=processed[-1] + 1 if processed else 0,
            processed=processed,
        )

    def _detections(
        self, track: dict[str, JSON], key: str, where: str, shape: Shape
    ) -> Iterator[Detection]:
        category, conf, guesses = self._types(track, where)
        number = count_of(track.get("id", int(key) if key.isdigit() else None), f"{where}.id")
        for one in list_of(track.get("features") or [], f"{where}.features"):
            feature = mapping_of(one, f"{where}.features")
            match feature.get("bounds"):
                case [left, top, right, bottom]:
                    corners = [number_of(side, where) for side in (left, top, right, bottom)]
                case _:
                    # A feature may mark a place in time alone.
                    continue
            yield Detection(
                category=category,
                conf=conf,
                box=shape.fractions(*corners),
                frame=count_of(feature.get("frame"), f"{where}.features.frame"),
                track=number,
                guesses=guesses,
            )

    def _types(self, track: dict[str, JSON], where: str) -> tuple[str, float, tuple[Guess, ...]]:
        """The category of a track, how sure that is, and the species that it was taken for."""
        pairs: list[tuple[str, float]] = []
        for pair in list_of(track.get("confidencePairs") or [], f"{where}.confidencePairs"):
            match pair:
                case [str(name), conf]:
                    pairs.append((name, conf_of(conf, f"{where}.confidencePairs")))
                case _:
                    refuse(f"{where}.confidencePairs", "has an entry that is no name and number")
        pairs.sort(key=lambda one: -one[1])
        if not pairs:
            return ANIMAL, 1.0, ()
        conf = pairs[0][1]
        kinds = [name for name, _ in pairs if self._categories.knows(name)]
        guesses = tuple(
            (self._species.of(name), sure)
            for name, sure in pairs
            if not self._categories.knows(name) and name != _UNSAID
        )
        return self._categories.of(kinds[0]) if kinds else ANIMAL, conf, guesses


def _media_name(name: str) -> str:
    """What the video is called: the file without what marks it as annotations."""
    while True:
        suffix = next((one for one in _SUFFIXES if name.lower().endswith(one)), "")
        if not suffix or len(name) == len(suffix):
            return name
        name = name[: -len(suffix)]
