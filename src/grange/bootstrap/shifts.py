"""Who of a server's runs is worked on: some at a time, in turn, and none that stands in the way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from grange.core.events import AttemptsEnded, ItemEnded, RunProgress
from grange.errors import GrangeError, RunBusy, RunEnded, StoreUnreachable
from grange.runs.activity import ActivityWriter

if TYPE_CHECKING:
    from grange.core.events import Event, Observer
    from grange.runs.models import RunView
    from grange.runs.service import Runs
    from grange.telemetry.counting import Counting

log = logging.getLogger("grange.drive")

# How often the ledger is asked when nobody says that there is something to do.
LOOK_SECONDS = 0.5
# What can't be begun is tried again after this, doubled each time up to the last: no longer than a
# lease, so that runs go on soon after whatever was in their way.
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
# What passes by itself is looked for more often: a look is one small request.
AWAY_PAUSE_SECONDS = 10.0
# What nobody has tried again for so long has ended some other way.
FORGIVEN_SECONDS = 600.0
# A run of which no worker has taken anything for so long leaves its place to one that waits,
# and has another turn after that.
IDLE_SECONDS = 30.0

IDLE = "No worker takes what this run has to do: others have their turn meanwhile."


class Workshop(Protocol):
    """What works on runs."""

    def work_on(self, run: RunView, *, observer: Observer, stop: threading.Event) -> None:
        """Work on a run until it ends, somebody pauses it, or `stop` is set."""

    def is_reached(self) -> bool:
        """Whether workers can be reached at all."""


@dataclass
class _Pause:
    """A run that could not go on, and when it is worth another try."""

    until: float
    seconds: float


@dataclass
class _Place:
    """A run that is being worked on, and when somebody was last seen at it."""

    stop: threading.Event = field(default_factory=threading.Event)
    seen: float = field(default_factory=time.monotonic)
    gives_way: bool = False
    thread: threading.Thread = field(init=False)

    def observe(self, event: Event) -> None:
        """Take an event of the run."""
        match event:
            case AttemptsEnded() | ItemEnded():
                self.seen = time.monotonic()
            case RunProgress(workers=workers):
                if any(one.item is not None and not one.silent for one in workers):
                    self.seen = time.monotonic()


class Shift:
    """Drives waiting runs, some at a time, until it is told to stop."""

    def __init__(self, site: Workshop, runs: Runs, *, at_once: int, counting: Counting) -> None:
        """Work on the runs of this site, and count what happens to them."""
        self._counting = counting
        self._site = site
        self._runs = runs
        self._at_once = at_once
        self._stop = threading.Event()
        self._awake = threading.Event()
        self._working: dict[str, _Place] = {}
        self._pauses: dict[str, _Pause] = {}

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._awake.set()

    def stop(self) -> None:
        """Let go of everything; `work` returns soon."""
        self._stop.set()
        self._awake.set()

    def work(self) -> None:
        """Take runs as they come. Returns when it was told to stop, with no run in hand."""
        while not self._stop.is_set():
            self._working = {
                run: place for run, place in self._working.items() if place.thread.is_alive()
            }
            with suppress(GrangeError):
                self._look()
            self._awake.wait(LOOK_SECONDS)
            self._awake.clear()
        for place in self._working.values():
            place.stop.set()
        for place in self._working.values():
            place.thread.join()

    def _look(self) -> None:
        now = time.monotonic()
        for name, pause in list(self._pauses.items()):
            if now > pause.until + FORGIVEN_SECONDS:
                self._pauses.pop(name, None)
        if len(self._working) < self._at_once:
            for run in self._ready(now):
                if len(self._working) >= self._at_once or self._stop.is_set():
                    return
                self._begin(run)
        elif (idle := self._longest_idle(now)) is not None and self._ready(now):
            idle.gives_way = True
            idle.stop.set()

    def _ready(self, now: float) -> list[RunView]:
        """The runs that may begin now, the next one first."""
        found = []
        for run in self._runs.waiting(beside=len(self._pauses)):
            pause = self._pauses.get(run.id)
            # Who resumes a run takes its note away: that is a reason to try at once.
            put_off = pause is not None and run.note and now < pause.until
            if not put_off and run.id not in self._working:
                found.append(run)
        return found

    def _longest_idle(self, now: float) -> _Place | None:
        """The run that keeps others from their turn for nothing, if there is one."""
        idle = [place for place in self._working.values() if now - place.seen > IDLE_SECONDS]
        # One at a time: the next look is soon.
        if not idle or any(place.gives_way for place in idle) or not self._site.is_reached():
            return None
        return min(idle, key=lambda place: place.seen)

    def _begin(self, run: RunView) -> None:
        place = self._working[run.id] = _Place()
        place.thread = threading.Thread(target=self._drive, args=(run, place), name=f"run {run.id}")
        place.thread.start()

    def _drive(self, run: RunView, place: _Place) -> None:
        activity = ActivityWriter(self._runs.logs_of(run))
        count = self._counting.listener(run.id, run.pipeline)
        listeners: tuple[Callable[[Event], None], ...] = (activity, count, place.observe)

        def observe(event: Event) -> None:
            for listener in listeners:
                listener(event)

        try:
            self._site.work_on(run, observer=observe, stop=place.stop)
            self._pauses.pop(run.id, None)
            if place.gives_way:
                self._pause(run, IDLE, IDLE_SECONDS)
        except (RunBusy, RunEnded):
            log.info("run %s is in other hands", run.id)
        except Exception as error:  # noqa: BLE001  # one run's trouble is not the others'
            self._put_off(run, error)
        finally:
            activity.close()
            count.close()
            self._awake.set()

    def _put_off(self, run: RunView, error: Exception) -> None:
        before = self._pauses.get(run.id)
        is_away = isinstance(error, StoreUnreachable)
        longest = AWAY_PAUSE_SECONDS if is_away else LONGEST_PAUSE_SECONDS
        seconds = min(2 * before.seconds, longest) if before else FIRST_PAUSE_SECONDS
        note = str(error) if isinstance(error, GrangeError) else f"Something unforeseen: {error!r}"
        log.warning("run %s: %s", run.id, note, exc_info=not isinstance(error, GrangeError))
        self._pause(run, note, seconds)

    def _pause(self, run: RunView, note: str, seconds: float) -> None:
        self._pauses[run.id] = _Pause(time.monotonic() + seconds, seconds)
        with suppress(GrangeError):
            self._runs.note(run, note)
