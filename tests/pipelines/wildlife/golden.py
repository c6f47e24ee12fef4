"""What the shipped models find in a clip and a picture, written down: python -m …wildlife.golden.

To be run again, and looked at, whenever the shipped models are trained anew.
"""

from __future__ import annotations

import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from grange.pipelines.wildlife.media.encoding import LabelledWriter, join
from tests.pipelines.wildlife.whole import take
from training.scenes import Scene

FILE = Path(__file__).with_name("golden.json")
CLIP, STILL = "fox.mp4", "deer.png"
FPS = 10


def made(folder: Path) -> dict[str, Any]:
    """The entries of both, by name, and their records."""
    fox = Scene(4, size=(320, 180), kinds=("fox",), count=1, light="day")
    # The one encoder whose bytes depend on the pictures alone.
    with LabelledWriter(folder / "segment", 320, 180, Fraction(1, FPS), Fraction(FPS)) as clip:
        for number in range(2 * FPS):
            clip.write(fox.frame(number / FPS).pixels, number)
    join([folder / "segment"], folder / CLIP)
    deer = Scene(7, size=(320, 180), kinds=("deer",), count=2, light="day")
    Image.fromarray(deer.frame(2.0).pixels).save(folder / STILL)
    found = {}
    for name in (CLIP, STILL):
        taken = take(folder / name, folder / f"work on {name}")
        found[name] = {"entry": taken.entry, "record": taken.record}
    return found


def main() -> None:
    """Write them."""
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(made(Path(folder)), indent=1, sort_keys=True)
    FILE.write_text(text + "\n")


if __name__ == "__main__":
    main()
