"""The way of an attempt through a station, from its message to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from grange.core.resources import Needs
from grange.core.tasks import Batch, Outcome, Task
from grange.errors import ClaimEnded, StoreFull
from grange.worker.station.benches import Benches
from grange.worker.station.bringing import Bringer, Brought
from grange.worker.station.ending import Ending, Watcher
from grange.worker.station.errands import Errands
from grange.worker.station.gate import Gate
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.journal import Journal
from grange.worker.station.routes import Route


class Labour:
    """Works on what it is given. Everything is called in one loop; what blocks is in threads."""

    def __init__(
        self,
        holding: Holding,
        gate: Gate,
        ending: Ending,
        errands: Errands,
        *,
        bringer: Bringer,
        journal: Journal,
        watcher: Watcher,
    ) -> None:
        """`use` has to be called before work comes."""
        self._holding = holding
        self._gate = gate
        self._ending = ending
        self._errands = errands
        self._bringer = bringer
        self._journal = journal
        self._watcher = watcher
        self._sources: dict[str, asyncio.Lock] = {}
        self._benches: Benches | None = None
        # Whether the inputs of the latest tasks have to be brought here.
        self.travelling = False

    def use(self, benches: Benches) -> None:
        """Let these do the work."""
        self._benches = benches

    def take(self, route: Route, tasks: Sequence[Task], needs: Needs) -> None:
        """Begin with these, which the journal has."""
        self.travelling = False
        now = time.monotonic()
        for task in tasks:
            earlier = self._holding.find(task.id)
            if earlier is not None:
                # Its lease has run out: nobody waits any more for what it does.
                self._drop(earlier)
            local = self._bringer.at_hand(route, task)
            held = Held(route, task, needs, Phase.COMING, now, local)
            self._holding.add(held)
            if local is None:
                self.travelling = True
                self._errands.go(self._bring(held))
            else:
                self._ready(held)
        self._admit()

    def hear(self, outcomes: Iterable[Outcome]) -> None:
        """Take what the workers have brought about."""
        ended = []
        for outcome in outcomes:
            held = self._holding.find(outcome.task, outcome.epoch)
            if held is not None and held.phase is Phase.WORKING:
                self._gate.leave(outcome.task)
                ended.append((held, outcome))
        self._ending.hear(ended)
        self._admit()
        self._watcher.changed()

    def abandon(self, run: str, attempts: Iterable[tuple[int, int]]) -> None:
        """Nobody wants these of a run any more: stop them, and forget them."""
        for task, epoch in attempts:
            held = self._holding.find(task, epoch)
            if held is not None and held.run == run:
                self._drop(held)
        self._admit()
        self._watcher.changed()

    def give_back(self, *, begun: bool) -> None:
        """Let others do what is not begun; with `begun`, all that is not done."""
        keeps = {Phase.LEAVING} if begun else {Phase.LEAVING, Phase.WORKING}
        self.hand_back([held for held in self._holding if held.phase not in keeps])

    def hand_back(self, some: Iterable[Held]) -> None:
        """Let others do these, wherever they are on their way."""
        for held in some:
            self._stop(held)
            self._ending.give_back(held)

    def _admit(self) -> None:
        """Give the workers what there is room for."""
        if self._benches is None:
            return
        given: dict[tuple[tuple[int, ...], int], list[Held]] = {}
        while (admitted := self._gate.admit()) is not None:
            number, place = admitted
            held = self._holding.find(number)
            if held is None or held.local is None:
                self._gate.leave(number)
                continue
            held.gpus = place.gpus
            self._holding.move(held, Phase.WORKING, now=time.monotonic())
            given.setdefault((place.gpus, id(held.route)), []).append(held)
        for (gpus, _), some in given.items():
            self._journal.begin(held.key for held in some)
            tasks = tuple(held.local for held in some if held.local is not None)
            self._benches.at(gpus).publish(Batch(some[0].route.local, tasks))

    async def _bring(self, held: Held) -> None:
        source = held.task.uri
        lock = self._sources.setdefault(source, asyncio.Lock())
        try:
            # Parts of one input wait for it here, where they are in the way of no other.
            async with lock:
                brought = await self._brought(held)
        finally:
            if not lock.locked():
                self._sources.pop(source, None)
        if brought is None:
            return
        if not self._ending.is_wanted(held):
            brought.hold.close()
            return
        self._watcher.brought(brought.fetched_bytes, from_cache=brought.from_cache)
        held.local, held.hold, held.is_mounted = brought.task, brought.hold, False
        self._ready(held)
        self._admit()

    async def _brought(self, held: Held) -> Brought | None:
        def wanted() -> bool:
            return self._ending.is_wanted(held) and not self._errands.is_closed

        try:
            return await self._errands.persist(
                lambda: self._bringer.bring(held.route, held.task, wanted),
                wanted=wanted,
                what="Inputs can't be brought here",
                coming=True,
            )
        except Exception as error:  # noqa: BLE001  # whatever it is becomes the attempt's end
            if self._ending.is_wanted(held):
                self._give_up(held, error)
        return None

    def _give_up(self, held: Held, error: Exception) -> None:
        """Its input can't be had, for this reason."""
        if isinstance(error, ClaimEnded):
            self._ending.drop(held)
        elif isinstance(error, StoreFull):
            self._watcher.full(error.message)
            self._ending.give_back(held)
        else:
            self._ending.fail(held, error)

    def _ready(self, held: Held) -> None:
        self._holding.move(held, Phase.READY, now=time.monotonic())
        self._gate.come(held.task.id, held.needs)

    def _drop(self, held: Held) -> None:
        self._stop(held)
        self._ending.drop(held)

    def _stop(self, held: Held) -> None:
        self._gate.leave(held.task.id)
        if held.phase is Phase.WORKING and self._benches is not None:
            held.stopped = self._benches.at(held.gpus).abandon([held.task.id])
