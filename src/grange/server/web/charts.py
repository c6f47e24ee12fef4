"""Small pictures of numbers, as shapes for SVG: no script, no library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from grange.client.schemas.runs import Run

DAYS = 14
WIDTH = 700.0
HEIGHT = 96.0
# A bar that is not zero is seen.
LEAST = 2.0
_GAP = 0.3


@dataclass(frozen=True)
class Day:
    """How many items runs ended on a day brought."""

    date: datetime
    done: int
    failed: int


@dataclass(frozen=True)
class Box:
    """A part of a column of the chart; `kind` is the class that gives its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


def days(runs: Iterable[Run], *, now: float) -> list[Day]:
    """The last two weeks, day by day in UTC, from runs that have ended."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    sums = {today - timedelta(days=back): [0, 0] for back in reversed(range(DAYS))}
    for run in runs:
        if run.finished_at is None:
            continue
        ended = datetime.fromtimestamp(run.finished_at, UTC)
        day = sums.get(ended.replace(hour=0, minute=0, second=0, microsecond=0))
        if day is not None:
            day[0] += run.counts.done
            day[1] += run.counts.failed
    return [Day(date, done, failed) for date, (done, failed) in sums.items()]


def columns(shown: Sequence[Day]) -> list[tuple[Day, list[Box]]]:
    """A column for each day, what failed on top of what was done."""
    most = max((day.done + day.failed for day in shown), default=0) or 1
    step = WIDTH / max(len(shown), 1)
    made = []
    for place, day in enumerate(shown):
        boxes, y = [], HEIGHT
        for kind, count in (("done", day.done), ("failed", day.failed)):
            if count:
                height = max(LEAST, count / most * (HEIGHT - 2 * LEAST))
                y -= height
                x = place * step + step * _GAP / 2
                boxes.append(Box(kind, round(x, 1), round(y, 1), step * (1 - _GAP), height))
        made.append((day, boxes))
    return made
