"""One stage of a training, in one process or in several that train together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Scenes, moments of each, and for each task steps, batch and rate; in full and quickly.
FULL = (
    2000,
    3,
    {"detector": (6000, 32, 3e-3), "classifier": (1300, 64, 4e-3), "pose": (3500, 32, 3e-3)},
)
QUICK = (
    500,
    3,
    {"detector": (400, 32, 3e-3), "classifier": (150, 64, 4e-3), "pose": (300, 32, 3e-3)},
)


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    out: Path
    cache: Path
    quick: bool
    start: Path | None
    steps: int | None
    rate: float | None
    processes: int


def train(task: str, order: Order) -> None:
    """Train one model and write it to the folder."""
    import torch

    from training.data import TRAIN_SEED, prepared

    scenes, frames, _ = QUICK if order.quick else FULL
    prepared(order.cache, "train", scenes, TRAIN_SEED, frames)
    if order.processes == 1:
        train_part(0, task, order)
    else:
        (order.cache / f"{task}.meeting").unlink(missing_ok=True)
        torch.multiprocessing.spawn(train_part, (task, order), nprocs=order.processes)


def train_part(rank: int, task: str, order: Order) -> None:
    """Train one model in one of the processes that do so together; the first one writes it."""
    import torch

    from training import classifier, detector, pose
    from training.data import TRAIN_SEED, prepared
    from training.export import export
    from training.fitting import Plan
    from training.history import Stage, note

    if order.processes > 1:
        place = f"file://{order.cache.absolute()}/{task}.meeting"
        torch.distributed.init_process_group("gloo", place, rank=rank, world_size=order.processes)
    scenes, frames, plans = QUICK if order.quick else FULL
    rendered = prepared(order.cache, "train", scenes, TRAIN_SEED, frames)
    steps, batch, rate = plans[task]
    plan = Plan(
        steps=order.steps or steps,
        batch=batch // order.processes,
        rate=order.rate or rate,
        seed=7 + rank + (100 if order.start else 0),
        snapshots=None if rank else order.cache / f"{task}.pt",
        start=order.start and order.start / f"{task}.pt",
    )
    print(f"{task}: {plan.steps} steps over {len(rendered.frames)} frames")
    train_with = {"detector": detector.train, "classifier": classifier.train, "pose": pose.train}
    network = train_with[task](rendered, plan)
    if rank == 0:
        print(export(task, network, order.out))
        stage = Stage(plan.steps, plan.steps, batch, plan.rate, order.processes)
        note(order.out, task, stage, further=order.start is not None)
