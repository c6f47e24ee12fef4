"""Detectors by ONNX Runtime, in all layouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ModelFailed
from grange.pipelines.wildlife.models.completing import SIGMOID, completed
from grange.pipelines.wildlife.models.digests import read_verified
from grange.pipelines.wildlife.models.doubles import MOST_KEPT, without_doubles
from grange.pipelines.wildlife.models.framing import frame_of
from grange.pipelines.wildlife.models.graphs import Graph
from grange.pipelines.wildlife.models.interface import Found
from grange.pipelines.wildlife.models.layouts import (
    WITHOUT_DOUBLES,
    Reading,
    read,
    with_sigmoid,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.completing import Completed
    from grange.pipelines.wildlife.models.framing import Frame
    from grange.pipelines.wildlife.models.interface import Prepared
    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture

    Array = NDArray[Any]

# How far a graph's rounding may take a confidence above one.
_SLACK: Final = 1e-2


def open_detector(manifest: Manifest, *, threads: int) -> OnnxDetector:
    """The detector of a manifest, its graph loaded.

    Raises:
        ModelInvalid: Its file is not the one that is meant, or its graph fits no layout.
    """
    graph = Graph(read_verified(manifest), manifest.name, threads=threads)
    return OnnxDetector(completed(graph, manifest), graph)


class OnnxDetector:
    """A detector whose graph ONNX Runtime runs on the processor."""

    def __init__(self, told: Completed, graph: Graph) -> None:
        """Take a graph of which everything is known."""
        self.manifest = told.manifest
        self._graph = graph
        self._outputs = told.outputs
        self._frame: Frame = frame_of(graph, self.manifest)
        self._ids = self.manifest.category_ids
        # Classes that count as the same are doubles of each other.
        self._groups = np.array([int(one) for one in self._ids])

    def prepare(self, picture: Picture) -> Prepared:
        """The picture in the size of the model's input."""
        return self._frame.prepare_whole(picture)

    def detect(self, batch: Sequence[Prepared], threshold: float) -> list[tuple[Found, ...]]:
        """What is in each picture, the surest first.

        Raises:
            ModelFailed: The graph stopped, or its numbers are none.
        """
        most = self._frame.batch or max(len(batch), 1)
        return [
            found
            for start in range(0, len(batch), most)
            for found in self._detect(batch[start : start + most], threshold)
        ]

    def _detect(self, batch: Sequence[Prepared], threshold: float) -> list[tuple[Found, ...]]:
        frame = self._frame
        outputs = self._graph.run(frame.feeds(batch))
        chosen: Sequence[Array] = [outputs[number] for number in self._outputs]
        if self.manifest.activation == SIGMOID:
            chosen = with_sigmoid(self.manifest.layout, chosen)
        try:
            reading = read(self.manifest.layout, chosen, threshold, self.manifest.input)
        except (IndexError, ValueError) as error:
            raise self._failed("gave an output of another shape than its layout has") from error
        self._check(reading)
        return [self._found(reading, number, one) for number, one in enumerate(batch)]

    def _check(self, reading: Reading) -> None:
        if len(reading.confs) and reading.confs.max() > 1 + _SLACK:
            raise self._failed(
                f"gave a confidence of {reading.confs.max():.3g}",
                "If it gives logits, say activation = 'sigmoid' in its manifest.",
            )
        if len(reading.kinds) and not 0 <= reading.kinds.min() <= reading.kinds.max() < len(
            self._ids
        ):
            raise self._failed(
                f"gave the class {reading.kinds.max():.0f}, and its manifest names "
                f"{len(self._ids)}, from 0 on"
            )

    def _found(self, reading: Reading, number: int, one: Prepared) -> tuple[Found, ...]:
        chosen = np.nonzero(reading.pictures == number)[0]
        if not len(chosen):
            return ()
        boxes = _fractions(reading.boxes[chosen], one)
        # What lies in the grey around the picture alone is nothing of it.
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        chosen, boxes = chosen[inside], boxes[inside]
        kinds = reading.kinds[chosen].astype(np.intp)
        # As the model's authors do it: doubles are told by boxes that may reach out of the picture.
        kept = self._kept(reading.boxes[chosen], reading.confs[chosen], kinds)
        confs = np.minimum(reading.confs[chosen][kept], 1.0)
        boxes[:, 2:] -= boxes[:, :2]
        return tuple(
            Found(self._ids[kind], conf, (box[0], box[1], box[2], box[3]), kind)
            for box, conf, kind in zip(
                boxes[kept].tolist(), confs.tolist(), kinds[kept].tolist(), strict=True
            )
        )

    def _kept(self, boxes: Array, confs: Array, kinds: Array) -> Array:
        if self.manifest.layout in WITHOUT_DOUBLES:
            return np.argsort(-confs, kind="stable")[:MOST_KEPT]
        most_overlap = self.manifest.iou_threshold
        return without_doubles(boxes, confs, self._groups[kinds], most_overlap)

    def _failed(self, what: str, hint: str = "") -> ModelFailed:
        todo = hint or f"Look at the model: grange models check {self.manifest.name}"
        return ModelFailed(f"The model {self.manifest.name} {what}.", hint=todo)


def _fractions(boxes: Array, one: Prepared) -> Array:
    """Corners in pixels of the model's input as corners in fractions of the picture."""
    high, wide = one.pixels.shape[:2]
    start = np.array([one.left, one.top] * 2, np.float64)
    return np.asarray(np.clip((boxes - start) / np.array([wide, high] * 2), 0.0, 1.0))
