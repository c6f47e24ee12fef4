"""How fast a run goes, and how long it will still take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from grange.core.events import Observer, RunProgress, WorkerActivity
from grange.engines.base import WorkerView
from grange.runs.driven import Driven

# People read no faster.
SHOW_SECONDS = 0.25
# The rate is that of the last so many seconds, or of the last few items where they take long.
RATE_WINDOW_SECONDS = 20.0
RATE_MARKS = 8


class Pace:
    """Says how the run stands, a few times a second."""

    def __init__(self, driven: Driven, observer: Observer) -> None:
        """Begin to count from here."""
        self._driven = driven
        self._observer = observer
        self._begun = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(self._begun, driven.counts.ended)])
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it is time to tell something."""
        return time.monotonic() >= self._next

    def show(self, workers: Sequence[WorkerView], *, last: bool = False) -> None:
        """Tell the observer, when it is time to."""
        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + SHOW_SECONDS
        counts = self._driven.counts
        rate = self._rate(now, counts.ended)
        self._observer(
            RunProgress(
                run=self._driven.id,
                state=self._driven.state,
                total=counts.total,
                done=counts.done,
                failed=counts.failed,
                cancelled=counts.cancelled,
                reused=counts.reused,
                bytes_total=self._driven.bytes_total,
                elapsed_seconds=now - self._begun,
                per_second=rate,
                left_seconds=counts.left / rate if rate else None,
                workers=[_activity(worker, self._driven) for worker in workers],
            )
        )

    def _rate(self, now: float, ended: int) -> float:
        if ended != self._marks[-1][1]:
            self._marks.append((now, ended))
        while len(self._marks) > RATE_MARKS and self._marks[0][0] < now - RATE_WINDOW_SECONDS:
            self._marks.popleft()
        since, before = self._marks[0]
        return (ended - before) / (now - since) if now > since else 0.0


def _activity(worker: WorkerView, driven: Driven) -> WorkerActivity:
    claimed = driven.flying.get(worker.task) if worker.task is not None else None
    task = claimed.task if claimed else None
    return WorkerActivity(
        name=worker.name,
        item=task.path if task else None,
        kind=str(task.kind) if task else None,
        seconds=worker.seconds,
        progress=worker.progress,
        silent=worker.silent,
    )
