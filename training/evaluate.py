"""Measure the exported models on scenes that no training has seen, and write the model card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from training.data import HELD_OUT_SEED, SIZE, counts
from training.metrics import Array, Curve, correct_keypoints, curve, overlaps
from training.reading import Box, Model, detections, poses, species
from training.scenes import CATEGORIES, KEYPOINTS, SPECIES, Frame, Scene, Truth

MOMENT = 2.5


@dataclass(frozen=True)
class Measured:
    """What was measured; `keypoints` has a value for each of KEYPOINTS."""

    frames: int
    curves: dict[str, Curve]
    true_boxes: float  # PCK@0.1 with the boxes of the truth
    found_boxes: float  # PCK@0.1 with the detector's
    missed: float  # share of the animals that the detector has no box for
    keypoints: Array
    top1: float
    confusion: Array  # true species by row, said by column
    bodies: dict[str, int]

    @property
    def mean_average_precision(self) -> float:
        """The mean over the classes, at an overlap of 0.5."""
        return float(np.mean([each.average for each in self.curves.values()]))


@dataclass(frozen=True)
class Posed:
    """An animal in a picture."""

    frame: int
    picture: Image.Image
    truth: Truth


def measure(folder: Path, scenes: int, first_seed: int = HELD_OUT_SEED) -> Measured:
    """Measure the three models in a folder on a frame each of so many scenes."""
    frames = [Scene(seed, SIZE).frame(MOMENT) for seed in range(first_seed, first_seed + scenes)]
    return measure_on(folder, frames)


def measure_on(folder: Path, frames: Sequence[Frame]) -> Measured:
    """Measure the three models in a folder on frames."""
    pictures = [Image.fromarray(frame.pixels) for frame in frames]
    models = {task: Model(folder / f"{task}.toml") for task in ("detector", "pose", "classifier")}
    found = detections(models["detector"], pictures)
    animals = [
        Posed(number, picture, truth)
        for number, (picture, frame) in enumerate(zip(pictures, frames, strict=True))
        for truth in frame.animals
        if truth.category == "animal" and counts(truth)
    ]
    parts = [(animal.picture, animal.truth.bbox) for animal in animals]
    by_truth = _correct(models["pose"], animals, parts)
    boxes = [_found(found[animal.frame], animal.truth) for animal in animals]
    seen = [at for at, box in enumerate(boxes) if box is not None]
    by_found = _correct(
        models["pose"],
        [animals[at] for at in seen],
        [(animals[at].picture, box) for at in seen if (box := boxes[at])],
    )
    right = np.array([SPECIES.index(animal.truth.species) for animal in animals])
    said = species(models["classifier"], parts)
    confusion = np.zeros((len(SPECIES), len(SPECIES)), np.int64)
    np.add.at(confusion, (right, said), 1)
    return Measured(
        frames=len(frames),
        curves={
            name: _curve(frames, found, number, name) for number, name in enumerate(CATEGORIES)
        },
        true_boxes=_mean(by_truth),
        found_boxes=_mean(by_found),
        missed=1 - len(seen) / max(1, len(animals)),
        keypoints=np.nanmean(by_truth, axis=0),
        top1=float((said == right).mean()),
        confusion=confusion,
        bodies={
            name: sum(
                truth.category == name and counts(truth)
                for frame in frames
                for truth in frame.animals
            )
            for name in CATEGORIES
        },
    )


def _mean(correct: Array) -> float:
    seen = correct[~np.isnan(correct)]
    return float(seen.mean()) if seen.size else 0.0


def _curve(frames: Sequence[Frame], found: Sequence[Array], number: int, name: str) -> Curve:
    rows = [
        (frame, *row[1:])
        for frame, each in enumerate(found)
        for row in each
        if int(row[0]) == number
    ]
    truth = [
        (number, *_corners(body.bbox), counts(body))
        for number, frame in enumerate(frames)
        for body in frame.animals
        if body.category == name
    ]
    return curve(np.array(rows).reshape(-1, 6), np.array(truth, np.float64).reshape(-1, 6))


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box[0], box[1], box[0] + box[2], box[1] + box[3]


def _found(rows: Array, truth: Truth) -> Box | None:
    """Return the detector's box of an animal: of those that lie on it, the most confident."""
    rows = rows[(rows[:, 0] == 0) & (rows[:, 1] >= 0.1)]
    rows = rows[overlaps(np.array(_corners(truth.bbox)), rows[:, 2:]) >= 0.5]
    if not len(rows):
        return None
    left, top, right, bottom = (float(value) for value in rows[rows[:, 1].argmax(), 2:])
    return left, top, right - left, bottom - top


def _correct(
    model: Model, animals: Sequence[Posed], parts: Sequence[tuple[Image.Image, Box]]
) -> Array:
    points = [[animal.truth.keypoints[name] for name in KEYPOINTS] for animal in animals]
    truth = np.array(points, np.float64).reshape(-1, len(KEYPOINTS), 3)
    sides = np.array([max(animal.truth.bbox[2:]) for animal in animals])
    return correct_keypoints(poses(model, parts), truth, sides)


def milliseconds(manifest: Path, batch: int) -> float:
    """Return how long a model takes for one picture of a batch, on one thread."""
    model = Model(manifest)
    height, width = model.facts["input"]
    entry = model.session.get_inputs()[0].name
    fed = np.random.default_rng(0).random((batch, 3, height, width), np.float32)
    run = partial(model.session.run, None, {entry: fed})
    run()
    times = []
    for _ in range(max(5, 40 // batch)):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times)) / batch
