"""The packets of one segment, found again in its file."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av

from grange.pipelines.wildlife.media.opening import open_container, video_stream
from grange.pipelines.wildlife.media.packets import Feed

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from grange.pipelines.wildlife.media.videos import Segment, VideoInfo

# A segment whose packets are larger than this is read a second time instead of being kept.
MAX_HELD_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Stretch:
    """What was learned of a segment by reading its packets once."""

    # When its frames are shown, in the file's ticks, ascending; empty where frames are counted.
    times: array[int] = field(default_factory=lambda: array("q"))
    # When its keyframes are shown, in the order of the file.
    keys: array[int] = field(default_factory=lambda: array("q"))
    sha256: str = ""
    # Its packets in the order of decoding; none where they are too large to be kept.
    packets: list[Packet[VideoStream]] | None = field(default_factory=list)


class Stretches:
    """Finds the packets of segments in an open file. What it finds does not depend on the order."""

    def __init__(self, path: Path, info: VideoInfo) -> None:
        """Open the file. It raises what `opened` does."""
        self._path = path
        self._info = info
        self._found: tuple[int, Stretch] | None = None
        self._open()

    def close(self) -> None:
        """Close the file; packets that were given stay good."""
        self._found = None
        self._container.close()

    def of(self, segment: Segment) -> Stretch:
        """Read a segment; asked again for the same one, it has the answer still."""
        if self._found is None or self._found[0] != segment.number:
            self._found = None
            self._found = (segment.number, self._read(segment))
        return self._found[1]

    def packets(self, segment: Segment) -> Iterator[Packet[VideoStream]]:
        """The packets that a segment's frames are decoded from, in the order of decoding.

        After its own come the next keyframe, and those behind it that are shown before it.
        """
        behind = False
        for packet in self._beginning_at(segment):
            if packet.pts is None or segment.end is None:
                yield packet
                continue
            if behind and packet.pts >= segment.end:
                return
            behind = behind or (packet.is_keyframe and packet.pts >= segment.end)
            yield packet

    def _open(self) -> None:
        self._container = open_container(self._path)
        try:
            self.stream = video_stream(self._container, self._path)
        except BaseException:
            self._container.close()
            raise
        self._at_start = True

    def _read(self, segment: Segment) -> Stretch:
        stretch, held = Stretch(), 0
        digest = hashlib.sha256(self._set_up(segment))
        shows = Feed(self._container, self.stream).shows
        for packet in self.packets(segment):
            self._note(stretch, packet, segment, shown=shows(packet))
            digest.update(b"%d %d %d\n" % (self._moment(packet), packet.size, packet.is_discard))
            digest.update(packet)
            held += packet.size
            if stretch.packets is not None:
                stretch.packets.append(packet)
                if held > MAX_HELD_BYTES:
                    stretch.packets = None
        # Of a damaged file, more may be found from here than when it was read from its beginning:
        # what the next segment's numbers begin behind.
        stretch.times = array("q", sorted(stretch.times)[: segment.frames])
        stretch.sha256 = digest.hexdigest()
        return stretch

    @staticmethod
    def _note(
        stretch: Stretch, packet: Packet[VideoStream], segment: Segment, *, shown: bool
    ) -> None:
        if packet.pts is None or segment.start is None:
            return
        if packet.is_keyframe:
            stretch.keys.append(packet.pts)
        inside = segment.end is None or packet.pts < segment.end
        if shown and inside and packet.pts >= segment.start:
            stretch.times.append(packet.pts)

    def _moment(self, packet: Packet[VideoStream]) -> int:
        return -1 if packet.pts is None else packet.pts - self._info.start

    def _set_up(self, segment: Segment) -> bytes:
        info, context = self._info, self.stream.codec_context
        said = (info.codec, info.time_base, info.rotation, info.mirrored, segment.first)
        return repr(said).encode() + (context.extradata or b"")

    def _beginning_at(self, segment: Segment) -> Iterator[Packet[VideoStream]]:
        """From its first keyframe on; where the file can't be searched, it is read through."""
        if segment.seek is not None and self._seek(segment.seek):
            found = self._from_keyframe(segment)
            if (first := next(found, None)) is not None:
                yield first
                yield from found
                return
        if not self._at_start:
            self._container.close()
            self._open()
        yield from self._from_keyframe(segment)

    def _seek(self, time: int) -> bool:
        self._at_start = False
        try:
            self._container.seek(time, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    def _from_keyframe(self, segment: Segment) -> Iterator[Packet[VideoStream]]:
        self._at_start = False
        found = False
        for packet in Feed(self._container, self.stream):
            if not found:
                if packet.is_keyframe and segment.start is not None and packet.pts is not None:
                    if packet.pts > segment.start:
                        return
                    found = packet.pts == segment.start
                else:
                    found = packet.is_keyframe and segment.start is None
            if found:
                yield packet
