"""Outcomes on their way to the ledger: kept until the broker has confirmed them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator

from grange.core.tasks import Outcome
from grange.errors import EngineError
from grange.worker.station.journal import Journal

# Sent again after this, twice as long each time up to the last.
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0

Publish = Callable[[str, Collection[Outcome]], Awaitable[bool]]


class Teller:
    """Tells outcomes, run by run: one run that nobody listens to holds up no other."""

    def __init__(
        self,
        publish: Publish,
        journal: Journal,
        *,
        over: Callable[[str, Collection[tuple[int, int]]], None] = lambda _run, _attempts: None,
    ) -> None:
        """`publish` answers True when it is confirmed, False when the run is over.

        It raises EngineError while the broker is away. `over` hears of attempts of which
        nobody will ever read anything.
        """
        self._over = over
        self._publish = publish
        self._journal = journal
        self._waiting: dict[str, dict[tuple[int, int], Outcome]] = {}
        self._lines: dict[str, asyncio.Task[None]] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._again = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def tell(self, run: str, outcomes: Iterable[Outcome]) -> None:
        """Tell these, which the journal has; in the running loop."""
        waiting = self._waiting.setdefault(run, {})
        for outcome in outcomes:
            waiting[outcome.task, outcome.epoch] = outcome
        if not waiting:
            del self._waiting[run]
            return
        self._quiet.clear()
        if run not in self._lines:
            self._lines[run] = asyncio.create_task(self._tell_all(run), name=f"tell {run}")

    def untold(self) -> Iterator[tuple[str, int, int]]:
        """What is not confirmed yet: run, task and epoch."""
        for run, waiting in self._waiting.items():
            for task, epoch in waiting:
                yield run, task, epoch

    def drop(self, run: str, attempts: Iterable[tuple[int, int]]) -> None:
        """Nobody wants to hear of these any more."""
        waiting = self._waiting.get(run, {})
        known = [attempt for attempt in attempts if waiting.pop(attempt, None) is not None]
        if known:
            self._journal.settle(known)

    def hurry(self) -> None:
        """Send at once what could not be sent: the broker is back."""
        self._again.set()
        self._again = asyncio.Event()

    async def quiet(self, timeout_seconds: float) -> bool:
        """Wait until all is told; False when that took too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop telling. What is not told stays in the journal."""
        lines = list(self._lines.values())
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _tell_all(self, run: str) -> None:
        pause = _FIRST_PAUSE_SECONDS
        try:
            while waiting := self._waiting.get(run):
                # What comes while these are on their way goes with the next ones.
                batch = dict(waiting)
                try:
                    heard = await self._publish(run, batch.values())
                except EngineError:
                    pause = await self._rest(pause)
                    continue
                pause = _FIRST_PAUSE_SECONDS
                for attempt, outcome in batch.items():
                    if waiting.get(attempt) is outcome:
                        del waiting[attempt]
                self._journal.settle(batch)
                if not heard:
                    self._over(run, batch.keys())
        finally:
            del self._lines[run]
            if not self._waiting.get(run):
                self._waiting.pop(run, None)
            if not self._waiting:
                self._quiet.set()

    async def _rest(self, pause: float) -> float:
        """Wait so long, or until it is to be tried at once; gives the pause after the next try."""
        try:
            async with asyncio.timeout(pause):
                await self._again.wait()
        except TimeoutError:
            return min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return _FIRST_PAUSE_SECONDS
