"""Listens to runs that this process drives, and counts what happens to them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from grange.core.events import AttemptsEnded, Event, ItemEnded, RunProgress, Tried
from grange.core.states import AttemptEnd, ItemState
from grange.core.tasks import TaskKind
from grange.telemetry import metrics
from grange.telemetry.attempts import OF_SERVER, add_counts, pipeline_label
from grange.telemetry.metrics import Labels
from grange.telemetry.tally import Tally


class Counting:
    """What all runs of this process add up to."""

    def __init__(self, tally: Tally) -> None:
        """Count into this."""
        self.tally = tally
        self._lock = threading.Lock()
        self._slots: dict[str, Counter[str]] = {}
        self.slots_are("", None)  # Told from the start: what is not there is no nought.

    def listener(self, run: str, pipeline: str) -> RunCount:
        """What listens to one run; `close` it when nobody works on the run any more."""
        return RunCount(self, run, pipeline_label(pipeline))

    def engine_stands(self, engine: str, *, up: bool) -> None:
        """Say whether an engine can give out work. It is told by its kind, never by its address."""
        kind = engine.partition("://")[0]
        self.tally.put_all(metrics.ENGINE_UP, {(kind,): float(up)})

    def slots_are(self, run: str, states: Counter[str] | None) -> None:
        """Say how many workers of a run are in which state; None once it has none."""
        with self._lock:
            if states is None:
                self._slots.pop(run, None)
            else:
                self._slots[run] = states
            every = sum(self._slots.values(), Counter({"busy": 0, "idle": 0, "silent": 0}))
            values: dict[Labels, float] = {
                (state,): float(every[state]) for state in ("busy", "idle", "silent")
            }
            self.tally.put_all(metrics.ENGINE_WORKERS, values)


class RunCount:
    """Counts what happens to one run. An `Observer`."""

    def __init__(self, counting: Counting, run: str, pipeline: str) -> None:
        """Use `Counting.listener`."""
        self._counting = counting
        self._tally = counting.tally
        self._run = run
        self._pipeline = pipeline
        self._ended: Counter[ItemState] = Counter()
        self._reused = 0

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, AttemptsEnded):
            self._take_attempts(event)
        elif isinstance(event, ItemEnded):
            # Kept until the next word on how the run stands: there are as many as items.
            self._ended[event.state] += 1
            self._reused += event.reused
        elif isinstance(event, RunProgress):
            self._tell_ended()
            states = Counter(
                "silent" if one.silent else "busy" if one.item is not None else "idle"
                for one in event.workers
            )
            self._counting.slots_are(self._run, states)

    def close(self) -> None:
        """Nobody works on the run any more."""
        self._tell_ended()
        self._counting.slots_are(self._run, None)

    def _tell_ended(self) -> None:
        for state, count in self._ended.items():
            self._tally.add(metrics.ITEMS_ENDED, self._pipeline, str(state), amount=count)
        if self._reused:
            self._tally.add(metrics.ITEMS_REUSED, self._pipeline, amount=self._reused)
        self._ended.clear()
        self._reused = 0

    def _take_attempts(self, event: AttemptsEnded) -> None:
        tally, pipeline = self._tally, self._pipeline
        if event.refused:
            tally.add(metrics.REFUSED, pipeline, amount=event.refused)
        if event.overdue and event.tried:
            tally.add(metrics.LEASE_LOSSES, pipeline, amount=len(event.tried))
        # All of a kind at once: there may be ten thousand in a second.
        alike: dict[tuple[TaskKind, AttemptEnd], list[Tried]] = {}
        for tried in event.tried:
            alike.setdefault((tried.kind, tried.end), []).append(tried)
        for (kind, end), some in alike.items():
            tally.add(metrics.ATTEMPTS, pipeline, str(kind), str(end), amount=len(some))
            if again := sum([one.again for one in some]):
                tally.add(metrics.RETRIES, pipeline, str(kind), amount=again)
            if not event.overdue:  # Of those that fell silent nobody knows how long they took.
                self._take(str(kind), some)

    def _take(self, stage: str, some: Sequence[Tried]) -> None:
        tally, pipeline = self._tally, self._pipeline
        seconds = [one.outcome.seconds for one in some]
        tally.observe_all(metrics.ATTEMPT_SECONDS, pipeline, stage, values=seconds)
        if peaks := [one.outcome.peak_bytes for one in some if one.outcome.peak_bytes]:
            tally.observe_all(metrics.ATTEMPT_PEAK, pipeline, values=peaks)
        for one in some:
            if one.outcome.counts:
                add_counts(tally, OF_SERVER, pipeline, one.outcome.counts)
        if last := [one for one in some if one.last]:
            written = sum([output.size for one in last for output in one.outcome.outputs])
            tally.add(metrics.INPUT_BYTES, pipeline, amount=sum([one.size for one in last]))
            tally.add(metrics.OUTPUT_BYTES, pipeline, amount=written)
