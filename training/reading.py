"""What the exported models say of frames: ONNX Runtime and numpy alone, step by step."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from training.metrics import Array, overlaps

GREY = (114, 114, 114)
Box = tuple[float, float, float, float]  # left, top, width, height


class Model:
    """A model file with its manifest."""

    def __init__(self, manifest: Path) -> None:
        """Open the file that the manifest names, on one thread."""
        self.facts: dict[str, Any] = tomllib.loads(manifest.read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(manifest.parent / self.facts["file"])
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._mean = np.array(self.facts["mean"], np.float32)
        self._std = np.array(self.facts["std"], np.float32)

    def answers(
        self, pictures: Sequence[Image.Image], batch: int = 8
    ) -> Iterator[tuple[Array, Array]]:
        """Yield for each picture what the model says, and the way back: scale, left and top."""
        height, width = self.facts["input"]
        for start in range(0, len(pictures), batch):
            laid = [
                letterboxed(picture, (width, height)) for picture in pictures[start : start + batch]
            ]
            pixels = np.stack([np.asarray(picture, np.float32) for picture, _ in laid]) / 255
            fed = ((pixels - self._mean) / self._std).transpose(0, 3, 1, 2)
            entry = self.session.get_inputs()[0].name
            said = self.session.run(None, {entry: np.ascontiguousarray(fed, np.float32)})[0]
            yield from zip(said, (place for _, place in laid), strict=True)


def letterboxed(picture: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, Array]:
    """Return the picture in the middle of a grey one of this size; and scale, left and top."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    fitted = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left, top = (size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2
    laid = Image.new("RGB", size, GREY)
    laid.paste(picture.resize(fitted, Image.Resampling.BILINEAR), (left, top))
    return laid, np.array([scale, left, top])


def grown(picture: Image.Image, box: Box, scale: float) -> tuple[Image.Image, float, float]:
    """Cut a box grown about its middle, as far as the picture goes; and its left and top."""
    x, y, width, height = box
    left, top = x + width / 2 - width * scale / 2, y + height / 2 - height * scale / 2
    edges = (
        max(0, int(np.floor(left))),
        max(0, int(np.floor(top))),
        min(picture.width, int(np.ceil(left + width * scale))),
        min(picture.height, int(np.ceil(top + height * scale))),
    )
    return picture.crop(edges), edges[0], edges[1]


def detections(model: Model, pictures: Sequence[Image.Image], least: float = 0.005) -> list[Array]:
    """Return for each picture rows of class, confidence, left, top, right, bottom."""
    found = []
    for said, (scale, left, top) in model.answers(pictures):
        boxes, scores = said[:4].T, said[4:].T
        rows: list[tuple[float, ...]] = []
        for kind in range(scores.shape[1]):
            kept = np.flatnonzero(scores[:, kind] >= least)
            corners = np.concatenate(
                (boxes[kept, :2] - boxes[kept, 2:] / 2, boxes[kept, :2] + boxes[kept, 2:] / 2), 1
            )
            corners = (corners - np.array([left, top, left, top])) / scale
            rows += [
                (kind, scores[kept[at], kind], *corners[at])
                for at in _apart(corners, scores[kept, kind], model.facts["iou_threshold"])
            ]
        found.append(np.array(rows, np.float64).reshape(-1, 6))
    return found


def _apart(corners: Array, scores: Array, overlap: float) -> list[int]:
    """Return which boxes stay: of those that overlap, the most confident one."""
    left = list(np.argsort(-scores, kind="stable"))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        shares = overlaps(corners[best], corners[left])
        left = [at for at, share in zip(left, shares, strict=True) if share <= overlap]
    return kept


def poses(model: Model, parts: Sequence[tuple[Image.Image, Box]]) -> Array:
    """Return for each animal its keypoints: x, y in pixels of the picture, and the peak."""
    cuts = [grown(picture, box, model.facts["crop_scale"]) for picture, box in parts]
    height, width = model.facts["input"]
    found = []
    answers = model.answers([cut for cut, _, _ in cuts])
    for (heat, (scale, left, top)), (_, x, y) in zip(answers, cuts, strict=True):
        rows, columns = heat.shape[1:]
        flat = heat.reshape(len(heat), -1)
        down, across = np.divmod(flat.argmax(1), columns)
        places = np.stack(
            (
                ((across + 0.5 + _between(heat, down, across, 1)) * width / columns - left) / scale
                + x,
                ((down + 0.5 + _between(heat, down, across, 0)) * height / rows - top) / scale + y,
                flat.max(1),
            ),
            1,
        )
        found.append(places)
    return np.array(found, np.float64).reshape(-1, len(model.facts["keypoints"]), 3)


def _between(heat: Array, down: Array, across: Array, axis: int) -> Array:
    """Return how far beyond the highest cell a parabola through its neighbours is highest."""
    padded = np.pad(np.log(np.maximum(heat, 1e-6)), ((0, 0), (1, 1), (1, 1)), mode="edge")
    number = np.arange(len(heat))
    step = (1, 0) if axis == 0 else (0, 1)
    low, middle, high = (
        padded[number, down + 1 + sign * step[0], across + 1 + sign * step[1]]
        for sign in (-1, 0, 1)
    )
    bend = low - 2 * middle + high
    return np.where(bend < -1e-6, 0.5 * (low - high) / np.minimum(bend, -1e-6), 0.0).clip(-0.5, 0.5)


def species(model: Model, parts: Sequence[tuple[Image.Image, Box]]) -> Array:
    """Return the number of each animal's likeliest species."""
    cuts = [grown(picture, box, model.facts["crop_scale"])[0] for picture, box in parts]
    return np.array([said.argmax() for said, _ in model.answers(cuts)])
