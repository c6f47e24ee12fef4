"""The crews of this process: one for each kind of work on each cluster."""

from __future__ import annotations

import threading
from functools import partial

from grange.engines.ray.crew import Crew
from grange.engines.ray.post import Seat
from grange.engines.ray.reach import Order

_crews: dict[Order, Crew] = {}
_lock = threading.Lock()


def dismiss(*, whatever: bool = False) -> None:
    """End all actors that are only kept warm, or all `whatever` they do; and wait for that."""
    with _lock:
        crews = list(_crews.values())
    for crew in crews:
        crew.dismiss(whatever=whatever)


def enter_crew(order: Order, seat: Seat) -> Crew:
    """The crew for this order, which works for that engine too now."""
    with _lock:
        crew = _crews.get(order)
        if crew is None or not crew.enter(seat):
            crew = _crews[order] = Crew(order, partial(_busy, order.address))
            crew.enter(seat)
        return crew


def _busy(address: str) -> int:
    """How many kinds of work there are for one cluster."""
    with _lock:
        crews = [crew for crew in _crews.values() if crew.order.address == address]
    return sum(crew.is_busy and not crew.over for crew in crews)
