"""The actors of one kind that this process has on a Ray cluster, and the thread that minds them.

Engines of runs with the same needs share a crew, so that models stay loaded
and no run holds machines that another one could use.
"""

from __future__ import annotations

import atexit
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from grange.core.resources import Needs
from grange.core.tasks import JSON, Batch
from grange.engines.base import Health, WorkerView
from grange.engines.ray import joining
from grange.engines.ray.host import PROTOCOL, Terms
from grange.engines.ray.post import Post, Seat
from grange.errors import EngineError, ExtraMissing, GrangeError, WorkerStartFailed

# How often the crew is looked after when nothing else wakes its thread.
CARE_SECONDS = 0.25
# How often the cluster is asked how many workers it has room for.
COUNT_SECONDS = 10.0
MOST_WORKERS: Final = 1024
# Actors stay for so long after the last engine has closed, with their models loaded.
KEEP_SECONDS = 30.0
# An actor of which nothing was heard for so many leases is killed.
PATIENCE_LEASES = 3.0
# Actors that end so often in a row before their first report will not do better the next time.
START_TRIES = 3
# How long an actor may take to end its worker.
CLOSE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# As long as no actor has room, that is said after this.
WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """Which actors are wanted: where, for what needs, how many (None: as many as have room)."""

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
        self._seats: list[Seat] = []
        self._posts: list[Post] = []
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._seat_numbers = itertools.count(1)
        self._giving: set[Post] = set()
        self._joined = False
        self._health = Health("down", time.time(), "The Ray cluster is being joined.")
        self._early_deaths = 0
        self._pause_seconds = 0.0
        self._next_count = 0.0
        self._wanted = 0
        self._empty_since = time.monotonic()
        self._alone_since = time.monotonic()
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

    def dismiss(self, *, whatever: bool = False) -> None:
        """End now, unless an engine is there; returns when that is done."""
        with self.lock:
            self.over = self.over or whatever or not self._seats
            started = self._thread.is_alive()
        if self.over and started:
            self._events.put(None)
            self._thread.join(2 * CLOSE_SECONDS)

    def publish(self, seat: Seat, batch: Batch) -> None:
        """Queue tasks, and give them to those who have room."""
        with self.lock:
            job = batch.job
            seat.queue.extend([(job, task) for task in batch.tasks])
            self._feed()

    def abandon(self, seat: Seat, tasks: Collection[int]) -> None:
        """Drop them from the queue, and have them stopped where they are."""
        unwanted = set(tasks)
        with self.lock:
            if any(task.id in unwanted for _, task in seat.queue):
                kept = [one for one in seat.queue if one[1].id not in unwanted]
                seat.queue.clear()
                seat.queue.extend(kept)
            seat.outcomes = [one for one in seat.outcomes if one.task not in unwanted]
            for post in self._posts:
                hit = [one for one in unwanted & post.held.keys() if post.held[one].seat is seat]
                if hit:
                    post.drop(hit)
                    seat.held.difference_update(hit)
                    self._tell(post)

    def room(self, seat: Seat) -> int:
        """How many more tasks this engine could have out if it were alone."""
        with self.lock:
            posts = max(len(self._posts), self.order.workers or 1)
            # One helping is with the actor, the next one is at hand.
            return max(0, posts * (1 + (seat.window > 1)) * seat.window - seat.out)

    def alive(self, seat: Seat) -> list[int]:
        """What is queued, and what is held by actors that show signs of life.

        While the cluster can't be reached, all of it: nobody else could have it.
        """
        with self.lock:
            held = set(seat.held)
            if self._joined:
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
        workers = self.order.workers or MOST_WORKERS
        try:
            joining.join(self.order.address, workers=workers)
        except (ExtraMissing, WorkerStartFailed):
            raise
        except EngineError as error:
            if self.order.address == joining.LOCAL:
                raise
            self._say_down(str(error))
            self._rest()
            return False
        if not self._joined:
            # Said after Ray was imported, and so done before it ends by itself.
            atexit.register(self.dismiss, whatever=True)
        self._joined = True
        self._pause_seconds = 0.0
        return True

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            most = self.order.workers or MOST_WORKERS
            wanted = most if self.order.workers else joining.fitting(self.order.needs, most)
            with self.lock:
                self._wanted = wanted
        with self.lock:
            for post in [one for one in self._posts if not one.closing]:
                self._watch(post)
            for _ in range(self._wanted - len(self._posts)):
                self._hire()
            self._say_up()
        self._wait(CARE_SECONDS)

    def _wait(self, seconds: float) -> None:
        with suppress(queue.Empty):
            event = self._events.get(timeout=seconds)
            while True:
                if event is not None:
                    with self.lock:
                        event()
                event = self._events.get_nowait()

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
            posts, self._posts = self._posts, []
            left = set(posts)
            for post in posts:
                post.closing = True
                gone = self._later(lambda post, _: left.discard(post), post)
                self._call(partial(post.actor.close, gone))
        until = time.monotonic() + CLOSE_SECONDS
        while left and time.monotonic() < until:
            self._wait(CARE_SECONDS)
        for post in posts:
            post.actor.kill()
        if self._joined:
            self._joined = False
            joining.leave()

    # ---- actors, under the lock

    def _hire(self) -> None:
        post = Post(next(self._numbers), joining.Actor(self.order.terms, self.order.needs))
        self._posts.append(post)
        self._ask(post)

    def _ask(self, post: Post) -> None:
        heard = self._later(self._hear, post)
        self._call(partial(post.actor.call, "report", post.seen, heard))

    def _tell(self, post: Post) -> None:
        """Say what there is to say, unless it has not taken in the last yet: order matters."""
        if post in self._giving or post.closing:
            return
        message = post.message()
        if message is not None:
            self._giving.add(post)
            data = json.dumps(message, separators=(",", ":")).encode()
            self._call(partial(post.actor.call, "give", data, self._later(self._told, post)))

    def _told(self, post: Post, future: Future[Any]) -> None:
        self._giving.discard(post)
        # That it has ended is said by its report too.
        if post in self._posts and future.exception() is None:
            self._tell(post)

    def _hear(self, post: Post, future: Future[Any]) -> None:
        if post not in self._posts:
            return
        error = future.exception()
        if error is not None:
            self._mourn(post, joining.of_actor(error))
            return
        data = json.loads(future.result())
        if data["protocol"] != PROTOCOL:
            self._fail(_other_version(data))
        elif "broken" in data:
            self._mourn(post, data["broken"])
        else:
            self._early_deaths = 0
            post.hear(data)
            self._ask(post)
            self._feed()
            self.lock.notify_all()

    def _feed(self) -> None:
        seats = [seat for seat in self._seats if seat.queue]
        ready = [post for post in self._posts if post.ready]
        for post in ready:
            for seat in seats:
                # A share for everyone: at a run's end the last tasks are spread over all workers.
                share = -(-len(seat.queue) // len(ready))
                count = min(-(-post.appetite(seat) // len(seats)), share)
                if count > 0:
                    post.hold(seat, seat.pick(count))
            # Whoever was first is the last one at the next actor.
            seats = seats[1:] + seats[:1]
            self._tell(post)

    def _watch(self, post: Post) -> None:
        lease = self.order.terms.lease_seconds
        if post.ready and post.silent_seconds() > PATIENCE_LEASES * lease:
            self._mourn(post, "The actor gave no sign of life any more and was killed.")

    def _mourn(self, post: Post, words: str) -> None:
        """An actor has ended, or is to end of its silence."""
        self._posts.remove(post)
        self._giving.discard(post)
        post.actor.kill()
        post.lose(f"The worker's actor has ended: {words}", blameless=False)
        self._feed()
        self.lock.notify_all()
        if not post.ready:
            self._early_deaths += 1
            if self._early_deaths >= START_TRIES:
                message = f"Workers on the Ray cluster end before they do any work: {words}"
                self._fail(WorkerStartFailed(message, hint="See: ray status"))

    def _lose_all(self) -> None:
        """The cluster is out of reach: what was there the ledger may give out again."""
        with self.lock:
            for post in self._posts:
                post.lose("", blameless=True)
            self._posts, self._joined = [], False
            self._giving.clear()
            self.lock.notify_all()
        self._say_down("The connection to the Ray cluster has broken.")
        joining.leave()

    # ---- saying how it is

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

    def _say_up(self) -> None:
        now = time.monotonic()
        if any(post.ready for post in self._posts):
            self._empty_since = now
            if self._health.state == "down":
                self._health = Health("up", time.time())
        elif now - self._empty_since > WAIT_SECONDS:
            self._say_down("The Ray cluster has no room for workers with what the run needs.")

    def _later(
        self, do: Callable[[Post, Future[Any]], None], post: Post
    ) -> Callable[[Future[Any]], None]:
        """Have the crew's thread do it once the answer is there."""
        return lambda future: self._events.put(partial(do, post, future))

    def _call(self, call: Callable[[], None]) -> None:
        """Say something to an actor; one that is out of reach is noticed elsewhere."""
        with suppress(Exception):  # Ray has many kinds of errors for what is gone
            call()


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


def _other_version(data: JSON) -> WorkerStartFailed:
    there, here = data["versions"]["grange"], version("grange")
    message = f"The machines of the Ray cluster have Grange {there}, this one has {here}."
    return WorkerStartFailed(message, hint=f"Install there: pip install 'grange=={here}'")
