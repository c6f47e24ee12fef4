"""How many tasks travel together, and how many are out: pure.

Small tasks travel in batches, so that the way there and back doesn't matter;
long ones travel alone, so that none waits behind another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# About so much work is in one message.
MESSAGE_SECONDS: Final = 0.15
LARGEST_MESSAGE: Final = 1024
# So much work is out for each slot: what it is at, what its station has, what is on its way.
OUT_SECONDS: Final = 0.8
LARGEST_OUT: Final = 4 * LARGEST_MESSAGE
# So many are asked for at once.
LARGEST_ROOM: Final = 4 * LARGEST_MESSAGE
# So many tasks are out when nobody is there to take them: the first worker finds something.
OPENING: Final = 16
# How much the latest tasks weigh in the average.
_NEW_WEIGHT: Final = 0.2
# Tasks so many times as quick as the average show that those before were loading something.
_LOADING: Final = 10.0


class Sizing:
    """Learns from what came back how long tasks take."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._average: float | None = None

    def learn(self, seconds: float) -> None:
        """A task has taken so long."""
        if self._average is None or seconds < self._average / _LOADING:
            # The first task of a run loads its model too, which says nothing about the next.
            self._average = seconds
        else:
            self._average += _NEW_WEIGHT * (seconds - self._average)

    def message(self, count: int, slots: Sequence[int], *, more: bool = False) -> int:
        """How many of so many tasks are to travel together.

        `slots` are those of each station; `more` says that others come after these.
        """
        if more:
            return self._window(slots)
        # A share for everyone: at a run's end the last tasks are spread over all slots.
        share = -(-count // max(1, sum(slots)))
        return max(1, min(self._window(slots), share))

    def room(self, out: int, stations: Sequence[int]) -> int:
        """How many more tasks are worth publishing when so many are out.

        `stations` has the slots of each.
        """
        slots = sum(stations)
        if slots <= 0:
            return max(0, OPENING - out)
        each = 2
        if self._average is not None:
            each = max(2, min(int(OUT_SECONDS / max(self._average, 1e-6)), LARGEST_OUT))
        free = slots * each - out
        # Few at a time would make small messages, of which there would be ever more.
        return min(free, LARGEST_ROOM) if free >= self._window(stations) else 0

    def _window(self, slots: Sequence[int]) -> int:
        if self._average is None:
            return 1
        each = int(MESSAGE_SECONDS / max(self._average, 1e-6))
        if each <= 1:
            return 1
        # What the smallest station does in that time: it may be the one that takes the message.
        return min(each * max(1, min(slots, default=1)), LARGEST_MESSAGE)
