"""ONNX graphs: what they take and give, and how they are run. Nothing else meets ONNX Runtime."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grange.errors import ModelFailed, ModelInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# None where only the data will tell.
Shape = tuple[int | None, ...]

MOST_METADATA: Final = 1024 * 1024

# What ONNX Runtime calls the kinds of numbers that pictures and results can be made of.
KINDS: Final = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph; `kind` is empty for what no array of ours can be."""

    name: str
    shape: Shape
    kind: str

    def __str__(self) -> str:
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.kind or 'of another kind'} [{sides}]"


class Graph:
    """A loaded graph. `run` is not for two threads at once."""

    def __init__(self, data: bytes, name: str, *, threads: int = 1) -> None:
        """Load a graph from the bytes of its file; `name` is the model's, for messages.

        Raises:
            ModelInvalid: They are none that can be run.
        """
        self.name = name
        self._session = _session(data, name, threads)
        self.inputs = tuple(map(_port, self._session.get_inputs()))
        self.outputs = tuple(map(_port, self._session.get_outputs()))

    @cached_property
    def metadata(self) -> Mapping[str, object]:
        """What the exporter wrote into the file: plain values where the text is one."""
        found = self._session.get_modelmeta().custom_metadata_map
        return {key: _plain(text) for key, text in found.items() if len(text) <= MOST_METADATA}

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs, in the graph's order, floating ones as 32 bits at least.

        Raises:
            ModelFailed: The graph stopped, or a number is none.
        """
        return [self._sound(one) for one in self.tried(feeds)]

    def tried(self, feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs, whatever numbers they are.

        Raises:
            ModelFailed: The graph stopped.
        """
        try:
            outputs = self._session.run(None, dict(feeds))
        except Exception as error:
            raise ModelFailed(f"The model {self.name} stopped: {first_line(error)}") from error
        return [np.asarray(one) for one in outputs]

    def shown(self) -> str:
        """What it takes and gives, in words for an error."""
        return f"it takes {_listed(self.inputs)} and gives {_listed(self.outputs)}"

    def _sound(self, output: Array) -> Array:
        if output.dtype.kind != "f":
            return output
        if not np.isfinite(output).all():
            raise ModelFailed(
                f"The model {self.name} gave numbers that are none (NaN or infinite).",
                hint=f"Look at the model: grange models check {self.name}",
            )
        return output.astype(np.float32) if output.dtype == np.float16 else output


def first_line(error: Exception) -> str:
    """What a library's error says, without what only its makers can read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rpartition(" : ")[2][:300].rstrip(".") + "."


def _session(data: bytes, name: str, threads: int) -> Any:  # noqa: ANN401  # of an untyped library
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that waits for work must leave its core to decoding and encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelInvalid(
            f"The graph of the model {name} can't be loaded: {first_line(error)}",
            hint="It must be one whole ONNX file, with its weights inside.",
        ) from error


def _port(argument: Any) -> Port:  # noqa: ANN401  # of an untyped library
    sides = tuple(side if isinstance(side, int) and side > 0 else None for side in argument.shape)
    return Port(argument.name, sides, KINDS.get(argument.type, ""))


def _plain(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(map(str, ports[:6])) + (", …" if len(ports) > 6 else "")  # noqa: PLR2004
