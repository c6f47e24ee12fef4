"""How the site goes right now, in a few numbers for its first page: no monitoring is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grange.errors import GrangeError
from grange.pool.models import Presence
from grange.runs.pace import MINUTE_SECONDS
from grange.server.scraping import expected
from grange.telemetry import drive, metrics
from grange.telemetry.tally import Sample

if TYPE_CHECKING:
    from grange.client.schemas.runs import Run
    from grange.server.parts import Parts
    from grange.server.pulse import Series

PACE_MINUTES = 5


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is at work, how fast it goes, what is left. `slots` is 0 while nobody knows."""

    busy: int
    slots: int
    per_minute: float
    left: int

    @property
    def share(self) -> float:
        """How much of what could work does, of 1."""
        return min(1.0, self.busy / self.slots) if self.slots else 0.0

    @property
    def left_seconds(self) -> float | None:
        """How long what is left takes at this pace; None where there is none."""
        return MINUTE_SECONDS * self.left / self.per_minute if self.per_minute else None


def figures(parts: Parts, unfinished: Iterable[Run], hour: Series, *, now: float) -> Figures:
    """The numbers of this moment: of the workers as a whole, of the runs that one sees."""
    here, there = _engine(drive.told(parts.settings.home, now=now)), _pool(parts)
    # What workers of other machines say of themselves is newer than what drivers hear of them.
    busy, slots = there if there[1] and parts.settings.engine != "local" else here
    return Figures(
        busy=busy,
        slots=slots,
        per_minute=pace(hour.ended, now=now),
        left=sum(_left(run) for run in unfinished if run.state != "paused"),
    )


def pace(ended: list[int], *, now: float) -> float:
    """Items a minute, from how many ended in each minute, of which the last is not over."""
    return sum(ended[-PACE_MINUTES:]) / (PACE_MINUTES - 1 + now % MINUTE_SECONDS / MINUTE_SECONDS)


def _engine(told: Iterable[Sample]) -> tuple[int, int]:
    """How many places for tasks are taken, and how many there are, of runs at work."""
    slots = {
        one.labels[0]: int(one.value)
        for one in told
        if one.metric is metrics.ENGINE_WORKERS and isinstance(one.value, float)
    }
    return slots.get("busy", 0), sum(slots.values())


def _pool(parts: Parts) -> tuple[int, int]:
    """The same of the workers that have joined and are there."""
    try:
        up = [one for one in expected(parts) if parts.workers.presence(one) is Presence.UP]
    except GrangeError:
        return 0, 0
    slots = [int(one.capacity.get("slots") or 0) for one in up]
    busy = [int(one.beat.get("busy") or 0) for one in up]
    return sum(map(min, busy, slots)), sum(slots)


def _left(run: Run) -> int:
    counts = run.counts
    return counts.total - counts.done - counts.failed - counts.cancelled
