"""All that works in a station, wired: from tasks that are taken to outcomes that are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from grange.core.resources import Capacity
from grange.core.tasks import Outcome, OutcomeState, TaskKind
from grange.engines import WorkerView
from grange.errors import GrangeError
from grange.telemetry.station import StationCount
from grange.worker.fetching import Fetcher
from grange.worker.station.appetite import Appetite
from grange.worker.station.benches import Benches, Workers
from grange.worker.station.bringing import Bringer
from grange.worker.station.care import Care
from grange.worker.station.carrying import Carrier
from grange.worker.station.ending import Ending
from grange.worker.station.errands import Errands
from grange.worker.station.gate import Gate
from grange.worker.station.holding import Held, Holding
from grange.worker.station.home import Home
from grange.worker.station.journal import Journal
from grange.worker.station.labour import Labour
from grange.worker.station.link import Link
from grange.worker.station.mounts import Mounts
from grange.worker.station.restoring import restore
from grange.worker.station.routes import Routes, Way
from grange.worker.station.signs import Busy, Totals
from grange.worker.station.teller import Publish, Teller
from grange.worker.station.words import Words

BYTES = "bytes don't travel"
# How often it is looked how much room inputs take: there may be very many.
_WEIGH_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a station works with."""

    name: str
    home: Home
    link: Link
    capacity: Capacity
    workers: Workers
    mounts: Mounts
    cache_bytes: int
    count: StationCount


class Works:
    """Takes tasks, and sees to it that each comes to an end that is told. Lives in one loop."""

    def __init__(
        self,
        means: Means,
        words: Words,
        *,
        publish: Publish,
        changed: Callable[[], None],
        broken: Callable[[GrangeError], None],
    ) -> None:
        """Wire it; nothing is started.

        `changed` is called when there may be room for more work, or less;
        `broken` when no worker process can be started.
        """
        self._means = means
        self._words = words
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        home, capacity = means.home, means.capacity
        self.totals = Totals()
        self.busy = Busy(time.monotonic())
        # Set whenever a task has come to its end; for whoever waits for that, to be cleared.
        self.went = asyncio.Event()
        self.journal = Journal(home.journal)
        self.teller = Teller(publish, self.journal, over=self._tidy)
        self.holding = Holding()
        self.gate = Gate(capacity)
        self.appetite = Appetite(capacity.slots)
        self.care = Care(home, means.mounts, words)
        self.routes = Routes(home, means.mounts)
        self.errands = Errands(lambda text: words.trouble(BYTES, text))
        self._carrier = Carrier(means.link.work, home.work, home.mark)
        self._ending = Ending(
            means.name,
            self.holding,
            self.errands,
            carrier=self._carrier,
            journal=self.journal,
            teller=self.teller,
            watcher=self,
        )
        self._fetcher = fetcher = Fetcher(home.inputs, means.cache_bytes)
        self.cache_bytes = 0  # what inputs took on the disk when that was last looked at
        self._next_weighing = 0.0
        self.labour = Labour(
            self.holding,
            self.gate,
            self._ending,
            self.errands,
            bringer=Bringer(means.link.work, fetcher, means.mounts, staged=home.work),
            journal=self.journal,
            watcher=self,
        )
        self._benches = Benches(
            capacity,
            means.workers,
            hear=lambda outcomes: self._soon(lambda: self.labour.hear(outcomes)),
            fail=lambda error: self._soon(lambda: broken(error)),
        )

    async def start(self) -> None:
        """Look at the machine, go on with what an earlier station has left, start the workers."""
        self.care.look()
        await self.care.prove()
        left = restore(
            self._means.name,
            self.journal,
            self.teller,
            routes=self.routes,
            holding=self.holding,
            ending=self._ending,
        )
        if left:
            self._words.say(f"goes on with {left} tasks that it held when it was ended")
        self.labour.use(self._benches)
        # Started before work comes: the first task is to find them ready.
        self._benches.at(())

    async def look_after(self) -> None:
        """See to the machine, now and then."""
        self.journal.mend()
        self.care.look(self.journal.broken)
        if await self.care.prove_now_and_then():
            self.routes.forget()
        await self.care.clear(self._runs)
        await self._weigh()

    async def _weigh(self) -> None:
        now = time.monotonic()
        if now >= self._next_weighing:
            self._next_weighing = now + _WEIGH_SECONDS
            with suppress(OSError):
                self.cache_bytes = await asyncio.to_thread(self._fetcher.held_bytes)

    def working(self) -> Mapping[int, WorkerView]:
        """By task, what the worker processes are at."""
        return self._benches.working()

    def is_alive(self, held: Held) -> bool:
        """Whether the process that has it gave a sign of life lately."""
        return self._benches.is_alive(held.task.id, held.gpus, published=held.since)

    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        return not len(self.holding) and not len(self.teller)

    async def close(self) -> None:
        """Kill all workers, and end what is under way. What is not told stays in the journal."""
        await self.teller.close()
        await asyncio.to_thread(self._benches.close)
        await self.errands.close()
        # Threads that wait for room would keep this process from its end.
        for held in self.holding:
            if held.hold is not None:
                held.hold.close()
        self.journal.close()

    # ---- what the work finds out

    def changed(self) -> None:
        """There may be room for more work, or less."""
        self._changed()

    def full(self, reason: str) -> None:
        """This machine's disk is full."""
        self.care.filled(reason)
        self._changed()

    async def doubt(self, held: Held) -> bool:
        """Whether a mount is gone that the attempt has used."""
        if await self.care.prove():
            self.routes.forget()
        mounts, route = self._means.mounts, held.route
        has_input = not held.is_mounted or mounts.uri_here(held.task.uri) is not None
        has_store = route.outputs is not Way.MOUNT or mounts.here(route.job.store) is not None
        return not (has_input and has_store)

    def ended(self, ended: Sequence[tuple[Held, Outcome]]) -> None:
        """Tasks came to their ends here."""
        self.went.set()
        now = time.monotonic()
        alike: dict[tuple[str, TaskKind], list[Outcome]] = {}
        for held, outcome in ended:
            alike.setdefault((held.route.job.pipeline, held.task.kind), []).append(outcome)
            if outcome.state is OutcomeState.RETURNED:
                continue
            if outcome.state is OutcomeState.DONE:
                self.totals.done += 1
            else:
                self.totals.failed += 1
            if outcome.seconds:
                self.appetite.ended(outcome.seconds)
                self.busy.ended(outcome.seconds, now)
        for (pipeline, kind), outcomes in alike.items():
            self._means.count.ended(pipeline=pipeline, kind=kind, outcomes=outcomes)

    def brought(self, size_bytes: int, *, from_cache: bool) -> None:
        """An input is here, for which so much had to travel."""
        self._words.over(BYTES, "bytes travel again")
        self.totals.bytes_in += size_bytes
        self._means.count.fetched(size_bytes, from_cache=from_cache)

    def carried(self, size_bytes: int) -> None:
        """Outputs have gone to where they belong."""
        self._words.over(BYTES, "bytes travel again")
        self.totals.bytes_out += size_bytes
        self._means.count.sent(size_bytes)

    def end(self, run: str) -> None:
        """Nobody will ever read what comes of this run: let go of all that is here of it."""
        held = [one.key for one in self.holding if one.run == run]
        untold = [(task, epoch) for of, task, epoch in self.teller.untold() if of == run]
        self.labour.abandon(run, held)
        self.teller.drop(run, untold)
        self._tidy(run, [*held, *untold])

    def _tidy(self, run: str, attempts: Collection[tuple[int, int]]) -> None:
        """Their run is over: nobody publishes what these have left beside its results."""
        route = self.routes.known(run) or self.routes.kept(run)
        if route is not None:
            tidy = self.errands.blocking(lambda: self._carrier.tidy(route, attempts))
            self.errands.go(tidy)

    def _runs(self) -> set[str]:
        return self.holding.runs() | {run for run, _, _ in self.teller.untold()}

    def _soon(self, work: Callable[[], None]) -> None:
        # A bench may still say something while the loop is being closed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work)
