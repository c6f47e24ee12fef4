"""What a file is, told by its content, whatever its name says."""

from __future__ import annotations

from pathlib import Path

from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.videos import Segment, VideoInfo
from grange.pipelines.wildlife.results import Kind

__all__ = ["Segment", "VideoInfo", "index_video", "kind_of"]


def kind_of(path: Path) -> Kind:
    """Whether a file is a video or a still.

    Raises:
        InputUnreadable: It is neither, or so damaged that it can't be told.
    """
    raise NotImplementedError
