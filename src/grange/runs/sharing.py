"""How the runs that one process drives share the workers: by weight, and nothing lies idle.

Shares are counted in parts of the room that a run would have if it were alone,
so that a run of many short tasks and one of a few long ones get as many workers
as their weights say.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

# A run whose priority is higher by so much gets twice as much.
OCTAVE = 10.0
# Below this, a remainder is one of arithmetic.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run has and wants: `held` tasks are out, of `window` that could be if it were alone.

    A `hungry` one has more tasks to give out than fit.
    """

    weight: float
    held: int
    window: int
    hungry: bool

    @property
    def demand(self) -> float:
        """The part of its window that it could use now."""
        if self.hungry or self.held >= self.window:
            return 1.0
        return self.held / self.window


def weight(priority: int) -> float:
    """How much a run of this priority counts among others."""
    return math.exp2(priority / OCTAVE)


def shares(claims: Mapping[K, Claim]) -> dict[K, float]:
    """The part of its window that each run may have out; together they are 1 at the most.

    What one doesn't use goes to the others, by their weights.
    """
    given = dict.fromkeys(claims, 0.0)
    open_now = {run for run, claim in claims.items() if claim.demand > 0}
    left = 1.0
    while open_now and left > _NOTHING:
        unit = left / math.fsum(claims[run].weight for run in open_now)
        sated = {
            run
            for run in open_now
            if given[run] + unit * claims[run].weight >= claims[run].demand - _NOTHING
        }
        if not sated:
            for run in open_now:
                given[run] += unit * claims[run].weight
            break
        # Those that want less than their share get what they want, and the rest is shared anew.
        for run in sated:
            left -= claims[run].demand - given[run]
            given[run] = claims[run].demand
        open_now -= sated
    return given


class Shared:
    """The room of an engine among the runs of this process. Thread-safe.

    Only runs that ask for the same kind of worker share: others meet at the
    workers, which take from each queue in turn.
    """

    def __init__(self) -> None:
        """Nobody is there yet."""
        self._lock = threading.Lock()
        self._claims: dict[str, tuple[str, Claim]] = {}

    def room(self, run: str, shape: str, claim: Claim) -> int:
        """How many more tasks this run may give out now, given what it has just said of itself.

        One is always allowed to who has none out, so that no run stands still.
        """
        with self._lock:
            self._claims[run] = (shape, claim)
            same = {one: said for one, (other, said) in self._claims.items() if other == shape}
        part = shares(same)[run] if len(same) > 1 else 1.0
        return max(math.floor(part * claim.window + 0.5), 1) - claim.held

    def leave(self, run: str) -> None:
        """This run gives nothing out any more."""
        with self._lock:
            self._claims.pop(run, None)
