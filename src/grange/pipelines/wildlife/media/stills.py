"""Stills: upright and in RGB, whatever they were stored as."""

from __future__ import annotations

import struct
import threading
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from grange.errors import InputUnreadable
from grange.pipelines.wildlife.media.dates import taken_exif
from grange.pipelines.wildlife.media.faults import check_file, file_error, unreadable
from grange.pipelines.wildlife.media.signatures import HEADER_BYTES, format_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.pictures import Picture, Pixels

# Larger than the sensor of any camera; more is a bomb, or a scan that no detector is made for.
MAX_STILL_PIXELS: Final = 120_000_000

# Channels of more than 8 bits, of which Pillow keeps the values as they are.
_DEEP: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_BYTE_BITS: Final = 8
# Stamps of the moment itself first, then of when the file was made.
_STAMPS: Final = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
)
# What no opaque pixel covers, as every viewer shows it.
_PAPER: Final = (255, 255, 255, 255)
# Cameras write pictures of several parts into JPEG files.
_FORMATS: Final = {"JPEG": ("JPEG", "MPO")}
# What undoes the orientation that EXIF numbers.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise over bytes that are not what they should be.
_BROKEN: Final = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    ZeroDivisionError,
    struct.error,
)
_warnings_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Still:
    """A picture, and when it was taken; with a zone only where the file names one."""

    picture: Picture
    taken: datetime | None


class PixelPicture:
    """A picture whose pixels are all there. Any thread may ask it."""

    def __init__(self, pixels: Pixels) -> None:
        """Show these pixels, which nobody may change from now on."""
        pixels.setflags(write=False)
        self._pixels = pixels
        self._kept: dict[tuple[int, int], Pixels] = {(self.width, self.height): pixels}

    @property
    def width(self) -> int:
        """Its width in pixels, as it is shown."""
        return int(self._pixels.shape[1])

    @property
    def height(self) -> int:
        """Its height in pixels, as it is shown."""
        return int(self._pixels.shape[0])

    def pixels(self) -> Pixels:
        """The whole picture in its own size."""
        return self._pixels

    def scaled(self, width: int, height: int) -> Pixels:
        """The whole picture in another size; its proportions are the caller's business."""
        found = self._kept.get((width, height))
        if found is None:
            whole = Image.fromarray(self._pixels)
            size = (width, height)
            found = np.array(whole.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
            found.setflags(write=False)
            self._kept[size] = found
        return found

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """The pixels of a part of it; what lies outside of the picture is left out."""
        return self._pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]


def open_still(path: Path) -> Still:
    """Read a picture whole. Of several pictures in one file it is the first.

    Raises:
        InputMissing: It is not there.
        InputUnreadable: It is no picture, damaged, cut off, or larger than any camera's.
    """
    size = check_file(path)
    try:
        with path.open("rb") as file:
            kind = format_of(file.read(HEADER_BYTES))
    except OSError as error:
        raise file_error(path, error) from error
    if not kind:
        raise unreadable(path, "is no picture that can be read")
    # Pillow warns of what is allowed or told here; filters are set for all threads at once.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Packages of models let Pillow fill up what was cut off, for the whole process.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        return _read(path, kind, size)


def _read(path: Path, kind: str, size: int) -> Still:
    try:
        with Image.open(path, formats=_FORMATS.get(kind, (kind,))) as image:
            if image.width * image.height > MAX_STILL_PIXELS:
                raise _too_large(path)
            image.load()
            return Still(PixelPicture(_pixels(image)), _taken(image))
    except UnidentifiedImageError as error:
        raise unreadable(path, f"begins like a {kind} picture but is none") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except _BROKEN as error:
        what = f"is a damaged or cut-off {kind} picture of {size:,} bytes"
        raise unreadable(path, what, hint="Copy it again from the camera's card.") from error


def _too_large(path: Path) -> InputUnreadable:
    what = f"says that it is a picture of more than {MAX_STILL_PIXELS:,} pixels"
    return unreadable(path, what, hint="Cut it into smaller ones if it really is.")


def _pixels(image: Image.Image) -> Pixels:
    how = _UPRIGHT.get(_orientation(image))
    upright = image if how is None else image.transpose(how)
    if upright.mode in _DEEP:
        upright = Image.fromarray(_shallow(np.asarray(upright)))
    elif upright.has_transparency_data:
        paper = Image.new("RGBA", upright.size, _PAPER)
        upright = Image.alpha_composite(paper, upright.convert("RGBA"))
    return np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))


def _shallow(deep: NDArray[Any]) -> Pixels:
    """8 bits of a grey picture of more: the uppermost that its sensor used."""
    if deep.dtype.kind == "f":
        known = np.nan_to_num(deep, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
        return np.asarray(known * (255.0 / max(1.0, float(known.max()))) + 0.5, np.uint8)
    # In the width that the values have: a large picture is small as a file, and not here.
    bits = max(_BYTE_BITS, max(0, int(deep.max())).bit_length())
    known = np.maximum(deep, 0) if deep.dtype.kind == "i" else deep
    return np.asarray(known >> (bits - _BYTE_BITS), np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _BROKEN:
        # A picture with a damaged label is a picture still.
        return 1


def _taken(image: Image.Image) -> datetime | None:
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
    except _BROKEN:
        return None
    for stamp, offset in _STAMPS:
        if taken := taken_exif(details.get(stamp), details.get(offset)):
            return taken
    return taken_exif(exif.get(ExifTags.Base.DateTime), details.get(ExifTags.Base.OffsetTime))
