"""What has to be done now and then while a server runs: sweeping up what is over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

log = logging.getLogger("grange.server")

EVERY_SECONDS = 600.0
# Not at once: the first requests shall not wait for it.
FIRST_SECONDS = 30.0


class Chores:
    """A thread that does each chore again and again; one that fails is tried again next time."""

    def __init__(self, chores: Sequence[Callable[[], object]]) -> None:
        """Take the chores, to be done in this order."""
        self._chores = chores
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="chores", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chore that is being done."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        pause = FIRST_SECONDS
        while not self._over.wait(pause):
            pause = EVERY_SECONDS
            for chore in self._chores:
                try:
                    chore()
                except Exception:
                    log.exception("a chore failed; it is tried again in %.0f s", EVERY_SECONDS)
