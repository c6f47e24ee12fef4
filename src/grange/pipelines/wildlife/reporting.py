"""The run's report: all items in one file, tables, and a page to look through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from grange.core.states import ItemState
from grange.pipelines.base import ItemRecord, Work
from grange.pipelines.wildlife.formats import tables
from grange.pipelines.wildlife.formats.md import RunWriter, read_results
from grange.pipelines.wildlife.formats.trackrows import TRACKS as TRACK_COLUMNS
from grange.pipelines.wildlife.kit import Kit
from grange.pipelines.wildlife.looking.review import Entry, ReviewWriter
from grange.pipelines.wildlife.merging import DETECTIONS, RESULTS, TRACKS
from grange.pipelines.wildlife.results import Media

JSON = Any

SUMMARY: Final = "summary.csv"
# The page shows the frames of items whose results are no larger; they are read whole.
MOST_SHOWN_BYTES: Final = 32 << 20


def write_run_report(items: Iterator[ItemRecord], kit: Kit, work: Work) -> None:
    """Write it into the folder of the run's report, an item at a time."""
    with RunReport(work.output, kit) as report:
        for item in items:
            report.add(item)


class RunReport:
    """Takes the items of a run in one pass; leaving it ends its files."""

    def __init__(self, folder: Path, kit: Kit) -> None:
        """Nothing is written yet."""
        self._folder = folder
        self._head = kit.head()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open all files."""
        with ExitStack() as opening:
            head, folder = self._head, self._folder
            self._results = opening.enter_context(RunWriter(folder / RESULTS, head))
            self._detections = opening.enter_context(
                tables.TableWriter(folder / DETECTIONS, tables.DETECTIONS)
            )
            self._tracks = opening.enter_context(tables.TableWriter(folder / TRACKS, TRACK_COLUMNS))
            self._summary = opening.enter_context(
                tables.TableWriter(folder / SUMMARY, tables.SUMMARY)
            )
            self._review = opening.enter_context(ReviewWriter(folder, head))
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, item: ItemRecord) -> None:
        """Take one more item."""
        failure = item.failure.message if item.failure else ""
        if item.state != ItemState.DONE:
            failure = failure or f"The item is {item.state}."
            self._results.add(Media(item.path, failure=failure))
        else:
            self._results.add_file(item.folder / RESULTS)
            self._detections.add_file(item.folder / DETECTIONS)
            if TRACKS in item.outputs:
                self._tracks.add_file(item.folder / TRACKS)
        typical = self._head.source.typical_threshold
        self._summary.add(
            tables.summary_row(item.path, item.result or {}, failure, typical=typical)
        )
        self._review.add(
            Entry(
                path=item.path,
                folder=_below(item.folder, item.path),
                result=item.result,
                failure=failure,
                media=None if failure else _shown(item.folder / RESULTS),
                outputs=item.outputs,
            )
        )


def _shown(results: Path) -> Media | None:
    if results.stat().st_size > MOST_SHOWN_BYTES:
        return None
    return read_results(results).media[0]


def _below(folder: Path, path: str) -> str:
    """An item's folder below that of the run, which has as many folders in it as its path says."""
    return "/".join(folder.parts[-(path.count("/") + 1) :])
