"""Which runs are not over, as the broker knows: those whose queue of outcomes is there."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from grange.engines.rabbit.line import Line
from grange.engines.rabbit.link import ANSWER_SECONDS, Session
from grange.engines.rabbit.names import Names

# A run of which something was heard within this is not asked about again.
KNOWN_SECONDS = 30.0
# What is held of a run is given up when its queue has been missing for so long: a broker that has
# lost its disk has none of them until drivers are back.
OVER_SECONDS = 60.0
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Over:
    """Nobody will ever read what comes of this run: it is over, and its driver has gone."""

    run: str


class Living:
    """Asks whether anybody waits for what comes of a run. Lives in a station's loop.

    A queue of tasks is that of many runs: what a run has left there, which was called off
    while no station was there, comes to whichever is next.
    """

    def __init__(self, names: Names) -> None:
        """Know of none yet."""
        self._names = names
        self._known: OrderedDict[str, float] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()  # runs without a queue, since when
        self._line: Line | None = None
        # What was asked and not answered yet: so there is one line for it, however long it takes.
        self._asked: dict[tuple[Session, str], asyncio.Future[int | None]] = {}
        self._turn = asyncio.Lock()

    def heard(self, run: str, *, lives: bool) -> None:
        """Something said to its driver has come there, or could not."""
        self._known.pop(run, None)
        if lives:
            self._missing.pop(run, None)
            self._known[run] = time.monotonic()
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def knows(self, run: str) -> bool:
        """Whether it was alive a moment ago."""
        since = self._known.get(run)
        return since is not None and time.monotonic() - since < KNOWN_SECONDS

    async def lives(self, session: Session, run: str) -> bool:
        """Whether it is not over. One that nobody can be asked about is not.

        Raises:
            BrokerUnreachable: The session has ended.
        """
        async with self._turn:
            if self.knows(run):
                return True
            try:
                found = await self._listeners(session, run) is not None
            except TimeoutError:
                found = True  # A queue that is slow is there; and not asked at once again.
            self.heard(run, lives=found)
            return found

    async def is_over(self, session: Session, run: str) -> bool:
        """Whether nobody has waited for it for long, so that what is held of it is for nothing.

        To be asked now and then while something is held.

        Raises:
            BrokerUnreachable: The session has ended.
        """
        if await self.lives(session, run):
            return False
        since = self._missing.setdefault(run, time.monotonic())
        if len(self._missing) > _REMEMBERED:
            self._missing.popitem(last=False)
        return time.monotonic() - since >= OVER_SECONDS

    async def listeners(self, session: Session, run: str) -> int:
        """How many drivers listen to what comes of it.

        Raises:
            BrokerUnreachable: The session has ended, or there is no answer.
        """
        async with self._turn:
            try:
                return await self._listeners(session, run) or 0
            except TimeoutError:
                return 0

    async def _listeners(self, session: Session, run: str) -> int | None:
        asked = self._asked.get((session, run))
        if asked is None:
            asked = asyncio.ensure_future(self._ask(session, run))
            self._asked[session, run] = asked
            asked.add_done_callback(lambda done: self._answered(session, run, done))
        # One that is late goes on: to break it off is to end its line in the middle of an answer.
        if not (await asyncio.wait({asked}, timeout=ANSWER_SECONDS))[0]:
            raise TimeoutError
        return asked.result()

    def _answered(self, session: Session, run: str, done: asyncio.Future[int | None]) -> None:
        del self._asked[session, run]
        # If it came too late for whoever asked, it is not news any more.
        if not done.cancelled():
            done.exception()

    async def _ask(self, session: Session, run: str) -> int | None:
        line, self._line = self._line, None
        if line is None or line.session is not session:
            line = await session.line(frail=True)
        found = await line.listeners(self._names.outcomes(run))
        if found is None:
            return None  # A line that has heard of no such queue has ended by that.
        await self._keep(line)
        return found

    async def _keep(self, line: Line) -> None:
        """Have it for the next question; one is enough."""
        before, self._line = self._line, line
        if before is not None:
            await before.close()
