"""Labelled videos and pictures: written in segments, joined without encoding again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from grange.pipelines.wildlife.pictures import Pixels


def labelled_size(width: int, height: int) -> tuple[int, int]:
    """The size that a labelled video is painted and encoded in: even, and 1920 at most."""
    raise NotImplementedError


class LabelledWriter:
    """Encodes one segment of a labelled video into a file of its own, to be joined later."""

    def __init__(
        self, path: Path, width: int, height: int, time_base: Fraction, frame_rate: Fraction
    ) -> None:
        """Open the file.

        Args:
            path: Where the segment goes.
            width: Of all pictures that will be written, as `labelled_size` gives it.
            height: Likewise.
            time_base: Seconds in a tick of the times that pictures come with.
            frame_rate: How many pictures a second there will be, about.
        """
        raise NotImplementedError

    def __enter__(self) -> LabelledWriter:
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
        raise NotImplementedError

    def close(self) -> None:
        """Write what is left; without this the segment is not whole."""
        raise NotImplementedError


def join(parts: Sequence[Path], target: Path) -> None:
    """Make one MP4 of segments, in their order: H.264 that browsers play as it arrives.

    No picture is encoded again, so its bytes depend on the segments alone.
    """
    raise NotImplementedError


def write_jpeg(pixels: Pixels, path: Path, *, width: int | None = None) -> None:
    """Write a picture, at most so wide; the same pixels give the same bytes."""
    raise NotImplementedError
