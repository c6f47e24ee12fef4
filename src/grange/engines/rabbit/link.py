"""The connection to the broker, and the watchdog that builds it anew with all that stands on it.

The client's own way to mend a connection brings back some of what stood on it,
some of the time. Here nothing is mended: whatever goes wrong, everything is
given up and made from the beginning.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

from grange.engines.base import Health
from grange.engines.rabbit.names import Address
from grange.engines.rabbit.troubles import told, translated
from grange.errors import BrokerRefused, BrokerUnreachable, EngineError, ExtraMissing

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection
    from aiormq.channel import Channel as Underlay

    from grange.engines.rabbit.line import Line

# Connecting and declaring everything takes some milliseconds, many times that over a bad network.
CONNECT_SECONDS = 30.0
BUILD_SECONDS = 90.0
# The broker is asked for something so often, and must answer within the other: heartbeats alone
# would notice a half-open connection after a minute and a half.
PING_SECONDS = 5.0
ANSWER_SECONDS = 15.0
# Another queue is asked for so long whether it answers.
WITNESS_SECONDS = 3.0
CLOSE_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0
# Whoever is refused will be refused again, until a person does something about it.
REFUSED_PAUSE_SECONDS = 15.0

log = logging.getLogger("grange.rabbit")

# What the client says of a lost connection is said here, once and in words.
for _name in ("aio_pika", "aiormq"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Session:
    """One connection for as long as it lasts, and the lines that are open on it."""

    def __init__(self, connection: AbstractConnection, where: Address) -> None:
        """Take over a connection that is open."""
        self.where = where
        # Queues that did not answer on this session, though the broker did.
        self.deaf: set[str] = set()
        # A queue of which it is known that it answers when the broker does, or none.
        self.witness = ""
        self._connection = connection
        self._trouble: asyncio.Future[EngineError] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(self._closed)

    async def line(self, *, confirms: bool = False, frail: bool = False) -> Line:
        """Open a channel; when it ends, so does the session, but for that of a `frail` one."""
        from grange.engines.rabbit.line import Line

        with translated(self.where):
            channel = self._connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
            await channel.initialize()
            # What stands below it is asked itself: it can do more at once.
            line = Line(cast("Underlay", await channel.get_underlay_channel()), self)
        if not frail:
            line.on_end(self.fail)
        return line

    async def ping(self) -> None:
        """Have an answer from the broker, on a line that waits for nothing else.

        Raises:
            BrokerUnreachable: There is none.
        """
        with translated(self.where):
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self.line(frail=True)
            async with asyncio.timeout(ANSWER_SECONDS):
                await line.ping()
            async with asyncio.timeout(ANSWER_SECONDS):
                await line.close()

    async def prove(self) -> bool:
        """Whether another queue answers just now; the broker itself does.

        Raises:
            BrokerUnreachable: It does not.
        """
        await self.ping()
        if not self.witness:
            return False
        with translated(self.where):
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self.line(frail=True)
        try:
            async with asyncio.timeout(WITNESS_SECONDS):
                await line.hears(self.witness)
        except TimeoutError:
            return False
        finally:
            with suppress(EngineError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await line.close()
        return True

    def fail(self, error: EngineError) -> None:
        """End the session: something is not as it should be."""
        if not self._trouble.done():
            self._trouble.set_result(error)

    async def trouble(self) -> EngineError:
        """Wait until something goes wrong."""
        return await asyncio.shield(self._trouble)

    def at_end(self, tell: Callable[[], object]) -> None:
        """Call this when the session ends."""
        self._trouble.add_done_callback(lambda _: tell())

    @property
    def is_open(self) -> bool:
        """Whether nothing has gone wrong yet."""
        return not self._trouble.done()

    async def close(self) -> None:
        """Close the connection, if it can still be closed."""
        self.fail(BrokerUnreachable("The connection to the message broker was closed."))
        with suppress(Exception, asyncio.CancelledError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.close()
        await _let_go(self._connection)

    def _closed(self, _sender: object, error: BaseException | None, *_: object) -> None:
        self.fail(told(error, self.where))


class Link:
    """Keeps a session open, for as long as `run` runs.

    `build` makes what stands on each new session. `changed` hears when the
    state of `health` has changed. None of them may block.
    """

    def __init__(
        self,
        where: Address,
        *,
        name: str,
        build: Callable[[Session], Awaitable[None]],
        changed: Callable[[Health], None],
    ) -> None:
        """Say what to keep. Nothing is connected yet."""
        self._where = where
        self._name = name
        self._build = build
        self._changed = changed
        self.health = Health("down", time.time(), "Not connected yet.")
        self.session: Session | None = None
        self._has_deaf = False  # whether the latest session has found deaf queues

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            error: EngineError
            try:
                async with self._open() as session:
                    pause = FIRST_PAUSE_SECONDS
                    error = await self._watch(session)
            except EngineError as failed:
                error = failed
            except Exception:
                log.exception("the connection to the message broker failed in an unforeseen way")
                error = EngineError("Something unforeseen happened to the connection; see the log.")
            _heed()
            self._tell(Health("down", time.time(), str(error)))
            if self._has_deaf:
                pause = FIRST_PAUSE_SECONDS  # It was waited for long enough.
            refused = isinstance(error, BrokerRefused)
            # Not all at once, when a broker has come back.
            wait = (REFUSED_PAUSE_SECONDS if refused else pause) * random.uniform(0.5, 1.5)  # noqa: S311
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def note(self, reason: str) -> None:
        """Say what is not as it should be, though the broker is reached."""
        self._tell(Health(self.health.state, self.health.since, reason))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Session]:
        self._has_deaf = False
        session = await connect(self._where, self._name)
        try:
            with translated(self._where):
                async with asyncio.timeout(BUILD_SECONDS):
                    await self._build(session)
            _heed()
            self.session = session
            self._tell(Health("up", time.time()))
            yield session
        finally:
            self.session = None
            self._has_deaf = bool(session.deaf)
            await session.close()

    async def _watch(self, session: Session) -> EngineError:
        pinging = asyncio.create_task(self._ping(session))
        try:
            return await session.trouble()
        finally:
            pinging.cancel()

    async def _ping(self, session: Session) -> None:
        try:
            line = await session.line()
            while True:
                await asyncio.sleep(PING_SECONDS)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await line.ping()
        except EngineError as error:
            session.fail(error)
        except TimeoutError as error:
            session.fail(told(error, self._where))

    def _tell(self, health: Health) -> None:
        if (health.state, health.reason) != (self.health.state, self.health.reason):
            since = self.health.since if health.state == self.health.state else health.since
            self.health = Health(health.state, since, health.reason)
            self._changed(self.health)


async def connect(where: Address, name: str) -> Session:
    """Connect once.

    Raises:
        BrokerUnreachable: There is no answer.
        BrokerRefused: The broker does not want this user.
        ExtraMissing: The client is not installed.
    """
    try:
        from aio_pika import Connection
        from aio_pika.connection import make_url
    except ImportError as error:
        message = "RabbitMQ needs the extra rabbitmq, which is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[rabbitmq]'") from error
    with translated(where):
        connection = Connection(make_url(where.url), client_properties={"connection_name": name})
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
        except BaseException:
            await _let_go(connection)
            raise
    return Session(connection, where)


def _heed() -> None:
    """End if that was asked for: what waits for a connection, or closes it, may have missed it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _let_go(connection: AbstractConnection) -> None:
    """Have the client hold it for closed, also if it never opened or could not be closed in time.

    One that isn't would be closed by the collector of garbage: when nothing runs
    any more that could do it.
    """
    with suppress(Exception, asyncio.CancelledError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
