"""Words on pictures: set once, pasted many times."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from grange.pipelines.wildlife.pictures import Pixels

# Labels that are kept: some hundred confidences of a few species, each some kilobytes.
_KEPT: Final = 512
_KEPT_FONTS: Final = 8
_PADDING: Final = 2
# What the eye makes of red, green and blue.
_LUMINANCE: Final = (0.299, 0.587, 0.114)
_BRIGHT: Final = 110
# Longer names are cut: a label must not cover the picture.
_MAX_LETTERS: Final = 40


@lru_cache(maxsize=_KEPT)
def label(text: str, ground: tuple[int, int, int], height: int) -> Pixels:
    """A line of text on a coloured ground; not to be changed.

    Args:
        text: What it says, in Latin letters.
        ground: The colour behind it; the letters are black or white, as is easier to read.
        height: Of the letters, in pixels.
    """
    font = _font(height)
    said = text if len(text) <= _MAX_LETTERS else text[: _MAX_LETTERS - 1] + "…"
    width = round(font.getlength(said)) + 2 * _PADDING
    ascent, descent = font.getmetrics()
    picture = Image.new("RGB", (width, ascent + descent + _PADDING), ground)
    ImageDraw.Draw(picture).text((_PADDING, _PADDING // 2), said, fill=_ink(ground), font=font)
    pixels = np.array(picture)
    pixels.setflags(write=False)
    return pixels


@lru_cache(maxsize=_KEPT_FONTS)
def _font(height: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font, so that pictures are the same on every machine.
    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - all of Pillow's wheels have FreeType
    return font


def _ink(ground: tuple[int, int, int]) -> tuple[int, int, int]:
    seen = sum(share * channel for share, channel in zip(_LUMINANCE, ground, strict=True))
    return (0, 0, 0) if seen > _BRIGHT else (255, 255, 255)
