"""The kinds of country: their colours, how wooded they are, how high the grass is."""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes.shape import Colour


@dataclass(frozen=True)
class Palette:
    """The colours of one kind of country."""

    ground: Colour
    other: Colour
    blades: tuple[Colour, ...]
    leaves: tuple[Colour, ...]
    bark: Colour
    hill: Colour
    wooded: float
    tall: float  # of the grass, in metres


COUNTRIES = {
    "meadow": Palette(
        (104, 124, 60), (136, 140, 76),
        ((92, 124, 48), (128, 146, 66), (160, 160, 92), (74, 104, 42)),
        ((62, 92, 40), (84, 116, 50), (50, 78, 38)), (98, 84, 68), (92, 116, 92), 0.8, 0.22,
    ),
    "wood": Palette(
        (104, 84, 58), (76, 82, 44),
        ((120, 92, 58), (88, 98, 48), (140, 110, 70), (70, 62, 44)),
        ((48, 76, 34), (70, 98, 42), (92, 112, 50)), (86, 72, 60), (60, 76, 54), 3.2, 0.12,
    ),
    "moor": Palette(
        (116, 104, 70), (92, 92, 62),
        ((134, 116, 74), (98, 96, 58), (120, 84, 84), (150, 132, 90)),
        ((74, 84, 52), (98, 92, 58), (86, 70, 66)), (92, 80, 70), (104, 112, 116), 0.25, 0.28,
    ),
    "snow": Palette(
        (222, 228, 236), (198, 208, 224),
        ((150, 136, 110), (120, 110, 92), (206, 212, 222), (232, 236, 242)),
        ((58, 76, 62), (70, 88, 74), (46, 62, 54)), (84, 76, 72), (170, 184, 200), 1.0, 0.12,
    ),
    "dry": Palette(
        (170, 142, 96), (142, 126, 78),
        ((182, 156, 98), (150, 134, 78), (200, 176, 118), (122, 112, 66)),
        ((96, 104, 58), (122, 118, 66), (78, 90, 52)), (112, 92, 72), (150, 136, 116), 0.4, 0.3,
    ),
}  # fmt: skip
