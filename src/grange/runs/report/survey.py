"""One look at every item: what a page about all of them needs, in memory that does not grow.

Whatever grows with the number of items is kept as groups, as a sample, or as
the first few.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from grange.core.states import ItemState
from grange.runs.manifest import published_path
from grange.runs.models import ItemView, RunView
from grange.runs.report.words import shortened

JSON = Any

# Up to so many items have a cell each in the picture; beyond, a cell stands for several.
CELLS = 5000
GROUPED_CELLS = 2000
# Items with a row of their own, and what their paths and outputs may weigh together.
ROWS = 1000
ROW_CHARACTERS = 1_500_000
OUTPUTS_IN_ROW = 8
SLOWEST = 10
FAILED_EXAMPLES = 10
# Failure codes are few; a pipeline that makes up its own must not fill the page.
FAILURE_CODES = 40
# Neighbouring durations fall together when they differ by less than this factor.
RESOLUTION = 1.01
TIME_BINS = 240
PICTURES = 60
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Cell:
    """One or several neighbouring items in the picture of all."""

    number: int  # of the first item, from 0
    name: str
    counts: Counter[ItemState]
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """An item with what a table says of it."""

    number: int
    path: str
    folder: str
    state: ItemState
    seconds: float
    attempts: int
    reused: bool
    outputs: tuple[dict[str, JSON], ...]
    outputs_left_out: int
    failure: dict[str, JSON] | None


@dataclass(frozen=True, slots=True)
class Picture:
    """An output that may be a picture: its path under the output folder, its item, its size."""

    path: str
    item: str
    size: int


@dataclass(slots=True)
class TimeLine:
    """How many items were done and failed when, in bins that widen as the time grows."""

    start: float
    width_seconds: float = 0.25
    done: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)

    def add(self, timestamp: float, *, done: bool) -> None:
        """Count one end."""
        while (place := self._place(timestamp)) >= TIME_BINS:
            self.width_seconds *= 2
            self.done, self.failed = _halved(self.done), _halved(self.failed)
        (self.done if done else self.failed)[place] += 1

    def _place(self, timestamp: float) -> int:
        return max(0, int((timestamp - self.start) / self.width_seconds))


@dataclass(slots=True)
class Sample:
    """An even choice out of a stream of unknown length."""

    limit: int
    kept: list[Picture] = field(default_factory=list)
    _step: int = 1
    _seen: int = 0

    def offer(self, picture: Picture) -> None:
        """Keep it when its turn has come."""
        if self._seen % self._step == 0:
            self.kept.append(picture)
            if len(self.kept) >= 2 * self.limit:
                self.kept = self.kept[::2]
                self._step *= 2
        self._seen += 1

    def chosen(self) -> list[Picture]:
        """At most `limit` of what was offered, at even distances."""
        count = len(self.kept)
        if count <= self.limit:
            return self.kept
        return [self.kept[index * count // self.limit] for index in range(self.limit)]


@dataclass(slots=True)
class Survey:
    """What was seen of the items."""

    per_cell: int
    timeline: TimeLine
    cells: list[Cell] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    states: Counter[ItemState] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    seconds_total: float = 0.0
    output_files: int = 0
    output_bytes: int = 0
    failed: dict[str, list[Row]] = field(default_factory=dict)
    pictures: Sample = field(default_factory=lambda: Sample(PICTURES))
    _slowest: list[tuple[float, int, Row]] = field(default_factory=list)
    _characters: int = 0

    @classmethod
    def of(cls, run: RunView) -> Survey:
        """Begin to look at the items of a run, in the order in which people should see them."""
        total = run.counts.total
        per_cell = 1 if total <= CELLS else math.ceil(total / GROUPED_CELLS)
        return cls(per_cell=per_cell, timeline=TimeLine(run.started_at or run.created_at))

    @property
    def items(self) -> int:
        """How many were seen."""
        return self.states.total()

    @property
    def slowest(self) -> list[Row]:
        """The items that took longest, longest first."""
        return [row for _, _, row in sorted(self._slowest, key=lambda one: (-one[0], one[1]))]

    def quantile(self, share: float) -> float | None:
        """The duration that this share of the worked items stays within; None without any."""
        left = share * self.durations.total()
        for bucket in sorted(self.durations):
            left -= self.durations[bucket]
            if left <= 0:
                return _middle_seconds(bucket)
        return None

    def along(self, items: Iterable[ItemView]) -> Iterator[ItemView]:
        """Look at items while they pass on to whoever else wants them."""
        for item in items:
            self.add(item)
            yield item

    def add(self, item: ItemView) -> None:
        """Take one item into account."""
        number = self.items
        row = _row(number, item)
        self.states[item.state] += 1
        self.output_files += len(item.outputs)
        self.output_bytes += sum(output["size"] for output in item.outputs)
        self._add_cell(row)
        self._add_row(row)
        if item.ended_at is not None and item.state is not ItemState.CANCELLED:
            self.timeline.add(item.ended_at, done=item.state is ItemState.DONE)
        if item.attempts and not item.reused and item.state is not ItemState.CANCELLED:
            self._add_duration(row)
        if item.failure is not None and item.state is ItemState.FAILED:
            self._add_failure(row)
        self._add_picture(item, row.folder)

    def _add_cell(self, row: Row) -> None:
        if row.number % self.per_cell == 0:
            name = shortened(row.path, 120)
            self.cells.append(Cell(row.number, name, Counter(), row.seconds))
        self.cells[-1].counts[row.state] += 1

    def _add_row(self, row: Row) -> None:
        self._characters += len(row.path) + sum(len(one["path"]) for one in row.outputs)
        if len(self.rows) < ROWS and self._characters < ROW_CHARACTERS:
            self.rows.append(row)

    def _add_duration(self, row: Row) -> None:
        self.durations[_bucket(row.seconds)] += 1
        self.seconds_total += row.seconds
        # The number decides between equals, so that rows are never compared.
        entry = (row.seconds, -row.number, row)
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, entry)
        elif entry[0] > self._slowest[0][0]:
            heapq.heapreplace(self._slowest, entry)

    def _add_failure(self, row: Row) -> None:
        code = str((row.failure or {}).get("code"))
        if code in self.failed or len(self.failed) < FAILURE_CODES:
            examples = self.failed.setdefault(code, [])
            if len(examples) < FAILED_EXAMPLES:
                examples.append(row)

    def _add_picture(self, item: ItemView, folder: str) -> None:
        found = [one for one in item.outputs if one["path"].lower().endswith(PICTURE_SUFFIXES)]
        # A pipeline may record which of its pictures shows the item best.
        best = item.result.get("thumb") if isinstance(item.result, dict) else None
        for output in sorted(found, key=lambda one: one["path"] != best)[:1]:
            path = f"{folder}/{output['path']}"
            self.pictures.offer(Picture(path, item.path, output["size"]))


def _bucket(seconds: float) -> int:
    return math.floor(math.log(max(seconds, 1e-6)) / math.log(RESOLUTION))


def _middle_seconds(bucket: int) -> float:
    return float(RESOLUTION ** (bucket + 0.5))


def _row(number: int, item: ItemView) -> Row:
    return Row(
        number,
        item.path,
        published_path(item.path),
        item.state,
        item.seconds,
        item.attempts,
        item.reused,
        item.outputs[:OUTPUTS_IN_ROW],
        max(0, len(item.outputs) - OUTPUTS_IN_ROW),
        item.failure,
    )


def _halved(bins: Counter[int]) -> Counter[int]:
    halved: Counter[int] = Counter()
    for place, count in bins.items():
        halved[place // 2] += count
    return halved
