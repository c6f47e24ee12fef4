"""The actors of a crew: asked for, fed, heard, let go. All of it under the crew's lock."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Final

from grange.core.tasks import JSON
from grange.engines.ray import joining
from grange.engines.ray.actor import Actor, Answer
from grange.engines.ray.host import PROTOCOL
from grange.engines.ray.post import Post, Seat
from grange.engines.ray.reach import Events, Order, Reach
from grange.engines.ray.wording import of_actor
from grange.errors import GrangeError, WorkerStartFailed

# An idle actor stays for so long, with its models loaded.
KEEP_SECONDS = 30.0
# An actor of which nothing was heard for so many leases is killed.
PATIENCE_LEASES = 3.0
# Actors that end so often in a row before their first report will not do better the next time.
START_TRIES: Final = 3
# An actor that ends may be the first that is seen of its whole cluster's end: then nobody is to
# blame. So its end is believed if the cluster answers what it is asked after this.
DOUBT_SECONDS = 3.0


class Posts:
    """Actors of one kind. What they answer becomes an event, for the crew's thread to take."""

    def __init__(
        self,
        order: Order,
        reach: Reach,
        events: Events,
        *,
        fail: Callable[[GrangeError], None],
        changed: Callable[[], None],
    ) -> None:
        """Begin with none. `changed` is called when there is something to collect."""
        self._needs, self._terms = order.needs, order.terms
        self._reach = reach
        self._events = events
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
            if post.closing and not post.held and not post.ended:
                self._dismiss(post)

    def dismiss(self) -> None:
        """Let go of all of them, whatever they do."""
        for post in self:
            self._dismiss(post)

    def kill(self) -> None:
        """End those that are still there."""
        for post in self:
            self._remove(post)

    def in_doubt(self, now: float) -> bool:
        """Whether it matters now that the cluster answers."""
        return any(due <= now for due, _, _ in self._doubted) or any(
            self._is_silent(post, now) for post in self
        )

    def watch(self) -> None:
        """Believe the ends of actors, as far as the cluster has answered since.

        Those of which nothing was heard for very long are killed.
        """
        answered_at = self._reach.answered_at
        due = [one for one in self._doubted if one[0] <= answered_at]
        self._doubted = [one for one in self._doubted if one[0] > answered_at]
        for _, post, words in due:
            if post in self._every:
                self._mourn(post, words)
        for post in self:
            if self._is_silent(post, answered_at):
                self._mourn(post, "It gave no sign of life any more and was killed.")

    def _is_silent(self, post: Post, now: float) -> bool:
        return post.ready and now - post.heard_at > PATIENCE_LEASES * self._terms.lease_seconds

    def lose(self) -> None:
        """None is reached any more; what they had the ledger may give out again."""
        if not self._every:
            return
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
        post = Post(next(self._numbers), Actor(self._reach.line, self._terms, self._needs))
        self._every.append(post)
        self._ask(post)

    def _ask(self, post: Post) -> None:
        post.actor.call("report", post.seen, self._then(self._hear, post))

    def _tell(self, post: Post) -> None:
        """Say what there is to say, unless it has not taken in the last yet: order matters."""
        message = None if post in self._giving else post.message()
        if message is not None:
            self._giving.add(post)
            data = json.dumps(message, separators=(",", ":")).encode()
            post.actor.call("give", data, self._then(self._told, post))

    def _told(self, post: Post, answer: Answer) -> None:
        self._giving.discard(post)
        # That it has ended is said by its report too.
        if post in self._every and answer.exception() is None:
            self._reach.heard()
            self._tell(post)

    def _hear(self, post: Post, answer: Answer) -> None:
        if post not in self._every:
            return
        error = answer.exception()
        if error is not None:
            self._miss(post, error)
            return
        self._reach.heard()
        if post.leaving:
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

    def _miss(self, post: Post, error: BaseException) -> None:
        """No report came, and there will be no other."""
        if not joining.is_of_actor(error):
            self._reach.failed(error)
        elif not post.leaving:
            # It gets nothing more meanwhile.
            post.closing = post.ended = True
            self._doubted.append((time.monotonic() + DOUBT_SECONDS, post, of_actor(error)))

    def _mourn(self, post: Post, words: str) -> None:
        """An actor has ended, or is to end of its silence."""
        self._remove(post)
        post.lose(f"The worker's actor has ended: {words}", blameless=False)
        self._changed()
        if not post.ready:
            self._early_deaths += 1
            if self._early_deaths >= START_TRIES:
                self._early_deaths = 0
                message = f"Workers on the Ray cluster end before they do any work: {words}"
                self._fail(WorkerStartFailed(message, hint="See: ray status"))

    def _dismiss(self, post: Post) -> None:
        """Let it end its worker first: what that has started ends with it."""
        if not post.leaving:
            post.closing = post.leaving = True
            post.actor.close(self._then(lambda one, _: self._remove(one), post))

    def _remove(self, post: Post) -> None:
        with suppress(ValueError):
            self._every.remove(post)
        self._giving.discard(post)
        post.actor.kill()

    def _then(self, do: Callable[[Post, Answer], None], post: Post) -> Callable[[Answer], None]:
        """Have the crew's thread do it once the answer is there."""
        return lambda answer: self._events.put(partial(do, post, answer))


def _other_version(data: JSON) -> WorkerStartFailed:
    there, here = data["versions"]["grange"], version("grange")
    message = f"The machines of the Ray cluster have Grange {there}, this one has {here}."
    return WorkerStartFailed(message, hint=f"Install there: pip install 'grange=={here}'")
