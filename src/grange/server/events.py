"""What happens to runs, told to whoever listens, as it happens and each thing once.

One task looks into the ledger for all who listen, a few times a second, and
encodes what it finds once. Nothing is kept here that the ledger doesn't have:
the id of each event is a place in it, from which any later server goes on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grange.client.schemas import runs as schemas
from grange.errors import RequestInvalid, TooMany
from grange.server.called import Called
from grange.server.rechecks import Rechecks, Still
from grange.server.shown import Veil, ended_shown
from grange.server.snapshots import Snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from grange.accounts.models import Actor
    from grange.pool.models import Worker
    from grange.runs.models import ItemView, RunView
    from grange.runs.pages import Sight
    from grange.runs.service import Runs

LOOK_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
# A stream ends by itself then; whoever comes back proves anew who they are.
LIFE_SECONDS = 600.0
STREAMS_PER_USER = 50
RUNS_PER_STREAM = 50
# Items in one event at most, and bytes that wait for a reader before it counts as gone.
BATCH = 500
MOST_WAITING_BYTES = 4 << 20
RETRY_SECONDS = 2.0
# How the wish for everything that has happened before is written.
START = "start"

Place = tuple[float, int]  # when an item ended, and its id
# Stands for the place of the item that ended last.
FROM_NOW: Place = (0.0, -1)
# As `Listener.cursor` writes them.
_PLACE = re.compile(r"([0-9a-z]{1,20}):([0-9]{1,12}(?:\.[0-9]{1,20})?):(-1|[0-9]{1,18})")

log = logging.getLogger("grange.server")


@dataclass(eq=False)
class Listener:
    """One stream: what it follows, how far it has come, and what waits to be sent."""

    user: str
    sight: Sight
    all_runs: bool
    places: dict[str, Place]  # by the run's id
    actor: Actor | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    snapshots: dict[str, bytes] = field(default_factory=dict)  # of each run only the newest
    items: deque[tuple[str, Place, bytes]] = field(default_factory=deque)
    waiting_bytes: int = 0
    welcomed: bool = False  # has been told how all runs stand
    closed: bool = False

    def tell_run(self, run: str, data: bytes) -> None:
        """Let the reader know how a run stands now."""
        self.snapshots[run] = data
        self.ready.set()

    def tell_items(self, run: str, place: Place, data: bytes) -> None:
        """Let the reader know of items; one who reads too slowly is let go, and may come back."""
        self.items.append((run, place, data))
        self.waiting_bytes += len(data)
        if self.waiting_bytes > MOST_WAITING_BYTES:
            self.close()
        self.ready.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self.items.clear()
        self.snapshots.clear()
        self.ready.set()

    def take(self) -> bytes:
        """All that waits, as it is sent."""
        self.ready.clear()
        told = []
        while self.items:
            run, self.places[run], data = self.items.popleft()
            told.append(b"id: " + self.cursor() + b"\n" + data)
        # After the items: a page that hears of a run's end has heard of its items before.
        told += self.snapshots.values()
        self.snapshots.clear()
        self.waiting_bytes = 0
        return b"".join(told)

    def cursor(self) -> bytes:
        """How far this stream has come, in a form that any later server understands."""
        return ",".join(f"{run}:{at!r}:{item}" for run, (at, item) in self.places.items()).encode()


@dataclass(eq=False)
class Channel:
    """A run that somebody follows, and how far it has been told."""

    run: RunView
    place: Place
    counts: object = None  # when these are the same, no item has ended since
    listeners: set[Listener] = field(default_factory=set)


class Hub:
    """Tells listeners about runs. Belongs to the event loop that it is first used in."""

    def __init__(
        self,
        runs: Runs,
        workers: Callable[[], list[Worker]] = list,
        *,
        home: Path,
        limit: int,
        still: Still = lambda them: [True] * len(them),
    ) -> None:
        """Tell of these runs to at most so many streams at once; of `home` it says nothing.

        `still` is asked now and then which of those who listen would be let in as they were;
        the streams of the others end. `workers` gives those who have joined.
        """
        self._runs = runs
        self._veil = Veil(home)
        self._limit = limit
        self.called = Called(workers)
        self._snapshots = Snapshots(runs, self._veil, self.called)
        self._rechecks = Rechecks(still)
        self._listeners: set[Listener] = set()
        self._users: Counter[str] = Counter()
        self._channels: dict[int, Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def enter(
        self,
        user: str,
        sight: Sight,
        *,
        runs: Sequence[RunView],
        all_runs: bool = False,
        after: str | None = None,
        actor: Actor | None = None,
    ) -> Listener:
        """Take a listener in, to be given to `stream`; its runs are those that it may see.

        Raises:
            TooMany: There are as many streams as there may be.
            RequestInvalid: `after` is no id of an event, or there are too many runs.
        """
        if self._closed or len(self._listeners) >= self._limit:
            raise _full("The server has as many open pages and clients as it may have.")
        if self._users[user] >= STREAMS_PER_USER:
            raise _full("You have as many open pages and clients as one user may have.")
        if len(runs) > RUNS_PER_STREAM:
            message = f"One stream follows at most {RUNS_PER_STREAM} runs."
            raise RequestInvalid(message, hint="Follow `runs`, or open another stream.")
        listener = Listener(user, sight, all_runs, _places(after, runs), actor)
        self._listeners.add(listener)
        self._users[user] += 1
        return listener

    def leave(self, listener: Listener) -> None:
        """Let a listener go."""
        if listener not in self._listeners:
            return
        listener.close()
        self._listeners.discard(listener)
        self._users[listener.user] -= 1
        if not self._users[listener.user]:
            del self._users[listener.user]
        for channel in list(self._channels.values()):
            self._drop(channel, listener)

    async def stream(self, listener: Listener, runs: Sequence[RunView]) -> AsyncIterator[bytes]:
        """What the listener is sent, until it leaves, its life is over, or the hub closes."""
        try:
            self._loop = asyncio.get_running_loop()
            yield f"retry: {round(RETRY_SECONDS * 500)}\n\n".encode()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._keep_looking())
            for run in runs:
                async for data in self._catch_up(listener, run):
                    yield data
            ends = time.monotonic() + LIFE_SECONDS
            while not listener.closed and time.monotonic() < ends:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await listener.ready.wait()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if data := listener.take():
                    yield data
                if not listener.all_runs and not listener.places:
                    return
        finally:
            self.leave(listener)

    def close(self) -> None:
        """End all streams; from any thread. Nobody is taken in from then on."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._close_all)

    def _close_all(self) -> None:
        for listener in list(self._listeners):
            listener.close()

    # ---- coming in

    async def _catch_up(self, listener: Listener, run: RunView) -> AsyncIterator[bytes]:
        """What has ended since the listener's place; then it joins those who hear what is new."""
        if listener.places[run.id] == FROM_NOW:
            listener.places[run.id] = await asyncio.to_thread(self._runs.last_ended, run)
        while not listener.closed:
            place = listener.places[run.id]
            channel = self._channels.get(run.number)
            # Whatever is told to the others meanwhile lies behind this.
            bound = channel.place if channel else None
            if bound is not None and place > bound:
                await asyncio.sleep(LOOK_SECONDS / 4)
                continue
            ended: list[ItemView] = []
            if place != bound:
                ended = await asyncio.to_thread(self._runs.ended, run, after=place, limit=BATCH)
            if bound is not None:
                ended = [item for item in ended if _place(item) <= bound]
            if ended:
                listener.places[run.id] = _place(ended[-1])
                yield b"id: " + listener.cursor() + b"\n" + self._items(run.id, ended)
            elif self._channels.get(run.number) is channel:
                if bound is not None and channel is not None and channel.place != bound:
                    listener.places[run.id] = bound
                    continue
                listener.places[run.id] = bound or place
                self._join(listener, run, bound or place)
                break
        if now := await asyncio.to_thread(self._runs.now, [run.number]):
            data = await asyncio.to_thread(self._snapshots.one, now[0])
            yield b"id: " + listener.cursor() + b"\n" + data

    def _join(self, listener: Listener, run: RunView, place: Place) -> None:
        channel = self._channels.get(run.number)
        if channel is None:
            channel = self._channels[run.number] = Channel(run, place)
        channel.listeners.add(listener)

    def _drop(self, channel: Channel, listener: Listener) -> None:
        channel.listeners.discard(listener)
        if not channel.listeners and self._channels.get(channel.run.number) is channel:
            del self._channels[channel.run.number]

    # ---- looking

    async def _keep_looking(self) -> None:
        while self._listeners:
            try:
                await self._look()
                await self._rechecks.look(list(self._listeners))
            except Exception:
                # A database that is away for a moment is no reason to fall silent for good.
                log.exception("the ledger could not be looked into for events")
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        # Whoever comes in while the ledger is asked waits for the next look.
        everyone = [one for one in self._listeners if one.all_runs]
        channels = dict(self._channels)
        found = await asyncio.to_thread(
            self._snapshots.look, list(channels), everything=bool(everyone)
        )
        present = {run.number: run for run in found.runs}
        for number, channel in channels.items():
            if number in present:
                await self._tell_channel(channel, present[number])
            else:
                self._gone(channel, list(channel.listeners))
        for listener in everyone:
            news = found.changed if listener.welcomed else found.all
            listener.welcomed = True
            for run, data in news:
                if listener.sight.sees(run):
                    listener.tell_run(run.id, data)
            for run in found.gone:
                if listener.sight.sees(run):
                    listener.tell_run(run.id, _gone(run.id))
        for run, data in found.changed:
            following = self._channels.get(run.number)
            for listener in following.listeners if following else ():
                listener.tell_run(run.id, data)

    async def _tell_channel(self, channel: Channel, run: RunView) -> None:
        hands = (channel.run.owner, channel.run.shared_with)
        if (run.owner, run.shared_with) != hands:
            self._gone(channel, [one for one in channel.listeners if not one.sight.sees(run)])
        channel.run = run
        if run.counts != channel.counts:
            await self._tell_items(channel)
            channel.counts = run.counts

    async def _tell_items(self, channel: Channel) -> None:
        while True:
            run = channel.run
            ended = await asyncio.to_thread(self._runs.ended, run, after=channel.place, limit=BATCH)
            if not ended:
                return
            channel.place = _place(ended[-1])
            data = self._items(run.id, ended)
            for listener in list(channel.listeners):
                listener.tell_items(run.id, channel.place, data)
            if len(ended) < BATCH:
                return

    def _gone(self, channel: Channel, listeners: Sequence[Listener]) -> None:
        run = channel.run
        for listener in listeners:
            listener.places.pop(run.id, None)
            listener.tell_run(run.id, _gone(run.id))
            self._drop(channel, listener)

    def _items(self, run: str, ended: Sequence[ItemView]) -> bytes:
        told = schemas.ItemsEnded(run=run, items=[ended_shown(one, self._veil) for one in ended])
        return b"event: items\ndata: " + told.model_dump_json().encode() + b"\n\n"


def _place(item: ItemView) -> Place:
    return (item.ended_at or 0.0, item.id)


def _places(after: str | None, runs: Sequence[RunView]) -> dict[str, Place]:
    """Where each run goes on: after its place in the cursor, else from now on."""
    if after == START:
        return {run.id: (0.0, 0) for run in runs}
    given: dict[str, Place] = {}
    for text in (after or "").split(","):
        found = _PLACE.fullmatch(text)
        if found is not None:
            given[found[1]] = (float(found[2]), int(found[3]))
        elif text:
            raise RequestInvalid(
                f"{text[:60]!r} is no id of an event.", hint="Send the id of the last one."
            )
    return {run.id: given.get(run.id, FROM_NOW) for run in runs}


def _gone(run: str) -> bytes:
    return b'event: gone\ndata: {"id":"' + run.encode() + b'"}\n\n'


def _full(message: str) -> TooMany:
    return TooMany(
        message, hint="Close some, or try again in a while.", retry_seconds=HEARTBEAT_SECONDS
    )
