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
from collections.abc import Callable, Collection
from contextlib import suppress

from grange.core.tasks import Batch
from grange.engines.base import Health, WorkerView
from grange.engines.ray.post import Seat
from grange.engines.ray.posts import KEEP_SECONDS, Posts
from grange.engines.ray.reach import Events, Order, Reach
from grange.errors import EngineError, GrangeError

# How often the crew is looked after when nothing else wakes its thread.
CARE_SECONDS = 0.25
# How long actors may take to end their workers.
CLOSE_SECONDS = 5.0
# How long all that belongs to the end may take.
DISMISS_SECONDS = 15.0
# What can't be begun is tried again after this, for whoever is there then.
FAIL_PAUSE_SECONDS = 10.0
# As long as no actor has room, that is said after this.
WAIT_SECONDS = 10.0


class Crew:
    """Feeds actors with what engines publish. Its methods may be called from any thread.

    None of them waits for the cluster, and neither does anything that holds the lock.
    """

    def __init__(self, order: Order, rivals: Callable[[], int]) -> None:
        """Begin with no actor; the first engine that enters starts it all.

        `rivals` says how many crews have work for the same cluster.
        """
        self.order = order
        self._rivals = rivals
        self.lock = threading.Condition(threading.RLock())
        self.over = False
        self.is_busy = False
        self._seats: list[Seat] = []
        self._seat_numbers = itertools.count(1)
        self._events: Events = queue.SimpleQueue()
        self._reach = Reach(order, self._events)
        self._posts = Posts(order, self._reach, self._events, fail=self._fail, changed=self._change)
        self._failure: GrangeError | None = None
        self._was_up = False
        self._rest_until = 0.0
        self._health = Health("down", time.time(), self._reach.trouble)
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
        self._events.put(None)

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
            return max(0, self._reach.most * (1 + (seat.window > 1)) * seat.window - seat.out)

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
            self._events.put(None)
            self._thread.join(DISMISS_SECONDS)

    # ---- the thread

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._turn()
                self._wait(CARE_SECONDS)
            except GrangeError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001  # a thread that dies tells nobody
                self._fail(EngineError(f"Something unforeseen: {error!r}"))
            self._give_up()
        self._end()

    def _turn(self) -> None:
        now = time.monotonic()
        rivals = self._rivals()
        with self.lock:
            ask = self._posts.in_doubt(now)
            up = self._reach.look(ask=ask)
            if up and not self._was_up:
                self._was_up = True
                # Said after Ray was imported, and so done before that ends by itself.
                atexit.register(self.dismiss, whatever=True)
            if not up:
                # The cluster's end is no actor's fault, and no task's.
                self._posts.lose()
                self._say_down(self._reach.trouble)
            elif now >= self._rest_until:
                self._posts.watch()
                self._resize(rivals)
                self._posts.feed(self._seats)
                self._say_how(now)

    def _resize(self, rivals: int) -> None:
        out = sum(seat.out for seat in self._seats)
        self.is_busy = out > 0
        # Work of other kinds has its part of the cluster, even if it came later.
        most = self._reach.most
        share = self.order.workers or max(1, most // max(1, rivals))
        self._posts.resize(self.order.workers or min(out, share), share)

    def _wait(self, seconds: float) -> None:
        """Take what has come, or else what comes within that time."""
        with suppress(queue.Empty):
            event = self._events.get(timeout=seconds)
            while True:
                if event is not None:
                    with self.lock:
                        event()
                event = self._events.get_nowait()

    def _is_over(self) -> bool:
        with self.lock:
            alone = time.monotonic() - self._alone_since
            if not self._seats and (alone > KEEP_SECONDS or not self._reach.is_up):
                self.over = True
            return self.over

    def _end(self) -> None:
        """Let the actors end, and leave the cluster."""
        with self.lock:
            self._posts.dismiss()
        until = time.monotonic() + CLOSE_SECONDS
        while len(self._posts) and time.monotonic() < until and self._is_heard():
            self._wait(CARE_SECONDS)
        with self.lock:
            self._posts.kill()
        self._reach.close()
        atexit.unregister(self.dismiss)

    def _is_heard(self) -> bool:
        with suppress(GrangeError):
            return self._reach.look(ask=True) and not self._reach.is_quiet
        return False

    # ---- saying how it is

    def _change(self) -> None:
        self._posts.feed(self._seats)
        self.lock.notify_all()

    def _fail(self, error: GrangeError) -> None:
        self._failure = error

    def _give_up(self) -> None:
        """Where nothing can be done, let all who are there hear of it; others may try later."""
        with self.lock:
            error, self._failure = self._failure, None
            if error is None:
                return
            for seat in self._seats:
                seat.error = error
            self._posts.kill()
            self._rest_until = time.monotonic() + FAIL_PAUSE_SECONDS
            self._say_down(str(error))
            self.lock.notify_all()
        # Whatever it was, this thread must not spin.
        time.sleep(CARE_SECONDS)

    def _say_down(self, reason: str) -> None:
        if (self._health.state, self._health.reason) != ("down", reason):
            since = self._health.since if self._health.state == "down" else time.time()
            self._health = Health("down", since, reason)

    def _say_how(self, now: float) -> None:
        if self._reach.trouble:
            self._say_down(self._reach.trouble)
        elif not len(self._posts) or any(post.ready for post in self._posts):
            self._empty_since = now
            if self._health.state == "down":
                self._health = Health("up", time.time())
        elif now - self._empty_since > WAIT_SECONDS:
            self._say_down("The Ray cluster has no room for workers with what the run needs.")
