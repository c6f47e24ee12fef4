"""How many messages of each shape a station asks for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from grange.core.resources import Needs, needs_of
from grange.worker.station.appetite import Appetite
from grange.worker.station.gate import Gate, is_small
from grange.worker.station.holding import Holding, Phase

# A large task waits for so long for a machine that has room, before one that has none makes room.
PATIENCE_SECONDS: Final = 30.0
# It is asked for so long then: what waits at the broker comes at once.
ASKING_SECONDS: Final = 5.0


class Turns:
    """When a machine that is never free for a large task asks for one all the same.

    Small tasks fill it up again as soon as one of them ends. A large one that was
    taken waits at the gate with all that comes after it, until there is room.
    """

    def __init__(self) -> None:
        """Nothing has waited yet."""
        self._since: dict[str, float] = {}

    def had_room(self, shape: str) -> None:
        """Such a task could have come just now."""
        self._since.pop(shape, None)

    def is_due(self, shape: str, now: float) -> bool:
        """Whether to ask for one, though there is no room."""
        since = self._since.setdefault(shape, now)
        if now - since >= PATIENCE_SECONDS + ASKING_SECONDS:
            # None came, so none waits.
            self._since[shape] = now
            return False
        return now - since >= PATIENCE_SECONDS


def credit(
    shapes: Iterable[str],
    holding: Holding,
    gate: Gate,
    appetite: Appetite,
    *,
    travelling: bool,
    turns: Turns,
    now: float,
) -> dict[str, int]:
    """How many more of each to ask for; what is not named is not asked for.

    Of what needs more than a core only what can begin at once is, and one more
    where it soon can, or is due: it would wait here while another machine has room.
    While one is waited for, of others only what can begin beside it.
    """
    wanted = {}
    waiting: Counter[Needs] | None = None
    held_up = gate.is_held_up
    for shape in shapes:
        needs = needs_of(shape)
        if waiting is None and (held_up or not is_small(needs)):
            waiting = _waiting(holding)
        if is_small(needs):
            count = appetite.messages(holding.undone, travelling=travelling)
            if held_up and waiting is not None:
                count = min(count, gate.count(needs) - waiting[needs])
        elif waiting is not None:
            fits = gate.count(needs)
            if fits or held_up:
                turns.had_room(shape)
            soon = travelling or appetite.is_quick
            if not (fits or soon or held_up):
                soon = turns.is_due(shape, now)
            count = max(fits, int(soon)) - waiting[needs]
        if count > 0:
            wanted[shape] = count
    return wanted


def _waiting(holding: Holding) -> Counter[Needs]:
    return Counter(
        held.needs for held in holding if held.phase in {Phase.COMING, Phase.READY, Phase.RESTING}
    )
