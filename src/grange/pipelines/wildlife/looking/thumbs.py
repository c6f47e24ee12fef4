"""The small picture that stands for an item: its best frame, with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.pipelines.wildlife.looking import colours
from grange.pipelines.wildlife.results import Detection

if TYPE_CHECKING:
    from PIL import ImageDraw

    from grange.pipelines.wildlife.pictures import Pixels

WIDTH: Final = 320
# A panorama or a tower of pixels stays a small picture.
HEIGHT: Final = 320
QUALITY: Final = 82
_HALO: Final = (16, 20, 24)


def thumb_size(width: int, height: int) -> tuple[int, int]:
    """The size of the small picture of one of this size; a small one is not blown up."""
    scale = min(1.0, WIDTH / max(width, 1), HEIGHT / max(height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def write_thumb(pixels: Pixels, detections: Sequence[Detection], path: Path) -> None:
    """Write the picture of these pixels as a small JPEG, with the boxes of what was found in it.

    Pixels that have `thumb_size` already are taken as they are. The surest box lies on top.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels)
    size = thumb_size(*picture.size)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    pen = ImageDraw.Draw(picture)
    for one in sorted(detections, key=lambda one: one.conf):
        _box(pen, one, size)
    picture.save(path, "JPEG", quality=QUALITY, optimize=False, subsampling="4:2:0")


def _box(pen: ImageDraw.ImageDraw, one: Detection, size: tuple[int, int]) -> None:
    x, y, width, height = one.box
    left, top = x * size[0], y * size[1]
    # Of a box that leaves the picture the side is drawn at its edge.
    place = (
        round(min(max(left, 1), size[0] - 4)),
        round(min(max(top, 1), size[1] - 4)),
        round(min(max((x + width) * size[0], left + 3, 4), size[0] - 2)),
        round(min(max((y + height) * size[1], top + 3, 4), size[1] - 2)),
    )
    if place[0] >= place[2] or place[1] >= place[3]:
        return
    around = (place[0] - 1, place[1] - 1, place[2] + 1, place[3] + 1)
    pen.rectangle(around, outline=_HALO, width=4)
    pen.rectangle(place, outline=colours.of_category(one.category), width=2)
