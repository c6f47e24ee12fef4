"""Decoded frames as pictures: upright, converted straight into the size that is asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

if TYPE_CHECKING:
    from grange.pipelines.wildlife.pictures import Pixels

# The same pixels on every machine; without scaling the accurate way is ten times as slow.
_SAME_SIZE: Final = Interpolation.BILINEAR | Interpolation.BITEXACT
_SCALING: Final = _SAME_SIZE | Interpolation.ACCURATE_RND
# Above this many pixels, a small part is cut out before it is converted.
_LARGE_PIXELS: Final = 2_000_000
_CUTTABLE: Final = frozenset({"yuv420p", "yuvj420p"})
# AVCOL_SPC_*: says nothing of how its colours are meant.
_UNSPECIFIED: Final = 2
# From this height on, what says nothing is meant as high definition is.
_HIGH_DEFINITION: Final = 720
# Set-ups of the scaler that a thread keeps.
_KEPT_SCALERS: Final = 16


class FramePicture:
    """A decoded frame, upright. Any thread may ask it; what it gives can't be written to."""

    def __init__(self, frame: VideoFrame, rotation: int = 0, *, mirrored: bool = False) -> None:
        """Show a frame turned clockwise by quarters, after mirroring it if need be."""
        self._frame = frame
        self._turns = rotation // 90 % 4
        self._mirrored = mirrored
        self._kept: dict[tuple[int, int], Pixels] = {}
        self._lock = threading.Lock()

    @property
    def width(self) -> int:
        """Its width in pixels, as it is shown."""
        return self._frame.height if self._turns % 2 else self._frame.width

    @property
    def height(self) -> int:
        """Its height in pixels, as it is shown."""
        return self._frame.width if self._turns % 2 else self._frame.height

    def pixels(self) -> Pixels:
        """The whole picture in its own size."""
        return self.scaled(self.width, self.height)

    def scaled(self, width: int, height: int) -> Pixels:
        """The whole picture in another size; its proportions are the caller's business."""
        with self._lock:
            found = self._kept.get((width, height))
            if found is None:
                found = self._upright(self._frame, width, height)
                found.setflags(write=False)
                self._kept[width, height] = found
            return found

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """The pixels of a part of it; what lies outside of the picture is left out."""
        left, top = max(0, left), max(0, top)
        right, bottom = min(self.width, right), min(self.height, bottom)
        if left >= right or top >= bottom:
            return np.zeros((0, 0, 3), np.uint8)
        if self._is_worth_cutting((right - left) * (bottom - top)):
            with self._lock:
                return self._cut(left, top, right, bottom)
        return self.pixels()[top:bottom, left:right]

    def _is_worth_cutting(self, part: int) -> bool:
        # A matter of sizes alone: the pixels must not depend on what was asked for before.
        whole = self.width * self.height
        plain = not self._turns and not self._mirrored and self._frame.format.name in _CUTTABLE
        return plain and whole > _LARGE_PIXELS and part * 4 < whole

    def _cut(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        # Colour is stored for two pixels at a time, in both directions.
        x, y = left // 2 * 2, top // 2 * 2
        width, height = (right - x + 1) // 2 * 2, (bottom - y + 1) // 2 * 2
        part = VideoFrame(width, height, self._frame.format.name)
        part.colorspace, part.color_range = self._frame.colorspace, self._frame.color_range
        for number, (source, target) in enumerate(
            zip(self._frame.planes, part.planes, strict=True)
        ):
            step = 2 if number else 1
            lines = _lines(source)[y // step : (y + height) // step]
            lines = lines[:, x // step : (x + width) // step]
            _lines(target)[: len(lines), : lines.shape[1]] = lines
        pixels = _converted(part, width, height, self._frame.height)
        return pixels[top - y : bottom - y, left - x : right - x]

    def _upright(self, frame: VideoFrame, width: int, height: int) -> Pixels:
        if self._turns % 2:
            width, height = height, width
        pixels = _converted(frame, width, height, frame.height)
        if self._mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self._turns))


class _Scalers(threading.local):
    """The scalers of a thread, one for each pair of sizes, since each remembers its set-up."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[int, int, int, int], VideoReformatter] = OrderedDict()

    def get(self, frame: VideoFrame, width: int, height: int) -> VideoReformatter:
        key = (frame.width, frame.height, width, height)
        scaler = self.kept.pop(key, None) or VideoReformatter()
        self.kept[key] = scaler
        if len(self.kept) > _KEPT_SCALERS:
            self.kept.popitem(last=False)
        return scaler


_scalers = _Scalers()


def _converted(frame: VideoFrame, width: int, height: int, definition: int) -> Pixels:
    same = (width, height) == (frame.width, frame.height)
    meant = None
    if frame.colorspace == _UNSPECIFIED:
        meant = Colorspace.ITU709 if definition >= _HIGH_DEFINITION else Colorspace.ITU601
    converted = _scalers.get(frame, width, height).reformat(
        frame,
        width,
        height,
        "rgb24",
        src_colorspace=meant,
        dst_color_range=ColorRange.JPEG,
        interpolation=_SAME_SIZE if same else _SCALING,
        threads=1,
    )
    return cast("Pixels", converted.to_ndarray())


def _lines(plane: object) -> Pixels:
    line_size: int = plane.line_size  # type: ignore[attr-defined]
    found: Pixels = np.frombuffer(plane, np.uint8).reshape(-1, line_size)  # type: ignore[call-overload]
    return found
