"""The index of a video: every frame's number and time, and where its segments lie."""

from __future__ import annotations

from pathlib import Path

from grange.pipelines.wildlife.media.videos import VideoInfo


def index_video(path: Path) -> VideoInfo:
    """Read all packets of a video and decode one frame of it.

    The memory that this takes does not grow with the video, as long as it has keyframes.

    Raises:
        InputUnreadable: There is no video in it, or none of it can be decoded.
    """
    raise NotImplementedError
