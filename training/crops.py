"""Crops as the pose model and the classifier see them: turned, shifted and scaled a little."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.data import CROP, CROP_SCALE, Array
from training.fitting import jittered
from training.scenes import KEYPOINTS

SEEN_SCALE = 1.25  # times the box's longer side: what the models see
GREY = 114 / 255


def _mirrored_order() -> list[int]:
    names = list(KEYPOINTS)
    swapped = {"left": "right", "right": "left"}
    return [
        names.index("_".join(swapped.get(part, part) for part in name.split("_")))
        for name in names
    ]


MIRRORED = _mirrored_order()


def augmented(
    crops: Array, points: Array, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return crops of `side` pixels in other positions and lights, and where the keypoints are."""
    count = len(crops)
    zoom = np.exp(rng.uniform(np.log(0.82), np.log(1.18), count)) * CROP_SCALE / SEEN_SCALE
    turn = rng.normal(0, 0.12, count)
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    shift = rng.uniform(-0.12, 0.12, (count, 2))
    # Rows of the matrix from the crop to what is seen, both in -1..1.
    forwards = np.zeros((count, 2, 3))
    forwards[:, 0, 0], forwards[:, 0, 1] = zoom * mirror * np.cos(turn), -zoom * np.sin(turn)
    forwards[:, 1, 0], forwards[:, 1, 1] = zoom * mirror * np.sin(turn), zoom * np.cos(turn)
    forwards[:, :, 2] = shift
    inverse = np.linalg.inv(forwards[:, :, :2])
    theta = np.concatenate((inverse, -inverse @ forwards[:, :, 2:]), 2).astype(np.float32)
    pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    places = functional.affine_grid(
        torch.from_numpy(theta), [count, 3, side, side], align_corners=False
    )
    seen = functional.grid_sample(pictures - GREY, places, align_corners=False) + GREY
    flat = points[..., :2] * 2 / CROP - 1
    moved = np.einsum("nij,nkj->nki", forwards[:, :, :2], flat) + forwards[:, None, :, 2]
    found = np.concatenate(((moved + 1) * side / 2, points[..., 2:]), 2).astype(np.float32)
    found[mirror < 0] = found[mirror < 0][:, MIRRORED]
    return jittered(seen, rng), torch.from_numpy(found)
