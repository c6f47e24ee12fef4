"""How all three models are trained: one loop, a moving average of the weights, a fixed seed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.data import Array


@dataclass(frozen=True)
class Plan:
    """How long, and in what steps."""

    steps: int
    batch: int
    rate: float
    seed: int = 7
    decay: float = 0.02


def batches(count: int, plan: Plan) -> Iterator[Array]:
    """Yield the rows of each step: every row once, then again in another order."""
    rng = np.random.default_rng(plan.seed)
    left = np.empty(0, np.int64)
    for _ in range(plan.steps):
        if left.size < plan.batch:
            left = np.concatenate((left, rng.permutation(count)))
        yield left[: plan.batch]
        left = left[plan.batch :]


def fit(
    network: nn.Module, count: int, plan: Plan, loss: Callable[[nn.Module, Array], Tensor]
) -> nn.Module:
    """Train on `count` rows; `loss` says how wrong the network is on some of them.

    Returns a copy of the network with averaged weights, ready for use.
    """
    network = network.to(memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.rate, total_steps=plan.steps, pct_start=0.1
    )
    began, recent = time.monotonic(), 0.0
    for step, rows in enumerate(batches(count, plan), start=1):
        wrong = loss(network, rows)
        optimiser.zero_grad()
        wrong.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        _average(averaged, network, min(0.998, step / (step + 20)))
        recent = float(wrong) if step == 1 else 0.95 * recent + 0.05 * float(wrong)
        if step % 50 == 0 or step == plan.steps:
            seconds = time.monotonic() - began
            print(f"  step {step}/{plan.steps}: loss {recent:.4f}, {seconds:.0f} s", flush=True)  # noqa: T201 - the progress of minutes
    return averaged.eval()


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, kept: float) -> None:
    pairs = zip(averaged.state_dict().values(), network.state_dict().values(), strict=True)
    for old, new in pairs:
        if old.dtype.is_floating_point:
            old.mul_(kept).add_(new, alpha=1 - kept)
        else:
            old.copy_(new)


def jittered(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Return pictures (0..1) in another light: contrast, colour, noise; some grey."""
    count = pictures.shape[0]

    def lots(low: float, high: float, width: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, width, 1, 1)).astype(np.float32))

    grey = pictures.mean(1, keepdim=True)
    colour = lots(0.0, 1.25).clamp(max=1.0)
    pictures = grey + (pictures - grey) * colour
    pictures = (pictures * lots(0.75, 1.3) * lots(0.93, 1.07, 3)).clamp(0, 1)
    pictures = pictures ** lots(0.75, 1.3)
    noise = torch.from_numpy(rng.standard_normal(pictures.shape, np.float32))
    return (pictures + noise * lots(0.0, 0.03)).clamp(0, 1)
