"""The run's report: all items in one file, tables, and a page to look through them."""

from __future__ import annotations

from collections.abc import Iterator

from grange.pipelines.base import ItemRecord, Work
from grange.pipelines.wildlife.kit import Kit


def write_run_report(items: Iterator[ItemRecord], kit: Kit, work: Work) -> None:
    """Write it into the folder of the run's report, an item at a time."""
    raise NotImplementedError
