"""How the site does, for its first page: what ended when, what waited, who holds the capacity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grange.core.states import RUN_ENDS
from grange.runs.manifest import published_path
from grange.runs.pace import MINUTE_SECONDS
from grange.runs.pages import UNFINISHED, RunFilter

if TYPE_CHECKING:
    from grange.client.schemas.runs import Run
    from grange.runs.models import RunView
    from grange.runs.pages import Sight
    from grange.runs.service import Runs

HOUR_MINUTES = 60
DAY_MINUTES = 24 * HOUR_MINUTES
# Of those that ended and of those that did not, so many of the newest count.
MOST_RUNS = 200
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
# What is larger is no thumbnail; and so many outputs of a run are looked through.
LARGEST_PICTURE_BYTES = 2 << 20
LOOKED_THROUGH = 40


@dataclass(frozen=True)
class Series:
    """Numbers from step to step, the last one now."""

    step_minutes: int
    ended: list[int]  # items that ended within the step
    queued: list[int]  # items that had not ended, at most at a time


@dataclass(frozen=True)
class Holder:
    """What somebody takes of the site."""

    name: str
    running: int  # runs at work
    left: int  # items that have not ended
    used_bytes: int | None  # None where that is nobody's business


def series(runs: Runs, sight: Sight, *, now: float) -> tuple[Series, Series]:
    """The last hour by the minute and the last day by the quarter of an hour."""
    since = now - DAY_MINUTES * MINUTE_SECONDS
    seen = _seen(runs, sight, since)
    ended = runs.ended_by_minute([run.number for run in seen], since=since)
    by_minute = minutes_of(seen, ended, round_down(now))
    return by_minute.last(HOUR_MINUTES, 1), by_minute.last(DAY_MINUTES, 15)


def round_down(at: float) -> int:
    """The minute of a time, counted from the epoch's."""
    return int(at // MINUTE_SECONDS)


@dataclass(frozen=True)
class Minutes:
    """The last day by the minute, the last one now."""

    ended: list[int]
    queued: list[int]

    def last(self, minutes: int, step: int) -> Series:
        """So many of the newest minutes, put together in steps."""
        ended, queued = self.ended[-minutes:], self.queued[-minutes:]
        parts = range(0, minutes, step)
        return Series(
            step,
            [sum(ended[part : part + step]) for part in parts],
            [max(queued[part : part + step]) for part in parts],
        )


def minutes_of(seen: Sequence[RunView], ended: Mapping[int, int], last: int) -> Minutes:
    """From how things stand now back in time: what ended since was waiting, what came was not."""
    came: dict[int, int] = {}
    for run in seen:
        minute = round_down(run.created_at)
        came[minute] = came.get(minute, 0) + run.counts.total
    queue = sum(run.counts.left for run in seen if run.state not in RUN_ENDS)
    queued = []
    for minute in range(last, last - DAY_MINUTES, -1):
        queued.append(max(0, queue))
        queue += ended.get(minute, 0) - came.get(minute, 0)
    first = last - DAY_MINUTES + 1
    return Minutes([ended.get(one, 0) for one in range(first, last + 1)], queued[::-1])


def _seen(runs: Runs, sight: Sight, since: float) -> list[RunView]:
    """The runs that one sees and whose items may have ended since then."""
    unfinished = runs.page(sight, RunFilter(states=UNFINISHED), after=None, limit=MOST_RUNS).rows
    ended = runs.page(sight, RunFilter(states=tuple(RUN_ENDS)), after=None, limit=MOST_RUNS).rows
    return unfinished + [run for run in ended if (run.finished_at or 0.0) >= since]


def holders(
    unfinished: Iterable[Run], rooms: Mapping[str, int] | None, names: Mapping[str, str]
) -> list[Holder]:
    """Who has runs that have not ended, or files, the largest share of work first."""
    running: dict[str, int] = {}
    left: dict[str, int] = {}
    for run in unfinished:
        counts = run.counts
        todo = counts.total - counts.done - counts.failed - counts.cancelled
        running[run.owner] = running.get(run.owner, 0) + (run.state == "running")
        left[run.owner] = left.get(run.owner, 0) + todo
    found = [
        Holder(
            names.get(owner, owner),
            running.get(owner, 0),
            left.get(owner, 0),
            None if rooms is None else rooms.get(owner, 0),
        )
        for owner in {*left, *(rooms or ())}
    ]
    return sorted(found, key=lambda one: (-one.left, -(one.used_bytes or 0), one.name))


def pictures(runs: Runs, sight: Sight, run: str, *, most: int) -> list[str]:
    """The first few small pictures that a run has published, as paths below its outputs."""
    found = runs.of_id(run)
    if found is None or not sight.sees(found):
        return []
    part = runs.page_of_outputs(found, after=None, limit=LOOKED_THROUGH)
    fit = [
        f"{published_path(row.item_path)}/{row.path}"
        for row in part.rows
        if row.path.lower().endswith(PICTURES) and row.size <= LARGEST_PICTURE_BYTES
    ]
    return fit[:most]
