"""The engine of one run on Ray: what it gives to its crew, and gets of it."""

from __future__ import annotations

import time
from collections.abc import Collection

from grange.core.resources import Needs
from grange.core.tasks import Batch, Outcome
from grange.engines.base import Engine, Health, WorkerView
from grange.engines.ray import joining
from grange.engines.ray.crew import Crew
from grange.engines.ray.crews import enter_crew
from grange.engines.ray.host import Terms
from grange.engines.ray.post import Seat
from grange.engines.ray.reach import Order

# Signs of life come so often within a lease, and once a second at least.
BEATS = 4


class RayEngine(Engine):
    """Feeds actors of a Ray cluster. See `Engine` for what it promises.

    All engines of a process with the same cluster and needs share the actors,
    which stay warm for a while after the last engine has closed.
    """

    def __init__(self, order: Order) -> None:
        """Prepare an engine. Nothing is started, and Ray not imported."""
        self._order = order
        self._seat = Seat()
        self._crew: Crew | None = None

    def start(self) -> None:
        """Join the cluster and start workers, both in the background.

        Raises:
            ExtraMissing: Ray is not installed.
        """
        if self._crew is None:
            joining.check_there()
            self._crew = enter_crew(self._order, self._seat)

    def room(self) -> int:
        """How many more tasks keep every worker fed for a while."""
        if self._crew is None:
            return self._order.workers or 1
        return self._crew.room(self._seat)

    def publish(self, batch: Batch) -> None:
        """Queue the tasks; workers get them in this order."""
        self.start()
        if self._crew is not None:
            self._crew.publish(self._seat, batch)

    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """What came back. Workers are looked after by a thread, also in between."""
        if self._crew is None:
            return []
        seat = self._seat
        until = time.monotonic() + timeout_seconds
        with self._crew.lock:
            while not seat.outcomes and not seat.rung and seat.error is None:
                left = until - time.monotonic()
                if left <= 0 or not self._crew.lock.wait(left):
                    break
            seat.rung = False
            if seat.error is not None:
                raise seat.error
            came, seat.outcomes = seat.outcomes, []
            return came

    def alive(self) -> list[int]:
        """Tasks in the queue, and those of actors that gave a sign of life within a lease."""
        return [] if self._crew is None else self._crew.alive(self._seat)

    def abandon(self, tasks: Collection[int]) -> None:
        """Drop them from the queue, and have their actors kill whoever is at one of them."""
        if self._crew is not None:
            self._crew.abandon(self._seat, tasks)

    def workers(self) -> list[WorkerView]:
        """What each worker is doing, as its actor told lately."""
        return [] if self._crew is None else self._crew.views()

    def ring(self) -> None:
        """Wake whoever collects."""
        if self._crew is not None:
            with self._crew.lock:
                self._seat.rung = True
                self._crew.lock.notify_all()

    def health(self) -> Health | None:
        """Whether the cluster is joined and has workers."""
        return None if self._crew is None else self._crew.health()

    def close(self) -> None:
        """Have all that is out killed with what it started; idle actors stay warm for a while."""
        if self._crew is not None:
            self._crew.leave(self._seat)
            self._crew = None
            self._seat = Seat()


def open_ray(
    address: str,
    *,
    needs: Needs | None = None,
    workers: int | None = None,
    lease_seconds: float = 60.0,
    recycle_bytes: int = 1 << 30,
    withheld: Collection[str] = (),
    **_of_others: object,
) -> RayEngine:
    """The engine of a Ray cluster: `ray` starts one here, `ray://HOST:PORT` joins one.

    What engines of other kinds want to know, such as the run, is not needed.
    """
    terms = Terms(
        lease_seconds=lease_seconds,
        beat_seconds=min(1.0, lease_seconds / BEATS),
        recycle_bytes=recycle_bytes,
        withheld=tuple(sorted(withheld)),
    )
    return RayEngine(Order(address, needs or Needs(), workers, terms))
