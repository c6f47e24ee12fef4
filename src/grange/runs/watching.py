"""Driving a run that grows: workers stay warm, and what arrives is worked on within a turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from grange.core.events import ItemEnded, Observer, RunNote
from grange.core.states import RunState
from grange.core.tasks import Outcome, OutcomeState
from grange.db import Database
from grange.engines.base import Engine
from grange.errors import GrangeError
from grange.runs import closing, driving, growing, outcomes, queries, reopening
from grange.runs.dispatch import TURN_SECONDS, Dispatcher
from grange.runs.driven import Driven
from grange.runs.driving import Grip
from grange.runs.growing import Arrival, Grown, Known
from grange.runs.models import RunSpec, RunView
from grange.runs.runreport import RunReport

# Arrivals in the ledger that have no end yet: enough for any number of workers, few enough
# that finding the next one costs nothing.
BACKLOG = 1000
# The account beside the results is as old as this at the most, or as it takes to keep it
# from costing more than a twentieth of the time: it grows with the run, arrivals don't.
ACCOUNT_SECONDS = 5.0
ACCOUNT_SHARE = 20.0


class Feed(Protocol):
    """Where arrivals come from. Its methods are called from one thread and never wait."""

    def take(self, limit: int) -> list[Arrival]:
        """What has come since the last time, the longest known first; at most `limit`."""

    def taken(self, grown: Grown) -> None:
        """What became of those that were taken."""

    def put_back(self, arrivals: list[Arrival]) -> None:
        """These could not be written down: they come first next time."""

    def ended(self, event: ItemEnded) -> None:
        """An item has come to its end."""

    def is_over(self) -> bool:
        """Whether nothing will come any more."""

    def call(self, arrived: Callable[[], object]) -> None:
        """Call this, from any thread, whenever something has come."""


class Watcher:
    """Holds one growing run after another for one driver, which stays the same."""

    def __init__(self, database: Database, grip: Grip, logs: Path) -> None:
        """Work on the runs of this ledger; logs go below `logs`."""
        self._database = database
        self._grip = grip
        self._logs = logs

    def open(self, spec: RunSpec) -> RunView:
        """The run of this request: see `reopening.open_run`."""
        number = reopening.open_run(self._database, spec)
        return queries.run_of_number(self._database, number)

    def known(self, run: RunView) -> Iterator[Known]:
        """What the run has already."""
        return growing.known_items(self._database, run.number)

    def drive(
        self,
        run: RunView,
        engine: Callable[[], Engine],
        feed: Feed,
        *,
        observer: Observer,
        stop: threading.Event,
    ) -> RunView:
        """Work on what the run has and on what comes, until the feed is over or `stop` is set.

        With nothing left to do the run has ended then; else it waits for whoever goes on.

        Raises:
            RunBusy: Another process has the run.
            StoreFull, DatabaseFull: There is no room; call it again when there is.
            WorkerStartFailed: Workers can't be started.
        """
        workers = engine()
        logs = str(self._logs / run.id)
        grip = driving.grip_with(self._grip, workers)
        driven = driving.take(self._database, run.number, grip, logs=logs, now=time.time())
        _Growing(self._database, workers, driven, grip, observer, feed=feed).run(stop)
        return queries.run_of_number(self._database, run.number)


class _Growing(Dispatcher):
    """A dispatcher whose run has an end when its feed has."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        driven: Driven,
        grip: Grip,
        observer: Observer,
        *,
        feed: Feed,
    ) -> None:
        super().__init__(database, engine, driven, grip, observer)
        self._feed = feed
        # What arrives is not kept waiting for the end of a turn.
        feed.call(engine.ring)
        self._account = _Account(database, driven)

    def run(self, stop: threading.Event) -> RunState:
        try:
            return super().run(stop)
        finally:
            self._account.close()

    def _has_more(self) -> bool:
        return super()._has_more() or not self._feed.is_over()

    def _turn(self) -> None:
        self._grow()
        super()._turn()
        trouble = self._account.turn()
        if trouble:
            self._observer(RunNote(run=self._driven.id, text=trouble))

    def _grow(self) -> None:
        room = BACKLOG - self._driven.counts.left
        arrivals = self._feed.take(room) if room > 0 else []
        if not arrivals:
            return
        try:
            grown = growing.grow(
                self._database, self._driven, self._grip, arrivals, now=time.time()
            )
        except BaseException:
            self._feed.put_back(arrivals)
            raise
        self._feed.taken(grown)
        self._ended(outcomes.known_ended(self._driven, grown.plan))
        self._next_look = 0.0

    def _ended(self, ended: Iterable[ItemEnded]) -> None:
        events = list(ended)
        super()._ended(events)
        for event in events:
            self._account.changed()
            self._feed.ended(event)

    def _take(self, came: list[Outcome]) -> None:
        for outcome in came:
            if self._is_report(outcome):
                self._account.reported(outcome)
        super()._take(came)

    def _leave(self) -> RunState:
        running = self._driven.state is RunState.RUNNING
        if running and self._halted is None and not self._driven.counts.left:
            # Whoever stops the watch has nothing left to wait for but its account.
            return self._end(threading.Event())
        state = super()._leave()
        self._account.close()
        closing.write_files(self._database, self._driven, state, now=None)
        return state

    def _end(self, stop: threading.Event) -> RunState:
        # What is still being written says that the run goes on: the last word is not to be its.
        self._account.close()
        return super()._end(stop)

    def _cancel(self) -> RunState:
        self._account.close()
        return super()._cancel()

    def _make_report(self, stop: threading.Event) -> bool:
        # One that is being made reads the list that a new one would replace.
        while self._account.is_reporting() and not self._stopped(stop):
            self._beat()
            self._fill()
            self._take(self._engine.collect(TURN_SECONDS))
        if self._stopped(stop):
            return False
        return self._account.is_reported() or super()._make_report(stop)


class _Account:
    """Keeps what lies at the top of the output folder near the truth while the run grows.

    It is written in a thread of its own, so that arrivals need not wait for it.
    """

    def __init__(self, database: Database, driven: Driven) -> None:
        self._database = database
        self._driven = driven
        self._report = RunReport(database, driven)
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._spent = 0.0
        self._trouble = ""
        self._told = ""
        # What is written may be behind what has happened; a run that goes on has a report to make.
        self._written = False
        self._reported = False
        self._reporting = False

    def changed(self) -> None:
        """An item has ended."""
        self._written = self._reported = False

    def turn(self) -> str:
        """Begin to write when it is time to. Returns what went wrong, each trouble once."""
        if self._thread is not None:
            if self._thread.is_alive():
                return ""
            self._thread = None
            self._next = time.monotonic() + max(ACCOUNT_SECONDS, ACCOUNT_SHARE * self._spent)
        if not self._written and not self._reporting and time.monotonic() >= self._next:
            self._begin()
        trouble, self._trouble = self._trouble, ""
        if trouble == self._told:
            return ""
        self._told = trouble or self._told
        return trouble

    def reported(self, outcome: Outcome) -> None:
        """An attempt at the report has come back; one that an earlier driver has planned too."""
        if outcome.state is OutcomeState.DONE:
            self._report.publish(outcome)
            self._trouble = self._report.failure or self._trouble
        elif outcome.state is not OutcomeState.RETURNED:
            self._reported = False
        self._reporting = self._reporting and outcome.state is OutcomeState.RETURNED
        rest = max(ACCOUNT_SECONDS, ACCOUNT_SHARE * outcome.seconds)
        self._next = max(self._next, time.monotonic() + rest)

    def is_reporting(self) -> bool:
        """Whether the pipeline's report is being made."""
        self.close()
        return self._reporting

    def is_reported(self) -> bool:
        """Whether the pipeline's report says all that has happened."""
        return self._reported

    def close(self) -> None:
        """Wait for what is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _begin(self) -> None:
        self._written = True
        self._reporting = self._reported = self._driven.reports and self._driven.counts.ended > 0
        self._thread = threading.Thread(target=self._write, name="account", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        begun = time.monotonic()
        try:
            if self._reporting:
                self._report.plan()
            closing.write_files(self._database, self._driven, RunState.RUNNING, now=None)
        except (GrangeError, OSError) as error:
            # Tried again with the next change, and once more at the end, where it counts.
            self._trouble = f"The account beside the results is not up to date: {error}"
            self._reported = self._reporting = False
        self._spent = time.monotonic() - begun
