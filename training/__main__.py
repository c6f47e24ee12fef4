"""Train the reference models, or measure them: python -m training all.

Data sets are rendered once, into `--cache`. `evaluate` writes the model card. `--quick` takes a
few minutes for models that are good enough to see that the scripts work.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

TASKS = ("detector", "classifier", "pose")
ROOT = Path(__file__).parents[1]
OUT = ROOT / "src" / "grange" / "pipelines" / "wildlife" / "reference"

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
HELD_OUT = 300


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


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("what", choices=(*TASKS, "all", "evaluate"))
    parser.add_argument("--out", type=Path, default=OUT, help="where the models go")
    parser.add_argument("--cache", type=Path, default=ROOT / ".training" / "data")
    parser.add_argument("--quick", action="store_true", help="take minutes, not an hour")
    parser.add_argument("--from", type=Path, dest="start", help="go on from this folder's weights")
    parser.add_argument("--steps", type=int, help="how many steps, if not the usual number")
    parser.add_argument("--rate", type=float, help="the highest rate of learning")
    parser.add_argument("--processes", type=int, default=1, help="train in so many at once")
    asked = vars(parser.parse_args())
    what = asked.pop("what")
    order = Order(**asked)
    for task in TASKS if what == "all" else (what,):
        if task in TASKS:
            train(task, order)
    if what in {"all", "evaluate"}:
        evaluate(order.out, 60 if order.quick else HELD_OUT)


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


def evaluate(folder: Path, scenes: int) -> None:
    """Measure the models in a folder, and write their card beside them."""
    from training.card import text
    from training.evaluate import measure, milliseconds

    measured = measure(folder, scenes)
    speeds = {
        task: (milliseconds(folder / f"{task}.toml", 1), milliseconds(folder / f"{task}.toml", 8))
        for task in TASKS
    }
    (folder / "CARD.md").write_text(text(folder, measured, speeds))
    print(f"mAP@0.5 {measured.mean_average_precision:.3f}", end="; ")
    print(f"PCK@0.1 {measured.true_boxes:.3f}, in found boxes {measured.found_boxes:.3f}", end="; ")
    print(f"top-1 {measured.top1:.3f}")


if __name__ == "__main__":
    main()
