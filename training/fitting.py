"""How all three models are trained: one loop, a moving average of the weights, a fixed seed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
    snapshots: Path | None = None


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

    Returns a copy of the network with averaged weights, ready for use. With `plan.snapshots`
    those weights lie in that file as well, from every hundredth step.
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
        recent = wrong.item() if step == 1 else 0.95 * recent + 0.05 * wrong.item()
        if plan.snapshots is not None and step % 100 == 0:
            torch.save(averaged.state_dict(), plan.snapshots)
        if step % 50 == 0 or step == plan.steps:
            seconds = time.monotonic() - began
            print(f"  step {step}/{plan.steps}: loss {recent:.4f}, {seconds:.0f} s", flush=True)
    return averaged.eval()


def quickly(network: nn.Module, pictures: Tensor) -> Tensor:
    """Return the network's answer, reckoned with 16 bits where the processor can."""
    with torch.autocast("cpu", torch.bfloat16):
        answer: Tensor = network(pictures)
    return answer.float()


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, kept: float) -> None:
    pairs = zip(averaged.state_dict().values(), network.state_dict().values(), strict=True)
    for old, new in pairs:
        if old.dtype.is_floating_point:
            old.mul_(kept).add_(new, alpha=1 - kept)
        else:
            old.copy_(new)


class Jitter:
    """Another light for each picture: contrast, colour, noise; some in grey."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw the noise once: each picture gets another part of it."""
        self._rng = rng
        self._noise = torch.from_numpy(rng.standard_normal((3, 512, 640), np.float32))

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return pictures (0..1) as they might have been taken otherwise."""
        grey = pictures.mean(1, keepdim=True)
        pictures = grey + (pictures - grey) * self._lots(pictures, 0.0, 1.25).clamp(max=1.0)
        gain = self._lots(pictures, 0.75, 1.3) * self._lots(pictures, 0.93, 1.07, 3)
        pictures = (pictures * gain).clamp(0, 1)
        # A curve that keeps black and white where they are.
        pictures = pictures + self._lots(pictures, -0.35, 0.35) * pictures * (1 - pictures)
        height, width = pictures.shape[2:]
        for picture, strong in zip(
            pictures, self._rng.uniform(0, 0.03, len(pictures)), strict=True
        ):
            top, left = self._rng.integers(512 - height), self._rng.integers(640 - width)
            noise = self._noise[:, top : top + height, left : left + width]
            picture.add_(noise, alpha=float(strong))
        return pictures.clamp(0, 1).contiguous(memory_format=torch.channels_last)

    def _lots(self, pictures: Tensor, low: float, high: float, width: int = 1) -> Tensor:
        lots = self._rng.uniform(low, high, (len(pictures), width, 1, 1))
        return torch.from_numpy(lots.astype(np.float32))
