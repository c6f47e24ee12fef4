"""Whether a crew reaches its cluster: joined in the background, asked now and then, given up.

Ray tells late or never that a cluster is gone: its connections have a time of
grace, and a frozen cluster keeps all that is asked waiting. So what counts here
is what was heard of it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from grange.core.resources import Needs
from grange.engines.ray import joining
from grange.engines.ray.host import Terms
from grange.engines.ray.joining import Connection
from grange.engines.ray.line import Line
from grange.engines.ray.wording import of_connection
from grange.errors import EngineError, ExtraMissing, GrangeError, WorkerStartFailed

# How often the cluster is asked how many workers it has room for; when nothing was heard, sooner.
COUNT_SECONDS = 10.0
QUIET_SECONDS = 3.0
# A silent cluster is told of after this.
TELL_SECONDS = 6.0
# It is given up after half a lease, within these bounds: before the leases of its tasks end.
SHORTEST_PATIENCE_SECONDS = 10.0
LONGEST_PATIENCE_SECONDS = 30.0
# So long joining may take, with the start of a cluster of our own.
JOIN_SECONDS = 180.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
# So often in a row a cluster of our own may fail to start: on a busy machine Ray is impatient.
OWN_TRIES: Final = 3
# What people have to mend first is tried again after this.
HOPELESS_PAUSE_SECONDS = 30.0
# How long what is still to be said at the end may take.
CLOSE_SECONDS = 2.0
# And a cluster of our own.
END_SECONDS = 8.0
# An answer that took longer was on its way while nobody could be heard.
PROMPT_SECONDS = 2.0
# Between two looks no more than this counts as silence: this process may have slept.
_LONGEST_LOOK_SECONDS = 1.0
MOST_WORKERS: Final = 1024

Events = queue.SimpleQueue[Callable[[], None] | None]


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


class Reach:
    """A crew's way to its cluster. For the crew's thread, which takes the events too."""

    def __init__(self, order: Order, events: Events) -> None:
        """Nothing is joined yet."""
        self.most = order.workers or 1
        # When that question was asked which the cluster has answered last.
        self.answered_at = 0.0
        self._order = order
        self._events = events
        self._line: Line | None = None
        self._counter: Line | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._came: Connection | GrangeError | None = None
        self._closed = False
        self._join_until: float | None = None
        self._pause_seconds = self._next_join = 0.0
        self._tries = 0
        self._asked_at: float | None = None
        self._next_count = 0.0
        self._looked_at = time.monotonic()
        self._quiet_seconds = 0.0
        self._trouble = "The Ray cluster is being joined."
        lease = order.terms.lease_seconds
        self._patience = max(SHORTEST_PATIENCE_SECONDS, min(lease / 2, LONGEST_PATIENCE_SECONDS))

    @property
    def is_up(self) -> bool:
        """Whether the cluster is joined, be it silent."""
        return self._connection is not None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was heard of the cluster for a while."""
        return self._quiet_seconds > QUIET_SECONDS

    @property
    def line(self) -> Line:
        """By what actors are talked to, while the cluster is joined."""
        if self._line is None:
            self._line = Line("ray line")
        return self._line

    @property
    def trouble(self) -> str:
        """Why nothing can be done, for people; empty when all is well."""
        if self._connection is None:
            return self._trouble
        if self._quiet_seconds > TELL_SECONDS:
            return "The Ray cluster does not answer."
        return ""

    def look(self, *, ask: bool) -> bool:
        """Whether the cluster is there; asks it when `ask` says so, else now and then.

        Where it is not, it is joined in the background. Returns at once.

        Raises:
            ExtraMissing, WorkerStartFailed: It can't be joined, now or later.
            EngineError: A cluster of our own does not start.
        """
        now = time.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        if self._connection is None:
            self._settle(now)
            return self._connection is not None
        self._quiet_seconds += min(passed, _LONGEST_LOOK_SECONDS)
        if not joining.is_joined(self._connection):
            self.broke("The connection to the Ray cluster has broken.")
        elif self._quiet_seconds > self._patience:
            self.broke(f"The Ray cluster has not answered for {self._patience:.0f} seconds.")
        elif ask or now >= self._next_count or self.is_quiet:
            self._count(now)
        return self._connection is not None

    def heard(self) -> None:
        """Something came of the cluster."""
        self._quiet_seconds = 0.0

    def failed(self, error: BaseException) -> None:
        """An answer did not come, for a reason that is not its actor's."""
        self.broke(of_connection(error))

    def broke(self, words: str) -> None:
        """The connection is of no use any more; it is closed, and another one made."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._trouble = words
        joining.cut(connection)
        self._drop_lines()
        self.line.say(partial(joining.leave, connection))

    def close(self) -> None:
        """Say what is still to be said, and leave; both in a time that is bounded."""
        with self._lock:
            self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self.line.say(partial(joining.leave, connection))
        if self._line is not None and self._join_until is None:
            self._line.end()
            own = self._order.address == joining.LOCAL
            if (
                not self._line.wait(END_SECONDS if own else CLOSE_SECONDS)
                and connection is not None
            ):
                joining.cut(connection)
                self._line.wait(CLOSE_SECONDS)
        self._drop_lines()

    # ---- joining

    def _settle(self, now: float) -> None:
        """Take what joining came to, or begin with it."""
        with self._lock:
            came, self._came = self._came, None
        if isinstance(came, Connection):
            self._connection, self._join_until = came, None
            self._pause_seconds = self._quiet_seconds = self._next_count = 0.0
            self._asked_at = None
            self._tries = 0
        elif came is not None:
            self._put_off(now, came)
        elif self._join_until is None:
            if now >= self._next_join:
                self._join_until = now + JOIN_SECONDS
                self.line.say(partial(self._join, self.line))
        elif now > self._join_until:
            joining.cut_short()
            self._drop_lines()
            self._put_off(now, EngineError("The Ray cluster does not answer."))

    def _join(self, line: Line) -> None:
        """In the line's thread: join, unless nobody wants that any more when it is done."""
        order = self._order
        came: Connection | GrangeError
        try:
            came = joining.join(order.address, order.needs, order.workers)
        except GrangeError as error:
            came = error
        except Exception as error:  # noqa: BLE001  # a line keeps to itself what nobody takes
            came = EngineError(f"The Ray cluster can't be joined: {error!r}")
        with self._lock:
            wanted = not self._closed and line is self._line
            if wanted:
                self._came = came
        if not wanted and isinstance(came, Connection):
            joining.leave(came)
        self._events.put(None)

    def _put_off(self, now: float, error: GrangeError) -> None:
        self._join_until = None
        doubled = max(FIRST_PAUSE_SECONDS, 2 * self._pause_seconds)
        hopeless = isinstance(error, ExtraMissing | WorkerStartFailed)
        self._pause_seconds = min(doubled, LONGEST_PAUSE_SECONDS)
        self._next_join = now + (HOPELESS_PAUSE_SECONDS if hopeless else self._pause_seconds)
        self._trouble = str(error)
        self._tries += 1
        own = self._order.address == joining.LOCAL
        if hopeless or (own and self._tries >= OWN_TRIES):
            self._tries = 0
            raise error

    # ---- asking

    def _count(self, now: float) -> None:
        """Ask how many workers there is room for: what answers that is there."""
        if self._asked_at is not None:
            return
        self._asked_at = now
        self._next_count = now + COUNT_SECONDS
        if self._counter is None:
            self._counter = Line("ray count")
        self._counter.say(partial(self._ask, self._counter, now))

    def _ask(self, counter: Line, asked_at: float) -> None:
        """In the counter's thread, which waits as long as the cluster does not answer."""
        try:
            most = joining.fitting(self._order.needs, MOST_WORKERS)
        except Exception:  # noqa: BLE001  # Ray has many kinds; whether all is lost is seen elsewhere
            most = 0
        self._events.put(partial(self._answered, counter, asked_at, most))

    def _answered(self, counter: Line, asked_at: float, most: int) -> None:
        if counter is not self._counter:
            return
        self._asked_at = None
        if most:
            self.heard()
            self.most = self._order.workers or most
            if time.monotonic() - asked_at < PROMPT_SECONDS:
                self.answered_at = asked_at

    def _drop_lines(self) -> None:
        for line in (self._line, self._counter):
            if line is not None:
                line.drop()
        self._line = self._counter = None
