"""How all three models are trained: one loop, a moving average of the weights, a fixed seed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    start: Path | None = None  # weights to go on from, as a snapshot has them


def batches(count: int, plan: Plan) -> Iterator[Array]:
    """Yield the rows of each step: every row once, then again in another order."""
    rng = np.random.default_rng(plan.seed)
    left = np.empty(0, np.int64)
    for _ in range(plan.steps):
        if left.size < plan.batch:
            left = np.concatenate((left, rng.permutation(count)))
        yield left[: plan.batch]
        left = left[plan.batch :]


@dataclass(frozen=True)
class Lesson:
    """What a network learns: rows made ready, and how wrong it is on them."""

    prepare: Callable[[Array], tuple[Tensor, Tensor]]
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]

    def prepared(self, rows: Iterator[Array]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what is ready, while the next is being made ready."""
        with ThreadPoolExecutor(1) as beside:
            coming = beside.submit(self.prepare, next(rows))
            for following in rows:
                ready, coming = coming, beside.submit(self.prepare, following)
                yield ready.result()
            yield coming.result()


def fit(network: nn.Module, count: int, plan: Plan, lesson: Lesson) -> nn.Module:
    """Train on `count` rows.

    Returns a copy of the network with averaged weights, ready for use. With `plan.snapshots`
    those weights lie in that file as well, from every hundredth step. Where several processes
    train together, each takes rows of its own, and all make the same steps.
    """
    if plan.start is not None:
        network.load_state_dict(torch.load(plan.start))
    network = network.to(memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.rate, total_steps=plan.steps, pct_start=0.1
    )
    began, recent = time.monotonic(), 0.0
    for step, (given, wanted) in enumerate(lesson.prepared(batches(count, plan)), start=1):
        wrong = lesson.loss(network, given, wanted)
        optimiser.zero_grad()
        wrong.backward()
        _agree(network)
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


def _agree(network: nn.Module) -> None:
    """Give all processes that train together the mean of their gradients."""
    if not torch.distributed.is_initialized():
        return
    gradients = [weights.grad for weights in network.parameters() if weights.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


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
