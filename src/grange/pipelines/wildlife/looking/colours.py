"""Colours of drawings: told apart by everyone, on light and on dark."""

from __future__ import annotations

from typing import Final

Colour = tuple[int, int, int]

# After Okabe and Ito, whose colours people with any kind of colour blindness can tell apart.
CATEGORIES: Final[dict[str, Colour]] = {
    "1": (240, 178, 48),
    "2": (92, 184, 240),
    "3": (230, 130, 184),
}
OTHER: Final[Colour] = (190, 196, 202)

# From dark violet over green to yellow, as evenly as eyes see it; what Matplotlib calls viridis.
_RAMP: Final[tuple[Colour, ...]] = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
# Its last shades are too light for white paper.
_REACH: Final = 0.93


def of_category(category: str) -> Colour:
    """The colour of a detector's category."""
    return CATEGORIES.get(category, OTHER)


def ramp(count: int) -> list[Colour]:
    """So many colours in an order that the eye can follow."""
    steps = max(count - 1, 1)
    return [_at(number / steps * _REACH) for number in range(count)]


def _at(share: float) -> Colour:
    place = share * (len(_RAMP) - 1)
    low = min(int(place), len(_RAMP) - 2)
    part = place - low
    one, other = _RAMP[low], _RAMP[low + 1]
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue
