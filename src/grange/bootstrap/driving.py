"""Who works on a server's runs: a loop that takes them in turn, and the child that runs it.

The server and its child talk through the ledger alone. What the child has on
its standard input only says when to look (a byte), and that the server is gone
(the end): so it ends with the server however that ends.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grange.bootstrap.embedded import Site, environment, open_runs
from grange.bootstrap.engines import Standing
from grange.core.states import RunState
from grange.errors import GrangeError, RunBusy, RunEnded, StoreUnreachable
from grange.runs.activity import ActivityWriter
from grange.telemetry.drive import counted

if TYPE_CHECKING:
    from grange.core.events import Event, Observer
    from grange.runs.models import RunView
    from grange.runs.service import Runs
    from grange.runs.sharing import Shared
    from grange.settings import Settings
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


@contextmanager
def open_shift(settings: Settings) -> Iterator[Shift]:
    """What works on the runs of the server of these settings."""
    with open_runs(settings) as runs, counted(settings.home) as counting:
        site = _Workshop(settings, runs)
        with site.watched(counting):
            yield Shift(site, runs, at_once=settings.runs_at_once, counting=counting)


class _Workshop(Site):
    """The embedded site, as it works on runs that others look after."""

    keeps_keys = True

    def work_on(self, run: RunView, *, observer: Observer, stop: threading.Event) -> None:
        """Work on a run until it ends, somebody pauses it, or `stop` is set."""
        if run.state is not RunState.CANCELLING:
            self._check_version(run)
        self._runs.work_on(
            run,
            lambda: self._engine(run),
            observer=observer,
            stop=stop,
            shared=self._shared,
        )

    @cached_property
    def _shared(self) -> Shared | None:
        """What runs share; workers of this machine are each run's own."""
        from grange.runs.sharing import Shared

        return None if self._settings.engine == "local" else Shared()

    @contextmanager
    def watched(self, counting: Counting) -> Iterator[None]:
        """Keep the way to the workers open while there is no run, and tell how it stands."""
        standby = self._engines.standby()
        if standby is None:
            counting.engine_stands(self._settings.engine, up=True)
            yield
            return
        standby.start()
        over = threading.Event()

        def watch() -> None:
            standing = Standing(self._settings.home)
            while not over.wait(LOOK_SECONDS):
                health = standby.health()
                standing.tell(health)
                up = health is None or health.state == "up"
                counting.engine_stands(self._settings.engine, up=up)
            standing.close()

        watcher = threading.Thread(target=watch, name="standby", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            standby.close()


@dataclass
class _Pause:
    """A run that could not go on, and when it is worth another try."""

    until: float
    seconds: float


class Shift:
    """Drives waiting runs, some at a time, until it is told to stop."""

    def __init__(self, site: _Workshop, runs: Runs, *, at_once: int, counting: Counting) -> None:
        """Work on the runs of this site, and count what happens to them."""
        self._counting = counting
        self._site = site
        self._runs = runs
        self._at_once = at_once
        self._stop = threading.Event()
        self._awake = threading.Event()
        self._working: dict[str, threading.Thread] = {}
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
            self._working = {run: one for run, one in self._working.items() if one.is_alive()}
            if len(self._working) < self._at_once:
                with suppress(GrangeError):
                    self._take_more()
            self._awake.wait(LOOK_SECONDS)
            self._awake.clear()
        for thread in self._working.values():
            thread.join()

    def _take_more(self) -> None:
        now = time.monotonic()
        for name, pause in list(self._pauses.items()):
            if now > pause.until + FORGIVEN_SECONDS:
                self._pauses.pop(name, None)
        for run in self._runs.waiting(beside=len(self._pauses)):
            if len(self._working) >= self._at_once or self._stop.is_set():
                return
            put_off = self._pauses.get(run.id)
            # Who resumes a run takes its note away: that is a reason to try at once.
            if run.id in self._working or (put_off and run.note and now < put_off.until):
                continue
            thread = threading.Thread(target=self._drive, args=(run,), name=f"run {run.id}")
            self._working[run.id] = thread
            thread.start()

    def _drive(self, run: RunView) -> None:
        activity = ActivityWriter(self._runs.logs_of(run))
        count = self._counting.listener(run.id, run.pipeline)

        def observe(event: Event) -> None:
            activity(event)
            count(event)

        try:
            self._site.work_on(run, observer=observe, stop=self._stop)
            self._pauses.pop(run.id, None)
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
        self._pauses[run.id] = _Pause(time.monotonic() + seconds, seconds)
        note = str(error) if isinstance(error, GrangeError) else f"Something unforeseen: {error!r}"
        log.warning("run %s: %s", run.id, note, exc_info=not isinstance(error, GrangeError))
        with suppress(GrangeError):
            self._runs.note(run, note)


def drive_command() -> list[str]:
    """The program that works on a server's runs."""
    return [sys.executable, "-m", "grange", "drive", "--stdin"]


def listen_to_parent(shift: Shift) -> None:
    """Do as whoever has our standard input says, in a thread of its own."""

    def listen() -> None:
        while os.read(0, 4096):
            shift.wake()
        shift.stop()

    threading.Thread(target=listen, name="parent", daemon=True).start()


class Driver:
    """The child process of a server that works on its runs; started again when it dies."""

    # A child that lives for so long has not died of how it was started.
    SOUND_SECONDS = 30.0
    FIRST_REST_SECONDS = 0.2
    LONGEST_REST_SECONDS = 30.0
    # How long a child may take to let go of its runs.
    STOP_SECONDS = 10.0

    def __init__(self, settings: Settings) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="driver", daemon=True)

    def start(self) -> None:
        """Start the child, and look after it from now on."""
        self._watcher.start()

    def wake(self) -> None:
        """Tell the child that there may be something to do; it would notice soon anyway."""
        with self._lock:
            child = self._child
            if child is not None and child.stdin is not None:
                # A full pipe holds enough to wake it.
                with suppress(OSError, ValueError):
                    os.write(child.stdin.fileno(), b"\n")

    def is_alive(self) -> bool:
        """Whether the child lives."""
        with self._lock:
            return self._child is not None and self._child.poll() is None

    def stop(self) -> None:
        """End the child; its runs wait for the next one."""
        self._stopping.set()
        with self._lock:
            child = self._child
            if child is not None:
                _hang_up(child)
        if self._watcher.is_alive():
            self._watcher.join(self.STOP_SECONDS)
        if child is not None and child.poll() is None:
            child.kill()
            child.wait()

    def _watch(self) -> None:
        rest = self.FIRST_REST_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            with suppress(OSError):
                code = self._start().wait()
                if not self._stopping.is_set():
                    log.warning("the process that drives runs has ended with code %d", code)
            sound = time.monotonic() - began > self.SOUND_SECONDS
            rest = self.FIRST_REST_SECONDS if sound else min(2 * rest, self.LONGEST_REST_SECONDS)
            self._stopping.wait(rest)

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            drive_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env=environment(self._settings),
            # What a terminal says to the server is not meant for its child.
            start_new_session=True,
        )
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
        with self._lock:
            before, self._child = self._child, child
            if before is not None:
                _hang_up(before)
            if self._stopping.is_set():
                _hang_up(child)
        return child


def _hang_up(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
