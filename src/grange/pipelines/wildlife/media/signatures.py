"""The first bytes of stills."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grange.pipelines.wildlife.media.faults import unreadable

HEADER_BYTES: Final = 32

# What Pillow calls it, and the bytes that it begins with.
_BEGINNINGS: Final = (
    ("JPEG", b"\xff\xd8\xff"),
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),
    ("TIFF", b"MM\0+"),
    ("GIF", b"GIF8"),
    ("BMP", b"BM"),
    ("JPEG2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG2000", b"\xff\x4f\xff\x51"),
)
_ISO_BRANDS: Final = {b"avif": "AVIF", b"avis": "AVIF"}
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})


def format_of(header: bytes) -> str:
    """What Pillow calls the format that begins like this; empty when it is no still's."""
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP"
    if header[4:8] == b"ftyp" and (found := _ISO_BRANDS.get(header[8:12])):
        return found
    return next((name for name, begin in _BEGINNINGS if header.startswith(begin)), "")


def is_still(header: bytes, path: Path) -> bool:
    """Whether a file that begins like this is a picture.

    Raises:
        InputUnreadable: It is one in a format that nobody here can read.
    """
    if header[4:8] == b"ftyp" and header[8:12] in _HEIF_BRANDS:
        hint = "Set the camera to JPEG, or convert it."
        raise unreadable(path, "is a HEIF picture, which can't be read", hint=hint)
    return bool(format_of(header))
