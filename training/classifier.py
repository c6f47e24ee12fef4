"""Training of the reference classifier."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.crops import augmented
from training.data import Array, Rendered
from training.fitting import Jitter, Plan, fit, quickly
from training.networks import Classifier
from training.scenes import SPECIES

INPUT = (96, 96)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def train(rendered: Rendered, plan: Plan) -> Classifier:
    """Train a classifier."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    jitter = Jitter(rng)
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))

    def loss(network: nn.Module, rows: Array) -> Tensor:
        crops, _ = augmented(rendered, rows, INPUT[0], rng)
        species = torch.from_numpy(rendered.species[rows])
        return functional.cross_entropy(
            quickly(network, (jitter(crops) - mean) / std), species, label_smoothing=0.05
        )

    network: Classifier = fit(Classifier(len(SPECIES)), len(rendered.crops), plan, loss)
    return network
