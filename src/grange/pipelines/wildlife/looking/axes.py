"""A picture with axes, drawn with Pillow: what plots are made of.

Lines and dots are drawn at twice the size and shrunk, which makes them
smooth; letters are smooth already and are written in the end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.pipelines.wildlife.looking.colours import Colour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageDraw, ImageFont

    Values = NDArray[np.float64]

WIDTH: Final = 720
HEIGHT: Final = 450
LEFT, TOP, BOTTOM = 64, 40, 52
_TICKS: Final = 6
_SMOOTH: Final = 2
_DASH, _GAP = 10.0, 7.0
# A line that is longer than so many dashes would be a blur anyway.
_MOST_DASHES: Final = 32
_COLOURS: Final = 128
_INK, _QUIET, _GRID, _EDGE = (27, 32, 37), (88, 98, 108), (220, 224, 228), (133, 142, 151)
_LEGEND_ROW, _LEGEND_LETTERS = 17, 18
_STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """What a direction means: its words, and from where to where it goes."""

    words: str
    low: float
    high: float
    # Greatest number first, as rows of a picture are counted.
    falling: bool = False
    whole: bool = False

    def ticks(self) -> list[float]:
        """Round numbers within, about six."""
        return ticks(self.low, self.high, whole=self.whole)


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers from low to high, about six; whole ones where others make no sense."""
    span = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(one * size for one in _STEPS if span / (one * size) <= _TICKS)
    step = max(1.0, round(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def axis_of(
    words: str, values: Values, *, whole: bool = False, falling: bool = False, least: float = 1.0
) -> Axis:
    """An axis with room for all these numbers, and a little more."""
    import numpy as np

    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, least)
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    more = (high - low) * 0.04
    return Axis(words, low - more, high + more, falling=falling, whole=whole)


class Chart:
    """One picture: axes first, then what is drawn between them, then `save`."""

    def __init__(self, title: str, x: Axis, y: Axis, names: Sequence[str] = ()) -> None:
        """Make room for a title, two axes, and a legend of so many names."""
        from PIL import Image, ImageDraw

        self._title, self._x, self._y = title, x, y
        self._legend_columns = -(-len(names) // _LEGEND_LETTERS)
        longest = max((len(name) for name in names), default=0)
        self._legend_wide = min(170, 26 + 6 * min(longest, _LEGEND_LETTERS)) if names else 0
        right = 16 + self._legend_columns * self._legend_wide
        self._size = (max(200, WIDTH - LEFT - right), HEIGHT - TOP - BOTTOM)
        big = (self._size[0] * _SMOOTH, self._size[1] * _SMOOTH)
        self._plane: Image.Image = Image.new("RGB", big, "white")
        self._pen: ImageDraw.ImageDraw = ImageDraw.Draw(self._plane)
        self._grid()

    def line(self, x: Values, y: Values, colour: Colour, *, dashed: bool = False) -> None:
        """Draw a line through all points; it is broken where a number is missing."""
        import numpy as np

        across, down = self._across(x), self._down(y)
        known = np.flatnonzero(np.isfinite(across) & np.isfinite(down))
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if run.size == 1:
                self._dot(float(across[run[0]]), float(down[run[0]]), 3.0, colour)
            elif run.size:
                self._run(across[run], down[run], colour, dashed=dashed)

    def dots(self, x: Values, y: Values, colour: Colour) -> None:
        """Draw a dot at each point that is known."""
        import numpy as np

        across, down = self._across(x), self._down(y)
        known = np.isfinite(across) & np.isfinite(down)
        for left, top in zip(across[known].tolist(), down[known].tolist(), strict=True):
            self._dot(left, top, 5.0, colour)

    def outline(self, edges: Values, heights: Values, colour: Colour) -> None:
        """Draw the outline of columns between these edges, one more than there are heights."""
        import numpy as np

        x = np.repeat(edges, 2)
        y = np.concatenate(([0.0], np.repeat(heights, 2), [0.0]))
        self.line(x, y, colour)

    def level(self, y: float, colour: Colour = _EDGE) -> None:
        """Draw a dashed line across, at this height."""
        import numpy as np

        self.line(np.array([self._x.low, self._x.high]), np.array([y, y]), colour, dashed=True)

    def save(self, path: Path, legend: Sequence[tuple[str, Colour]], note: str = "") -> None:
        """Put letters around it and write it as PNG; `note` stands at the right of the title."""
        from PIL import Image, ImageDraw

        whole = Image.new("RGB", (WIDTH, HEIGHT), "white")
        whole.paste(self._plane.reduce(_SMOOTH), (LEFT, TOP))
        pen = ImageDraw.Draw(whole)
        right, bottom = LEFT + self._size[0], TOP + self._size[1]
        pen.rectangle((LEFT, TOP, right, bottom), outline=_EDGE)
        pen.text((LEFT, TOP - 10), self._title, _INK, _font(15), anchor="ls")
        pen.text((right, TOP - 10), note, _QUIET, _font(12), anchor="rs")
        self._letters(whole, pen)
        if legend:
            whole.paste(_legend(tuple(legend), self._legend_wide), (right + 16, TOP + 4))
        # Few colours make a file of a third of the size, in two thirds of the time.
        flat = whole.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        flat.save(path, "PNG", compress_level=4)

    def _letters(self, whole: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        import numpy as np
        from PIL import Image, ImageDraw

        bottom = TOP + self._size[1]
        for tick in self._x.ticks():
            place = LEFT + float(self._across(np.array([tick]))[0]) / _SMOOTH
            pen.text((place, bottom + 7), _number(tick), _QUIET, _font(12), anchor="mt")
        for tick in self._y.ticks():
            place = TOP + float(self._down(np.array([tick]))[0]) / _SMOOTH
            pen.text((LEFT - 7, place), _number(tick), _QUIET, _font(12), anchor="rm")
        middle = LEFT + self._size[0] / 2
        pen.text((middle, HEIGHT - 10), self._x.words, _INK, _font(13), anchor="ms")
        side = Image.new("L", (self._size[1], 20), 255)
        ImageDraw.Draw(side).text(
            (self._size[1] / 2, 10), self._y.words, 30, _font(13), anchor="mm"
        )
        whole.paste(side.transpose(Image.Transpose.ROTATE_90).convert("RGB"), (2, TOP))

    def _grid(self) -> None:
        import numpy as np

        width, height = self._plane.size
        for place in self._across(np.array(self._x.ticks())).tolist():
            self._pen.line((place, 0, place, height), _GRID, _SMOOTH)
        for place in self._down(np.array(self._y.ticks())).tolist():
            self._pen.line((0, place, width, place), _GRID, _SMOOTH)

    def _across(self, values: Values) -> Values:
        share = (values - self._x.low) / (self._x.high - self._x.low)
        return share * self._plane.size[0]

    def _down(self, values: Values) -> Values:
        share = (values - self._y.low) / (self._y.high - self._y.low)
        return (share if self._y.falling else 1.0 - share) * self._plane.size[1]

    def _dot(self, left: float, top: float, radius: float, colour: Colour) -> None:
        self._pen.ellipse((left - radius, top - radius, left + radius, top + radius), fill=colour)

    def _run(self, across: Values, down: Values, colour: Colour, *, dashed: bool) -> None:
        import numpy as np

        if not dashed:
            points = np.column_stack((across, down)).ravel().tolist()
            self._pen.line(points, colour, 3)
            return
        far = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(across), np.diff(down)))))
        step = max(_DASH + _GAP, float(far[-1]) / _MOST_DASHES)
        begins = np.arange(0.0, float(far[-1]), step)
        ends = np.minimum(begins + step * _DASH / (_DASH + _GAP), far[-1])
        ways = [np.interp(at, far, one) for at in (begins, ends) for one in (across, down)]
        for dash in np.column_stack(ways).tolist():
            self._pen.line(dash, colour, 3)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow brings along: the same letters on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=4)
def _legend(names: tuple[tuple[str, Colour], ...], wide: int) -> Image.Image:
    """Names with their colours, in columns: drawn once, since a run's plots share them."""
    from PIL import Image, ImageDraw

    size = (wide * -(-len(names) // _LEGEND_LETTERS), _LEGEND_ROW * _LEGEND_LETTERS)
    drawn = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(drawn)
    for number, (name, colour) in enumerate(names):
        column, row = divmod(number, _LEGEND_LETTERS)
        left, top = column * wide, row * _LEGEND_ROW
        pen.rectangle((left, top + 2, left + 10, top + 10), fill=colour)
        pen.text((left + 16, top + 11), _short(name), _INK, _font(12), anchor="ls")
    return drawn


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _short(name: str) -> str:
    return name if len(name) <= _LEGEND_LETTERS else f"{name[: _LEGEND_LETTERS - 1]}…"
