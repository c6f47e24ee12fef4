"""The layouts in which detectors answer: how each is recognised, and how it is read.

A reading gives for all pictures of a batch together what reaches the threshold:
the number of its picture, its box (left, top, right, bottom in pixels of the model's
input), its confidence and its class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grange.pipelines.wildlife.models.graphs import Port, Shape

    Array = NDArray[Any]

YOLOV5: Final = "yolov5"
YOLOV8: Final = "yolov8"
YOLOV10: Final = "yolov10"
RTDETR: Final = "rtdetr"
RTDETR_TOP: Final = "rtdetr-top"
RTDETR_BOXES: Final = "rtdetr-boxes"
RTDETR_LOGITS: Final = "rtdetr-logits"

# Other names under which exports go.
ALIASES: Final = {
    "yolov9": YOLOV8,
    "yolov11": YOLOV8,
    "yolo11": YOLOV8,
    "yolov12": YOLOV8,
    "yolo12": YOLOV8,
    "end-to-end": YOLOV10,
    "yolo26": YOLOV10,
}

# What each gives, in words for an error.
DESCRIBED: Final = {
    YOLOV5: "[N, anchors, 5 + classes]",
    YOLOV8: "[N, 4 + classes, anchors]",
    YOLOV10: "[N, detections, 6]",
    RTDETR: "[N, queries, 4 + classes]",
    RTDETR_TOP: "[N, queries, 6], boxes in fractions",
    RTDETR_BOXES: "labels [N, queries], boxes [N, queries, 4] and scores [N, queries]",
    RTDETR_LOGITS: "logits [N, queries, classes] and pred_boxes [N, queries, 4]",
}

# Those whose boxes need no suppression of doubles.
WITHOUT_DOUBLES: Final = frozenset({YOLOV10, RTDETR, RTDETR_TOP, RTDETR_BOXES, RTDETR_LOGITS})
# Those whose pictures are stretched to the input's size where the manifest does not say.
STRETCHED: Final = WITHOUT_DOUBLES - {YOLOV10}

# Those whose boxes are fractions of the input.
IN_FRACTIONS: Final = frozenset({RTDETR, RTDETR_TOP, RTDETR_LOGITS})

# No end-to-end detector gives more; detectors with anchors have more of them, but for tiny inputs.
MOST_QUERIES: Final = 1000
# x, y, width, height; and YOLOv5's own column after them.
BOX: Final = 4
OBJECTNESS: Final = 5
END_TO_END: Final = 6
# A box in fractions may reach a little over the edge.
_MOST_FRACTION = 1.9
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_RANK: Final = 3


class Fit(NamedTuple):
    """A layout that a graph can be, how many classes it tells apart, and which outputs have it.

    Of an end-to-end graph only the data can tell how many: then they are 0.
    """

    layout: str
    classes: int
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What reaches the threshold in a batch, one row of each for one find."""

    pictures: Array
    boxes: Array
    confs: Array
    kinds: Array


def fits(ports: Sequence[Port], shapes: Sequence[Shape], size: tuple[int, int]) -> list[Fit]:
    """The layouts that outputs of these shapes can be, the likeliest first.

    Args:
        ports: The outputs.
        shapes: Their shapes; a graph that has been run knows more of them than its ports say.
        size: Height and width of the model's input.
    """
    several = _several(ports, shapes)
    if several:
        return several
    for number, shape in enumerate(shapes):
        if len(shape) == _RANK and (found := _one(shape[1], shape[2], number, size)):
            return found
    return []


def _one(rows: int | None, columns: int | None, number: int, size: tuple[int, int]) -> list[Fit]:
    """The layouts that one output can be."""
    if rows is None or columns is None:
        return []
    found = []
    if rows <= MOST_QUERIES and columns == END_TO_END:
        found += [Fit(YOLOV10, 0, (number,)), Fit(RTDETR_TOP, 0, (number,))]
    if rows > columns > OBJECTNESS:
        found.append(Fit(YOLOV5, columns - OBJECTNESS, (number,)))
    if columns > rows > BOX:
        found.append(Fit(YOLOV8, rows - BOX, (number,)))
    if rows <= MOST_QUERIES and rows > columns > BOX:
        found.append(Fit(RTDETR, columns - BOX, (number,)))
    return sorted(found, key=lambda one: not _has_anchors(one.layout, rows, columns, size))


def _has_anchors(layout: str, rows: int, columns: int, size: tuple[int, int]) -> bool:
    """Whether an output has just as many anchors as a model of this layout and size usually has."""
    cells = [sum((size[0] // one) * (size[1] // one) for one in strides) for strides in _STRIDES]
    if layout == YOLOV5:
        return rows in {3 * one for one in cells}
    return layout == YOLOV8 and columns in cells


def _several(ports: Sequence[Port], shapes: Sequence[Shape]) -> list[Fit]:
    """The layouts that several outputs together can be."""
    boxes = _boxes_among(ports, shapes)
    if boxes is None:
        return []
    queries = shapes[boxes][1]
    flat = [number for number, shape in enumerate(shapes) if shape[1:] == (queries,)]
    labels = [n for n in flat if "label" in ports[n].name or ports[n].kind.startswith("int")]
    scores = [number for number in flat if number not in labels]
    if labels and scores:
        return [Fit(RTDETR_BOXES, 0, (labels[0], boxes, scores[0]))]
    for number, shape in enumerate(shapes):
        if number != boxes and len(shape) == _RANK and shape[1] == queries and shape[2]:
            return [Fit(RTDETR_LOGITS, shape[2], (number, boxes))]
    return []


def _boxes_among(ports: Sequence[Port], shapes: Sequence[Shape]) -> int | None:
    found = [n for n, shape in enumerate(shapes) if len(shape) == _RANK and shape[2] == BOX]
    named = [number for number in found if "box" in ports[number].name]
    return next(iter(named or found), None)


# ---- reading


def read(layout: str, outputs: Sequence[Array], threshold: float, size: tuple[int, int]) -> Reading:
    """What reaches the threshold in a layout's outputs; `size` is the input's height and width."""
    reading = READERS[layout](outputs, threshold)
    if layout not in IN_FRACTIONS:
        return reading
    height, width = size
    across = np.array([width, height, width, height], np.float32)
    return replace(reading, boxes=reading.boxes * across)


def _yolov5(outputs: Sequence[Array], threshold: float) -> Reading:
    """Boxes by their middle, with a confidence that there is anything, and one for each class."""
    # A class's share is one of the whole: where the whole is too little, no class reaches it.
    pictures, anchors = np.nonzero(outputs[0][:, :, BOX] >= threshold)
    rows = outputs[0][pictures, anchors]
    scores = rows[:, OBJECTNESS:] * rows[:, BOX:OBJECTNESS]
    return _best(pictures, _corners(rows[:, :BOX]), scores, threshold)


def _yolov8(outputs: Sequence[Array], threshold: float) -> Reading:
    """Boxes by their middle, with a confidence for each class."""
    pictures, anchors = np.nonzero(outputs[0][:, BOX:].max(axis=1) >= threshold)
    rows = outputs[0][pictures, :, anchors]
    return _best(pictures, _corners(rows[:, :BOX]), rows[:, BOX:], threshold)


def _yolov10(outputs: Sequence[Array], threshold: float) -> Reading:
    """Boxes by their corners, with a confidence and a class."""
    pictures, numbers = np.nonzero(outputs[0][:, :, BOX] >= threshold)
    rows = outputs[0][pictures, numbers]
    return Reading(pictures, rows[:, :BOX], rows[:, BOX], np.rint(rows[:, OBJECTNESS]))


def _rtdetr(outputs: Sequence[Array], threshold: float) -> Reading:
    """Boxes by their middle in fractions, with a confidence for each class."""
    pictures, queries = np.nonzero(outputs[0][:, :, BOX:].max(axis=2) >= threshold)
    rows = outputs[0][pictures, queries]
    return _best(pictures, _corners(rows[:, :BOX]), rows[:, BOX:], threshold)


def _rtdetr_top(outputs: Sequence[Array], threshold: float) -> Reading:
    """Boxes by their middle in fractions, with a confidence and a class."""
    found = _yolov10(outputs, threshold)
    return replace(found, boxes=_corners(found.boxes))


def _rtdetr_boxes(outputs: Sequence[Array], threshold: float) -> Reading:
    """Classes, boxes by their corners, and confidences."""
    labels, boxes, scores = outputs
    pictures, queries = np.nonzero(scores >= threshold)
    found = pictures, queries
    return Reading(pictures, boxes[found], scores[found], labels[found])


def _rtdetr_logits(outputs: Sequence[Array], threshold: float) -> Reading:
    """A logit for each class, and boxes by their middle in fractions."""
    scores = sigmoid(outputs[0])
    pictures, queries = np.nonzero(scores.max(axis=2) >= threshold)
    found = pictures, queries
    return _best(pictures, _corners(outputs[1][found]), scores[found], threshold)


READERS: Final[dict[str, Callable[[Sequence[Array], float], Reading]]] = {
    YOLOV5: _yolov5,
    YOLOV8: _yolov8,
    YOLOV10: _yolov10,
    RTDETR: _rtdetr,
    RTDETR_TOP: _rtdetr_top,
    RTDETR_BOXES: _rtdetr_boxes,
    RTDETR_LOGITS: _rtdetr_logits,
}


def of_six(output: Array) -> str:
    """The layout of an output with six columns, as what it gives for any picture shows."""
    boxes, kinds = output[:, :, :BOX], output[:, :, OBJECTNESS]
    # A column of classes has whole numbers, a column of confidences has none.
    if not (kinds == np.rint(kinds)).all():
        return RTDETR
    # Many boxes in pixels can't all be so small; one that is empty says nothing.
    return RTDETR_TOP if 0 < boxes.max() < _MOST_FRACTION else YOLOV10


def sigmoid(values: Array) -> Array:
    """Logits as confidences."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))))


def with_sigmoid(layout: str, outputs: Sequence[Array]) -> Sequence[Array]:
    """The outputs of a graph that gives logits, as the layout has them."""
    if layout == RTDETR_LOGITS:
        return outputs
    if layout == RTDETR_BOXES:
        return [*outputs[:2], sigmoid(outputs[2])]
    changed = outputs[0].copy()
    if layout == YOLOV8:
        changed[:, BOX:] = sigmoid(changed[:, BOX:])
    else:
        scores = slice(BOX, OBJECTNESS if layout in {YOLOV10, RTDETR_TOP} else None)
        changed[:, :, scores] = sigmoid(changed[:, :, scores])
    return [changed]


def _best(pictures: Array, boxes: Array, scores: Array, threshold: float) -> Reading:
    """Each row's likeliest class, of the rows that reach the threshold with it."""
    if not len(scores):
        return Reading(pictures, boxes, np.empty(0, np.float32), pictures)
    kinds = scores.argmax(axis=1)
    confs = scores[np.arange(len(kinds)), kinds]
    kept = confs >= threshold
    return Reading(pictures[kept], boxes[kept], confs[kept], kinds[kept])


def _corners(boxes: Array) -> Array:
    half = boxes[:, 2:] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)
