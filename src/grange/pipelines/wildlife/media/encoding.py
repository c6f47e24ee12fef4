"""Labelled videos and pictures: written in segments, joined without encoding again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from PIL import Image

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

    from grange.pipelines.wildlife.pictures import Pixels

# Full HD: what every screen and browser plays.
MAX_SIDE: Final = 1920
JPEG_QUALITY: Final = 85

# The container of segments: it keeps any time base exactly, where MP4 rounds the first time.
_SEGMENT_FORMAT: Final = "nut"
# MP4 states times as 32 bits of ticks; finer ones than these are rounded to microseconds.
_FINEST: Final = 1_000_000
# So that a player can jump to any second or two of the usual five pictures a second.
_KEYFRAME_EVERY: Final = 10
_X264: Final = {
    # Half the time of the next one; at this quality the noise of a night camera is kept no longer.
    "preset": "ultrafast",
    "crf": "26",
    # Nothing depends on frames to come, on the processor, or on how many of them there are.
    "x264-params": (
        "threads=1:lookahead-threads=1:sliced-threads=0:cpu-independent=1:bframes=0:"
        "rc-lookahead=0:sync-lookahead=0:mbtree=0:open-gop=0:scenecut=0"
    ),
}
_SLOWEST: Final = Fraction(1, 1000)
_LARGEST_DENOMINATOR: Final = 100_000


def labelled_size(width: int, height: int) -> tuple[int, int]:
    """The size that a labelled video is painted and encoded in: even, and 1920 at most."""
    share = min(1.0, MAX_SIDE / max(width, height))
    return _even(width * share), _even(height * share)


class LabelledWriter:
    """Encodes one segment of a labelled video into a file of its own, to be joined later.

    The bytes depend on the pictures, their times and the arguments alone. Two
    writers with the same arguments make segments that can be joined.
    """

    def __init__(
        self, path: Path, width: int, height: int, time_base: Fraction, frame_rate: Fraction
    ) -> None:
        """Open the file.

        Args:
            path: Where the segment goes, whatever it is called.
            width: Of all pictures that will be written, as `labelled_size` gives it.
            height: Likewise.
            time_base: Seconds in a tick of the times that pictures come with.
            frame_rate: How many pictures a second there will be, about.
        """
        self._size = (width, height)
        self._tick = time_base
        self._base = Fraction(1, min(time_base.denominator, _FINEST))
        self._scaler = VideoReformatter()
        # FFmpeg makes the file with the first picture; without one, the segment is an empty file.
        path.write_bytes(b"")
        self._file = _output(path, _SEGMENT_FORMAT)
        self._stream = self._add_stream(frame_rate)
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, pixels: Pixels, pts: int) -> None:
        """Add a picture that is shown at `pts` ticks; later than the one before."""
        source = VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="rgb24")
        frame = self._scaler.reformat(
            source,
            *self._size,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BILINEAR | Interpolation.BITEXACT,
            threads=1,
        )
        # Broken files show two pictures at one time, which no player can.
        self._last = max(self._last + 1, round(pts * self._tick / self._base))
        frame.pts, frame.time_base = self._last, self._base
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left; without this the segment is not whole."""
        if self._last >= 0:
            self._file.mux(self._stream.encode(None))
        self._file.close()

    def _add_stream(self, frame_rate: Fraction) -> VideoStream:
        stream = self._file.add_stream("libx264", rate=_statable(frame_rate), options=_X264)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._base
        context.gop_size = _KEYFRAME_EVERY
        context.thread_count = 1
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return stream


def join(parts: Sequence[Path], target: Path) -> None:
    """Make one MP4 of segments, in their order: H.264 that browsers play as it arrives.

    No picture is encoded again, so its bytes depend on the segments alone. Of
    segments without pictures nothing comes; if none has one, there is no file.
    """
    with _Joined(target) as joined:
        for part in parts:
            if part.stat().st_size:
                with av.open(f"file:{part}", format=_SEGMENT_FORMAT) as source:
                    joined.append(source)


def write_jpeg(pixels: Pixels, path: Path, *, width: int | None = None) -> None:
    """Write a picture, at most so wide; the same pixels give the same bytes."""
    picture = Image.fromarray(pixels)
    if width is not None and width < picture.width:
        height = max(1, round(picture.height * width / picture.width))
        size = (width, height)
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    picture.save(path, "JPEG", quality=JPEG_QUALITY)


class _Joined:
    """An MP4 that begins with its first packet."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._file: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_what: object) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, source: InputContainer) -> None:
        """Add the packets of a segment."""
        for packet in source.demux(source.streams.video[0]):
            if packet.size and packet.pts is not None:
                file, stream = self._opened(source)
                packet.stream = stream
                # They lie in the order in which they are shown.
                self._last = max(packet.pts, self._last + 1)
                packet.pts = packet.dts = self._last
                file.mux(packet)

    def _opened(self, source: InputContainer) -> tuple[OutputContainer, VideoStream]:
        if self._file is None or self._stream is None:
            self._file = _output(self._target, "mp4", _mp4(source.streams.video[0]))
            self._stream = self._file.add_stream_from_template(source.streams.video[0])
        return self._file, self._stream


def _output(path: Path, kind: str, options: dict[str, str] | None = None) -> OutputContainer:
    # Neither versions nor dates: the same input gives the same bytes.
    given = {"fflags": "+bitexact", **(options or {})}
    return av.open(f"file:{path}", "w", format=kind, container_options=given)


def _mp4(stream: VideoStream) -> dict[str, str]:
    tick = stream.time_base or Fraction(1, _FINEST)
    # The index goes to the front, so that playing begins before all has arrived; and a video
    # whose first picture is late says so in ticks of the movie, which are milliseconds otherwise.
    return {"movflags": "+faststart", "movie_timescale": str(tick.denominator)}


def _even(size: float) -> int:
    return max(2, round(size / 2) * 2)


def _statable(rate: Fraction) -> Fraction:
    """A rate in numbers that H.264 can state."""
    return max(rate, _SLOWEST).limit_denominator(_LARGEST_DENOMINATOR)
