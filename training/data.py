"""Sets of rendered frames and crops, as arrays: made once, then read from a folder.

Frames are kept at half their size, which is what the detector sees; crops are squares around
each animal, wider than what the models see, so that training can shift, turn and scale them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.scenes import CATEGORIES, KEYPOINTS, SPECIES, Scene, Truth

Array = NDArray[Any]

TRAIN_SEED = 100_000
HELD_OUT_SEED = 1_000_000
SIZE = (640, 360)
SMALL = (320, 180)
CROP = 160
CROP_SCALE = 1.6
GREY = (114, 114, 114)

# What is smaller, or shows less of itself, is neither asked for nor held against a model.
LEAST_AREA = 400  # of its box, in pixels
LEAST_VISIBLE = 0.35


@dataclass(frozen=True)
class Rendered:
    """A data set.

    `boxes` has a row for each body: frame, category, left, top, width, height (pixels of the
    full frame), whether it counts. `crops` has a row for each animal that counts, `points` its
    keypoints in pixels of the crop and whether they are visible, `species` its number.
    """

    frames: Array
    boxes: Array
    crops: Array
    points: Array
    species: Array
    owners: Array  # the row in `boxes` of each crop

    def save(self, path: Path) -> None:
        """Write all arrays into one file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Rendered:
        """Read what `save` has written."""
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def counts(truth: Truth) -> bool:
    """Say whether a model is asked for this body."""
    _, _, width, height = truth.bbox
    return truth.visible >= LEAST_VISIBLE and width * height >= LEAST_AREA


def square(
    picture: Image.Image, bbox: tuple[float, float, float, float], scale: float, side: int
) -> tuple[Image.Image, float, float, float]:
    """Cut the square around a box, `scale` times its longer side, resized to `side` pixels.

    Returns the crop, the left and top edge in the picture, and pixels of the crop a pixel.
    """
    x, y, width, height = bbox
    long = max(width, height) * scale
    left, top = x + width / 2 - long / 2, y + height / 2 - long / 2
    zoom = side / long
    edge = (int(left // 1), int(top // 1), int((left + long) // 1 + 1), int((top + long) // 1 + 1))
    cut = Image.new("RGB", (edge[2] - edge[0], edge[3] - edge[1]), GREY)
    cut.paste(picture, (-edge[0], -edge[1]))
    box = (left - edge[0], top - edge[1], left - edge[0] + long, top - edge[1] + long)
    crop = cut.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return crop, left, top, zoom


def _scene(seed: int, frames: int) -> list[tuple[Array, list[tuple[Truth, Any]]]]:
    rng = np.random.default_rng([seed, 9])
    scene = Scene(seed, SIZE)
    found = []
    for moment in rng.uniform(0, 5, frames):
        frame = scene.frame(float(moment))
        picture = Image.fromarray(frame.pixels)
        small = np.asarray(picture.reduce(2))
        crops = [
            (truth, square(picture, truth.bbox, CROP_SCALE, CROP) if _posed(truth) else None)
            for truth in frame.animals
        ]
        found.append((small, crops))
    return found


def _posed(truth: Truth) -> bool:
    return truth.category == "animal" and counts(truth)


def render(scenes: int, first_seed: int, frames: int, processes: int = 2) -> Rendered:
    """Render so many scenes, `frames` moments of each."""
    pictures: list[Array] = []
    boxes: list[tuple[float, ...]] = []
    crops: list[Array] = []
    points: list[list[tuple[float, float, bool]]] = []
    species: list[int] = []
    owners: list[int] = []
    for small, bodies in _all(scenes, first_seed, frames, processes):
        for truth, cut in bodies:
            if cut is not None:
                crop, left, top, zoom = cut
                crops.append(np.asarray(crop))
                points.append(
                    [
                        ((x - left) * zoom, (y - top) * zoom, seen)
                        for x, y, seen in (truth.keypoints[name] for name in KEYPOINTS)
                    ]
                )
                species.append(SPECIES.index(truth.species))
                owners.append(len(boxes))
            category = CATEGORIES.index(truth.category)
            boxes.append((len(pictures), category, *truth.bbox, counts(truth)))
        pictures.append(small)
    return Rendered(
        np.stack(pictures),
        np.array(boxes, np.float32).reshape(-1, 7),
        np.array(crops, np.uint8).reshape(-1, CROP, CROP, 3),
        np.array(points, np.float32).reshape(-1, len(KEYPOINTS), 3),
        np.array(species, np.int64),
        np.array(owners, np.int64),
    )


def _all(
    scenes: int, first_seed: int, frames: int, processes: int
) -> Iterator[tuple[Array, list[tuple[Truth, Any]]]]:
    seeds = range(first_seed, first_seed + scenes)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for found in pool.imap(partial(_scene, frames=frames), seeds, chunksize=8):
            yield from found


def prepared(folder: Path, name: str, scenes: int, first_seed: int, frames: int) -> Rendered:
    """Return a data set from the folder, rendering it if it isn't there."""
    path = folder / f"{name}-{scenes}x{frames}.npz"
    if not path.exists():
        render(scenes, first_seed, frames).save(path)
    return Rendered.load(path)
