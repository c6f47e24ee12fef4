"""What of a run somebody should look at while it goes on: slow inputs, and those that fail."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grange.runs.troubles import Slow, is_slow

if TYPE_CHECKING:
    from grange.runs.models import RunView
    from grange.runs.service import Runs
    from grange.server.called import Called
    from grange.server.shown import Veil

JSON = Any

MOST = 5


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """An input that a worker has been at for long."""

    path: str
    worker: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TriedAgain:
    """An input that has failed and is tried again: now, or in so many seconds."""

    item: int
    path: str
    tries: int
    wait_seconds: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class WatchList:
    """What to look at, each list the worst first."""

    usual_seconds: float | None
    under_way: Sequence[UnderWay]
    slow: Sequence[Slow]
    failing: Sequence[TriedAgain]

    def __bool__(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.under_way or self.slow or self.failing)


def watch_list(runs: Runs, run: RunView, veil: Veil, called: Called) -> WatchList:
    """What of this run to look at now; its workers are called so."""
    found, now = runs.troubles(run, limit=MOST), time.time()
    return WatchList(
        usual_seconds=found.usual_seconds,
        under_way=_under_way(run, found.usual_seconds, called.activity(runs.logs_of(run), now=now)),
        slow=found.slow,
        failing=[
            TriedAgain(
                item=one.item,
                path=one.path,
                tries=one.tries,
                wait_seconds=None if one.again_at is None else max(0.0, one.again_at - now),
                reason=veil.over(str((one.failure or {}).get("message", ""))),
            )
            for one in found.failing
        ],
    )


def _under_way(
    run: RunView, usual_seconds: float | None, activity: Mapping[str, JSON] | None
) -> list[UnderWay]:
    workers = activity["workers"] if activity and not run.state.is_finished() else []
    slow = [
        UnderWay(path=one["item"], worker=one["name"], seconds=one["seconds"])
        for one in workers
        if one["item"] and is_slow(one["seconds"], usual_seconds)
    ]
    return sorted(slow, key=lambda one: -one.seconds)[:MOST]
