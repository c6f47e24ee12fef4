"""What a manifest leaves open is told from the graph: layout, size, names, activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ModelInvalid
from grange.pipelines.wildlife.models import layouts
from grange.pipelines.wildlife.models.framing import LETTERBOX, STRETCH, frame_of
from grange.pipelines.wildlife.models.interface import Prepared
from grange.pipelines.wildlife.models.manifest import Manifest, Task
from grange.pipelines.wildlife.models.refusals import (
    check_layout,
    no_layout,
    no_names,
    other_task,
    unknown_layout,
    wrong_count,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.framing import Frame
    from grange.pipelines.wildlife.models.graphs import Graph, Shape

    Array = NDArray[Any]

SIGMOID: Final = "sigmoid"
SOFTMAX: Final = "softmax"
NO_ACTIVATION: Final = "none"

# What Ultralytics calls the task of a detector.
DETECT: Final = "detect"

CLASSIFIER: Final = "classifier"
HEATMAP: Final = "heatmap"
SIMCC: Final = "simcc"

# How far from one the sum of probabilities may be.
_SLACK: Final = 1e-3
# The ranks of what the kinds of models give.
_OF_CLASSES, _OF_ROWS, _OF_MAPS = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Completed:
    """A manifest with nothing left open, and the numbers of the outputs that its layout means."""

    manifest: Manifest
    outputs: tuple[int, ...]


def completed(graph: Graph, manifest: Manifest) -> Completed:
    """What the graph adds to its manifest.

    Raises:
        ModelInvalid: It fits no layout, not the one that is said, or the names do not match it.
        ModelFailed: It stopped when it was tried.
    """
    frame = frame_of(graph, manifest)
    manifest = replace(manifest, input=(frame.height, frame.width))
    if manifest.task is Task.DETECTOR:
        return _detector(graph, frame, manifest)
    if manifest.task is Task.CLASSIFIER:
        return _classifier(graph, frame, manifest)
    return _pose(graph, frame, manifest)


def task_of(graph: Graph) -> Task:
    """What a graph is for, as far as its outputs show."""
    ranks = [len(one.shape) for one in graph.outputs]
    of_rows = [one.shape for one in graph.outputs if len(one.shape) == _OF_ROWS]
    if any(shape[2] == layouts.BOX for shape in of_rows):
        return Task.DETECTOR
    if ranks == [_OF_ROWS] * 2 or ranks[:1] == [_OF_MAPS]:
        flat = graph.outputs[0].shape[2:] == (1, 1)
        return Task.CLASSIFIER if flat else Task.POSE
    return Task.DETECTOR if of_rows else Task.CLASSIFIER


# ---- detectors


def _detector(graph: Graph, frame: Frame, manifest: Manifest) -> Completed:
    if (task := graph.metadata.get("task", DETECT)) != DETECT and not manifest.layout:
        raise other_task(manifest, str(task))
    shapes, outputs = _shapes(graph, frame)
    found = layouts.fits(graph.outputs, shapes, manifest.input)
    said = layouts.ALIASES.get(manifest.layout, manifest.layout)
    if said and said not in layouts.READERS:
        raise unknown_layout(manifest)
    fitting = [one for one in found if said in {"", one.layout}]
    if not fitting:
        raise no_layout(graph, manifest, shapes, said)
    classes = manifest.classes or _names(graph)
    matching = [one for one in fitting if not classes or one.classes in {0, len(classes)}]
    if not matching:
        raise wrong_count(manifest, "classes", fitting[0].classes, len(classes))
    fit = _choice(matching, graph, frame, manifest, outputs)
    if not classes:
        raise no_names(manifest, "classes", fit.classes if len(matching) == 1 else 0)
    resize = manifest.resize or (STRETCH if fit.layout in layouts.STRETCHED else LETTERBOX)
    return Completed(
        replace(manifest, layout=fit.layout, classes=classes, resize=resize), fit.outputs
    )


def _choice(
    fits: Sequence[layouts.Fit],
    graph: Graph,
    frame: Frame,
    manifest: Manifest,
    outputs: Sequence[Array] | None,
) -> layouts.Fit:
    """The one layout of those that fit."""
    names = {one.layout for one in fits}
    if len(fits) == 1 or fits[0].layout in {layouts.YOLOV5, layouts.YOLOV8}:
        return fits[0]
    if layouts.YOLOV10 in names:
        outputs = outputs if outputs is not None else graph.tried(_noise(frame))
        seen = layouts.of_six(outputs[fits[0].outputs[0]])
        six = {layouts.YOLOV10, layouts.RTDETR_TOP}
        others = [one for one in fits if one.layout not in six]
        fits = [one for one in fits if one.layout == seen] or others
    if len(fits) == 1:
        return fits[0]
    raise ModelInvalid(
        f"The graph of the model {manifest.name} fits several layouts: {', '.join(sorted(names))}.",
        hint="Say which it is, or how many classes it has: --layout, --classes.",
    )


# ---- classifiers and pose models


def _classifier(graph: Graph, frame: Frame, manifest: Manifest) -> Completed:
    check_layout(manifest, {CLASSIFIER})
    shapes, _ = _shapes(graph, frame)
    classes = manifest.classes or _names(graph)
    found = [
        number
        for number, shape in enumerate(shapes)
        if len(shape) == _OF_CLASSES or (len(shape) == _OF_MAPS and shape[2:] == (1, 1))
    ]
    if not found:
        raise no_layout(graph, manifest, shapes, "")
    fitting = [number for number in found if shapes[number][1] == len(classes)]
    if not classes:
        raise no_names(manifest, "classes", shapes[found[0]][1] or 0)
    if not fitting:
        raise wrong_count(manifest, "classes", shapes[found[0]][1] or 0, len(classes))
    activation = manifest.activation or _activation(graph, frame, fitting[0])
    told = replace(
        manifest,
        layout=CLASSIFIER,
        classes=classes,
        resize=manifest.resize or STRETCH,
        activation=activation,
    )
    return Completed(told, (fitting[0],))


def _activation(graph: Graph, frame: Frame, output: int) -> str:
    """What makes probabilities of an output: nothing, where it already gives them."""
    given = graph.tried(_noise(frame))[output].astype(np.float64)
    rows = given.reshape(len(given), -1)
    whole = np.abs(rows.sum(axis=1) - 1) <= _SLACK
    return NO_ACTIVATION if bool((whole & (rows >= 0).all(axis=1)).all()) else SOFTMAX


def _pose(graph: Graph, frame: Frame, manifest: Manifest) -> Completed:
    check_layout(manifest, {HEATMAP, SIMCC})
    shapes, _ = _shapes(graph, frame)
    maps = [number for number, shape in enumerate(shapes) if len(shape) == _OF_MAPS]
    lines = [number for number, shape in enumerate(shapes) if len(shape) == _OF_ROWS]
    outputs: tuple[int, ...]
    if maps and manifest.layout in {"", HEATMAP}:
        layout, outputs = HEATMAP, (maps[0],)
    elif len(lines) == 2 and manifest.layout in {"", SIMCC}:  # noqa: PLR2004
        layout, outputs = SIMCC, _across_and_down(graph, shapes, manifest, lines)
    else:
        raise no_layout(graph, manifest, shapes, manifest.layout)
    counts = {shapes[number][1] for number in outputs}
    count = shapes[outputs[0]][1] or 0
    if not manifest.keypoints:
        raise no_names(manifest, "keypoints", count)
    if counts != {len(manifest.keypoints)}:
        raise wrong_count(manifest, "keypoints", count, len(manifest.keypoints))
    told = replace(manifest, layout=layout, resize=manifest.resize or LETTERBOX)
    return Completed(told, outputs)


def _across_and_down(
    graph: Graph, shapes: Sequence[Shape], manifest: Manifest, lines: Sequence[int]
) -> tuple[int, ...]:
    """Which of SimCC's outputs is x and which y: by name, by size, or the order of its authors."""
    first, second = lines
    named = [graph.outputs[number].name.lower().endswith("y") for number in lines]
    height, width = manifest.input
    turned = (shapes[first][2] or 0) * width == (shapes[second][2] or 0) * height != 0
    if named == [True, False] or (named[0] == named[1] and turned and height != width):
        return second, first
    return first, second


# ---- all


def _shapes(graph: Graph, frame: Frame) -> tuple[Sequence[Shape], Sequence[Array] | None]:
    """The outputs' shapes; where the graph does not say them, of a trial, with its outputs."""
    told = [one.shape for one in graph.outputs]
    if all(None not in shape[1:] for shape in told):
        return told, None
    outputs = graph.tried(_noise(frame))
    return [one.shape for one in outputs], outputs


def _noise(frame: Frame) -> dict[str, Array]:
    """A picture that shows nothing, always the same."""
    noise = np.random.default_rng(0).integers(0, 256, (frame.height, frame.width, 3), np.uint8)
    return frame.feeds([Prepared(noise, 0, 0, (0.0, 0.0, 1.0, 1.0))])


def _names(graph: Graph) -> tuple[str, ...]:
    """The names of the classes, where the exporter wrote them into the file."""
    told = graph.metadata.get("names")
    if isinstance(told, dict) and set(told) == set(range(len(told))):
        told = [told[number] for number in range(len(told))]
    if not isinstance(told, list | tuple):
        return ()
    return tuple(str(one).strip() for one in told)
