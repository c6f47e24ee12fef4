"""Make a folder of sample files: pictures, texts, and two broken ones.

python examples/make_samples.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = (480, 320)

# The part of the complex plane that each picture shows.
VIEWS = {
    "whole": (-2.0, -1.0, 1.0, 1.0),
    "seahorses": (-0.80, 0.05, -0.68, 0.13),
    "elephants": (0.24, -0.04, 0.36, 0.04),
    "spirals": (-0.093, 0.645, -0.078, 0.655),
}

POEM = """\
A barn a day's walk from the village,
its neighbours' carts in the yard:
what no one farm could have gathered
is brought in before the rain.
"""


def main(folder: Path) -> None:
    """Make the samples; the same bytes each time."""
    for name in ("pictures", "texts", "broken"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, view in VIEWS.items():
        picture(view).save(folder / "pictures" / f"{name}.png")
    stripes().save(folder / "pictures" / "stripes.ppm")
    for number, line in enumerate(POEM.splitlines(), start=1):
        (folder / "texts" / f"line {number}.txt").write_text(f"{line}\n" * 100)
    (folder / "broken" / "empty.txt").write_bytes(b"")
    whole = (folder / "pictures" / "whole.png").read_bytes()
    (folder / "broken" / "torn.png").write_bytes(whole[: len(whole) // 2])
    print(f"Samples are in {folder}: 5 pictures, 4 texts, 2 broken files")


def picture(view: tuple[float, float, float, float]) -> Image.Image:
    """Draw a part of the Mandelbrot set, in the colours of a ripe field."""
    grey = Image.effect_mandelbrot(SIZE, view, 100)
    colours: list[int] = []
    for shade in range(256):
        # Most of a picture lies in the darkest shades: spread those.
        light = min(255, shade * 6)
        colours += [light, light * 3 // 4, shade]
    grey.putpalette(colours)
    return grey.convert("RGB")


def stripes() -> Image.Image:
    """Draw a ploughed field."""
    field = Image.new("RGB", SIZE, "saddlebrown")
    pen = ImageDraw.Draw(field)
    for left in range(-SIZE[1], SIZE[0], 24):
        pen.line([(left, SIZE[1]), (left + SIZE[1], 0)], fill="darkolivegreen", width=9)
    return field


if __name__ == "__main__":
    main(Path(sys.argv[1]))
