"""Whether who says something at the broker is who it says it is.

Where each worker has a user of its own, the broker vouches for the user that a
message names. A worker of an earlier version names none, and one that shares its
user with all others can't: such are believed, as long as nobody proves to be
that worker. One that does so says something with each beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from grange.engines.rabbit.names import BEAT_SECONDS, Names

# After so long the worker may have been started anew, as an earlier version.
PROOF_SECONDS: Final = 5 * BEAT_SECONDS


class Speakers:
    """Those who speak at one site's broker. May be asked from several threads."""

    def __init__(self, names: Names, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody has proved anything yet."""
        self._names = names
        self._clock = clock
        self._proven: dict[str, float] = {}  # when each did so last

    def believed(self, station: str, user: str) -> bool:
        """Whether what calls itself this station's, and was sent by this user, is."""
        now = self._clock()
        if not station:
            return False
        if user == self._names.user(station):
            self._proven[station] = now
            return True
        if self._names.is_workers(user):
            return False
        return now - self._proven.get(station, float("-inf")) > PROOF_SECONDS
