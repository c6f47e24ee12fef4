"""Small pictures of outputs, to be put into a page; what can't be shown is left out."""

from __future__ import annotations

import time
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from grange.errors import StoreError
from grange.runs.report.survey import Picture
from grange.storage.base import Store

if TYPE_CHECKING:
    from PIL import Image

EDGE_PIXELS = 256
# Decoding is where a hostile file does its harm: size, pixels and time have bounds.
MAX_FILE_BYTES = 64 << 20
MAX_PIXELS = 80_000_000
PATIENCE_SECONDS = 20.0
MAX_EMBEDDED_BYTES = 6_000_000

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


def thumbnails(store: Store, pictures: Iterable[Picture]) -> Iterator[tuple[Picture, str | None]]:
    """Each picture with a `data:` URI of at most 256 pixels; None for one that can't be shown."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    left_bytes = MAX_EMBEDDED_BYTES
    for picture in pictures:
        uri = None
        if picture.size <= MAX_FILE_BYTES and time.monotonic() < deadline:
            uri = _data_uri(store, picture.path)
        if uri is not None and len(uri) > left_bytes:
            uri = None
        left_bytes -= len(uri or "")
        yield picture, uri


def _data_uri(store: Store, path: str) -> str | None:
    try:
        # The file may have grown since its size was taken.
        data = b"".join(store.read(path, length=MAX_FILE_BYTES))
    except StoreError:
        return None
    try:
        small = _shrunk(data)
    except Exception:  # noqa: BLE001  # a decoder raises anything over a broken file
        return None
    return f"data:image/jpeg;base64,{b64encode(small).decode()}" if small else None


def _shrunk(data: bytes) -> bytes | None:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # Odd metadata is no news to a report's reader; the number of pixels is checked here.
        warnings.simplefilter("ignore")
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.thumbnail((EDGE_PIXELS, EDGE_PIXELS))
            upright = ImageOps.exif_transpose(image)
            written = BytesIO()
            _flat(upright).save(written, "JPEG", quality=82, optimize=True)
            return written.getvalue()


def _flat(image: Image.Image) -> Image.Image:
    """The image as plain colours: deep greys stretched to their range, transparency over white."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        deep = image.convert("F")
        low, high = map(float, deep.getextrema())  # type: ignore[arg-type]  # one band, two numbers
        scale = 255.0 / (high - low) if high > low else 0.0
        return deep.point(lambda value: value * scale - low * scale).convert("L")
    if image.mode in {"1", "L", "RGB"}:
        return image.convert("RGB")
    colours = image.convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")
