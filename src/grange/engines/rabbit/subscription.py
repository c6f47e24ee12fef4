"""How many messages a station gets: exactly as many as it wants.

A message is settled at once when the station has it, so that a task may run
for days without the broker taking it back. But whoever settles gets the next
one. So the last ones that are wanted are settled only after the subscription
has been cancelled, and it is made again when more are wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from grange.engines.rabbit.line import Incoming, Line
from grange.engines.rabbit.link import Session
from grange.errors import EngineError

# More than so many on their way at once bring nothing.
MOST_AHEAD = 64
# When so many times as many are wanted as were asked for, it is worth asking anew.
_FAR = 4
# What has come goes to the workers first: the broker hears so much later that it was taken. It must
# not be long, since the next ones may wait for that.
_PAUSE_SECONDS = 0.002


class Subscription:
    """A station's hold on one queue of tasks, for one session.

    What can still come is never more than what is wanted: the broker sends no
    more than were asked for and are not settled.
    """

    def __init__(
        self,
        line: Line,
        queue: str,
        shape: str,
        deliver: Callable[[Incoming, Subscription], None],
    ) -> None:
        """Nothing is wanted yet."""
        self.shape = shape
        self._line = line
        self._queue = queue
        self._deliver = deliver
        self._wanted = 0
        self._consumer = ""
        self._ahead = 0  # how many the broker may have out unsettled
        self._open: set[int] = set()  # delivered, and not settled at the broker
        self._done: list[int] = []  # of these: those that the station has
        self._refusing: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self._task = asyncio.create_task(self._follow())
        line.session.at_end(self._task.cancel)

    @property
    def session(self) -> Session:
        """The connection that it stands on."""
        return self._line.session

    @property
    def is_open(self) -> bool:
        """Whether what it has delivered is still the station's."""
        return self._line.session.is_open

    def want(self, count: int) -> None:
        """So many more messages are to come. Cheap."""
        if count != self._wanted:
            self._wanted = max(0, count)
            self._change.set()

    def settle(self, tag: int) -> None:
        """The station has this message, or answered it: the broker is to hear it soon."""
        asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._settled, tag)

    def _settled(self, tag: int) -> None:
        self._done.append(tag)
        self._change.set()

    def dismiss(self, tag: int) -> None:
        """The station has nothing to do with this message: another one is wanted in its place."""
        self._wanted += 1
        self.settle(tag)

    def refuse(self, tag: int) -> None:
        """The station can't take this message: it goes back to the queue, and is wanted still."""
        self._wanted += 1
        self._change.set()
        self._open.discard(tag)
        task = asyncio.create_task(self._refuse(tag))
        self._refusing.add(task)
        task.add_done_callback(self._refusing.discard)

    async def _refuse(self, tag: int) -> None:
        try:
            await self._line.refuse(tag)
        except EngineError as error:
            self._line.session.fail(error)

    def _take(self, message: Incoming) -> None:
        self._open.add(message.tag)
        self._wanted = max(0, self._wanted - 1)
        self._change.set()
        self._deliver(message, self)

    async def _follow(self) -> None:
        try:
            while True:
                await self._change.wait()
                self._change.clear()
                await self._adjust()
        except EngineError as error:
            self._line.session.fail(error)

    async def _adjust(self) -> None:
        """Bring what can come in line with what is wanted."""
        await self._settle_some()
        too_much = self._may_come() > self._wanted
        at_end = not self._wanted and bool(self._done)
        # A few more are asked for as they are settled, many at once.
        too_few = self._ahead < MOST_AHEAD and self._wanted >= _FAR * self._ahead
        if self._consumer and (too_much or at_end or too_few):
            await self._stop()
        await self._settle_some()
        if not self._consumer and self._wanted:
            self._ahead = min(self._wanted, MOST_AHEAD)
            self._consumer = await self._line.consume(self._queue, self._take, prefetch=self._ahead)

    def _may_come(self) -> int:
        return max(0, self._ahead - len(self._open)) if self._consumer else 0

    async def _stop(self) -> None:
        consumer, self._consumer = self._consumer, ""
        await self._line.cancel(consumer)

    async def _settle_some(self) -> None:
        """Settle as many as may be replaced by others."""
        free = self._wanted - self._may_come() if self._consumer else len(self._done)
        while self._done and free > 0:
            tag = self._done.pop(0)
            free -= 1
            if tag in self._open:
                self._open.discard(tag)
                await self._line.accept(tag)
