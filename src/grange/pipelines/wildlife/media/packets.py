"""A video's packets, as they come from its file, damaged or whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# Damaged places that a demuxer may find its way behind; then the rest of a file is given up.
MAX_FAULTS: Final = 1000
# In the first byte of a VP8 frame: whether it is shown, or only referred to by others.
_VP8_SHOWN: Final = 0x10


class Feed:
    """Yields the packets of one stream that hold anything, from where the container stands."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        """Read this stream of a container that nobody else reads meanwhile."""
        self.container = container
        self.stream = stream
        # Frames that the file has an entry for, and places where it could not be read.
        self.entries = 0
        self.faults = 0
        # Packets that are not all there, as far as the container can tell.
        self.torn = 0
        self._hides = stream.codec_context.name == "vp8"

    def __iter__(self) -> Iterator[Packet[VideoStream]]:
        while True:
            found = self.entries
            try:
                for packet in self.container.demux(self.stream):
                    if packet.pos is not None or packet.size:
                        self.entries += 1
                    if packet.size:
                        self.torn += packet.is_corrupt
                        yield packet
            except av.InvalidDataError:
                self.faults += 1
                if found == self.entries or self.faults > MAX_FAULTS:
                    return
            else:
                return

    def shows(self, packet: Packet[VideoStream]) -> bool:
        """Whether a frame that people see comes of a packet."""
        if packet.is_discard:
            return False
        return not self._hides or bool(memoryview(packet)[0] & _VP8_SHOWN)


def seek_time(container: InputContainer, packet: Packet[VideoStream]) -> int | None:
    """Where to send a container's demuxer to get this keyframe first, or one shortly before."""
    if container.format.name.startswith("matroska") or packet.dts is None:
        return packet.pts
    return packet.dts


def guesses_times(container: InputContainer, stream: VideoStream) -> bool:
    """Whether presentation times are made up by the demuxer, in the order of decoding.

    AVI has none; that does not matter where frames are shown in the order in which they come.
    """
    return container.format.name == "avi" and stream.codec_context.reorder_depth > 0
