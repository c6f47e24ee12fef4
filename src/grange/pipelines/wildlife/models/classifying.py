"""Classifiers by ONNX Runtime: any graph that gives a number for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grange.pipelines.wildlife.models.completing import SIGMOID, SOFTMAX, completed
from grange.pipelines.wildlife.models.digests import read_verified
from grange.pipelines.wildlife.models.framing import frame_of
from grange.pipelines.wildlife.models.graphs import Graph
from grange.pipelines.wildlife.models.interface import MOST_GUESSES
from grange.pipelines.wildlife.models.layouts import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.completing import Completed
    from grange.pipelines.wildlife.models.interface import Prepared
    from grange.pipelines.wildlife.models.manifest import Manifest
    from grange.pipelines.wildlife.pictures import Picture
    from grange.pipelines.wildlife.results import Box

    Array = NDArray[Any]


def open_classifier(manifest: Manifest, *, threads: int) -> OnnxClassifier:
    """The classifier of a manifest, its graph loaded.

    Raises:
        ModelInvalid: Its file is not the one that is meant, or it is no classifier.
    """
    graph = Graph(read_verified(manifest), manifest.name, threads=threads)
    return OnnxClassifier(completed(graph, manifest), graph)


class OnnxClassifier:
    """A classifier whose graph ONNX Runtime runs on the processor."""

    def __init__(self, told: Completed, graph: Graph) -> None:
        """Take a graph of which everything is known."""
        self.manifest = told.manifest
        self._graph = graph
        self._output = told.outputs[0]
        self._frame = frame_of(graph, self.manifest)

    def prepare(self, picture: Picture, box: Box) -> Prepared:
        """The part of the picture in the size of the model's input."""
        return self._frame.prepare_part(picture, box, self.manifest.crop_scale)

    def classify(self, batch: Sequence[Prepared]) -> list[tuple[tuple[int, float], ...]]:
        """Classes with their probabilities, the likeliest first.

        Raises:
            ModelFailed: The graph stopped, or its numbers are none.
        """
        most = self._frame.batch or max(len(batch), 1)
        return [
            guesses
            for start in range(0, len(batch), most)
            for guesses in self._classify(batch[start : start + most])
        ]

    def _classify(self, batch: Sequence[Prepared]) -> list[tuple[tuple[int, float], ...]]:
        given = self._graph.run(self._frame.feeds(batch))[self._output]
        scores = self._probabilities(given.reshape(len(given), -1)[: len(batch)])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :MOST_GUESSES]
        sure = np.take_along_axis(scores, best, axis=1)
        return [
            tuple(zip(kinds, confs, strict=True))
            for kinds, confs in zip(best.tolist(), sure.tolist(), strict=True)
        ]

    def _probabilities(self, scores: Array) -> Array:
        if self.manifest.activation == SIGMOID:
            return sigmoid(scores)
        if self.manifest.activation == SOFTMAX:
            raised = np.exp(scores - scores.max(axis=1, keepdims=True))
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))
        return np.clip(scores, 0.0, 1.0)
