"""How many messages of each shape a station asks for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from grange.core.resources import Needs, needs_of
from grange.worker.station.appetite import Appetite
from grange.worker.station.gate import Gate, is_small
from grange.worker.station.holding import Holding, Phase


def credit(
    shapes: Iterable[str],
    holding: Holding,
    gate: Gate,
    appetite: Appetite,
    *,
    travelling: bool,
) -> dict[str, int]:
    """How many more of each to ask for; what is not named is not asked for.

    Of what needs more than a core only what can begin at once is, and one more
    where it soon can: it would wait here while another machine has room.
    """
    wanted = {}
    waiting: Counter[Needs] | None = None
    for shape in shapes:
        needs = needs_of(shape)
        if is_small(needs):
            count = appetite.messages(holding.undone, travelling=travelling)
        else:
            if waiting is None:
                waiting = _waiting(holding)
            soon = travelling or appetite.is_quick
            count = max(gate.count(needs), 1 if soon else 0) - waiting[needs]
        if count > 0:
            wanted[shape] = count
    return wanted


def _waiting(holding: Holding) -> Counter[Needs]:
    return Counter(
        held.needs for held in holding if held.phase in {Phase.COMING, Phase.READY, Phase.RESTING}
    )
