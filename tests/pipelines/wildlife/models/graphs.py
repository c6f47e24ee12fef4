"""Real ONNX graphs for the tests, made node by node: what they answer is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from grange.pipelines.wildlife.models.checking import MadePicture

OPSET = 17
KINDS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


@dataclass(frozen=True)
class Thing:
    """What a graph is to find: its middle and size in fractions of the input."""

    x: float
    y: float
    width: float
    height: float
    conf: float
    kind: int = 0


@dataclass
class Made:
    """A graph to be: outputs are `fixed + seen * brightness of the picture` (0 to 1)."""

    size: tuple[int, int] = (192, 320)
    batch: int | str = "N"
    sides: tuple[int | str, int | str] | None = None
    kind: str = "float32"
    last: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    # Outputs whose shape the graph does not say, but for their rank.
    silent: bool = False
    wants_size: bool = False
    fixed: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Write it as a file."""
        high, wide = self.sides or self.size
        shape = [self.batch, high, wide, 3] if self.last else [self.batch, 3, high, wide]
        inputs = [helper.make_tensor_value_info("images", KINDS[self.kind], shape)]
        if self.wants_size:
            inputs.append(
                helper.make_tensor_value_info(
                    "orig_target_sizes", TensorProto.INT64, [self.batch, 2]
                )
            )
        nodes, values, outputs = self._brightness()
        for name, fixed in self.fixed.items():
            made, held, output = self._output(name, np.asarray(fixed))
            nodes, values, outputs = [*nodes, *made], [*values, *held], [*outputs, output]
        graph = helper.make_graph(nodes, "made", inputs, outputs, values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        helper.set_model_props(model, dict(self.metadata))
        onnx.save(model, str(path))
        return path

    def _brightness(self) -> tuple[list[Any], list[Any], list[Any]]:
        axes = [1, 2, 3]
        divisor = np.array(255.0 if self.kind == "uint8" else 1.0, np.float32)
        nodes = [
            helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real"], ["mean"], axes=axes, keepdims=0),
            helper.make_node("Div", ["mean", "divisor"], ["light"]),
        ]
        return nodes, [numpy_helper.from_array(divisor, "divisor")], []

    def _output(self, name: str, fixed: Any) -> tuple[list[Any], list[Any], Any]:
        """An output of shape (N, *fixed.shape)."""
        whole = np.issubdtype(fixed.dtype, np.integer)
        seen = np.asarray(self.seen.get(name, np.zeros_like(fixed)), np.float32)
        kind = (
            TensorProto.INT64 if whole else KINDS[self.kind if self.kind != "uint8" else "float32"]
        )
        values = [
            numpy_helper.from_array(fixed.astype(np.float32)[None], f"{name}.fixed"),
            numpy_helper.from_array(seen[None], f"{name}.seen"),
            numpy_helper.from_array(np.array([-1, *[1] * fixed.ndim]), f"{name}.shape"),
        ]
        nodes = [
            helper.make_node("Reshape", ["light", f"{name}.shape"], [f"{name}.light"]),
            helper.make_node("Mul", [f"{name}.seen", f"{name}.light"], [f"{name}.shown"]),
            helper.make_node("Add", [f"{name}.fixed", f"{name}.shown"], [f"{name}.sum"]),
            helper.make_node("Cast", [f"{name}.sum"], [name], to=kind),
        ]
        sides = ["a", "b", "c", "d"][: fixed.ndim] if self.silent else list(fixed.shape)
        named = [f"{name}.{side}" if isinstance(side, str) else side for side in sides]
        return nodes, values, helper.make_tensor_value_info(name, kind, [self.batch, *named])


def yolo(things: Sequence[Thing], classes: int, layout: str, **made: Any) -> Made:
    """A detector of a layout that finds these things; a confidence is reached in full light."""
    graph = Made(**made)
    height, width = graph.size
    across = np.array([width, height, width, height], np.float32)
    places = np.array([[one.x, one.y, one.width, one.height] for one in things], np.float32)
    kinds = np.array([one.kind for one in things])
    confs = np.array([one.conf for one in things], np.float32)
    shares = np.zeros((len(things), classes), np.float32)
    shares[np.arange(len(things)), kinds] = confs
    half = places[:, 2:] / 2
    corners = np.concatenate((places[:, :2] - half, places[:, :2] + half), axis=1)
    named, sure, blank = kinds[:, None].astype(np.float32), confs[:, None], np.zeros_like
    if layout == "yolov5":
        ones = (shares > 0).astype(np.float32)
        _put(graph, [places * across, blank(sure), ones], [0, sure, 0], 1500)
    elif layout == "yolov8":
        _put(graph, [places * across, blank(shares)], [0, shares], 1260)
        for held in (graph.fixed, graph.seen):
            held["output0"] = held["output0"].T
    elif layout == "yolov10":
        _put(graph, [corners * across, blank(sure), named], [0, sure, 0], 300)
    elif layout == "rtdetr-top":
        _put(graph, [places, blank(sure), named], [0, sure, 0], 300)
    elif layout == "rtdetr":
        _put(graph, [places, blank(shares)], [0, shares], 300)
    elif layout == "rtdetr-boxes":
        graph.wants_size = True
        graph.fixed = {"labels": _filled(kinds, 300), "boxes": _filled(corners * across, 300)}
        graph.fixed["scores"] = np.zeros(300, np.float32)
        graph.seen["scores"] = _filled(confs, 300)
    else:
        logits = np.log(np.clip(shares, 1e-9, 1) / (1 - np.clip(shares, 1e-9, 1 - 1e-6)))
        graph.fixed = {"logits": _filled(logits, 300), "pred_boxes": _filled(places, 300)}
        graph.fixed["logits"][len(things) :] = -20
    return graph


def _put(graph: Made, fixed: list[Any], seen: list[Any], rows: int) -> None:
    """Columns beside each other, and as many rows as such a graph has; the rest is empty."""
    shown = [
        np.zeros_like(one) if isinstance(by, int) else by
        for one, by in zip(fixed, seen, strict=True)
    ]
    graph.fixed["output0"] = _filled(np.concatenate(fixed, axis=1), rows)
    graph.seen["output0"] = _filled(np.concatenate(shown, axis=1), rows)


def _filled(rows: Any, count: int) -> Any:
    empty = np.zeros((count, *rows.shape[1:]), rows.dtype)
    empty[: len(rows)] = rows
    return empty


def colours(path: Path, *, size: tuple[int, int] = (32, 32), softmax: bool = False) -> Path:
    """A classifier that answers with the mean of each channel as it was given."""
    shape: list[str | int] = ["N", 3, *size]
    axes = [2, 3]
    nodes = [helper.make_node("ReduceMean", ["images"], ["means"], axes=axes, keepdims=0)]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["means"], ["shares"], axis=1))
    output = "shares" if softmax else "means"
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def plain(
    width: int = 640, height: int = 384, colour: Sequence[int] = (255, 255, 255)
) -> MadePicture:
    """A picture of one colour."""
    return MadePicture(np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy())
