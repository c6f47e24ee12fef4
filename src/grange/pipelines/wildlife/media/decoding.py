"""Frames of a video's segments, with their exact numbers and times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av

from grange.pipelines.wildlife.media.decoders import Gate, Lane
from grange.pipelines.wildlife.media.faults import unreadable
from grange.pipelines.wildlife.media.pictures import FramePicture
from grange.pipelines.wildlife.media.stretches import Stretch, Stretches

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from grange.pipelines.wildlife.media.videos import Segment, VideoInfo
    from grange.pipelines.wildlife.pictures import Picture

# Says of a frame's number and time (as `Frame.pts`) whether it is wanted.
Wanted = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video."""

    # In the whole video, from 0, in the order in which frames are shown.
    number: int
    # Ticks of the video's `time_base` since its first frame, and the same in seconds.
    pts: int
    seconds: float
    picture: Picture


class VideoReader:
    """An open video, read segment by segment in any order.

    A segment's frames are the same whatever was read before. For one thread at a time.
    """

    def __init__(self, path: Path, info: VideoInfo, threads: int = 1) -> None:
        """Open the video that `info` (its segments aside) tells of.

        Raises:
            InputMissing: It is not there any more.
            InputUnreadable: It can't be opened.
        """
        # Wanted frames that could not be decoded, of all that was read so far.
        self.skipped = 0
        # Frames, wanted or not, that were damaged, as far as the decoder has seen it.
        self.damaged = 0
        self._path = path
        self._info = info
        self._threads = threads
        self._stretches = Stretches(path, info)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Pictures that were given stay good."""
        self._stretches.close()

    def digest(self, segment: Segment) -> str:
        """What a segment's frames depend on: its packets and the decoder's set-up, as sha256.

        Raises:
            InputUnreadable: The disk does not give the file.
        """
        return self._stretch(segment).sha256

    def frames(self, segment: Segment, wanted: Wanted) -> Iterator[Frame]:
        """The wanted frames of a segment, by ascending number.

        A wanted frame that can't be decoded is left out, and counted in `skipped`. Others that
        are damaged are counted in `damaged`: what is decoded with their help may look wrong.

        Raises:
            InputUnreadable: The disk does not give the file.
        """
        stretch = self._stretch(segment)
        numbers = self._wanted(segment, stretch, wanted)
        missing = len(numbers)
        if numbers:
            lane = Lane(self._stretches.stream.codec_context, self._threads)
            places = _Places(segment, stretch, counted=self._info.counted)
            for decoded in self._decoded(lane, segment, stretch, numbers):
                number = places.number(decoded)
                self.damaged += decoded.is_corrupt
                if number in numbers and not decoded.is_corrupt:
                    missing -= 1
                    yield self._frame(number, decoded)
                    if not missing:
                        break
            self.damaged += lane.faults
        self.skipped += missing

    def _stretch(self, segment: Segment) -> Stretch:
        try:
            return self._stretches.of(segment)
        except av.FFmpegError as error:
            raise unreadable(self._path, f"can't be read: {error.strerror}") from error

    def _wanted(self, segment: Segment, stretch: Stretch, wanted: Wanted) -> frozenset[int]:
        start, first = self._info.start, segment.first
        if self._info.counted:
            last = first + segment.frames
            return frozenset(number for number in range(first, last) if wanted(number, number))
        return frozenset(
            first + place
            for place, time in enumerate(stretch.times)
            if wanted(first + place, time - start)
        )

    def _decoded(
        self, lane: Lane, segment: Segment, stretch: Stretch, numbers: frozenset[int]
    ) -> Iterator[VideoFrame]:
        packets: Iterable[Packet[VideoStream]] | None = stretch.packets
        if packets is None:
            packets = self._stretches.packets(segment)
        if self._info.counted:
            for packet in packets:
                yield from lane.decode(packet)
        else:
            gate = Gate(lane, stretch, [number - segment.first for number in sorted(numbers)])
            for packet in packets:
                yield from gate.take(packet)
        yield from lane.drain()

    def _frame(self, number: int, decoded: VideoFrame) -> Frame:
        info = self._info
        ticks = number if info.counted else (decoded.pts or 0) - info.start
        picture = FramePicture(decoded, info.rotation, mirrored=info.mirrored)
        return Frame(number, ticks, float(ticks * info.time_base), picture)


class _Places:
    """The numbers of decoded frames, which come in the order in which they are shown."""

    def __init__(self, segment: Segment, stretch: Stretch, *, counted: bool) -> None:
        self._first = segment.first
        self._times = None if counted else stretch.times
        self._next = 0

    def number(self, frame: VideoFrame) -> int:
        """The number of the next frame; below 0 where it is none of the segment's."""
        place = self._next
        if self._times is not None:
            if frame.pts is None:
                return -1
            # Of frames of the same time, each has its own place.
            place = bisect_left(self._times, frame.pts, lo=min(self._next, len(self._times)))
            if place == len(self._times) or self._times[place] != frame.pts:
                return -1
        self._next = place + 1
        return self._first + place


def frames_of(path: Path, info: VideoInfo, segment: Segment, wanted: Wanted) -> Iterator[Frame]:
    """The wanted frames of one segment, by ascending number; see `VideoReader.frames`.

    Raises:
        InputMissing: The video is not there any more.
        InputUnreadable: It can't be opened or read.
    """
    with VideoReader(path, info) as reader:
        yield from reader.frames(segment, wanted)


def digest_of(path: Path, info: VideoInfo, segment: Segment) -> str:
    """What the frames of one segment depend on, as sha256: their address.

    Raises:
        InputMissing: The video is not there any more.
        InputUnreadable: It can't be opened or read.
    """
    with VideoReader(path, info) as reader:
        return reader.digest(segment)
