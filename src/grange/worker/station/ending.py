"""The end of an attempt here: judged, carried away, told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from grange.core.tasks import Outcome, OutcomeState
from grange.errors import ClaimEnded
from grange.worker.failures import failure_of
from grange.worker.station.carrying import Carrier
from grange.worker.station.errands import Errands
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.journal import Journal
from grange.worker.station.judging import FIRST_REST_SECONDS, Verdict, given_back, judge, named
from grange.worker.station.teller import Teller

_REMEMBERED_LACKS = 10_000
# Whoever was at such an attempt has not tidied up after it.
_CUT_SHORT = frozenset({OutcomeState.LOST, OutcomeState.RETURNED})


class Watcher(Protocol):
    """Who hears what the work finds out about the machine. Called in the loop."""

    def changed(self) -> None:
        """There may be room for more work, or less."""

    def full(self, reason: str) -> None:
        """This machine's disk is full."""

    async def doubt(self, held: Held) -> bool:
        """Whether a mount is gone that the attempt has used."""

    def ended(self, ended: Sequence[tuple[Held, Outcome]]) -> None:
        """Tasks came to their ends here."""

    def brought(self, size_bytes: int, *, from_cache: bool) -> None:
        """An input is here, for which so much had to travel."""

    def carried(self, size_bytes: int) -> None:
        """Outputs have gone to where they belong."""


class Ending:
    """Brings attempts to their ends. Lives in the station's loop."""

    def __init__(
        self,
        name: str,
        holding: Holding,
        errands: Errands,
        *,
        carrier: Carrier,
        journal: Journal,
        teller: Teller,
        watcher: Watcher,
    ) -> None:
        """`name` is the station's, for people who look at attempts."""
        self._name = name
        self._holding = holding
        self._errands = errands
        self._carrier = carrier
        self._journal = journal
        self._teller = teller
        self._watcher = watcher
        self._lacked: Counter[int] = Counter()

    def hear(self, came: Iterable[tuple[Held, Outcome]]) -> None:
        """Take what the workers have brought about."""
        done: dict[str, list[tuple[Held, Outcome]]] = {}
        printed: dict[int, frozenset[str]] = {}
        for held, said in came:
            outcome = named(said, self._name)
            route = held.route
            if id(route) not in printed:
                # Most print nothing: one look into the folder says that of all of them.
                printed[id(route)] = self._carrier.printed(route)
            if not self._sent_another_way(
                held, outcome, mounted=held.uses_mounts, printed=printed[id(route)]
            ):
                done.setdefault(held.run, []).append((held, outcome))
        self._tell_all(done)

    def _tell_all(self, done: dict[str, list[tuple[Held, Outcome]]]) -> None:
        for run, some in done.items():
            self._journal.end(run, [outcome for _, outcome in some], carried=True)
            self._close(some)
            self._teller.tell(run, [outcome for _, outcome in some])

    def _sent_another_way(
        self,
        held: Held,
        outcome: Outcome,
        *,
        mounted: bool,
        printed: Collection[str] | None = None,
    ) -> bool:
        """Whether something has to be done before the outcome may be told, which has begun."""
        verdict = Verdict.TELL
        if outcome.failure is not None:
            lacked = self._lacked[outcome.task]
            verdict = judge(outcome, held.route.outputs, mounted=mounted, lacked=lacked)
        if verdict is not Verdict.TELL:
            self._reconsider(held, outcome, verdict)
        elif self._carrier.needed(held.route, outcome, printed):
            self.carry(held, outcome)
        else:
            return False
        return True

    def tell(self, held: Held, outcome: Outcome) -> None:
        """This is the end of the attempt: nothing has to be carried."""
        self._journal.end(held.run, [outcome], carried=True)
        self._close([(held, outcome)])
        self._teller.tell(held.run, [outcome])

    def give_back(self, held: Held) -> None:
        """Let another one do it; the attempt doesn't count."""
        self.tell(held, given_back(Outcome(*held.key, OutcomeState.DONE, worker=self._name)))

    def fail(self, held: Held, error: BaseException) -> None:
        """The attempt has failed by this."""
        outcome = Outcome(*held.key, OutcomeState.FAILED, worker=self._name)
        outcome.failure = failure_of(error)
        verdict = judge(outcome, held.route.outputs, mounted=False, lacked=0)
        if verdict is Verdict.FULL:
            self._reconsider(held, outcome, verdict)
        else:
            self.tell(held, outcome)

    def drop(self, held: Held) -> None:
        """Nobody wants the attempt any more: what is here of it goes."""
        self._holding.remove(held)
        self._journal.settle([held.key])
        self._errands.go(self._clear([held], cut_short=True))

    def carry(self, held: Held, outcome: Outcome) -> None:
        """Bring away what the attempt has made, and tell it then."""
        self._holding.move(held, Phase.LEAVING, now=time.monotonic())
        held.spent_seconds = outcome.seconds
        self._journal.end(held.run, [outcome], carried=False)
        self._errands.go(self._carry(held, outcome))

    async def _carry(self, held: Held, outcome: Outcome) -> None:
        try:
            carried = await self._errands.persist(
                lambda: self._carrier.carry(held.route, outcome),
                wanted=lambda: self.is_wanted(held),
                what="Outputs can't be brought away",
            )
        except Exception as error:  # noqa: BLE001  # whatever it is becomes the attempt's end
            if not self.is_wanted(held):
                return  # It was given back meanwhile, or abandoned.
            if isinstance(error, ClaimEnded):
                self.drop(held)
                return
            # The server's full disk, or outputs that have vanished here: the attempt has failed.
            failed = Outcome(*held.key, OutcomeState.FAILED, outcome.seconds, outcome.worker)
            failed.failure = failure_of(error)
            self.tell(held, failed)
            return
        if carried is not None and self.is_wanted(held):
            told, size = carried
            self._watcher.carried(size)
            self.tell(held, told)

    def is_wanted(self, held: Held) -> bool:
        """Whether the attempt is still in the station's hands."""
        return self._holding.find(*held.key) is held

    def _reconsider(self, held: Held, outcome: Outcome, verdict: Verdict) -> None:
        if verdict is Verdict.FULL:
            self._watcher.full(outcome.failure.message if outcome.failure else "")
            self.tell(held, given_back(outcome))
        elif verdict is Verdict.GONE:
            self.drop(held)
        elif verdict is Verdict.DOUBT:
            self._holding.move(held, Phase.RESTING, now=time.monotonic())
            self._errands.go(self._doubt(held, outcome))
        else:
            self._holding.move(held, Phase.RESTING, now=time.monotonic())
            self._errands.go(self._rest(held, outcome))

    async def _doubt(self, held: Held, outcome: Outcome) -> None:
        gone = await self._watcher.doubt(held)
        if not self.is_wanted(held):
            return
        if gone:
            self.tell(held, given_back(outcome))
        elif not self._sent_another_way(held, outcome, mounted=False):
            self.tell(held, outcome)

    async def _rest(self, held: Held, outcome: Outcome) -> None:
        """Give it back after a pause, so that another machine may be quicker to take it."""
        before = self._lacked[outcome.task]
        self._lacked[outcome.task] += 1
        if len(self._lacked) > _REMEMBERED_LACKS:
            self._lacked.clear()
        await asyncio.sleep(FIRST_REST_SECONDS * 2**before)
        if self.is_wanted(held):
            self.tell(held, given_back(outcome))

    def _close(self, ended: Sequence[tuple[Held, Outcome]]) -> None:
        for held, _ in ended:
            self._holding.remove(held)
        self._watcher.ended(ended)
        cut = [held for held, outcome in ended if outcome.state in _CUT_SHORT]
        if cut:
            self._errands.go(self._clear(cut, cut_short=True))
        leaving = [held for held, _ in ended if held.leaves_something and held not in cut]
        if leaving:
            self._errands.go(self._clear(leaving))

    async def _clear(self, some: Sequence[Held], *, cut_short: bool = False) -> None:
        def clear() -> None:
            alike: dict[int, list[Held]] = {}
            for held in some:
                if held.hold is not None:
                    held.hold.close()
                alike.setdefault(id(held.route), []).append(held)
            for each in alike.values():
                keys = [held.key for held in each]
                if cut_short:
                    self._carrier.cut_short(each[0].route, keys)
                self._carrier.clear(each[0].route, keys)

        # Whoever is at it could begin anew what is removed.
        for held in some:
            if held.stopped is not None:
                await asyncio.wrap_future(held.stopped)
        await self._errands.blocking(clear)
