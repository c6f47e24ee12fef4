"""Make one file smaller: a thumbnail of a picture, anything else zipped.

An example of a program that knows nothing of Grange: it takes a file and a
folder, and fails like any other program.

grange map 'python examples/shrink.py {input} {output}' photos/ --out small/
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from PIL import Image

PICTURES = {".jpeg", ".jpg", ".png", ".ppm"}
LARGEST_SIDE = 160


def main(source: Path, folder: Path) -> None:
    """Write the smaller file into the folder."""
    if source.stat().st_size == 0:
        sys.exit(f"{source.name} is empty")
    if source.suffix.lower() in PICTURES:
        with Image.open(source) as picture:
            picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            picture.save(folder / f"{source.stem}.png")
    else:
        with gzip.GzipFile(folder / f"{source.name}.gz", "wb", mtime=0) as packed:
            packed.write(source.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
