"""Train the reference models, or measure them: python -m training all.

Data sets are rendered once, into `--cache`. `evaluate` writes the model card. `--quick` takes a
few minutes for models that are good enough to see that the scripts work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.stages import Order, train

TASKS = ("detector", "classifier", "pose")
ROOT = Path(__file__).parents[1]
OUT = ROOT / "src" / "grange" / "pipelines" / "wildlife" / "reference"

HELD_OUT = 300


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
