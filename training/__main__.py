"""Train the reference models, or measure them: python -m training all.

Data sets are rendered once, into `--cache`. `evaluate` writes the model card. `--quick` takes a
few minutes for models that are good enough to see that the scripts work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

TASKS = ("detector", "classifier", "pose")
ROOT = Path(__file__).parents[1]
OUT = ROOT / "src" / "grange" / "pipelines" / "wildlife" / "reference"

# Scenes, moments of each, and for each task steps, batch and rate; in full and quickly.
FULL = (
    2000,
    3,
    {"detector": (1500, 32, 3e-3), "classifier": (400, 64, 4e-3), "pose": (1200, 32, 3e-3)},
)
QUICK = (
    500,
    3,
    {"detector": (400, 32, 3e-3), "classifier": (150, 64, 4e-3), "pose": (300, 32, 3e-3)},
)
HELD_OUT = 400


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("what", choices=(*TASKS, "all", "evaluate"))
    parser.add_argument("--out", type=Path, default=OUT, help="where the models go")
    parser.add_argument("--cache", type=Path, default=ROOT / ".training" / "data")
    parser.add_argument("--quick", action="store_true", help="take minutes, not half an hour")
    asked = parser.parse_args()
    for task in TASKS if asked.what == "all" else (asked.what,):
        if task in TASKS:
            train(task, asked.out, asked.cache, quick=asked.quick)
    if asked.what in {"all", "evaluate"}:
        evaluate(asked.out, 60 if asked.quick else HELD_OUT)


def train(task: str, out: Path, cache: Path, *, quick: bool) -> None:
    """Train one model and write it to the folder."""
    from training import classifier, detector, pose
    from training.data import TRAIN_SEED, prepared
    from training.export import export
    from training.fitting import Plan

    scenes, frames, plans = QUICK if quick else FULL
    steps, batch, rate = plans[task]
    rendered = prepared(cache, "train", scenes, TRAIN_SEED, frames)
    print(f"{task}: {steps} steps over {len(rendered.frames)} frames")
    plan = Plan(steps, batch, rate, snapshots=cache / f"{task}.pt")
    train_with = {"detector": detector.train, "classifier": classifier.train, "pose": pose.train}
    print(export(task, train_with[task](rendered, plan), out))


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
