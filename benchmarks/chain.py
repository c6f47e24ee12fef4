"""The pipeline whose tasks wait for each other: items are split, their parts done, and merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grange.pipelines import Item, Parameters, Part, PartResult, Pipeline, Work


class Chain(Pipeline[Parameters]):
    """Makes two parts of any file, and nothing of them."""

    name = "chain"
    version = "1"
    summary = "Splits and merges nothing."

    def split(self, item: Item, params: Parameters, work: Work) -> Iterator[int]:
        """Make two parts: a single one would be done and merged at once."""
        return iter((0, 1))

    def process(self, part: Part, params: Parameters, model: Any, work: Work) -> None:  # noqa: ANN401
        """Do nothing."""

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: Parameters, work: Work
    ) -> None:
        """Make nothing of the parts."""
