"""A driver's connection to the broker: one for all runs of the process, in a thread of its own.

The engines of runs stand in their dispatchers' threads. They ask by plain
calls that never block, and are answered through a queue that each of them has.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, ClassVar

from grange.core.ids import new_id
from grange.engines.base import Health
from grange.engines.rabbit import topology
from grange.engines.rabbit.dead import bury
from grange.engines.rabbit.events import Down, Event
from grange.engines.rabbit.line import Incoming, Line
from grange.engines.rabbit.link import Link, Session
from grange.engines.rabbit.messages import Control, Shapes, pack_control, unpack_beat
from grange.engines.rabbit.names import ALL, Address, Names
from grange.engines.rabbit.speakers import Speakers
from grange.engines.rabbit.stations import Stations
from grange.engines.rabbit.unsaid import Unsaid
from grange.engines.rabbit.wire import Wire
from grange.errors import EngineError

log = logging.getLogger("grange.rabbit")

# How long the last messages may take when all engines have let go.
FLUSH_SECONDS = 2.0
# Of so many runs, the latest ones, it is remembered that their queues are to go.
MOST_LEFT = 1000


class Hub:
    """The connection of this process to one site at one broker. Made by `lend`."""

    _open: ClassVar[dict[tuple[str, str], Hub]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def lend(cls, where: Address, site: str) -> Hub:
        """The one hub of this address and site, begun if need be. Give it back once.

        May be called from any thread.
        """
        with cls._lock:
            hub = cls._open.get((where.url, site))
            if hub is None:
                hub = cls._open[where.url, site] = cls(where, site)
                hub._thread.start()
            hub._lent += 1
            return hub

    def give_back(self) -> None:
        """Say that it is needed no more; with the last one it ends."""
        with self._lock:
            self._lent -= 1
            if self._lent:
                return
            del self._open[self.where.url, self.names.site]
        self._call(self._finish.set)
        self._thread.join()

    def __init__(self, where: Address, site: str) -> None:
        """Not to be called but by `lend`."""
        self.where = where
        self.names = Names(site)
        self.stations = Stations()
        self.speakers = Speakers(self.names)
        self._lent = 0
        self._token = new_id()
        self._wires: dict[str, Wire] = {}
        self._taken: dict[str, float] = {}
        self._unsaid = Unsaid()
        self._left: dict[str, None] = {}  # runs whose queues are to go
        self._shapes: set[str] = set()
        self._declared: set[str] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._finish = asyncio.Event()
        self._session: Session | None = None  # the latest, also when it has ended
        self._line: Line | None = None  # for what may get lost
        self._beats = ""
        self._link = Link(
            where, name=f"grange driver {site}", build=self._build, changed=self._changed
        )
        self._thread = threading.Thread(target=self._work, name="rabbit", daemon=True)

    # ---- asked from any thread

    @property
    def health(self) -> Health:
        """Whether the broker is reached."""
        return self._link.health

    def open(self, run: str, shape: str, inbox: SimpleQueue[Event]) -> None:
        """Carry a run's tasks and what comes of them, from now on."""
        self._call(self._open_wire, run, shape, inbox)

    def publish(self, run: str, name: str, body: bytes) -> None:
        """Bring a message with tasks to the queue of the run's shape."""
        self._call(self._publish, run, name, body)

    def settle(self, run: str, session: object, tag: int) -> None:
        """What has come up to this one is on the ledger."""
        self._call(self._settle, run, session, tag)

    def look(self, run: str) -> None:
        """Say how many messages wait in the queue of the run's shape."""
        self._call(self._look, run)

    def taken(self, shape: str, published: float) -> float:
        """Note when the latest of those messages was published that a run knows to be taken.

        Gives that time for all runs with tasks of this shape: their messages wait in one queue.
        """
        latest = self._taken[shape] = max(published, self._taken.get(shape, published))
        return latest

    def say(self, control: Control) -> None:
        """Tell all stations: now, or when the broker is back."""
        self._call(self._say, control)

    def close(self, run: str, *, forget: bool) -> None:
        """Carry the run no more; when it is to be forgotten, nothing is left of it."""
        done: Future[None] = Future()
        self._call(self._close_wire, run, forget, done)
        with suppress(TimeoutError):
            done.result(FLUSH_SECONDS)

    def tidy(self, runs: Collection[str]) -> None:
        """Remove the queues of runs that are over: now, or when the broker is back."""
        self._call(self._tidy, tuple(runs))

    # ---- the thread

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:  # noqa: ANN401  # the function's own
        with suppress(RuntimeError):  # The loop has ended: so has what it was asked for.
            self._loop.call_soon_threadsafe(function, *arguments)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        keeping = asyncio.create_task(self._link.run())
        await self._finish.wait()
        if self._busy:
            await asyncio.wait(self._busy, timeout=FLUSH_SECONDS)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    def _changed(self, health: Health) -> None:
        if health.state == "up":
            log.info("connected to the message broker at %s", self.where.where)
            for wire in self._wires.values():
                # Some may have been opened while all the others were built.
                self._spawn(self._connect(wire))
            self._tidy(())
            return
        log.warning("%s", health.reason)
        self._cut_off()

    def _cut_off(self) -> None:
        self._line = None
        for wire in self._wires.values():
            wire.cut_off()
            wire.inbox.put(Down())

    async def _build(self, session: Session) -> None:
        try:
            await self._build_all(session)
        except BaseException:
            # Some runs have heard that all is up.
            self._cut_off()
            raise

    async def _build_all(self, session: Session) -> None:
        await self._remove_deaf(session)
        wiped = await self._is_wiped(session)
        line = await session.line()
        await topology.declare_site(line, self.names)
        for shape in sorted(self._shapes):
            await self._declare_shape(line, shape)
        self._beats = f"grange.{self.names.site}.driver.{self._token}.{new_id()}"
        await line.own_queue(self._beats, topology.PASSING)
        await line.bind(self._beats, self.names.beats, ALL)
        await line.consume(self._beats, self._beaten, settled=True)
        session.witness = self.names.dead
        await _together(
            bury(session, self.names),
            *(wire.build(session, self._beats, wiped=wiped) for wire in self._wires.values()),
        )
        await line.post(self._announcement(), self.names.control, "")
        while (control := self._unsaid.take()) is not None:
            await self._say_on(line, control)
        self._line = line

    async def _remove_deaf(self, session: Session) -> None:
        """Remove those queues that gave no answer last time, to be made again.

        What is in them is lost, as it was before: the ledger gives it out again.
        """

        async def remove(queue: str) -> None:
            log.warning("the queue %s does not answer: it is made anew", queue)
            line = await session.line()
            await line.delete(queue)
            await line.close()
            session.deaf.discard(queue)

        last, self._session = self._session, session
        if last is not None:
            session.deaf |= last.deaf  # each until it is removed
            await _together(*map(remove, last.deaf))

    async def _is_wiped(self, session: Session) -> bool:
        """Whether a queue that was there is gone, and with it all that waited."""
        for shape in self._declared:
            line = await session.line(frail=True)
            if await line.depth(self.names.tasks(shape)) is None:
                return True
            await line.close()
        return False

    async def _declare_shape(self, line: Line, shape: str) -> None:
        await topology.declare_shape(line, self.names, shape)
        self._declared.add(shape)

    def _announcement(self) -> bytes:
        return pack_control(Shapes(tuple(sorted(self._shapes))))

    def _beaten(self, message: Incoming) -> None:
        if message.key == ALL:
            with suppress(EngineError):
                beat = unpack_beat(message.body)
                believed = self.speakers.believed(beat.station, message.user)
                if believed and self.stations.beat(beat, time.monotonic()):
                    # It is new, and may not know yet which queues there are.
                    self._tell(self._announcement())
        elif wire := self._wires.get(message.key):
            wire.beaten(message)

    # ---- what is asked, in the thread

    def _open_wire(self, run: str, shape: str, inbox: SimpleQueue[Event]) -> None:
        wire = self._wires[run] = Wire(self.names, run, shape, inbox)
        self._spawn(self._connect(wire))

    async def _connect(self, wire: Wire) -> None:
        fresh = wire.shape not in self._shapes
        self._shapes.add(wire.shape)
        session, line = self._link.session, self._line
        if session is None or line is None:
            return  # It is built with all the rest.
        if fresh:
            await self._declare_shape(line, wire.shape)
            await line.post(self._announcement(), self.names.control, "")
        await wire.build(session, self._beats, wiped=False)
        wire.catch_up(self._spawn)

    def _publish(self, run: str, name: str, body: bytes) -> None:
        if wire := self._wires.get(run):
            wire.publish(name, body, self._spawn)

    def _settle(self, run: str, session: object, tag: int) -> None:
        wire = self._wires.get(run)
        if wire is not None and wire.session is session:
            self._spawn(wire.settle(tag))

    def _look(self, run: str) -> None:
        if wire := self._wires.get(run):
            self._spawn(wire.look())

    def _say(self, control: Control) -> None:
        if self._line is None:
            self._unsaid.keep(control)
        else:
            self._spawn(self._say_on(self._line, control))

    async def _say_on(self, line: Line, control: Control) -> None:
        try:
            await line.post(pack_control(control), self.names.control, "")
        except EngineError:
            self._unsaid.keep(control)
            raise

    def _tell(self, body: bytes) -> None:
        if self._line is not None:
            self._spawn(self._line.post(body, self.names.control, ""))

    def _close_wire(self, run: str, forget: bool, done: Future[None]) -> None:  # noqa: FBT001  # by call_soon
        async def close() -> None:
            try:
                wire = self._wires.pop(run, None)
                if wire and not await wire.close(self._beats, forget=forget) and forget:
                    self._tidy([run])
            finally:
                done.set_result(None)

        self._spawn(close())

    def _tidy(self, runs: Collection[str]) -> None:
        self._left |= dict.fromkeys(runs)
        for run in list(self._left)[:-MOST_LEFT]:
            del self._left[run]
        session = self._link.session
        if self._left and session is not None:
            self._spawn(self._remove_left(session))

    async def _remove_left(self, session: Session) -> None:
        line = await session.line()
        while self._left:
            run = next(iter(self._left))
            # One that was opened again needs it.
            if run not in self._wires:
                await line.delete(self.names.outcomes(run))
            self._left.pop(run, None)
        await line.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; when it fails, the session does."""
        session = self._link.session

        async def guarded() -> None:
            try:
                await work
            except EngineError as error:
                if session is not None:
                    session.fail(error)
            except Exception as error:  # whatever it was, begin anew
                log.warning("unforeseen trouble with the broker", exc_info=error)
                if session is not None:
                    session.fail(EngineError("Something unforeseen; see the log."))

        task = asyncio.ensure_future(guarded(), loop=self._loop)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        # It may be called off before it has begun.
        task.add_done_callback(lambda _: work.close())


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Do them at the same time, and all to the end; the first that failed is told of."""
    for error in await asyncio.gather(*works, return_exceptions=True):
        if error is not None:
            raise error
