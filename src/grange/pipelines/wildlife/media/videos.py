"""What is known of a video once all its packets were seen: pure data, fit for a task's message."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video that is decoded by itself, from a keyframe on.

    The segments of a video depend on the video alone, and each of its frames
    belongs to exactly one of them.
    """

    number: int
    # The number of its first frame in the whole video, and how many it has.
    first: int
    frames: int
    # Presentation times, of its first keyframe and of the next segment's, in the
    # file's own ticks; none before the first frame, after the last one, and where
    # the file states no presentation times.
    start: int | None = None
    end: int | None = None
    # `Frame.pts` of the frame that is shown right before; none before the first segment.
    before: int | None = None
    # Where a demuxer is sent to find the first keyframe; none is the file's beginning.
    seek: int | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video as its packets tell of it."""

    # As it is shown: upright.
    width: int
    height: int
    # What a decoded frame is turned by to be upright, clockwise, and whether it is mirrored first.
    rotation: int
    mirrored: bool
    # Exact; of a variable rate it is the mean.
    frame_rate: Fraction
    variable_rate: bool
    # Seconds in one tick of `Frame.pts`.
    time_base: Fraction
    # The presentation time of the first frame, in the file's ticks.
    start: int
    # Frames that can be shown, and how long they last.
    frames: int
    seconds: float
    # When it was taken, as the file says; with a zone only where the file names one.
    taken: datetime | None
    codec: str
    # No presentation times, or such that run backwards: frames are counted as they are decoded.
    counted: bool
    # What of the video is missing, in one sentence; empty when it is whole.
    loss: str
    segments: tuple[Segment, ...]

    @property
    def frame_bytes(self) -> int:
        """The memory of one frame in RGB: what to bound batches and queues by."""
        return self.width * self.height * 3

    def alone(self) -> VideoInfo:
        """The same without its segments: what decoding one of them needs, and small."""
        return replace(self, segments=())

    def plain(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        taken = self.taken.isoformat() if self.taken else None
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "frame_rate": str(self.frame_rate),
            "time_base": str(self.time_base),
            "taken": taken,
            "segments": [list(astuple(each)) for each in self.segments],
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> VideoInfo:
        """What `plain` gave."""
        taken = plain["taken"]
        return cls(
            **{
                **plain,
                "frame_rate": Fraction(plain["frame_rate"]),
                "time_base": Fraction(plain["time_base"]),
                "taken": datetime.fromisoformat(taken) if taken else None,
                "segments": tuple(Segment(*each) for each in plain["segments"]),
            }
        )
