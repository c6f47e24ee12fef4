"""Videos whose every frame shows its own number, so that a test can tell what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from grange.pipelines.wildlife.media.decoding import Frame, VideoReader, Wanted
from grange.pipelines.wildlife.media.videos import VideoInfo

NTSC = Fraction(30000, 1001)
SIZE = (64, 48)
# The number's binary digits are blocks, black or white.
COLUMNS, ROWS = 4, 3


def numbered(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture that shows a number below 4096, from the top left block on."""
    width, height = size
    digits = [number >> place & 1 for place in range(COLUMNS * ROWS)]
    blocks = np.array(digits, np.uint8).reshape(ROWS, COLUMNS) * 180 + 50
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.repeat(blocks[rows][:, columns, None], 3, axis=2)


def shown(pixels: np.ndarray) -> int:
    """The number that a picture shows, of any size."""
    height, width = pixels.shape[:2]
    number = 0
    for place in range(COLUMNS * ROWS):
        row, column = divmod(place, COLUMNS)
        y, x = (2 * row + 1) * height // (2 * ROWS), (2 * column + 1) * width // (2 * COLUMNS)
        number |= int(pixels[y, x].mean() > 128) << place
    return number


def film(
    path: Path,
    count: int = 60,
    *,
    rate: Fraction | int = NTSC,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    size: tuple[int, int] = SIZE,
    gop: int = 15,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    kind: str | None = None,
    metadata: dict[str, str] | None = None,
    rotation: int = 0,
    pix_fmt: str | None = None,
    grain: int = 0,
) -> Path:
    """Write a video of so many numbered frames; `times` are theirs in ticks of `time_base`.

    With `grain` (its strength), no frame is like another, and packets are as large as in nature.
    """
    luck = np.random.default_rng(3)
    given = {"x264-params": "scenecut=0", **(options or {})} if codec == "libx264" else options
    with av.open(str(path), "w", format=kind, container_options=container_options) as file:
        file.metadata.update(metadata or {})
        stream: Any = file.add_stream(codec, rate=Fraction(rate), options=given)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
        stream.codec_context.time_base = time_base or 1 / Fraction(rate)
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(count):
            pixels = numbered(number, size)
            if grain:
                pixels = pixels - luck.integers(0, grain, pixels.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = stream.codec_context.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def looped(path: Path, source: Path, seconds: float, kind: str | None = None) -> Path:
    """Write the packets of a video over and over, until it lasts so long."""
    with av.open(str(source)) as given, av.open(str(path), "w", format=kind) as file:
        stream = file.add_stream_from_template(given.streams.video[0])
        packets: list[Any] = [each for each in given.demux(video=0) if each.size]
        ticks = sum(each.duration for each in packets)
        tick = given.streams.video[0].time_base or Fraction(1)
        for turn in range(round(seconds / float(ticks * tick))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.stream, again.time_base = stream, tick
                again.is_keyframe, again.duration = packet.is_keyframe, packet.duration
                again.pts, again.dts = packet.pts + turn * ticks, packet.dts + turn * ticks
                file.mux_one(again)
    return path


def every(number: int, pts: int) -> bool:
    """Wants all frames."""
    return True


def read(path: Path, info: VideoInfo, wanted: Wanted = every) -> list[Frame]:
    """The wanted frames of all segments."""
    with VideoReader(path, info.alone()) as reader:
        return list(_frames(reader, info, wanted))


def _frames(reader: VideoReader, info: VideoInfo, wanted: Wanted) -> Iterator[Frame]:
    for segment in info.segments:
        yield from reader.frames(segment, wanted)


def told(frames: Sequence[Frame]) -> list[tuple[int, int]]:
    """Of each frame, the number that it is given and the number that it shows."""
    return [(each.number, shown(each.picture.pixels())) for each in frames]
