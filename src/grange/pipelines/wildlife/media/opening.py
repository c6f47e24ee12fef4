"""Where FFmpeg opens files: only as what cameras write, and never more than the file itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from grange.errors import InputUnreadable
from grange.pipelines.wildlife.media.faults import check_file, file_error, unreadable

# 8K of any shape, and larger than any sensor behind a video; more is a broken or hostile header.
MAX_FRAME_PIXELS: Final = 8192 * 8192

# Playlists and scripts, which FFmpeg would follow to other files, are not among these.
_FORMATS: Final = (
    "3dostr,aac,asf,avi,dv,flac,flv,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp3,mpeg,mpegts,"
    "mpegvideo,mxf,nut,obu,ogg,rm,wav,yuv4mpegpipe"
)
_OPTIONS: Final = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_FRAME_PIXELS),
    # FFmpeg decodes the beginning to learn what a stream is: not with a thread for every core.
    "threads": "1",
}
# Pictures that lie in a file beside its video or sound.
_NO_VIDEO: Final = Disposition.attached_pic | Disposition.timed_thumbnails
_ISO_BOX_TYPE: Final = slice(4, 8)
_ISO_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"})
_HEADER_BYTES: Final = 16


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A media file, closed when done with.

    Raises:
        InputMissing: It is not there.
        InputUnreadable: It is empty, not to be read, or no media file.
    """
    container = open_container(path)
    try:
        yield container
    finally:
        container.close()


def open_container(path: Path) -> InputContainer:
    """A media file; whoever asks for it closes it. It raises what `opened` does."""
    check_file(path)
    try:
        # The prefix keeps a name with a colon in it from being read as a protocol.
        return av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise _not_opened(path, error) from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that people see when they play the file.

    Raises:
        InputUnreadable: There is none, its codec is unknown, or its pictures are impossible.
    """
    stream = _best_stream(container)
    if stream is None:
        what = "holds sound but no video" if container.streams.audio else "holds no video"
        raise unreadable(path, what, hint="Leave it out of the run's inputs.")
    context = stream.codec_context
    if context is None:
        raise unreadable(path, "holds a video whose codec FFmpeg does not know")
    if context.width * context.height > MAX_FRAME_PIXELS:
        what = f"says that its frames have {context.width} × {context.height} pixels"
        raise unreadable(path, what, hint=f"At most {MAX_FRAME_PIXELS:,} pixels are read.")
    return stream


def _best_stream(container: InputContainer) -> VideoStream | None:
    candidates = [each for each in container.streams.video if not each.disposition & _NO_VIDEO]
    best = container.streams.best("video")
    for each in candidates:
        if best is not None and each.index == best.index:
            return each
    return candidates[0] if candidates else None


def _not_opened(path: Path, error: Exception) -> Exception:
    if isinstance(error, OSError) and not isinstance(error, av.InvalidDataError | EOFError):
        if os.access(path, os.R_OK):
            return unreadable(path, f"can't be read as a video: {error.strerror}")
        return file_error(path, error)
    if _is_iso(path):
        return _cut_off(path)
    return unreadable(path, "is neither a video nor a picture that can be read")


def _cut_off(path: Path) -> InputUnreadable:
    what = "is an MP4 without its index: its recording or its copy was cut off"
    return unreadable(path, what, hint="Copy it again from the camera's card.")


def _is_iso(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_BYTES)[_ISO_BOX_TYPE] in _ISO_BOXES
    except OSError:
        return False
