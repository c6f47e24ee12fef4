"""Crops as the pose model and the classifier see them: turned, shifted and scaled a little."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.data import CROP, CROP_SCALE, Array, Rendered
from training.scenes import KEYPOINTS

SEEN_SCALE = 1.25  # times the box's longer side: what the models see
GREY = 114 / 255


def _mirrored_order() -> list[int]:
    names = list(KEYPOINTS)
    swapped = {"left": "right", "right": "left"}
    return [
        names.index("_".join(swapped.get(part, part) for part in name.split("_"))) for name in names
    ]


MIRRORED = _mirrored_order()


def augmented(
    rendered: Rendered, rows: Array, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return crops of `side` pixels in other positions, and where the keypoints are in them."""
    count = len(rows)
    points = rendered.points[rows]
    zoom = np.exp(rng.uniform(np.log(0.85), np.log(1.27), count)) * CROP_SCALE / SEEN_SCALE
    turn = rng.normal(0, 0.12, count)
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    shift = rng.uniform(-0.13, 0.13, (count, 2))
    # Rows of the matrix from the crop to what is seen, both in -1..1.
    forwards = np.zeros((count, 2, 3))
    forwards[:, 0, 0], forwards[:, 0, 1] = zoom * mirror * np.cos(turn), -zoom * np.sin(turn)
    forwards[:, 1, 0], forwards[:, 1, 1] = zoom * mirror * np.sin(turn), zoom * np.cos(turn)
    forwards[:, :, 2] = shift
    inverse = np.linalg.inv(forwards[:, :, :2])
    theta = np.concatenate((inverse, -inverse @ forwards[:, :, 2:]), 2).astype(np.float32)
    pictures = _framed(rendered, rows, rng)
    places = functional.affine_grid(
        torch.from_numpy(theta), [count, 3, side, side], align_corners=False
    )
    seen = functional.grid_sample(pictures, places, align_corners=False) + GREY
    flat = points[..., :2] * 2 / CROP - 1
    moved = np.einsum("nij,nkj->nki", forwards[:, :, :2], flat) + forwards[:, None, :, 2]
    found = np.concatenate(((moved + 1) * side / 2, points[..., 2:]), 2).astype(np.float32)
    found[mirror < 0] = found[mirror < 0][:, MIRRORED]
    return seen, torch.from_numpy(found)


def _framed(rendered: Rendered, rows: Array, rng: np.random.Generator) -> Tensor:
    """Return the crops, 0 for grey; most of them without what lies beside the grown box."""
    pictures = torch.from_numpy(rendered.crops[rows]).permute(0, 3, 1, 2).float() / 255 - GREY
    sides = rendered.boxes[rendered.owners[rows], 4:6]
    half = sides / sides.max(1, keepdims=True) * SEEN_SCALE / CROP_SCALE
    half *= rng.uniform(0.9, 1.15, half.shape)
    half[rng.random(len(half)) < 0.2] = 2.0
    middles = np.abs((np.arange(CROP) + 0.5) * 2 / CROP - 1)
    across, down = (torch.from_numpy(middles[None] < half[:, at, None]) for at in (0, 1))
    return pictures * (down[:, None, :, None] & across[:, None, None, :])
