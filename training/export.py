"""From a trained network to the file that ships, with its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import nn

from training import classifier, crops, detector, pose
from training.scenes import CATEGORIES, KEYPOINTS, SKELETON, SPECIES

VERSION = "1"
OPSET = 17

# What a manifest says beyond the file's name and checksum.
FACTS: dict[str, dict[str, Any]] = {
    "detector": {
        "layout": "yolov8",
        "input": detector.INPUT,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "resize": "letterbox",
        "classes": CATEGORIES,
        "typical_threshold": 0.4,
        "conservative_threshold": 0.2,
        "iou_threshold": 0.6,
    },
    "classifier": {
        "layout": "classifier",
        "input": classifier.INPUT,
        "mean": classifier.MEAN,
        "std": classifier.STD,
        "resize": "letterbox",
        "classes": SPECIES,
        "crop_scale": crops.SEEN_SCALE,
    },
    "pose": {
        "layout": "heatmap",
        "input": pose.INPUT,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "resize": "letterbox",
        "keypoints": KEYPOINTS,
        "skeleton": SKELETON,
        "crop_scale": crops.SEEN_SCALE,
    },
}
NAMES = {
    "detector": ("images", "output0"),
    "classifier": ("images", "logits"),
    "pose": ("images", "heatmaps"),
}


def export(task: str, network: nn.Module, folder: Path) -> Path:
    """Write a network's ONNX file and its manifest; raise if the file computes something else."""
    path = folder / f"{task}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = FACTS[task]["input"]
    example = torch.rand(2, 3, height, width)
    entry, result = NAMES[task]
    network = network.to(memory_format=torch.contiguous_format).eval()
    torch.onnx.export(
        network,
        (example,),
        str(path),
        input_names=[entry],
        output_names=[result],
        dynamic_axes={entry: {0: "batch"}, result: {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wide = torch.rand(3, 3, height, width)
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(session.run(None, {entry: wide.numpy()})[0]),
            network(wide),
            rtol=1e-3,
            atol=1e-3,
        )
    manifest = folder / f"{task}.toml"
    manifest.write_text(_toml(described(task, path)))
    return path


def described(task: str, path: Path) -> dict[str, Any]:
    """Return what the manifest of a model says."""
    return {
        "name": f"reference-{task}",
        "task": task,
        "version": VERSION,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "source": "Trained on synthetic animals by Grange's own training scripts; see CARD.md. "
        "For demonstration and tests only.",
        "channels": "rgb",
        **FACTS[task],
    }


def _toml(facts: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in facts.items())


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a manifest holds
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(item) for item in value)}]"
    return repr(value)
