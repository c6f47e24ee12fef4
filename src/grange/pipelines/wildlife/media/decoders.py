"""Decoders that begin afresh, and what they need not decode."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import CodecContext

from grange.pipelines.wildlife.media.opening import MAX_FRAME_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from grange.pipelines.wildlife.media.stretches import Stretch


class Lane:
    """Decodes packets from a keyframe on, with a decoder that has seen nothing before."""

    def __init__(self, told: VideoCodecContext, threads: int = 1) -> None:
        """Take what a container tells of a stream."""
        # Packets that no frame came of, since they are damaged.
        self.faults = 0
        self._told = told
        self._threads = threads
        self._context: VideoCodecContext | None = None

    def decode(self, packet: Packet[VideoStream], *, droppable: bool = False) -> list[VideoFrame]:
        """The frames that come out when a packet goes in; none of a damaged one.

        Args:
            packet: The next one, in the order of decoding.
            droppable: Its own frame need not come out, and is decoded only if others refer to it.
        """
        context = self._context or self._fresh()
        context.skip_frame = "NONREF" if droppable else "DEFAULT"
        try:
            return context.decode(packet)
        except av.FFmpegError:
            self.faults += 1
            return []

    def drain(self) -> Iterator[VideoFrame]:
        """The frames that are left; what is decoded after them begins afresh."""
        context, self._context = self._context, None
        if context is not None:
            with suppress(av.FFmpegError):
                yield from context.decode(None)

    def _fresh(self) -> VideoCodecContext:
        told = self._told
        context = cast("VideoCodecContext", CodecContext.create(told.codec, "r"))
        context.extradata = told.extradata
        context.width, context.height = told.width, told.height
        context.bits_per_coded_sample = told.bits_per_coded_sample
        context.color_range, context.colorspace = told.color_range, told.colorspace
        context.color_primaries, context.color_trc = told.color_primaries, told.color_trc
        # How many frames it may have to hold back; found out late, it would drop some.
        context.reorder_depth = told.reorder_depth
        if told.pix_fmt:
            context.pix_fmt = told.pix_fmt
        # Some tags are no text, which PyAV can't give.
        with suppress(ValueError):
            context.codec_tag = told.codec_tag
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        context.thread_count = self._threads
        context.thread_type = "FRAME" if self._threads > 1 else "NONE"
        self._context = context
        return context


class Gate:
    """Lets those packets of a segment into a decoder that wanted frames can depend on.

    A group of pictures (a keyframe and what follows it) of which no frame is
    wanted is left out as a whole. In the others, frames that are neither
    wanted nor referred to are not decoded.
    """

    def __init__(self, lane: Lane, stretch: Stretch, places: Sequence[int]) -> None:
        """Take the places of the wanted frames among the segment's, ascending."""
        self._lane = lane
        self._times = [stretch.times[place] for place in places]
        self._wanted = frozenset(self._times)
        self._needed = self._groups(stretch)
        self._key = 0
        self._held: Packet[VideoStream] | None = None
        self._before_needed = self._group_needed = False

    def take(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        """The frames that come out for the next packet."""
        if packet.pts is None:
            return
        if packet.is_keyframe:
            self._key = packet.pts
            self._before_needed = self._group_needed
            self._group_needed = packet.pts in self._needed
            # Of a group that is left out, pictures shown before its keyframe may need it.
            self._held = packet
            if self._group_needed:
                yield from self._release()
        elif packet.pts < self._key:
            if self._before_needed:
                yield from self._release()
                yield from self._decode(packet)
        elif self._group_needed:
            yield from self._decode(packet)
        else:
            yield from self._lane.drain()

    def _release(self) -> Iterator[VideoFrame]:
        held, self._held = self._held, None
        if held is not None:
            if not self._before_needed:
                yield from self._lane.drain()
            yield from self._decode(held)

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        droppable = packet.pts not in self._wanted and not packet.is_keyframe
        return self._lane.decode(packet, droppable=droppable)

    def _groups(self, stretch: Stretch) -> set[int]:
        """The keyframes of groups in which a frame is wanted."""
        needed = set()
        for key, following in zip(stretch.keys, [*stretch.keys[1:], None], strict=True):
            place = bisect_left(self._times, key)
            if place < len(self._times) and (following is None or self._times[place] < following):
                needed.add(key)
        return needed
