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
from functools import cached_property
from typing import TYPE_CHECKING

from grange.bootstrap.embedded import Site, environment, open_runs
from grange.bootstrap.engines import Standing
from grange.bootstrap.shifts import Shift
from grange.bootstrap.tidying import Tidying
from grange.core.states import RunState
from grange.telemetry.drive import counted

if TYPE_CHECKING:
    from grange.core.events import Observer
    from grange.engines.base import Engine
    from grange.runs.models import RunView
    from grange.runs.sharing import Shared
    from grange.settings import Settings
    from grange.telemetry.counting import Counting

log = logging.getLogger("grange.drive")

# How often it is looked how the engine stands.
LOOK_SECONDS = 0.5


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
    _standby: Engine | None = None

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

    def is_reached(self) -> bool:
        """Whether workers elsewhere can be reached just now; False where there are none."""
        health = self._standby.health() if self._standby is not None else None
        return self._standby is not None and (health is None or health.state == "up")

    @contextmanager
    def watched(self, counting: Counting) -> Iterator[None]:
        """Keep the way to the workers open while there is no run, and tell how it stands."""
        standby = self._standby = self._engines.standby()
        if standby is None:
            counting.engine_stands(self._settings.engine, up=True)
            yield
            return
        standby.start()
        over = threading.Event()

        def watch() -> None:
            standing = Standing(self._settings.home)
            tidying = Tidying(self._runs, standby)
            while not over.wait(LOOK_SECONDS):
                health = standby.health()
                standing.tell(health)
                up = health is None or health.state == "up"
                counting.engine_stands(self._settings.engine, up=up)
                if up:
                    tidying.look()
            standing.close()

        watcher = threading.Thread(target=watch, name="standby", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            standby.close()


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
