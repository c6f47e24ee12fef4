"""Frames of a video's segments, with their exact numbers and times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from grange.pipelines.wildlife.media.videos import Segment, VideoInfo
from grange.pipelines.wildlife.pictures import Picture


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
    """An open video. Segments asked for in ascending order are read without seeking.

    A segment's frames are the same whatever was read before. For one thread at a time.
    """

    def __init__(self, path: Path, info: VideoInfo, threads: int = 1) -> None:
        """Open the video that `info` (its segments aside) tells of.

        Raises:
            InputUnreadable: It can't be opened.
        """
        raise NotImplementedError

    def __enter__(self) -> VideoReader:
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
        raise NotImplementedError

    def frames(self, segment: Segment, wanted: Callable[[int], bool]) -> Iterator[Frame]:
        """The wanted frames of a segment, by ascending number.

        A wanted frame that can't be decoded is left out: the caller sees the gap in the numbers.
        """
        raise NotImplementedError

    def digest(self, segment: Segment) -> str:
        """What a segment's frames depend on: its packets and the decoder's set-up, as sha256."""
        raise NotImplementedError


def frames_of(
    path: Path, info: VideoInfo, segment: Segment, wanted: Callable[[int], bool]
) -> Iterator[Frame]:
    """The wanted frames of one segment, by ascending number; see `VideoReader.frames`.

    Raises:
        InputUnreadable: The video can't be opened.
    """
    with VideoReader(path, info) as reader:
        yield from reader.frames(segment, wanted)


def digest_of(path: Path, info: VideoInfo, segment: Segment) -> str:
    """What the frames of one segment depend on, as sha256: their address.

    Raises:
        InputUnreadable: The video can't be opened.
    """
    with VideoReader(path, info) as reader:
        return reader.digest(segment)
