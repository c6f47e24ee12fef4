"""Following a run that another process works on: the ledger tells how it stands."""

from __future__ import annotations

import threading
import time
from collections import deque

from grange.core.events import ItemEnded, Observer, RunProgress
from grange.db import Database
from grange.runs import queries
from grange.runs.models import ItemView, RunView

# How often the ledger is asked.
LOOK_SECONDS = 0.5
# The rate is that of so many looks.
RATE_LOOKS = 20


class Follower:
    """Says what happens to a run, until it has ended or nobody works on it any more."""

    def __init__(
        self, database: Database, run: RunView, observer: Observer, *, from_start: bool = False
    ) -> None:
        """Follow `run` from now on, or tell of every item that has ended before too."""
        self._database = database
        self._run = run
        self._observer = observer
        self._after = (0.0 if from_start else time.time(), 0)
        self._begun = time.monotonic()
        self._looks: deque[tuple[float, int]] = deque(maxlen=RATE_LOOKS)

    def follow(self, stop: threading.Event) -> None:
        """Look again and again; returns when there is nothing more to see, or `stop` is set."""
        while True:
            run = queries.find_run(self._database, self._run.id)
            self._tell_items()
            self._tell_progress(run)
            if run.state.is_finished() or run.driver is None or stop.wait(LOOK_SECONDS):
                return

    def _tell_items(self) -> None:
        while ended := queries.ended_since(self._database, self._run.number, after=self._after):
            for item in ended:
                self._observer(_event(self._run.id, item))
            self._after = (ended[-1].ended_at or 0.0, ended[-1].id)

    def _tell_progress(self, run: RunView) -> None:
        now = time.monotonic()
        counts = run.counts
        self._looks.append((now, counts.ended))
        since, before = self._looks[0]
        rate = (counts.ended - before) / (now - since) if now > since else 0.0
        self._observer(
            RunProgress(
                run=run.id,
                state=run.state,
                total=counts.total,
                done=counts.done,
                failed=counts.failed,
                cancelled=counts.cancelled,
                reused=counts.reused,
                bytes_total=run.bytes_total,
                elapsed_seconds=now - self._begun,
                per_second=rate,
                left_seconds=counts.left / rate if rate else None,
            )
        )


def _event(run: str, item: ItemView) -> ItemEnded:
    return ItemEnded(
        run=run,
        path=item.path,
        state=item.state,
        seconds=item.seconds,
        attempts=item.attempts,
        reused=item.reused,
        outputs=len(item.outputs),
        failure=item.failure,
    )
