"""Which runs are not over, as the broker knows: those whose queue of outcomes is there."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from grange.engines.rabbit.line import Line
from grange.engines.rabbit.link import ANSWER_SECONDS, Session
from grange.engines.rabbit.names import Names

# A run of which something was heard within this is not asked about again.
KNOWN_SECONDS = 30.0
_REMEMBERED = 1000


class Living:
    """Asks whether anybody waits for what comes of a run. Lives in a station's loop.

    A queue of tasks is that of many runs: what a run has left there, which was called off
    while no station was there, comes to whichever is next.
    """

    def __init__(self, names: Names) -> None:
        """Know of none yet."""
        self._names = names
        self._known: OrderedDict[str, float] = OrderedDict()
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    def heard(self, run: str, *, lives: bool) -> None:
        """Something said to its driver has come there, or could not."""
        self._known.pop(run, None)
        if lives:
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
        line, self._line = self._line, None
        if line is None or line.session is not session:
            line = await session.line(frail=True)
        asking = line.listeners(self._names.outcomes(run))
        found = await asyncio.wait_for(asking, ANSWER_SECONDS)
        if found is not None:
            # One that has heard of no such queue has ended by that.
            self._line = line
        return found
