"""Training of the reference classifier."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.crops import augmented
from training.data import Array, Rendered
from training.fitting import Jitter, Lesson, Plan, fit, quickly
from training.networks import Classifier
from training.scenes import SPECIES

INPUT = (96, 96)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def train(rendered: Rendered, plan: Plan) -> Classifier:
    """Train a classifier."""
    torch.manual_seed(7)
    rng = np.random.default_rng(plan.seed)
    jitter = Jitter(rng)
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))

    def prepare(rows: Array) -> tuple[Tensor, Tensor]:
        crops, _ = augmented(rendered, rows, INPUT[0], rng)
        return (jitter(crops) - mean) / std, torch.from_numpy(rendered.species[rows])

    network: Classifier = fit(
        Classifier(len(SPECIES)), len(rendered.crops), plan, Lesson(prepare, _loss)
    )
    return network


def _loss(network: nn.Module, crops: Tensor, species: Tensor) -> Tensor:
    return functional.cross_entropy(quickly(network, crops), species, label_smoothing=0.05)
