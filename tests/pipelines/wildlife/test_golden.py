"""What the shipped models find stays what it was, and is what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grange.pipelines.wildlife.results import Box
from tests.pipelines.wildlife.golden import FILE, made
from tests.pipelines.wildlife.whole import take
from training.clips import write_clip
from training.scenes import Scene

# Another processor's floats are not quite the same.
TOLERANCE = 0.02
FPS = 10


def _near(expected: Any, actual: Any) -> bool:
    """Whether two results differ in nothing but the last digits of numbers."""
    if isinstance(expected, float) or isinstance(actual, float):
        return abs(float(expected) - float(actual)) <= TOLERANCE
    if isinstance(expected, dict):
        return list(expected) == list(actual) and all(
            _near(expected[name], actual[name]) for name in expected
        )
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(_near, expected, actual))
    return bool(expected == actual)


def _sure(entry: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Without what lies so near a threshold that it may come and go."""
    found = [one for one in entry["detections"] if one["conf"] > threshold + TOLERANCE]
    return {**entry, "detections": found}


def test_results_are_what_they_were(tmp_path: Path) -> None:
    """To the second digit of every confidence, box and point."""
    expected: dict[str, Any] = json.loads(FILE.read_text())

    actual = json.loads(json.dumps(made(tmp_path), sort_keys=True))

    assert sorted(expected) == sorted(actual)
    for name, one in expected.items():
        typical = one["record"]["typical"]
        assert _near(_sure(one["entry"], typical), _sure(actual[name]["entry"], typical)), name


def test_what_is_there_is_found(tmp_path: Path) -> None:
    """A deer that walks by is found in most frames where it is, and called a deer."""
    scene = Scene(3, size=(640, 360), kinds=("deer",), count=1, light="day")
    write_clip(tmp_path / "deer.mp4", scene, 3, FPS, gop=10)

    taken = take(tmp_path / "deer.mp4", tmp_path / "work", sample_fps="all")

    hits = there = 0
    for number in range(3 * FPS):
        shown = [one for one in scene.frame(number / FPS).animals if one.visible > 0.5]
        found = [one for one in taken.entry["detections"] if one["frame_number"] == number]
        there += len(shown)
        boxes = [one["bbox"] for one in found]
        hits += sum(any(_overlap(_fraction(one.bbox), box) > 0.5 for box in boxes) for one in shown)
    assert there > FPS
    assert hits / there > 0.7
    assert "deer" == next(iter(taken.record["species"]))


def _fraction(box: Any) -> Box:
    x, y, width, height = box
    return x / 640, y / 360, width / 640, height / 360


def _overlap(one: Any, other: Any) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return float(shared / (one[2] * one[3] + other[2] * other[3] - shared))
