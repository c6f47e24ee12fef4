"""How runs stand now, for the stream of events: one look for all who follow them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from grange.client.schemas import runs as schemas
from grange.core.states import RunState

if TYPE_CHECKING:
    from grange.runs.models import RunView
    from grange.runs.service import Runs
    from grange.server.called import Called
    from grange.server.shown import Veil

JSON = Any
# The rate is that of so many looks.
RATE_LOOKS = 40
# How often a run is told of in which nothing but time moves on.
SHOW_SECONDS = 1.0


@dataclass
class Look:
    """What one look has found."""

    runs: list[RunView] = field(default_factory=list)  # of those that were asked for
    all: list[tuple[RunView, bytes]] = field(default_factory=list)
    changed: list[tuple[RunView, bytes]] = field(default_factory=list)
    gone: list[RunView] = field(default_factory=list)


@dataclass
class _Last:
    run: RunView
    signature: JSON
    told_at: float
    data: bytes = b""
    looks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RATE_LOOKS))


class Snapshots:
    """Looks at runs and tells what is new. Of one thread at a time."""

    def __init__(self, runs: Runs, veil: Veil, called: Called) -> None:
        """Look at these runs, whose workers are called so."""
        self._runs = runs
        self._called = called
        self._veil = veil
        self._last: dict[int, _Last] = {}
        self._since = time.time()

    def one(self, run: RunView) -> bytes:
        """How this run stands, as the event that tells it."""
        activity = self._called.activity(self._runs.logs_of(run), now=time.time())
        return self._event(run, activity, None)

    def look(self, numbers: Sequence[int], *, everything: bool) -> Look:
        """Look at these runs, and at all that move when `everything` says so."""
        found = Look(runs=self._runs.now(numbers))
        views = {run.number: run for run in found.runs}
        if everything:
            began = time.time()
            views |= {run.number: run for run in self._runs.moving(since=self._since - 1.0)}
            self._since = began
            # Those that moved a moment ago and don't any more have a last word to say.
            unseen = [number for number in self._last if number not in views]
            rest = {run.number: run for run in self._runs.now(unseen)}
            found.gone = [self._last[number].run for number in unseen if number not in rest]
            views |= rest
        for run in views.values():
            if self._is_news(run):
                found.changed.append((run, self._last[run.number].data))
        found.all = [(run, self._last[run.number].data) for run in views.values()]
        kept = {run.number for run in views.values() if not run.state.is_finished()}
        kept |= {run.number for run in found.runs}
        self._last = {number: last for number, last in self._last.items() if number in kept}
        return found

    def _is_news(self, run: RunView) -> bool:
        now = time.time()
        working = run.driver is not None and run.state is RunState.RUNNING
        activity = self._called.activity(self._runs.logs_of(run), now=now) if working else None
        signature = (
            *(run.name, run.state, run.counts, run.note, run.priority, run.driver),
            *(run.owner, run.shared_with, activity and activity["at"]),
        )
        last = self._last.get(run.number)
        if last is None:
            last = self._last[run.number] = _Last(run, None, 0.0)
        last.looks.append((now, run.counts.ended))
        if last.signature == signature and not (working and now >= last.told_at + SHOW_SECONDS):
            return False
        last.run, last.signature, last.told_at = run, signature, now
        last.data = self._event(run, activity, last)
        return True

    def _event(self, run: RunView, activity: dict[str, JSON] | None, last: _Last | None) -> bytes:
        now = time.time()
        rate, left = _rate(run, last)
        if activity is not None:
            rate, left = activity["per_second"], activity["left_seconds"]
        workers = activity["workers"] if activity is not None else []
        begun = run.started_at or run.created_at
        told = schemas.RunSnapshot(
            id=run.id,
            name=run.name,
            state=run.state.value,
            counts=schemas.Counts(**asdict(run.counts)),
            per_second=rate,
            left_seconds=left,
            elapsed_seconds=max(0.0, (run.finished_at or now) - begun) if run.started_at else 0.0,
            note=self._veil.over(run.note),
            driven=run.driver is not None,
            workers=[schemas.WorkerActivity(**one) for one in workers],
        )
        return b"event: run\ndata: " + told.model_dump_json().encode() + b"\n\n"


def _rate(run: RunView, last: _Last | None) -> tuple[float, float | None]:
    if last is None or run.state is not RunState.RUNNING:
        return 0.0, None
    (since, before), (now, ended) = last.looks[0], last.looks[-1]
    rate = max(0.0, (ended - before) / (now - since)) if now > since else 0.0
    return rate, run.counts.left / rate if rate else None
