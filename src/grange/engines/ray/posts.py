"""The actors of a crew: asked for, fed, heard, let go. All of it under the crew's lock."""

from __future__ import annotations

import itertools
import json
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from grange.core.resources import Needs
from grange.core.tasks import JSON
from grange.engines.ray import joining
from grange.engines.ray.host import PROTOCOL, Terms
from grange.engines.ray.post import Post, Seat
from grange.errors import GrangeError, WorkerStartFailed

# An idle actor stays for so long, with its models loaded.
KEEP_SECONDS = 30.0
# An actor of which nothing was heard for so many leases is killed.
PATIENCE_LEASES = 3.0
# Actors that end so often in a row before their first report will not do better the next time.
START_TRIES: Final = 3
# An actor that ends may be the first that is seen of its whole cluster's end: then nobody is to
# blame. So its end is believed after this, if the cluster is there then.
DOUBT_SECONDS = 3.0

Answer = Future[Any]


class Posts:
    """Actors of one kind. What they answer becomes an event, for the crew's thread to take."""

    def __init__(
        self,
        needs: Needs,
        terms: Terms,
        *,
        fail: Callable[[GrangeError], None],
        changed: Callable[[], None],
    ) -> None:
        """Begin with none. `changed` is called when there is something to collect."""
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._needs = needs
        self._terms = terms
        self._fail = fail
        self._changed = changed
        self._every: list[Post] = []
        self._giving: set[Post] = set()
        self._numbers = itertools.count(1)
        self._early_deaths = 0
        self._doubted: list[tuple[float, Post, str]] = []

    def __iter__(self) -> Iterator[Post]:
        return iter(tuple(self._every))

    def __len__(self) -> int:
        return len(self._every)

    # ---- how many

    def resize(self, wanted: int, most: int) -> None:
        """Ask for as many as are wanted; let go of those beyond `most`, and of long idle ones."""
        staying = [post for post in self._every if not post.closing]
        for _ in range(wanted - len(staying)):
            self._hire()
        # Those who have least to finish go first.
        staying.sort(key=lambda post: len(post.held))
        for post in staying[: max(0, len(staying) - most)]:
            post.closing = True
        for post in staying[: max(0, len(staying) - wanted)]:
            if not post.held and time.monotonic() - post.busy_at > KEEP_SECONDS:
                post.closing = True
        for post in self:
            if post.closing and not post.held:
                self._dismiss(post)

    def dismiss(self) -> None:
        """Let go of all of them, whatever they do."""
        for post in self:
            self._dismiss(post)

    def kill(self) -> None:
        """End those that are still there."""
        for post in self:
            self._remove(post)

    def watch(self) -> None:
        """Kill those of which nothing was heard for very long; believe the ends of others."""
        now = time.monotonic()
        due = [one for one in self._doubted if one[0] <= now]
        self._doubted = [one for one in self._doubted if one[0] > now]
        for _, post, words in due:
            if post in self._every:
                self._mourn(post, words)
        limit = PATIENCE_LEASES * self._terms.lease_seconds
        for post in self:
            if post.ready and post.silent_seconds() > limit:
                self._mourn(post, "It gave no sign of life any more and was killed.")

    def lose(self) -> None:
        """None is reached any more; what they had the ledger may give out again."""
        for post in self._every:
            post.lose("", blameless=True)
        self._every.clear()
        self._giving.clear()
        self._doubted.clear()
        self._changed()

    # ---- work

    def feed(self, seats: Sequence[Seat]) -> None:
        """Give actors what they have room for, of each engine a part."""
        hungry = [seat for seat in seats if seat.queue]
        ready = [post for post in self._every if post.ready]
        for post in ready if hungry else ():
            for seat in hungry:
                # A share for everyone: at a run's end the last tasks are spread over all workers.
                share = -(-len(seat.queue) // len(ready))
                count = min(-(-post.appetite(seat) // len(hungry)), share)
                if count > 0:
                    post.hold(seat, seat.pick(count))
            # Whoever was first is the last one at the next actor.
            hungry = hungry[1:] + hungry[:1]
            self._tell(post)

    def drop(self, seat: Seat, unwanted: set[int]) -> None:
        """Have these tasks of an engine stopped where they are."""
        for post in self._every:
            hit = [one for one in unwanted & post.held.keys() if post.held[one].seat is seat]
            if hit:
                post.drop(hit)
                seat.held.difference_update(hit)
                self._tell(post)

    # ---- one of them

    def _hire(self) -> None:
        post = Post(next(self._numbers), joining.Actor(self._terms, self._needs))
        self._every.append(post)
        self._ask(post)

    def _ask(self, post: Post) -> None:
        _try(partial(post.actor.call, "report", post.seen, self._then(self._hear, post)))

    def _tell(self, post: Post) -> None:
        """Say what there is to say, unless it has not taken in the last yet: order matters."""
        message = None if post in self._giving else post.message()
        if message is not None:
            self._giving.add(post)
            data = json.dumps(message, separators=(",", ":")).encode()
            _try(partial(post.actor.call, "give", data, self._then(self._told, post)))

    def _told(self, post: Post, answer: Answer) -> None:
        self._giving.discard(post)
        # That it has ended is said by its report too.
        if post in self._every and answer.exception() is None:
            self._tell(post)

    def _hear(self, post: Post, answer: Answer) -> None:
        if post not in self._every or post.leaving:
            return
        error = answer.exception()
        if error is not None:
            # It gets nothing more meanwhile.
            post.closing = True
            words = joining.of_actor(error)
            self._doubted.append((time.monotonic() + DOUBT_SECONDS, post, words))
            return
        data = json.loads(answer.result())
        if data["protocol"] != PROTOCOL:
            self._fail(_other_version(data))
        elif "broken" in data:
            self._mourn(post, data["broken"])
        else:
            self._early_deaths = 0
            post.hear(data)
            self._ask(post)
            self._changed()

    def _mourn(self, post: Post, words: str) -> None:
        """An actor has ended, or is to end of its silence."""
        self._remove(post)
        post.lose(f"The worker's actor has ended: {words}", blameless=False)
        self._changed()
        if not post.ready:
            self._early_deaths += 1
            if self._early_deaths >= START_TRIES:
                message = f"Workers on the Ray cluster end before they do any work: {words}"
                self._fail(WorkerStartFailed(message, hint="See: ray status"))

    def _dismiss(self, post: Post) -> None:
        """Let it end its worker first: what that has started ends with it."""
        if not post.leaving:
            post.closing = post.leaving = True
            _try(partial(post.actor.close, self._then(lambda one, _: self._remove(one), post)))

    def _remove(self, post: Post) -> None:
        with suppress(ValueError):
            self._every.remove(post)
        self._giving.discard(post)
        post.actor.kill()

    def _then(self, do: Callable[[Post, Answer], None], post: Post) -> Callable[[Answer], None]:
        """Have the crew's thread do it once the answer is there."""
        return lambda answer: self.events.put(partial(do, post, answer))


def _try(call: Callable[[], None]) -> None:
    """Say something to an actor; one that is out of reach is noticed elsewhere."""
    with suppress(Exception):  # Ray has many kinds of errors for what is gone
        call()


def _other_version(data: JSON) -> WorkerStartFailed:
    there, here = data["versions"]["grange"], version("grange")
    message = f"The machines of the Ray cluster have Grange {there}, this one has {here}."
    return WorkerStartFailed(message, hint=f"Install there: pip install 'grange=={here}'")
