"""Detections as lines of JSON: what parts hand to the merge, and stages keep for later runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, overload

from grange.pipelines.wildlife.results import (
    CONF_DIGITS,
    PLACE_DIGITS,
    Box,
    Detection,
    Guess,
    Point,
)

JSON = Any

# So many detections of an item are held in memory; more are read from the disk each time.
HELD: Final = 1_000

_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Analysed:
    """What was found in one analysed frame, or in a picture."""

    number: int
    seconds: float
    detections: Sequence[Detection]


def rounded_conf(conf: float) -> float:
    """A confidence as results have it."""
    return _rounded(min(max(float(conf), 0.0), 1.0), CONF_DIGITS)


def rounded_box(box: Box) -> Box:
    """A box as results have it: within the picture."""
    x, y, width, height = box
    left, top = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    right, bottom = min(max(x + width, left), 1.0), min(max(y + height, top), 1.0)
    return (
        _rounded(left, PLACE_DIGITS),
        _rounded(top, PLACE_DIGITS),
        _rounded(right - left, PLACE_DIGITS),
        _rounded(bottom - top, PLACE_DIGITS),
    )


def rounded_point(point: Point) -> Point:
    """A keypoint as results have it."""
    x, y, conf = point
    return _rounded(x, PLACE_DIGITS), _rounded(y, PLACE_DIGITS), rounded_conf(conf)


def _rounded(number: float, digits: int) -> float:
    """The number with so many digits; a tiny negative one becomes plain nothing."""
    return round(float(number), digits) + 0.0


def line_of(frame: Analysed) -> str:
    """One line, which `frame_of` reads."""
    found = [
        [one.category, one.conf, one.box, one.track, one.guesses, one.pose]
        for one in frame.detections
    ]
    return _compact([frame.number, frame.seconds, found]) + "\n"


def frame_of(line: str, *, in_video: bool = True) -> Analysed:
    """What a line says."""
    number, seconds, found = json.loads(line)
    frame = number if in_video else None
    return Analysed(
        number,
        seconds,
        [
            Detection(category, conf, tuple(box), frame, track, guesses_of(said), pose_of(points))
            for category, conf, box, track, said, points in found
        ],
    )


def guesses_of(plain: JSON) -> tuple[Guess, ...]:
    """Guesses as JSON has them."""
    return tuple([(name, conf) for name, conf in plain])


def pose_of(plain: JSON) -> tuple[Point, ...]:
    """Points as JSON has them."""
    return tuple([(x, y, conf) for x, y, conf in plain])


class Spool(Sequence[Detection]):
    """All detections of an item, as often as they are iterated over; many of them lie on the disk.

    One at a time of what lies there is in memory: iterate, and don't ask for places.
    """

    def __init__(self, file: Path, *, in_video: bool = True) -> None:
        """Begin with none; what is too much for the memory will go into the file."""
        self._file = file
        self._in_video = in_video
        self._held: list[Detection] = []
        self._length = 0
        self._lines: list[str] = []
        self._spilled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.unlink(missing_ok=True)

    def add(self, frame: Analysed) -> None:
        """Append a frame's detections."""
        if not frame.detections:
            return
        self._length += len(frame.detections)
        self._held.extend(frame.detections)
        self._lines.append(line_of(frame))
        if len(self._held) > HELD:
            self._spill()

    def _spill(self) -> None:
        with self._file.open("a", encoding="ascii") as file:
            file.writelines(self._lines)
        self._held.clear()
        self._lines.clear()
        self._spilled = True

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Detection]:
        if self._spilled:
            with self._file.open(encoding="ascii") as file:
                for line in file:
                    yield from frame_of(line, in_video=self._in_video).detections
        yield from self._held

    @overload
    def __getitem__(self, place: int) -> Detection: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Detection]: ...
    def __getitem__(self, place: int | slice) -> Detection | Sequence[Detection]:
        if not self._spilled:
            return self._held[place]
        return list(self)[place]
