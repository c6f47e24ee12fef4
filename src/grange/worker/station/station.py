"""A station from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from grange.client.schemas.workers import Beat, Orders
from grange.errors import GrangeError
from grange.worker.station import machine, signs
from grange.worker.station.exchange import Exchange
from grange.worker.station.holding import Phase
from grange.worker.station.papers import Papers
from grange.worker.station.reporting import Reporting
from grange.worker.station.severance import Severance
from grange.worker.station.words import Words
from grange.worker.station.works import Means, Works

_CARE_SECONDS = 2.0
_TELL_SECONDS = 10.0
_LOOK_SECONDS = 0.5

# Why nothing new is taken.
DRAINING = "draining"
LEAVING = "leaving"
MISFIT = "misfit"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How a station behaves.

    Attributes:
        drain_seconds: How long it finishes what is begun, when it is told to end.
        idle_seconds: After so long without any work it ends by itself; None for never.
        version: Which Grange it is.
        metrics_url: Where its numbers are; empty for nowhere.
        node_port: Where a node exporter of this machine listens; 0 where none does.
    """

    drain_seconds: float = 60.0
    idle_seconds: float | None = None
    version: str = ""
    metrics_url: str = ""
    node_port: int = 0


class Station:
    """Takes work for one machine, until it is told to end. Lives in one loop."""

    def __init__(
        self, papers: Papers, means: Means, habits: Habits, say: Callable[[str], None]
    ) -> None:
        """Wire it; to be called in the loop. Nothing is started yet."""
        self._means = means
        self._habits = habits
        self._words = Words(say)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[bool] = self._loop.create_future()
        self._reporting = Reporting(
            means.link,
            self._words,
            compose=self._compose,
            ordered=self._ordered,
            beat_seconds=papers.beat_seconds,
        )
        self._exchange = Exchange(
            papers,
            means.link,
            means.capacity,
            self._words,
            drained=lambda: self._drain(wanted=True),
            reconnected=means.count.reconnected,
            shaken=self._reporting.soon,
        )
        self._works = Works(
            means,
            self._words,
            publish=self._exchange.publish,
            changed=self._exchange.ask,
            broken=self._break,
        )
        self._exchange.use(self._works)
        self._severance = Severance(
            self._works,
            self._exchange,
            self._words,
            silent=lambda: self._reporting.silent_seconds,
            lease_seconds=papers.lease_seconds,
        )
        self._leaving = self._draining = False
        self._ending: asyncio.Task[None] | None = None
        self._busy_at = time.monotonic()

    async def run(self) -> bool:
        """Work until it is to end; whether all that it held has come to its end.

        Raises:
            CredentialsInvalid: The server has removed this worker.
            WorkerStartFailed: No worker process can be started here.
        """
        await self._works.start()
        loops = [
            self._loop.create_task(one)
            for one in (
                *(self._exchange.run(), self._exchange.beat()),
                *(self._reporting.run(), self._look_after()),
            )
        ]
        for loop in loops:
            loop.add_done_callback(self._loop_ended)
        try:
            return await self._over
        finally:
            await self._close(loops)

    def leave(self) -> None:
        """Finish what is begun, give back the rest, and end. Idempotent."""
        if not self._leaving:
            self._leaving = True
            limit = self._habits.drain_seconds
            self._words.say(f"ends; what is begun has {limit:.0f} seconds to be finished")
            self._ending = self._loop.create_task(self._leave())

    async def _leave(self) -> None:
        works = self._works
        self._exchange.stop(LEAVING)
        works.labour.give_back(begun=False)
        deadline = time.monotonic() + self._habits.drain_seconds
        while len(works.holding) and time.monotonic() < deadline:
            works.went.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await works.went.wait()
        left = len(works.holding)
        if left:
            self._words.say(f"gives back {left} tasks that are not done")
            works.labour.give_back(begun=True)
        told = await works.teller.quiet(_TELL_SECONDS)
        await self._exchange.beat_once()
        if not told:
            self._words.say("keeps outcomes that it could not tell of, for when it starts again")
        elif not left:
            self._words.say("has ended: all that it had begun is finished")
        if not self._over.done():
            self._over.set_result(told and not left)

    def _break(self, error: GrangeError) -> None:
        """Something is wrong that won't pass: give all back, and end with it."""
        if self._ending is None:
            self._leaving = True
            self._ending = self._loop.create_task(self._break_off(error))

    async def _break_off(self, error: GrangeError) -> None:
        self._exchange.stop(LEAVING)
        self._works.labour.give_back(begun=True)
        await self._works.teller.quiet(_TELL_SECONDS)
        if not self._over.done():
            self._over.set_exception(error)

    def _loop_ended(self, loop: asyncio.Task[None]) -> None:
        error = None if loop.cancelled() else loop.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    async def _close(self, loops: list[asyncio.Task[None]]) -> None:
        await self._reporting.leave()
        self._means.link.stop()
        for task in (*loops, self._ending):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._works.close()

    async def _look_after(self) -> None:
        while True:
            await self._works.look_after()
            await self._severance.look()
            # What may be taken changes with the disk, and with time.
            self._exchange.ask()
            self._stand()
            await asyncio.sleep(_CARE_SECONDS if self._habits.idle_seconds is None else 0.2)

    def _stand(self) -> None:
        works, now = self._works, time.monotonic()
        self._means.count.stands(
            slots=self._means.capacity.slots,
            busy=min(self._means.capacity.slots, works.holding.count(Phase.WORKING)),
            draining=self._draining or self._leaving,
            connected=self._exchange.is_up,
            unsent=len(works.teller),
            cache_bytes=works.cache_bytes,
        )
        if not works.is_idle() or not self._exchange.is_up:
            self._busy_at = now
        idle = self._habits.idle_seconds
        if idle is not None and now - self._busy_at >= idle:
            self.leave()

    # ---- the server

    def _compose(self) -> Beat:
        works, habits, now = self._works, self._habits, time.monotonic()
        said = signs.beat(
            *(works.holding, works.working(), self._means.capacity, works.totals, machine.look()),
            lately=works.busy.lately(now),
            now=now,
        )
        return said.model_copy(
            update={
                "version": habits.version,
                "metrics_url": habits.metrics_url,
                "node_port": habits.node_port,
                "shares": list(self._means.mounts.shared),
                "engine_up": self._exchange.is_up,
                "cache_bytes": works.cache_bytes,
            }
        )

    def _ordered(self, orders: Orders) -> None:
        self._exchange.stop(MISFIT, stop=not orders.fits)
        self._drain(wanted=orders.state == "draining")

    def _drain(self, *, wanted: bool) -> None:
        if wanted != self._draining:
            self._draining = wanted
            self._words.say(
                "drains: finishes what it holds, and takes nothing new"
                if wanted
                else "takes work again"
            )
            self._exchange.stop(DRAINING, stop=wanted)
