"""A pipeline that takes all steps: split, process, merge and report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from grange.pipelines import Item, Parameters, Part, PartResult, Pipeline, Work
from grange.pipelines.base import ItemRecord

PART_BYTES = 4


class Parts(Pipeline[Parameters]):
    """Writes a text in capitals, part by part."""

    name = "parts"
    version = "1"
    summary = "Writes a text in capitals, part by part."

    def split(self, item: Item, params: Parameters, work: Work) -> Iterator[int]:
        """Say where each part begins."""
        yield from range(0, item.size, PART_BYTES)

    def process(self, part: Part, params: Parameters, model: None, work: Work) -> int:
        """Write one part."""
        with part.item.file.open("rb") as text:
            text.seek(part.data)
            piece = text.read(PART_BYTES).upper()
        (work.output / "piece").write_bytes(piece)
        return len(piece)

    def merge(self, item: Item, parts: Iterator[PartResult], params: Parameters, work: Work) -> int:
        """Put the parts together."""
        total = 0
        with (work.output / "capitals").open("wb") as whole:
            for part in parts:
                total += part.data
                with (part.folder / "piece").open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
        return total

    def report(self, items: Iterator[ItemRecord], params: Parameters, work: Work) -> None:
        """Say how long each text is."""
        lines = sorted(f"{item.path} {item.state} {item.result}\n" for item in items)
        (work.output / "lengths.txt").write_text("".join(lines))
