"""The actors of one kind that this process has on a Ray cluster, and the thread that minds them.

Engines of runs with the same needs share a crew, so that models stay loaded
and no run holds machines that another one could use.
"""

from __future__ import annotations

import atexit
import itertools
import queue
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from grange.core.resources import Needs
from grange.core.tasks import Batch
from grange.engines.base import Health, WorkerView
from grange.engines.ray import joining
from grange.engines.ray.host import Terms
from grange.engines.ray.post import Seat
from grange.engines.ray.posts import KEEP_SECONDS, Posts
from grange.errors import EngineError, ExtraMissing, GrangeError, WorkerStartFailed

# How often the crew is looked after when nothing else wakes its thread.
CARE_SECONDS = 0.25
# How often the cluster is asked how many workers it has room for.
COUNT_SECONDS = 10.0
MOST_WORKERS: Final = 1024
# How long actors may take to end their workers.
CLOSE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# As long as no actor has room, that is said after this.
WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """Which actors are wanted: where, for what needs, how many.

    Without a number there are as many as the tasks that are out, and no more
    than the cluster has room for.
    """

    address: str
    needs: Needs
    workers: int | None
    terms: Terms


class Crew:
    """Feeds actors with what engines publish. Its methods may be called from any thread."""

    def __init__(self, order: Order) -> None:
        """Begin with no actor; the first engine that enters starts it all."""
        self.order = order
        self.lock = threading.Condition(threading.RLock())
        self.over = False
        self.is_busy = False
        self._seats: list[Seat] = []
        self._seat_numbers = itertools.count(1)
        self._posts = Posts(order.needs, order.terms, fail=self._fail, changed=self._change)
        self._joined = False
        self._health = Health("down", time.time(), "The Ray cluster is being joined.")
        self._pause_seconds = 0.0
        self._next_count = 0.0
        self._most = order.workers or 1
        self._empty_since = self._alone_since = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)

    # ---- for engines

    def enter(self, seat: Seat) -> bool:
        """Work for this engine too. False when the crew has just ended."""
        with self.lock:
            if self.over:
                return False
            seat.number = next(self._seat_numbers)
            self._seats.append(seat)
            if not self._thread.is_alive():
                self._thread.start()
            return True

    def leave(self, seat: Seat) -> None:
        """Stop all that this engine has out, and forget it."""
        with self.lock:
            self.abandon(seat, [*seat.held, *(task.id for _, task in seat.queue)])
            seat.outcomes.clear()
            with suppress(ValueError):
                self._seats.remove(seat)
            self._alone_since = time.monotonic()

    def publish(self, seat: Seat, batch: Batch) -> None:
        """Queue tasks, and give them to those who have room."""
        with self.lock:
            job = batch.job
            seat.queue.extend([(job, task) for task in batch.tasks])
            self._posts.feed(self._seats)
        self._posts.events.put(None)

    def abandon(self, seat: Seat, tasks: Collection[int]) -> None:
        """Drop them from the queue, and have them stopped where they are."""
        unwanted = set(tasks)
        with self.lock:
            if any(task.id in unwanted for _, task in seat.queue):
                kept = [one for one in seat.queue if one[1].id not in unwanted]
                seat.queue.clear()
                seat.queue.extend(kept)
            seat.outcomes = [one for one in seat.outcomes if one.task not in unwanted]
            self._posts.drop(seat, unwanted)

    def room(self, seat: Seat) -> int:
        """How many more tasks this engine could have out if it were alone."""
        with self.lock:
            # One helping is with the actor, the next one is at hand.
            return max(0, self._most * (1 + (seat.window > 1)) * seat.window - seat.out)

    def alive(self, seat: Seat) -> list[int]:
        """What is queued, and what is held by actors that show signs of life."""
        with self.lock:
            held = set(seat.held)
            for post in self._posts:
                held.difference_update(post.stale(self.order.terms.lease_seconds))
            return [*(task.id for _, task in seat.queue), *held]

    def views(self) -> list[WorkerView]:
        """What each worker does."""
        with self.lock:
            return [view for post in self._posts for view in post.views()]

    def health(self) -> Health:
        """Whether there are workers to be reached."""
        with self.lock:
            return self._health

    def dismiss(self, *, whatever: bool = False) -> None:
        """End now, unless an engine is there; returns when that is done."""
        with self.lock:
            self.over = self.over or whatever or not self._seats
            started = self._thread.is_alive()
        if self.over and started:
            self._posts.events.put(None)
            self._thread.join(2 * CLOSE_SECONDS)

    # ---- the thread

    def _run(self) -> None:
        while not self._is_over():
            try:
                if self._is_joined():
                    self._turn()
            except GrangeError as error:
                self._fail(error)
        self._end()

    def _is_joined(self) -> bool:
        if self._joined and joining.is_joined():
            return True
        if self._joined:
            self._lose_all()
        try:
            joining.join(self.order.address, self.order.needs, self.order.workers)
        except (ExtraMissing, WorkerStartFailed):
            raise
        except EngineError as error:
            if self.order.address == joining.LOCAL:
                raise
            self._say_down(str(error))
            self._rest()
            return False
        if not self._pause_seconds:
            # Said after Ray was imported, and so done before that ends by itself.
            atexit.register(self.dismiss, whatever=True)
        self._joined = True
        return True

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            most = self.order.workers or joining.fitting(self.order.needs, MOST_WORKERS)
            with self.lock:
                self._most = most
        with self.lock:
            self._posts.watch()
            self._resize()
            self._posts.feed(self._seats)
            self._say_up(now)
        self._wait(CARE_SECONDS)

    def _resize(self) -> None:
        out = sum(seat.out for seat in self._seats)
        self.is_busy = out > 0
        # Work of other kinds has its part of the cluster, even if it came later.
        share = self.order.workers or max(1, self._most // max(1, _busy(self.order.address)))
        self._posts.resize(self.order.workers or min(out, share), share)

    def _wait(self, seconds: float) -> None:
        with suppress(queue.Empty):
            event = self._posts.events.get(timeout=seconds)
            while True:
                if event is not None:
                    with self.lock:
                        event()
                event = self._posts.events.get_nowait()

    def _rest(self) -> None:
        doubled = max(FIRST_PAUSE_SECONDS, 2 * self._pause_seconds)
        self._pause_seconds = min(doubled, LONGEST_PAUSE_SECONDS)
        until = time.monotonic() + self._pause_seconds
        while time.monotonic() < until and not self._is_over():
            self._wait(CARE_SECONDS)

    def _is_over(self) -> bool:
        with self.lock:
            alone = time.monotonic() - self._alone_since
            if not self._seats and (alone > KEEP_SECONDS or not self._joined):
                self.over = True
            return self.over

    def _end(self) -> None:
        """Let the actors end, and leave the cluster."""
        with self.lock:
            self._posts.dismiss()
        until = time.monotonic() + CLOSE_SECONDS
        while len(self._posts) and time.monotonic() < until:
            self._wait(CARE_SECONDS)
        with self.lock:
            self._posts.kill()
        if self._joined:
            self._joined = False
            joining.leave()

    # ---- saying how it is

    def _change(self) -> None:
        self._posts.feed(self._seats)
        self.lock.notify_all()

    def _lose_all(self) -> None:
        """The cluster is out of reach."""
        self._joined = False
        with self.lock:
            self._posts.lose()
        self._say_down("The connection to the Ray cluster has broken.")
        joining.leave()

    def _fail(self, error: GrangeError) -> None:
        """Nothing can be done: whoever collects hears of it."""
        with self.lock:
            self.over = True
            for seat in self._seats:
                seat.error = error
            self.lock.notify_all()

    def _say_down(self, reason: str) -> None:
        with self.lock:
            since = self._health.since if self._health.state == "down" else time.time()
            self._health = Health("down", since, reason)

    def _say_up(self, now: float) -> None:
        if not len(self._posts) or any(post.ready for post in self._posts):
            self._empty_since = now
            if self._health.state == "down":
                self._health = Health("up", time.time())
        elif now - self._empty_since > WAIT_SECONDS:
            self._say_down("The Ray cluster has no room for workers with what the run needs.")


_crews: dict[Order, Crew] = {}
_crews_lock = threading.Lock()


def dismiss() -> None:
    """End all actors that are only kept warm, and wait for that."""
    with _crews_lock:
        crews = list(_crews.values())
    for crew in crews:
        crew.dismiss()


def enter_crew(order: Order, seat: Seat) -> Crew:
    """The crew for this order, which works for that engine too now."""
    with _crews_lock:
        crew = _crews.get(order)
        if crew is None or not crew.enter(seat):
            crew = _crews[order] = Crew(order)
            crew.enter(seat)
        return crew


def _busy(address: str) -> int:
    """How many kinds of work there are for one cluster."""
    with _crews_lock:
        crews = [crew for crew in _crews.values() if crew.order.address == address]
    return sum(crew.is_busy and not crew.over for crew in crews)
