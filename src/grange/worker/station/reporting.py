"""How the server hears of a station, and the station of what people want of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from grange.client.schemas.workers import Beat, Orders
from grange.errors import CredentialsInvalid, GrangeError, ServerError
from grange.worker.station.link import Link
from grange.worker.station.words import Words

SERVER = "the server is away"
REPORT = "a report can't be made"
MISFIT = "versions don't fit"
_LEAST_SECONDS = 0.5
_LAST_SECONDS = 3.0


class Reporting:
    """Beats over HTTP. A server that is away is no reason to stop working."""

    def __init__(
        self,
        link: Link,
        words: Words,
        *,
        compose: Callable[[], Beat],
        ordered: Callable[[Orders], None],
        beat_seconds: float,
    ) -> None:
        """`compose` says how the station is; `ordered` hears what is wanted. In the loop, both."""
        self._link = link
        self._words = words
        self._compose = compose
        self._ordered = ordered
        self._seconds = beat_seconds
        self._now = asyncio.Event()
        # One report after another: what was said before the last one must not come after it.
        self._turn = asyncio.Lock()
        self._has_left = False
        self._unanswered: float | None = None

    @property
    def silent_seconds(self) -> float:
        """For how long the server has owed an answer: since the first report that got none."""
        since = self._unanswered
        return 0.0 if since is None else time.monotonic() - since

    def soon(self) -> None:
        """Report at once: something has happened of which the server may know more."""
        self._now.set()

    async def run(self) -> None:
        """Report until cancelled.

        Raises:
            CredentialsInvalid: The station was removed.
        """
        while True:
            await self._report()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(_LEAST_SECONDS, self._seconds)):
                    await self._now.wait()
            self._now.clear()

    async def leave(self) -> None:
        """Say that the station ends by itself."""
        composed = self._said()
        if composed is None:
            return
        said = composed.model_copy(update={"leaving": True})
        self._has_left = True
        with suppress(GrangeError, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS), self._turn:
                await asyncio.to_thread(self._link.beat, said)

    def _said(self) -> Beat | None:
        """How the station is; None when that breaks the rules of what may be said: it works on."""
        try:
            said = self._compose()
        except ValueError as error:
            self._words.trouble(REPORT, " ".join(str(error).split()))
            return None
        self._words.over(REPORT, "reports can be made again")
        return said

    async def _report(self) -> None:
        said = self._said()
        if said is None or self._has_left:
            return
        if self._unanswered is None:
            self._unanswered = time.monotonic()
        try:
            async with self._turn:
                orders = await asyncio.to_thread(self._link.beat, said)
        except CredentialsInvalid:
            raise
        except GrangeError as error:
            if not isinstance(error, ServerError):
                self._unanswered = None  # An answer it is, that something is wrong there.
            self._words.trouble(SERVER, error.message)
            return
        self._unanswered = None
        self._words.over(SERVER, "the server is back")
        self._seconds = orders.beat_seconds
        if orders.fits:
            self._words.over(MISFIT, "the versions of server and worker fit again")
        else:
            self._words.trouble(MISFIT, orders.said)
        self._ordered(orders)
