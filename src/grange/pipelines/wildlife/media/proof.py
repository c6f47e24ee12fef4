"""One decoded frame: the proof that a video can be decoded, and how its pictures lie."""

from __future__ import annotations

import struct
from typing import Final

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# After so many packets without a picture, only keyframes are tried, until there were so many.
_TRIED_PACKETS: Final = 300
_TRIED_KEYFRAMES: Final = 50
_QUARTERS: Final = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}
# Three rows of three numbers: where the axes go, and what does not matter here.
_MATRIX: Final = struct.Struct("=9i")


class Proof:
    """Decodes packets until the first frame comes out."""

    def __init__(self, stream: VideoStream) -> None:
        """Decode with the stream's own decoder, which knows all that its container says."""
        self.frame: VideoFrame | None = None
        self._context = stream.codec_context
        self._context.thread_count = 1
        self._packets = 0
        self._keyframes = 0

    def feed(self, packet: Packet[VideoStream] | None) -> None:
        """Try one more packet, as long as there is need; none says that there are no more."""
        if self.frame is not None:
            return
        if packet is not None and not self._worth_trying(packet):
            return
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            return
        self.frame = frames[0] if frames else None

    def _worth_trying(self, packet: Packet[VideoStream]) -> bool:
        self._packets += 1
        self._keyframes += packet.is_keyframe
        if self._packets <= _TRIED_PACKETS:
            return True
        return packet.is_keyframe and self._keyframes <= _TRIED_KEYFRAMES


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """By how many degrees, clockwise, a frame is turned to be upright, and if mirrored before."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d, *_ = _MATRIX.unpack(bytes(matrix))  # type: ignore[call-overload]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    level = abs(a) >= abs(b)
    axis = ((a > 0) - (a < 0), 0) if level else (0, (b > 0) - (b < 0))
    return _QUARTERS.get(axis, 0), mirrored
