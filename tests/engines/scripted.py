"""A pipeline whose inputs say what it does: each is a piece of Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from grange.pipelines import Item, Parameters, Part, PartResult, Pipeline, Work
from grange.pipelines.base import ItemRecord


class ScriptedParameters(Parameters):
    load: str = ""


class Scripted(Pipeline[ScriptedParameters]):
    """Executes its inputs, which leave their answer in `result`."""

    name = "scripted"
    version = "1"
    summary = "Executes its inputs."
    Parameters = ScriptedParameters

    def load(self, params: ScriptedParameters) -> dict[str, Any]:
        names: dict[str, Any] = {"pid": os.getpid(), "processed": 0}
        exec(params.load, names)  # noqa: S102  # a test's own line
        return names

    def process(
        self, part: Part, params: ScriptedParameters, model: dict[str, Any], work: Work
    ) -> Any:
        model["processed"] += 1
        names = {"part": part, "model": model, "work": work, "result": None}
        exec(part.item.file.read_text(), names)  # noqa: S102  # a test's own lines
        return names["result"]

    def split(self, item: Item, params: ScriptedParameters, work: Work) -> Iterator[Any]:
        yield from eval(item.file.read_text())  # noqa: S307  # a test's own line

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: ScriptedParameters, work: Work
    ) -> Any:
        merged = [
            (part.number, part.data, sorted(one.name for one in part.folder.iterdir()))
            for part in parts
        ]
        (work.output / "merged").write_text(repr(merged))
        return [list(one) for one in merged]

    def report(self, items: Iterator[ItemRecord], params: ScriptedParameters, work: Work) -> None:
        lines = [
            f"{item.path} {item.state} {item.result} {item.folder.name}"
            + (f" {item.failure.code} {item.failure.message}" if item.failure else "")
            for item in items
        ]
        (work.output / "report").write_text("\n".join(lines))
