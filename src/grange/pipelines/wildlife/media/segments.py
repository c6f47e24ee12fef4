"""How a video falls into segments that are decoded by themselves."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from grange.pipelines.wildlife.media.packets import Feed, seek_time
from grange.pipelines.wildlife.media.timing import FALLBACK_RATE, Pace
from grange.pipelines.wildlife.media.videos import Segment

# A segment is long enough for its decoder to be worth starting, and short enough to share out.
SEGMENT_SECONDS: Final = 10
MIN_SEGMENT_FRAMES: Final = 30


class TimesUnusable(Exception):
    """Presentation times are missing or run backwards: frames have to be counted instead."""


@dataclass(slots=True)
class _Group:
    start: int
    seek: int | None
    times: array[int] = field(default_factory=lambda: array("q"))


class Stamped:
    """By presentation times: a frame's number is its place in their order.

    A frame belongs to the last segment that begins at or before it. Pictures that
    come after a keyframe but are shown before it (open groups of pictures) belong
    to the segment before; those of the first keyframe can't be decoded by anyone.
    """

    def __init__(self, feed: Feed) -> None:
        """Begin with the first packet of a feed."""
        self.segments: list[Segment] = []
        self.frames = 0
        self._feed = feed
        self._tick = feed.stream.time_base or Fraction(1, 1000)
        self._ticks = SEGMENT_SECONDS / self._tick
        self._pace = Pace()
        self._before: _Group | None = None
        self._group: _Group | None = None
        self._key = 0
        self._leading = True

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet.

        Raises:
            TimesUnusable: It has no presentation time, or one that runs backwards.
        """
        if packet.pts is None:
            raise TimesUnusable
        if self._group is None and not packet.is_keyframe:
            return
        if packet.is_keyframe:
            self._add_keyframe(packet, packet.pts)
        elif packet.pts >= self._key:
            self._leading = False
        elif not self._leading:
            raise TimesUnusable
        if self._feed.shows(packet):
            self._place(packet.pts)

    def finish(self) -> None:
        """There are no more packets."""
        if self._before is not None and self._group is not None:
            self._close(self._before, self._group.start)
        if self._group is not None:
            self._close(self._group, None)

    @property
    def start(self) -> int:
        """When the first frame is shown, in the file's ticks."""
        return self._pace.first

    @property
    def time_base(self) -> Fraction:
        """Seconds in a tick of the file."""
        return self._tick

    @property
    def frame_rate(self) -> Fraction:
        """Frames in a second: exact of a constant rate, else the mean."""
        stream = self._feed.stream
        return self._pace.rate(self._tick, (stream.average_rate, stream.guessed_rate))

    @property
    def variable_rate(self) -> bool:
        """Whether frames follow each other at no constant rate."""
        return self._pace.variable

    @property
    def seconds(self) -> float:
        """How long the frames last; the last one as long as the others on average."""
        return float((self._pace.last - self._pace.first) * self._tick + 1 / self.frame_rate)

    def _add_keyframe(self, packet: Packet[VideoStream], pts: int) -> None:
        if self._group is None:
            self._group = _Group(pts, None)
        elif pts <= self._key:
            raise TimesUnusable
        elif self._is_full(self._group, pts):
            if self._before is not None:
                self._close(self._before, self._group.start)
            self._before = self._group
            self._group = _Group(pts, seek_time(self._feed.container, packet))
        self._key, self._leading = pts, True

    def _is_full(self, group: _Group, pts: int) -> bool:
        return pts - group.start >= self._ticks and len(group.times) >= MIN_SEGMENT_FRAMES

    def _place(self, pts: int) -> None:
        assert self._group is not None  # noqa: S101 - the first keyframe opened it
        group: _Group | None = self._group
        if pts < self._group.start:
            if self._key != self._group.start:
                raise TimesUnusable
            group = self._before
        if group is None:
            return
        if pts < group.start:
            raise TimesUnusable
        group.times.append(pts)
        self.frames += 1

    def _close(self, group: _Group, end: int | None) -> None:
        first = self._pace.count
        before = self._pace.last - self._pace.first if first else None
        self._pace.add(np.sort(np.frombuffer(group.times, np.int64)))
        self.segments.append(
            Segment(
                number=len(self.segments),
                first=first,
                frames=len(group.times),
                start=group.start,
                end=end,
                before=before,
                seek=group.seek,
            )
        )


class Counted:
    """By the order in which a decoder gives frames, where no usable times are stated.

    There is one segment: without times, none says which pictures belong to which.
    """

    def __init__(self, feed: Feed) -> None:
        """Begin with the first packet of a feed."""
        self.frames = 0
        self.start = 0
        self.variable_rate = False
        self._feed = feed
        stream = feed.stream
        self.frame_rate = stream.guessed_rate or stream.average_rate or FALLBACK_RATE

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet."""
        if self.frames or packet.is_keyframe:
            self.frames += self._feed.shows(packet)

    def finish(self) -> None:
        """There are no more packets."""

    @property
    def segments(self) -> list[Segment]:
        """The whole video."""
        return [Segment(number=0, first=0, frames=self.frames)]

    @property
    def time_base(self) -> Fraction:
        """Seconds that a frame lasts."""
        return 1 / self.frame_rate

    @property
    def seconds(self) -> float:
        """How long the frames last."""
        return float(self.frames / self.frame_rate)
