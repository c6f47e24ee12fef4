"""What runs have left at the engine that ended while nobody could say so: it is removed later."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from grange.errors import GrangeError

if TYPE_CHECKING:
    from grange.engines.base import Engine
    from grange.runs.service import Runs

EVERY_SECONDS = 60.0
# What is older has gone by itself.
OLDEST_SECONDS = 7 * 86_400.0


class Tidying:
    """Tells an engine of the runs that have ended: of all of late first, of new ones then."""

    def __init__(self, runs: Runs, engine: Engine) -> None:
        """Nothing is told yet."""
        self._runs = runs
        self._engine = engine
        self._since = time.time() - OLDEST_SECONDS
        self._next = 0.0

    def look(self) -> None:
        """Do so if it is time; to be called while the engine is reached, as often as one likes."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        now = time.time()
        # A ledger that is away is asked again later.
        with suppress(GrangeError):
            self._engine.tidy(self._runs.ended_lately(since=self._since))
            # Clocks of two processes differ, and a transaction may take a while.
            self._since = now - EVERY_SECONDS
