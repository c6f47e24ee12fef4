"""One run's part of a driver's connection: its tasks go out, its reports come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any

from grange.engines.rabbit.events import Beaten, Event, Looked, Reported, Unsent, Up
from grange.engines.rabbit.line import Incoming, Line
from grange.engines.rabbit.link import Session
from grange.engines.rabbit.names import REPORTS_AT_ONCE, Names
from grange.engines.rabbit.topology import declare_run
from grange.errors import BrokerRefused, BrokerUnreachable, EngineError


class Wire:
    """Lives in the hub's thread; whatever it hears goes to the inbox of the run's engine."""

    def __init__(self, names: Names, run: str, shape: str, inbox: SimpleQueue[Event]) -> None:
        """Nothing is made at the broker yet."""
        self.run = run
        self.shape = shape
        self.inbox = inbox
        self.session: Session | None = None
        self._names = names
        self._reader: Line | None = None
        self._sender: Line | None = None
        self._admin: Line | None = None
        self._outbox: list[tuple[str, bytes]] = []
        self._closed = self._forgotten = False

    async def build(self, session: Session, beats: str, *, wiped: bool) -> None:
        """Make everything on a new session, and send what has waited for it."""
        if self.session is session or self._is_closed():
            return
        self.session = session
        if wiped:
            # What waits here is given out again too.
            self._outbox.clear()
        self._admin = await session.line()
        await declare_run(self._admin, self._names, self.run)
        await self._admin.bind(beats, self._names.beats, self.run)
        self._reader = await session.line()
        self.inbox.put(Up(wiped=wiped))
        await self._reader.consume(
            self._names.outcomes(self.run), self._reported, prefetch=REPORTS_AT_ONCE
        )
        self._sender = await session.line(confirms=True)
        if self._is_closed():
            await self.close(beats, forget=self._forgotten)

    def cut_off(self) -> None:
        """The session is gone."""
        self.session = self._reader = self._sender = self._admin = None

    def publish(
        self, name: str, body: bytes, spawn: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        """Send a message with tasks, or keep it until it can be sent."""
        if self._sender is None:
            self._outbox.append((name, body))
        else:
            spawn(self._send(self._sender, name, body))

    def catch_up(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Send what was kept."""
        kept, self._outbox = self._outbox, []
        for name, body in kept:
            self.publish(name, body, spawn)

    def beaten(self, message: Incoming) -> None:
        """A station's beat about this run has come."""
        self.inbox.put(Beaten(message.body, message.user))

    async def settle(self, tag: int) -> None:
        """The broker may forget the reports up to this one."""
        if self._reader is not None:
            await self._reader.accept(tag, all_before=True)

    async def look(self) -> None:
        """Say how many messages wait for stations."""
        if self._admin is None:
            return
        at = time.monotonic()
        count = await self._admin.depth(self._names.tasks(self.shape))
        if count is not None:
            self.inbox.put(Looked(count, at))

    async def close(self, beats: str, *, forget: bool) -> bool:
        """Carry nothing more; with `forget` the run's queue goes too.

        False when it could not be reached. What is just being built ends as soon as it is there.
        """
        self._closed, self._forgotten = True, forget
        reader, admin = self._reader, self._admin
        sender, self._sender = self._sender, None
        if reader is None or admin is None or sender is None:
            return False
        await reader.close()
        await admin.unbind(beats, self._names.beats, self.run)
        if forget:
            await admin.delete(self._names.outcomes(self.run))
        await admin.close()
        await sender.close()
        self.cut_off()
        return True

    def _is_closed(self) -> bool:
        return self._closed

    def _reported(self, message: Incoming) -> None:
        self.inbox.put(
            Reported(message.body, message.user, self.session, message.tag, message.direct)
        )

    async def _send(self, sender: Line, name: str, body: bytes) -> None:
        sent = False
        try:
            sent = await sender.send(body, "", self._names.tasks(self.shape), name=name)
            if not sent:
                raise BrokerUnreachable("A queue of tasks is gone.")
        except BrokerRefused:
            return  # The queue is full: what comes back is given out again.
        except EngineError:
            if not sender.closed:
                raise
        finally:
            if not sent:
                self.inbox.put(Unsent(name))
