"""The thread in which a program works on a run, so that its own lines go on."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from contextlib import suppress

from grange.core.events import Event, ItemEnded, RunProgress
from grange.errors import GrangeError
from grange.live.bars import Bar
from grange.live.place import Place

# How long the work may take to stop before the program goes on without it.
STOP_SECONDS = 30.0


class Background:
    """Drives one run in a thread of its own, as often as it is started."""

    def __init__(self, place: Place, run: str, *, workers: int | None) -> None:
        """Nothing is done before `start`."""
        self._place = place  # held, so that the site stays open as long as the work goes on
        self._site = place.site
        self._run = run
        self._workers = workers
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self.error: BaseException | None = None  # what ended the work before its time

    def start(self, bar: Bar | None) -> None:
        """Begin to work on the run, unless that is done already."""
        if self.is_alive():
            return
        self._stop, self.error = threading.Event(), None
        self._thread = threading.Thread(
            target=self._drive, args=(self._stop, bar), name=f"grange {self._run}", daemon=True
        )
        _working.add(self)
        # Registered anew, so that it comes before whatever closes the site.
        atexit.unregister(_leave)
        atexit.register(_leave)
        self._thread.start()

    def stop(self) -> None:
        """Let the work come to rest; returns once it has. Stopping what stands still is fine."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def is_alive(self) -> bool:
        """Whether the work goes on."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait until the work has ended, and no longer than this."""
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))

    def sleep(self, seconds: float) -> None:
        """Wait until an item has ended or the work has, and no longer than this."""
        with self._moved:
            self._moved.wait(seconds)

    def leave(self) -> None:
        """Stop because the program ends, and say what is left undone."""
        self.stop()
        with suppress(GrangeError):
            if not self._site.find_run(self._run).state.is_finished():
                sys.stderr.write(
                    f"grange: run {self._run} is unfinished, since nobody waited for it: call "
                    f"wait() before the end. To go on with it: grange runs resume {self._run}\n"
                )

    def _drive(self, stop: threading.Event, bar: Bar | None) -> None:
        def observe(event: Event) -> None:
            if isinstance(event, RunProgress) and bar is not None:
                bar.show(event)
            if isinstance(event, ItemEnded):
                self._announce()

        try:
            run = self._site.drive(self._run, workers=self._workers, observer=observe, stop=stop)
            if bar is not None:
                bar.end(run.state, run.counts)
        except BaseException as error:  # noqa: BLE001  # told to whoever waits
            self.error = error
        finally:
            _working.discard(self)
            self._announce()

    def _announce(self) -> None:
        with self._moved:
            self._moved.notify_all()


# What this program works on. A program that is ending can't start processes any
# more, so the work can't go on then.
_working: weakref.WeakSet[Background] = weakref.WeakSet()


def _leave() -> None:
    for work in list(_working):
        work.leave()
