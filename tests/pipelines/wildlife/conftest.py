"""Models whose answers are known beforehand, added to the test's own home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grange.pipelines.wildlife.models.manifest import Task
from grange.pipelines.wildlife.models.registry import Models
from tests.pipelines.wildlife.models.graphs import Made, Thing, colours, yolo

# Found in full light; the darker a picture, the less sure.
DEER = Thing(0.3, 0.5, 0.2, 0.4, 0.9)
WALKER = Thing(0.8, 0.5, 0.1, 0.5, 0.8, kind=1)
SHADOW = Thing(0.5, 0.1, 0.1, 0.1, 0.1)

# So that a run of these models needs nothing else.
Zoo = dict[str, Any]


@pytest.fixture
def add(home: Path, tmp_path: Path) -> Callable[..., str]:
    """Give a function that adds a detector which finds these things; it answers with its name."""

    def make(name: str, *things: Thing, **said: Any) -> str:
        classes = said.pop("classes", ["animal", "person", "vehicle"])
        graph = yolo(things, len(classes), "yolov8", size=(96, 160))
        told = {"classes": classes, "typical_threshold": 0.1, "conservative_threshold": 0.05}
        path = graph.write(tmp_path / f"{name}.onnx")
        return Models(home / "models").add(path, told | said).name

    return make


@pytest.fixture
def zoo(home: Path, tmp_path: Path, add: Callable[..., str]) -> Zoo:
    """Give a detector, a classifier that tells colours, and a pose model of two points."""
    models = Models(home / "models")
    named = ["red deer", "green deer", "blue deer"]
    classifier = models.add(
        colours(tmp_path / "colours.onnx", softmax=True),
        {"task": Task.CLASSIFIER, "classes": named},
    )
    maps = np.zeros((2, 24, 24), np.float32)
    maps[0, 12, 6], maps[1, 12, 18] = 0.9, 0.5
    pose = models.add(
        Made(size=(96, 96), fixed={"maps": maps}).write(tmp_path / "points.onnx"),
        {"task": Task.POSE, "keypoints": ["nose", "tail"], "skeleton": [["nose", "tail"]]},
    )
    return {
        "detector": add("finder", DEER, WALKER, SHADOW),
        "classifier": classifier.name,
        "pose": pose.name,
    }
