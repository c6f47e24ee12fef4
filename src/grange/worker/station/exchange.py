"""A station at the broker: takes messages, says what it holds, does as drivers say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from grange.core.resources import Capacity, capacity_to_json, needs_of, serves
from grange.core.tasks import Outcome
from grange.engines.base import Health
from grange.engines.rabbit.intake import Delivery, Intake
from grange.engines.rabbit.living import Over
from grange.engines.rabbit.messages import Abandon, Control, Drain, Shapes
from grange.engines.rabbit.names import BEAT_SECONDS
from grange.errors import BrokerUnreachable, EngineError, GrangeError
from grange.worker.station import signs
from grange.worker.station.link import Link
from grange.worker.station.papers import Papers
from grange.worker.station.wants import Turns, credit
from grange.worker.station.words import Words
from grange.worker.station.works import Works

BROKER = "the broker is away"
# After so long without the broker the server is asked for credentials that it knows.
RENEW_SECONDS = 10.0
# So many beats come within a lease at least: one that is late must not matter.
_BEATS_IN_LEASE = 6
# Beats that say that something has changed come no closer together than this.
_BEAT_GAP_SECONDS = 0.2
# A connection that comes back within this was not worth a word.
_DOUBT_SECONDS = 1.0


class Exchange:
    """Lives in the station's loop. `use` has to be called before anything else."""

    def __init__(
        self,
        papers: Papers,
        link: Link,
        capacity: Capacity,
        words: Words,
        *,
        drained: Callable[[], None],
        reconnected: Callable[[], None],
        shaken: Callable[[], None],
    ) -> None:
        """Take the station's papers.

        `drained` is called when a driver wants this station to take nothing
        more, `shaken` when the broker is lost: the server may know why.
        """
        self._papers = papers
        self._link = link
        self._capacity = capacity
        self._words = words
        self._drained = drained
        self._reconnected = reconnected
        self._shaken = shaken
        self._works: Works | None = None
        self._intake: Intake | None = None
        self._beat_now = asyncio.Event()
        self._turns = Turns()
        self._stopped: set[str] = set()
        self._was_up = False

    def use(self, works: Works) -> None:
        """Bring work to these."""
        self._works = works

    @property
    def is_up(self) -> bool:
        """Whether the broker is reached."""
        return self._intake is not None and self._intake.health().state == "up"

    @property
    def takes(self) -> bool:
        """Whether new work is taken."""
        return not self._stopped and self._works is not None and not self._works.care.is_full

    def stop(self, reason: str, *, stop: bool = True) -> None:
        """Take nothing new for this reason; or don't mind it any more."""
        before = self.takes
        (self._stopped.add if stop else self._stopped.discard)(reason)
        if before != self.takes:
            self._beat_now.set()
        self.ask()

    async def run(self) -> None:
        """Take what comes, until cancelled. Credentials that have changed are used at once."""
        while True:
            papers = self._papers
            async with Intake(
                papers.engine,
                site=papers.site,
                station=papers.worker,
                serves=lambda shape: serves(self._capacity, shape),
                on_control=self._heard,
                on_health=self._health_changed,
            ) as intake:
                self._intake = intake
                both = [
                    asyncio.create_task(one)
                    for one in (self._take_all(intake), self._renewed(intake))
                ]
                try:
                    done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                    for one in done:
                        one.result()
                finally:
                    for one in both:
                        one.cancel()
                    await asyncio.gather(*both, return_exceptions=True)

    async def beat(self) -> None:
        """Say what is held and how the station is, again and again, until cancelled."""
        pause = min(BEAT_SECONDS, self._papers.lease_seconds / _BEATS_IN_LEASE)
        while True:
            await self.beat_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._beat_now.wait()
            self._beat_now.clear()
            await asyncio.sleep(_BEAT_GAP_SECONDS)

    async def beat_once(self) -> None:
        """Say it now."""
        intake, works = self._intake, self._works
        if intake is None or works is None:
            return
        slots = self._capacity.slots if self.takes else 0
        held = signs.by_run(
            works.holding, works.teller.untold(), works.working(), is_alive=works.is_alive
        )
        for run, some in held.items():
            await intake.beat(run, some, slots=slots)
        about = {"capacity": capacity_to_json(self._capacity), "name": self._papers.name}
        await intake.beat("", (), slots=slots, about=about)

    async def publish(self, run: str, outcomes: Collection[Outcome]) -> bool:
        """Tell outcomes; as `Intake.publish_outcomes`."""
        if self._intake is None:
            raise BrokerUnreachable("The message broker is not connected yet.")
        return await self._intake.publish_outcomes(run, list(outcomes))

    async def is_driven(self, run: str) -> bool:
        """Whether somebody drives the run just now, as the broker knows."""
        try:
            return self._intake is not None and await self._intake.listeners(run) > 0
        except EngineError:
            return False

    def ask(self) -> None:
        """Ask for as much more work as there is room for."""
        intake, works = self._intake, self._works
        if intake is None or works is None:
            return
        if not self.takes:
            intake.want({})
            return
        intake.want(
            credit(
                intake.shapes(),
                works.holding,
                works.gate,
                works.appetite,
                travelling=works.labour.travelling,
                turns=self._turns,
                now=time.monotonic(),
            )
        )

    async def _take_all(self, intake: Intake) -> None:
        async for delivery in intake:
            await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        works, batch = self._works, delivery.batch
        if works is None:
            return
        route = works.routes.found(batch.job)
        if route is None:
            route = await asyncio.to_thread(works.routes.of, batch.job)
        run, knows = batch.job.run, works.holding.knows
        fresh = [one for one in batch.tasks if not knows(run, one.id, one.epoch)]
        keys = [(one.id, one.epoch) for one in fresh]
        works.journal.take(run, keys)
        if not delivery.accept():
            works.journal.settle(keys)
            return  # It is given out again, as other attempts.
        if fresh:
            self._words.once(f"works on run {run} ({batch.job.pipeline})")
            works.appetite.came(len(fresh))
            works.labour.take(route, fresh, needs_of(delivery.shape))
        if works.appetite.is_slow:
            self._beat_now.set()
        self.ask()

    def _heard(self, control: Control | Over) -> None:
        if isinstance(control, Shapes):
            self.ask()
            self._beat_now.set()
        elif isinstance(control, Abandon) and self._works is not None:
            self._works.labour.abandon(control.run, control.attempts)
            self._works.teller.drop(control.run, control.attempts)
        elif isinstance(control, Over) and self._works is not None:
            self._works.end(control.run)
        elif isinstance(control, Drain) and control.station == self._papers.worker:
            self._drained()

    def _health_changed(self, health: Health) -> None:
        if health.state == "down":
            self._shaken()
            # Who was removed hears that from the server, in better words.
            asyncio.get_running_loop().call_later(_DOUBT_SECONDS, self._tell_health)
            return
        if self._was_up:
            self._reconnected()
        self._was_up = True
        self._words.over(BROKER, "the broker is back")
        if self._works is not None:
            self._works.teller.hurry()
        self.ask()
        self._beat_now.set()

    def _tell_health(self) -> None:
        if self._intake is not None and self._intake.health().state == "down":
            self._words.trouble(BROKER, self._intake.health().reason)

    async def _renewed(self, intake: Intake) -> None:
        """Wait until the credentials are others; while the broker is away, ask for them."""
        is_down = False
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            was_down, is_down = is_down, intake.health().state == "down"
            if not (was_down and is_down):
                continue
            with suppress(GrangeError):
                joined = await asyncio.to_thread(self._link.renew)
                if (joined.engine, joined.site) != (self._papers.engine, self._papers.site):
                    self._papers = self._papers.with_engine(joined.engine, joined.site)
                    return
