"""Pose models by ONNX Runtime: heatmaps, and SimCC's two lines for each keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models.completing import HEATMAP, SIGMOID, SOFTMAX, completed
from grange.pipelines.wildlife.models.digests import read_verified
from grange.pipelines.wildlife.models.framing import frame_of
from grange.pipelines.wildlife.models.graphs import Graph
from grange.pipelines.wildlife.models.layouts import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.completing import Completed
    from grange.pipelines.wildlife.models.interface import Prepared
    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture
    from grange.pipelines.wildlife.results import Box, Point

    Array = NDArray[Any]

# Where in its cell a place lies that a model's maps mean: in the middle for heatmaps, at the
# beginning for SimCC's fine lines.
_OFFSETS: Final = {HEATMAP: 0.5}
# Below it, the form of a peak says nothing.
_FLOOR: Final = 1e-3


def open_pose(manifest: Manifest, *, threads: int) -> OnnxPose:
    """The pose model of a manifest, its graph loaded.

    Raises:
        ModelInvalid: Its file is not the one that is meant, or it is no pose model.
    """
    graph = Graph(read_verified(manifest), manifest.name, threads=threads)
    return OnnxPose(completed(graph, manifest), graph)


class OnnxPose:
    """A pose model whose graph ONNX Runtime runs on the processor."""

    def __init__(self, told: Completed, graph: Graph) -> None:
        """Take a graph of which everything is known."""
        self.manifest = told.manifest
        self._graph = graph
        self._outputs = told.outputs
        self._frame = frame_of(graph, self.manifest)
        self._offset = _offset(self.manifest)

    def prepare(self, picture: Picture, box: Box) -> Prepared:
        """The part of the picture in the size of the model's input."""
        return self._frame.prepare_part(picture, box, self.manifest.crop_scale)

    def pose(self, batch: Sequence[Prepared]) -> list[tuple[Point, ...]]:
        """The keypoints of each, in fractions of the whole picture.

        Raises:
            ModelFailed: The graph stopped, or its numbers are none.
        """
        most = self._frame.batch or max(len(batch), 1)
        return [
            points
            for start in range(0, len(batch), most)
            for points in self._pose(batch[start : start + most])
        ]

    def _pose(self, batch: Sequence[Prepared]) -> list[tuple[Point, ...]]:
        outputs = self._graph.run(self._frame.feeds(batch))
        given = [self._activated(outputs[number][: len(batch)]) for number in self._outputs]
        places, confs = peaks(given[0]) if len(given) == 1 else crossings(given[0], given[1])
        places += self._offset
        # From cells to the input's pixels, to the picture's fractions.
        cells = given[0].shape[:1:-1] if len(given) == 1 else (given[0].shape[2], given[1].shape[2])
        pixels = places * (np.array([self._frame.width, self._frame.height]) / np.array(cells))
        return [
            _points(found, sure, one) for found, sure, one in zip(pixels, confs, batch, strict=True)
        ]

    def _activated(self, given: Array) -> Array:
        if self.manifest.activation == SIGMOID:
            return sigmoid(given)
        if self.manifest.activation == SOFTMAX:
            flat = given.reshape(*given.shape[:2], -1)
            raised = np.exp(flat - flat.max(axis=2, keepdims=True))
            return np.asarray((raised / raised.sum(axis=2, keepdims=True)).reshape(given.shape))
        return given


def peaks(maps: Array) -> tuple[Array, Array]:
    """The places (x, y, in cells) and heights of each map's peak, finer than its cells."""
    number, count, height, width = maps.shape
    flat = maps.reshape(number * count, height * width)
    best = flat.argmax(axis=1)
    confs = flat[np.arange(len(flat)), best]
    down, across = np.divmod(best, width)
    which = np.arange(len(flat))
    planes = maps.reshape(number * count, height, width)
    beside = [planes[which, down, np.clip(across + step, 0, width - 1)] for step in (-1, 1)]
    above = [planes[which, np.clip(down + step, 0, height - 1), across] for step in (-1, 1)]
    fine_x = np.where((across > 0) & (across < width - 1), _finer(confs, *beside), 0.0)
    fine_y = np.where((down > 0) & (down < height - 1), _finer(confs, *above), 0.0)
    places = np.stack((across + fine_x, down + fine_y), axis=1)
    return places.reshape(number, count, 2), confs.reshape(number, count)


def crossings(lines_x: Array, lines_y: Array) -> tuple[Array, Array]:
    """The places (x, y, in cells) of the peaks of two lines, and the lower peak's height."""
    places = np.stack((lines_x.argmax(axis=2), lines_y.argmax(axis=2)), axis=2)
    return places.astype(np.float64), np.minimum(lines_x.max(axis=2), lines_y.max(axis=2))


def _finer(peak: Array, before: Array, after: Array) -> Array:
    """How far beside its cell a peak lies, from the values around it, as of a normal curve."""
    floor = (np.maximum(one, _FLOOR).astype(np.float64) for one in (before, peak, after))
    low, top, high = map(np.log, floor)
    bend = 2 * top - low - high
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (high - low) / (2 * bend)
    return np.where((bend > 0) & (peak > _FLOOR), np.clip(moved, -0.5, 0.5), 0.0)


def _points(pixels: Array, confs: Array, one: Prepared) -> tuple[Point, ...]:
    x, y, wide, high = one.region
    rows, columns = one.pixels.shape[:2]
    start, size = np.array([one.left, one.top]), np.array([columns, rows])
    shares = (pixels - start) / size * np.array([wide, high]) + np.array([x, y])
    places = np.clip(shares, 0.0, 1.0).tolist()
    sure = np.clip(confs, 0.0, 1.0).tolist()
    return tuple((place[0], place[1], conf) for place, conf in zip(places, sure, strict=True))


def _offset(manifest: Manifest) -> float:
    said = manifest.options.get("cell_offset", _OFFSETS.get(manifest.layout, 0.0))
    if isinstance(said, bool) or not isinstance(said, int | float) or not -1 <= said <= 1:
        raise ModelInvalid(
            f"The model {manifest.name} says cell_offset = {said!r}, which is no number of cells."
        )
    return float(said)
