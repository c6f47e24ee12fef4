"""A station's side of the broker: tasks come in, reports and beats go out.

Lives in one asyncio loop. No work is done in the process that has it: a
library that holds the interpreter for a minute would end the connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from grange.core.ids import new_id
from grange.core.tasks import JSON, Batch, Outcome, OutcomeState
from grange.engines.base import Health
from grange.engines.rabbit.line import Incoming, Line
from grange.engines.rabbit.link import Link, Session
from grange.engines.rabbit.living import Living, Over
from grange.engines.rabbit.messages import (
    Abandon,
    Beat,
    Control,
    Held,
    Shapes,
    pack_beat,
    unpack_batch,
    unpack_control,
)
from grange.engines.rabbit.names import ALL, Names, address
from grange.engines.rabbit.reporting import Reporter
from grange.engines.rabbit.subscription import Subscription
from grange.engines.rabbit.topology import PASSING
from grange.errors import (
    BrokerMessageInvalid,
    BrokerUnreachable,
    EngineError,
    ProtocolMismatch,
)

log = logging.getLogger("grange.rabbit")

# Attempts that were abandoned before they came, remembered so that they are never begun.
REMEMBERED = 100_000
# A worker that doesn't understand the server looks again after this: it may have been brought
# to the same version.
MISMATCH_SECONDS = 60.0
# Whether a run is over of which nobody hears anything is asked no more often than this.
DOUBT_SECONDS = 5.0


@dataclass(slots=True)
class Delivery:
    """A message with tasks that has come. Say `accept` or `refuse`, once and soon."""

    batch: Batch
    shape: str
    name: str
    _subscription: Subscription = field(repr=False)
    _tag: int = 0
    _accepted: Callable[[Delivery], None] = field(repr=False, default=lambda _: None)

    def accept(self) -> bool:
        """The station has it: from now on its tasks live on the station's beats.

        False when the connection has ended meanwhile: others have it by now.
        """
        if not self._subscription.is_open:
            return False
        self._accepted(self)
        self._subscription.settle(self._tag)
        return True

    @property
    def is_open(self) -> bool:
        """Whether it can still be accepted."""
        return self._subscription.is_open

    def refuse(self) -> None:
        """Give it back; after some times it counts as lost."""
        self._subscription.refuse(self._tag)

    def dismiss(self) -> None:
        """Nobody wants it: let it go, and take another one in its place."""
        self._subscription.dismiss(self._tag)

    @property
    def session(self) -> Session:
        """The connection over which it came."""
        return self._subscription.session


class Intake:
    """What a station takes from the broker and gives to it, over a connection that mends itself.

        async with Intake(url, site=…, station=…, serves=…) as intake:
            intake.want({"c1": 4})
            async for delivery in intake: …

    A broker that is away is a state, which `health` tells.
    """

    def __init__(
        self,
        url: str,
        *,
        site: str,
        station: str,
        serves: Callable[[str], bool],
        on_control: Callable[[Control | Over], None] = lambda _: None,
        on_health: Callable[[Health], None] = lambda _: None,
    ) -> None:
        """Prepare. `serves` says whether this station can do tasks of a shape.

        Raises:
            SettingInvalid: The URL is none of a broker.
        """
        self.station = station
        self.session = new_id()
        self._names = Names(site)
        self._serves = serves
        self._on_control = on_control
        self._link = Link(
            address(url), name=f"grange worker {station}", build=self._build, changed=on_health
        )
        self._shapes: set[str] = set()
        self._session: Session | None = None  # the latest, also while it is built or has ended
        self._asked: set[str] = set()  # the shapes that it has a subscription for, or gets one
        self._credit: Mapping[str, int] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._deliveries: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._undelivered: Counter[str] = Counter()
        self._abandoned: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._reporter = Reporter(station, self.session, self._names)
        self._living = Living(self._names)
        self._doubted: set[str] = set()
        self._mismatch_until = 0.0
        self._passing: Line | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect, in the background."""
        self._keeping = asyncio.create_task(self._link.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection. What was not accepted goes to others."""
        self._deliveries.put_nowait(None)
        for task in (*self._busy, self._keeping):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        """The messages, as they come; ends when the intake is closed."""
        while (delivery := await self._deliveries.get()) is not None:
            self._undelivered[delivery.shape] -= 1
            if delivery.is_open:
                yield delivery

    # ---- what the station says

    def health(self) -> Health:
        """Whether the broker is reached."""
        return self._link.health

    def shapes(self) -> frozenset[str]:
        """The shapes of tasks that there are queues of, and that this station can do."""
        return frozenset(filter(self._serves, self._shapes))

    def want(self, credit: Mapping[str, int]) -> None:
        """Take so many more messages of each shape; none of those that are not named.

        What comes afterwards is counted down from it. Never more come than
        that, but for those that are on their way when it is lowered.
        """
        self._credit = dict(credit)
        self._spread_credit()

    async def publish_outcomes(self, run: str, outcomes: Sequence[Outcome]) -> bool:
        """Report what came of a run's tasks. True once the broker has it on disk.

        False when nobody will ever read it, because the run is over. What is
        too long for a message is reported as a failure instead.

        Raises:
            BrokerUnreachable: Nobody knows whether it came there: send it again.
        """
        heard = await self._reporter.ended(run, outcomes)
        self._living.heard(run, lives=heard)
        return heard

    async def listeners(self, run: str) -> int:
        """How many drivers listen to what comes of this run; none when it is over.

        Raises:
            BrokerUnreachable: Nobody can be asked.
        """
        session = self._link.session
        if session is None:
            raise BrokerUnreachable("The message broker is away.")
        return await self._living.listeners(session, run)

    async def beat(
        self,
        run: str = "",
        held: Sequence[Held] = (),
        *,
        slots: int,
        about: Mapping[str, JSON] | None = None,
    ) -> None:
        """Say what the station holds of a run, or without one how it is. Lost while away.

        Of a run that is over, which the station may have missed, it hears so in a while.
        """
        if self._passing is None:
            return
        if held and not self._living.knows(run) and run not in self._doubted:
            self._doubted.add(run)
            asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._doubted.discard, run)
            self._spawn(self._doubt(run))
        beat = Beat(self.station, self.session, time.time(), slots, tuple(held), dict(about or {}))
        try:
            await self._passing.post(pack_beat(beat), self._names.beats, run or ALL)
        except BrokerMessageInvalid:
            log.warning("a beat of %d tasks is too long", len(held))
        except EngineError as error:
            self._fail(error)

    # ---- the connection

    async def _build(self, session: Session) -> None:
        self._passing = self._reporter.sender = None
        self._session, self._asked = session, set()
        self._subscriptions.clear()
        passing = await session.line()
        own = self._names.station(self.station) + new_id()
        await passing.own_queue(own, PASSING)
        await passing.bind(own, self._names.control)
        await passing.consume(own, self._told, settled=True)
        self._reporter.sender = await session.line(confirms=True)
        self._passing = passing
        await self._subscribe()
        self._on_control(Shapes(tuple(sorted(self._shapes))))

    async def _subscribe(self) -> None:
        """Have a subscription for each shape, on the session that there is or is being built."""
        session, asked = self._session, self._asked
        if session is None or not session.is_open:
            return  # The next one is built with all of them.
        # What a driver says while a session is built is heard on it already.
        while missing := self.shapes() - asked:
            shape = min(missing)
            asked.add(shape)
            line = await session.line()
            if session is self._session:
                queue = self._names.tasks(shape)
                self._subscriptions[shape] = Subscription(line, queue, shape, self._delivered)
        self._spread_credit()

    def _spread_credit(self) -> None:
        silent = time.monotonic() < self._mismatch_until
        for shape, subscription in self._subscriptions.items():
            wanted = 0 if silent else self._credit.get(shape, 0)
            subscription.want(max(0, wanted - self._undelivered[shape]))

    def _fail(self, error: EngineError) -> None:
        if self._link.session is not None:
            self._link.session.fail(error)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except EngineError as error:
                # A broken connection is noticed by its session, and is built anew.
                log.info("%s", error)

        task = asyncio.create_task(guarded())
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        # It may be called off before it has begun.
        task.add_done_callback(lambda _: work.close())

    # ---- what comes

    def _told(self, message: Incoming) -> None:
        try:
            control = unpack_control(message.body)
        except ProtocolMismatch as error:
            self._mismatch(error)
            return
        except EngineError as error:
            log.warning("%s", error)
            return
        if isinstance(control, Abandon):
            self._abandon(control)
            return
        if isinstance(control, Shapes):
            self._spawn(self._learn(control))
        self._on_control(control)

    def _abandon(self, unwanted: Abandon) -> None:
        for attempt in unwanted.attempts:
            self._abandoned[unwanted.run, *attempt] = None
        while len(self._abandoned) > REMEMBERED:
            self._abandoned.popitem(last=False)
        self._on_control(unwanted)

    async def _doubt(self, run: str) -> None:
        """See whether a run is over: nobody is left who would say so."""
        session = self._link.session
        if session is not None and await self._living.is_over(session, run):
            log.info("run %s is over: what is held of it is given up", run)
            self._on_control(Over(run))

    async def _learn(self, control: Shapes) -> None:
        self._shapes.update(control.shapes)
        await self._subscribe()

    def _delivered(self, message: Incoming, subscription: Subscription) -> None:
        try:
            batch = unpack_batch(message.body)
        except ProtocolMismatch as error:
            subscription.refuse(message.tag)
            self._mismatch(error)
            return
        except EngineError as error:
            # Others can't read it either: it goes to the dead in the end.
            log.warning("%s", error)
            subscription.refuse(message.tag)
            return
        if message.times:
            self._give_back(batch, message)
            subscription.dismiss(message.tag)
            return
        run, unwanted = batch.job.run, self._abandoned
        wanted = [one for one in batch.tasks if (run, one.id, one.epoch) not in unwanted]
        if not wanted:
            subscription.dismiss(message.tag)
            return
        self._undelivered[subscription.shape] += 1
        delivery = Delivery(
            Batch(batch.job, tuple(wanted)),
            subscription.shape,
            message.name,
            subscription,
            message.tag,
            self._accepted,
        )
        if self._living.knows(run):
            self._deliveries.put_nowait(delivery)
        else:
            self._spawn(self._deliver(delivery))

    async def _deliver(self, delivery: Delivery) -> None:
        """Deliver it, unless its run is over: it was called off while no station was there."""
        lives = False
        try:
            lives = await self._living.lives(delivery.session, delivery.batch.job.run)
        except EngineError as error:
            # What came over it goes back to the queue.
            delivery.session.fail(error)
            raise
        finally:
            if not lives:
                self._undelivered[delivery.shape] -= 1
        if lives:
            self._deliveries.put_nowait(delivery)
        else:
            log.info("message %s is of a run that is over", delivery.name)
            delivery.dismiss()

    def _accepted(self, delivery: Delivery) -> None:
        self._spawn(self._say_taken(delivery))

    async def _say_taken(self, delivery: Delivery) -> None:
        run = delivery.batch.job.run
        taken = await self._reporter.taken(run, delivery.name)
        self._living.heard(run, lives=taken)
        if not taken:
            # The run is over: nobody will ever read what comes of this.
            attempts = tuple((task.id, task.epoch) for task in delivery.batch.tasks)
            self._abandon(Abandon(run, attempts))

    def _give_back(self, batch: Batch, message: Incoming) -> None:
        """Another station may have begun this: these attempts are over, new ones take over.

        So no two stations ever write the outputs of one attempt.
        """
        outcomes = tuple(
            Outcome(task.id, task.epoch, OutcomeState.RETURNED, worker=self.station)
            for task in batch.tasks
        )
        log.info("message %s came %d times before: it is given back", message.name, message.times)
        self._spawn(self._reporter.ended(batch.job.run, outcomes))

    def _mismatch(self, error: ProtocolMismatch) -> None:
        """Take nothing for a while; who is newer must not lose its messages by this."""
        if time.monotonic() >= self._mismatch_until:
            log.warning("%s", error)
        self._mismatch_until = time.monotonic() + MISMATCH_SECONDS
        self._spread_credit()
        asyncio.get_running_loop().call_later(MISMATCH_SECONDS, self._spread_credit)
        self._link.note(str(error))
