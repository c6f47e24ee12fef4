"""What is read of an item: the segments of its parts, and their frames in pieces."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from grange.errors import InputUnreadable
from grange.pipelines.wildlife.media.decoding import Frame, VideoReader
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.probe import kind_of
from grange.pipelines.wildlife.media.videos import Segment, VideoInfo
from grange.pipelines.wildlife.results import Kind
from grange.pipelines.wildlife.sampling import Clock, Sampling, wanted_frames
from grange.pipelines.wildlife.stages import (
    DAMAGED,
    FINDING,
    SKIPPED,
    Loaded,
    Piece,
    Stages,
    Stretch,
)

JSON = Any

# Frames of one piece take at most so much memory; a larger one is a piece by itself.
PIECE_BYTES: Final = 32 << 20


def parts_of(file: Path, seconds: float) -> Iterator[JSON]:
    """The parts of an item, as plain data: segments of a video that last so long together.

    Raises:
        InputUnreadable: It is neither a video nor a picture, or a damaged one.
    """
    if kind_of(file) is Kind.IMAGE:
        yield {}
        return
    info = index_video(file)
    if not info.segments:
        raise InputUnreadable("There is no frame in the video.")
    part: list[Segment] = []
    for segment in info.segments:
        part.append(segment)
        if sum(one.frames for one in part) >= seconds * info.frame_rate:
            yield replace(info, segments=tuple(part)).plain()
            part = []
    if part:
        yield replace(info, segments=tuple(part)).plain()


def clock_of(info: VideoInfo) -> Clock:
    """The times of a video."""
    return Clock(info.time_base, None if info.variable_rate else info.frame_rate)


def pieces_of(
    file: Path, info: VideoInfo, sampling: Sampling, stages: Stages, loaded: Loaded
) -> Generator[Piece, None, None]:
    """The wanted frames of a part, segment by segment; no piece has frames of two segments.

    Raises:
        InputUnreadable: The video can't be opened any more.
    """
    size = stages.batch(info.frame_bytes, PIECE_BYTES)
    with VideoReader(file, info.alone()) as reader:
        for segment in info.segments:
            stretch = stages.begin(
                segment.number, _address(reader.digest(segment), info, segment, sampling)
            )
            wanted = wanted_frames(sampling, clock_of(info), segment.before)
            yield from _cut(reader.frames(segment, wanted), size, stretch, loaded)
            stages.seen[SKIPPED] = reader.skipped
            stages.seen[DAMAGED] = reader.damaged


def _address(digest: str, info: VideoInfo, segment: Segment, sampling: Sampling) -> str:
    """All that decides which frames of a segment are analysed, and what they show."""
    rate = None if info.variable_rate else info.frame_rate
    turned = (info.rotation, info.mirrored, info.width, info.height)
    place = (segment.first, segment.frames, segment.before)
    return f"{digest} {place} {turned} {info.time_base} {rate} {sampling.fps} {sampling.every}"


def _cut(frames: Iterator[Frame], size: int, stretch: Stretch, loaded: Loaded) -> Iterator[Piece]:
    looks = FINDING not in stretch.known
    batch: list[Frame] = []
    for frame in frames:
        # The last piece is told from the others: one more frame shows whether there is another.
        if len(batch) == size:
            yield _piece(batch, stretch, loaded if looks else None, last=False)
            batch = []
        batch.append(frame)
    yield _piece(batch, stretch, loaded if looks else None, last=True)


def _piece(batch: list[Frame], stretch: Stretch, loaded: Loaded | None, *, last: bool) -> Piece:
    detector = loaded.detector if loaded and batch else None
    prepared = [detector.prepare(one.picture) for one in batch] if detector else []
    return Piece(stretch, batch, prepared, last)
