"""What a file is, told by its content, whatever its name says."""

from __future__ import annotations

from pathlib import Path

from grange.pipelines.wildlife.media.faults import check_file, file_error
from grange.pipelines.wildlife.media.indexing import index_video
from grange.pipelines.wildlife.media.opening import opened, video_stream
from grange.pipelines.wildlife.media.signatures import HEADER_BYTES, is_still
from grange.pipelines.wildlife.media.videos import Segment, VideoInfo
from grange.pipelines.wildlife.results import Kind

__all__ = ["Segment", "VideoInfo", "index_video", "kind_of"]


def kind_of(path: Path) -> Kind:
    """Whether a file is a video or a still.

    That it begins like one says nothing yet of the rest of it.

    Raises:
        InputMissing: It is not there.
        InputUnreadable: It is neither, or so damaged that it can't be told.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        raise file_error(path, error) from error
    if is_still(header, path):
        return Kind.IMAGE
    with opened(path) as container:
        video_stream(container, path)
    return Kind.VIDEO
