"""How much more work a station asks for: enough that no worker waits, no more than that. Pure."""

from __future__ import annotations

import math

# So much work lies here beside what is at hand: the way to the broker and back must not matter.
AHEAD_SECONDS = 0.4
# Behind tasks of less than this some wait here: each way to the broker would cost a percent.
SHORT_SECONDS = 1.0
# Behind tasks of less than this a larger one may wait for room.
QUICK_SECONDS = 30.0
_NEW_WEIGHT = 0.1


class Appetite:
    """Learns how long tasks take and how many come together.

    What waits here can't be done elsewhere, so of long tasks nothing waits,
    unless their inputs have to be brought: that is done meanwhile.
    """

    def __init__(self, slots: int) -> None:
        """Know nothing yet."""
        self._slots = slots
        self._seconds: float | None = None
        self._together = 1.0

    @property
    def is_quick(self) -> bool:
        """Whether tasks are over so soon that the next one can be waited for."""
        return self._seconds is not None and self._seconds < QUICK_SECONDS

    @property
    def is_slow(self) -> bool:
        """Whether each of them takes long enough to be told of by itself, or nobody knows yet."""
        return self._seconds is None or self._seconds >= AHEAD_SECONDS

    def came(self, tasks: int) -> None:
        """So many tasks came in one message."""
        self._together += _NEW_WEIGHT * (tasks - self._together)

    def ended(self, seconds: float) -> None:
        """A task took so long."""
        if self._seconds is None:
            self._seconds = seconds
        else:
            self._seconds += _NEW_WEIGHT * (seconds - self._seconds)

    def messages(self, held: int, *, travelling: bool) -> int:
        """How many more messages to ask for, with so many tasks held that are not done."""
        wanted = float(self._slots)
        if travelling:
            wanted += self._slots
        if self._seconds is not None and self._seconds < SHORT_SECONDS:
            wanted += math.ceil(AHEAD_SECONDS * self._slots / max(self._seconds, 1e-4))
        missing = wanted - held
        if missing <= 0:
            return 0
        return max(1, min(self._slots, math.ceil(missing / max(1.0, self._together))))
