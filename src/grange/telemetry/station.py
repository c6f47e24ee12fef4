"""What a worker counts of its own, for its exporter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from grange.core.tasks import Outcome, TaskKind
from grange.telemetry import metrics
from grange.telemetry.attempts import OF_WORKER, add_counts, pipeline_label
from grange.telemetry.tally import Tally


class StationCount:
    """Counts what one worker does. Every method may be called from any thread."""

    def __init__(self, *, version: str) -> None:
        """Begin with nothing."""
        self.tally = Tally()
        self.tally.put(metrics.WORKER_INFO, version, value=1)
        # Told from the start: a rate over what is not there yet is nothing, not nought.
        for counter in (metrics.WORKER_FETCHED, metrics.WORKER_SENT, metrics.WORKER_RECONNECTS):
            self.tally.add(counter, amount=0)

    def ended(self, *, pipeline: str, kind: TaskKind, outcomes: Sequence[Outcome]) -> None:
        """Tasks of one kind came to their ends here."""
        label, stage = pipeline_label(pipeline), str(kind)
        # All at once: there may be ten thousand in a second.
        for state, count in Counter([one.state for one in outcomes]).items():
            self.tally.add(metrics.WORKER_TASKS, label, stage, str(state), amount=count)
        seconds = [one.seconds for one in outcomes]
        self.tally.observe_all(metrics.WORKER_TASK_SECONDS, label, stage, values=seconds)
        for one in outcomes:
            if one.counts:
                add_counts(self.tally, OF_WORKER, label, one.counts)

    def fetched(self, size_bytes: int, *, from_cache: bool = False) -> None:
        """An input is here: brought now, or found in the cache."""
        if from_cache:
            self.tally.add(metrics.WORKER_CACHE_HITS)
            return
        self.tally.add(metrics.WORKER_CACHE_MISSES)
        self.tally.add(metrics.WORKER_FETCHED, amount=size_bytes)

    def sent(self, size_bytes: int) -> None:
        """Outputs were brought away."""
        self.tally.add(metrics.WORKER_SENT, amount=size_bytes)

    def reconnected(self) -> None:
        """The connection to the broker was made anew."""
        self.tally.add(metrics.WORKER_RECONNECTS)

    def stands(
        self,
        *,
        slots: int,
        busy: int,
        draining: bool = False,
        connected: bool = True,
        unsent: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        """How the worker stands now."""
        for gauge, value in (
            (metrics.WORKER_SLOTS, slots),
            (metrics.WORKER_BUSY, busy),
            (metrics.WORKER_DRAINING, draining),
            (metrics.WORKER_CONNECTED, connected),
            (metrics.WORKER_UNSENT, unsent),
            (metrics.WORKER_CACHE_BYTES, cache_bytes),
        ):
            self.tally.put(gauge, value=float(value))
