"""Training of the reference pose model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.crops import augmented
from training.data import Array, Rendered
from training.fitting import Jitter, Lesson, Plan, fit, quickly
from training.networks import Pose
from training.scenes import KEYPOINTS

INPUT = (128, 128)
STRIDE = 4
SPREAD = 1.3  # of a peak, in cells
HIDDEN = 0.4  # the peak of a keypoint that something hides


def train(rendered: Rendered, plan: Plan) -> Pose:
    """Train a pose model."""
    torch.manual_seed(7)
    rng = np.random.default_rng(plan.seed)
    jitter = Jitter(rng)

    def prepare(rows: Array) -> tuple[Tensor, Tensor]:
        crops, points = augmented(rendered, rows, INPUT[0], rng)
        return jitter(crops), heatmaps(points)

    network: Pose = fit(Pose(len(KEYPOINTS)), len(rendered.crops), plan, Lesson(prepare, _loss))
    network.raw = False
    return network


def _loss(network: nn.Module, crops: Tensor, wanted: Tensor) -> Tensor:
    raw = quickly(network, crops)
    wrong = functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")
    # Of what a perfect answer would have, nothing counts.
    least = functional.binary_cross_entropy(wanted, wanted, reduction="none")
    return ((wrong - least) * (1 + 12 * wanted)).mean() * 20


def heatmaps(points: Tensor) -> Tensor:
    """Return a peak for each keypoint: 1 where it is visible, lower where it is hidden."""
    side = INPUT[0] // STRIDE
    middles = torch.arange(side) + 0.5
    across = (middles[None, None] - points[..., 0, None] / STRIDE) ** 2
    down = (middles[None, None] - points[..., 1, None] / STRIDE) ** 2
    peaks = torch.exp(-(down[..., :, None] + across[..., None, :]) / (2 * SPREAD**2))
    height = torch.where(points[..., 2] > 0, 1.0, HIDDEN)
    return peaks * height[..., None, None]
