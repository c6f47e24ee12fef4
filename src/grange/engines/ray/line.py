"""A thread that says things to Ray, so that nobody else has to wait for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

Call = Callable[[], object]


class Line:
    """Makes calls one after another. Each sees to its own errors.

    Ray's calls take as long as a connection is in trouble; whoever holds a
    lock, or has a run in hand, must not.
    """

    def __init__(self, name: str) -> None:
        """Start the thread; it keeps no process from ending."""
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def say(self, call: Call) -> None:
        """Have this called after all that was said before. Returns at once."""
        self._calls.put(call)

    def end(self) -> None:
        """End after what was said so far. Returns at once."""
        self._calls.put(None)

    def drop(self) -> None:
        """End after the call that is under way; nothing else is made. Returns at once."""
        self._dropped = True
        self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether that has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None and not self._dropped:
            with suppress(Exception):
                call()
