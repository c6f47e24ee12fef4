"""The index of a video: how many frames it has, their pace, and where its segments lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av

from grange.errors import InputUnreadable
from grange.pipelines.wildlife.media.dates import taken_in
from grange.pipelines.wildlife.media.faults import unreadable
from grange.pipelines.wildlife.media.losses import loss_of
from grange.pipelines.wildlife.media.opening import opened, video_stream
from grange.pipelines.wildlife.media.packets import Feed, guesses_times
from grange.pipelines.wildlife.media.proof import Proof, orientation
from grange.pipelines.wildlife.media.segments import Counted, Stamped, TimesUnusable
from grange.pipelines.wildlife.media.videos import VideoInfo

# Ten hours at more than 500 frames a second; more is a broken or hostile file.
MAX_FRAMES: Final = 20_000_000


def index_video(path: Path) -> VideoInfo:
    """Read all packets of a video and decode one frame of it.

    The memory that this takes does not grow with the video, as long as it has keyframes.

    Raises:
        InputMissing: It is not there.
        InputUnreadable: There is no video in it, or none of it can be decoded.
    """
    try:
        return _index(path, Stamped)
    except TimesUnusable:
        return _index(path, Counted)


def _index(path: Path, layout_of: type[Stamped | Counted]) -> VideoInfo:
    with opened(path) as container:
        feed = Feed(container, video_stream(container, path))
        if layout_of is Stamped and guesses_times(container, feed.stream):
            raise TimesUnusable
        layout, proof = layout_of(feed), Proof(feed.stream)
        try:
            for packet in feed:
                layout.add(packet)
                proof.feed(packet)
                if layout.frames > MAX_FRAMES:
                    raise unreadable(path, f"has more than {MAX_FRAMES:,} frames")
        except av.FFmpegError as error:
            raise unreadable(path, f"can't be read to its end: {error.strerror}") from error
        proof.feed(None)
        layout.finish()
        return _info(path, feed, layout, proof)


def _info(path: Path, feed: Feed, layout: Stamped | Counted, proof: Proof) -> VideoInfo:
    if proof.frame is None or not layout.frames:
        raise _undecodable(path, feed)
    rotation, mirrored = orientation(proof.frame)
    width, height = proof.frame.width, proof.frame.height
    if rotation in {90, 270}:
        width, height = height, width
    end = float(layout.start * layout.time_base) + layout.seconds
    return VideoInfo(
        width=width,
        height=height,
        rotation=rotation,
        mirrored=mirrored,
        frame_rate=layout.frame_rate,
        variable_rate=layout.variable_rate,
        time_base=layout.time_base,
        start=layout.start,
        frames=layout.frames,
        seconds=layout.seconds,
        taken=taken_in(feed.container.metadata, feed.stream.metadata),
        codec=feed.stream.codec_context.name,
        counted=isinstance(layout, Counted),
        loss=loss_of(feed, end),
        segments=tuple(layout.segments),
    )


def _undecodable(path: Path, feed: Feed) -> InputUnreadable:
    what = (
        "holds a video without a single frame"
        if not feed.entries
        else (f"holds a {feed.stream.codec_context.name} video of which no frame can be decoded")
    )
    return unreadable(path, what, hint="Copy it again from the camera's card.")
