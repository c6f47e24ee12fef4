"""Sort the words of each line: one large text is worked on in many places at once.

grange run ./examples/split_lines.py texts/ --out sorted/ --set part_size=1MB

The result is the same bytes for any size of part, because parts end where
lines end and `merge` puts them together in order.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from pydantic import Field

from grange.pipelines import Bytes, Item, Parameters, Part, PartResult, Pipeline, Work

NAME = "sorted.txt"


class Settings(Parameters):
    """What may be given by --set."""

    part_size: Bytes = Field(default=1_000_000, ge=1, description="About how large a part is.")


class SplitLines(Pipeline[Settings]):
    """Splits a text into ranges of whole lines, and merges what became of them."""

    name = "split-lines"
    version = "1"
    summary = "Sorts the words of each line of a text, in parts."
    Parameters = Settings

    def split(self, item: Item, params: Settings, work: Work) -> Iterator[list[int]]:
        """Say from where to where each part goes, in bytes."""
        with item.file.open("rb") as text:
            begin = 0
            while begin < item.size:
                # The line that this lands in still belongs to the part.
                text.seek(begin + params.part_size - 1)
                text.readline()
                end = min(text.tell(), item.size)
                yield [begin, end]
                begin = end

    def process(self, part: Part, params: Settings, model: None, work: Work) -> dict[str, int]:
        """Sort the words of one part's lines."""
        begin, end = part.data
        with part.item.file.open("rb") as text:
            text.seek(begin)
            lines = text.read(end - begin).splitlines()
        with (work.output / NAME).open("wb") as result:
            result.writelines(b" ".join(sorted(line.split())) + b"\n" for line in lines)
        return {"lines": len(lines)}

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: Settings, work: Work
    ) -> dict[str, int]:
        """Put the parts together."""
        lines = 0
        with (work.output / NAME).open("wb") as result:
            for part in parts:
                lines += part.data["lines"]
                with (part.folder / NAME).open("rb") as piece:
                    shutil.copyfileobj(piece, result)
        return {"lines": lines}
