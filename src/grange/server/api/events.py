"""The one stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from grange.errors import GrangeError, NotAllowed, NotAuthenticated, RequestInvalid
from grange.server.access import sight_of
from grange.server.desk import Desk, DeskOf
from grange.server.events import RUNS_PER_STREAM, Hub, Listener
from grange.server.visitors import Here, read_anew

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from grange.runs.models import RunView

router = APIRouter(tags=["events"])

KIND = "text/event-stream"
# A reader that takes nothing for so long is gone.
SEND_SECONDS = 30.0
# How often it is looked whether the reader may still read.
CHECK_SECONDS = 5.0
ALL_RUNS = "runs"
ONE_RUN = "run:"

Topics = Annotated[
    list[Annotated[str, Query(max_length=210)]],
    Query(
        min_length=1,
        max_length=RUNS_PER_STREAM,
        description="`runs` for how all runs stand that you see, `run:ID` for one with its items.",
    ),
]
LastId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=8000)]
From = Annotated[
    str | None,
    Query(max_length=8000, description="The id of an event to go on after, or `start` for all."),
]


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"description": "Events, as they happen.", "content": {KIND: {}}}},
)
async def follow_events(
    request: Request,
    topic: Topics,
    desk: DeskOf,
    here: Here,
    *,
    after: From = None,
    last_event_id: LastId = None,
) -> Response:
    """Follow runs as they go: `run` (how one stands), `items` (those that ended), `gone`."""
    runs = await run_in_threadpool(_meant, desk, topic)
    listener = here.hub.enter(
        desk.actor.user.id,
        desk.sight,
        runs=runs,
        all_runs=ALL_RUNS in topic,
        after=last_event_id or after,
        actor=desk.actor,
    )
    return EventStream(here.hub, listener, runs, request)


def _meant(desk: Desk, topics: Sequence[str]) -> list[RunView]:
    found = {}
    for topic in topics:
        if topic.startswith(ONE_RUN):
            run = desk.find(topic.removeprefix(ONE_RUN))
            found[run.number] = run
        elif topic != ALL_RUNS:
            raise RequestInvalid(
                f"There is no topic {topic[:60]!r}.", hint="Topics are `runs` and `run:ID`."
            )
    return list(found.values())


class EventStream(Response):
    """An answer that ends when its reader goes away, falls behind or may see less than before.

    It never leaks its place. Who may still read comes back, and is told what they may see then.
    """

    media_type = KIND

    def __init__(
        self, hub: Hub, listener: Listener, runs: Sequence[RunView], request: Request
    ) -> None:
        """Answer with what this listener is told, for as long as the request would be let in."""
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._listener = listener
        self._followed = runs
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it."""
        beside = [asyncio.create_task(self._watch(receive)), asyncio.create_task(self._check())]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            stream = self._hub.stream(self._listener, self._followed)
            async for data in stream:
                message = {"type": "http.response.body", "body": data, "more_body": True}
                async with asyncio.timeout(SEND_SECONDS):
                    await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return
        finally:
            for task in beside:
                task.cancel()
            self._hub.leave(self._listener)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.close()

    async def _check(self) -> None:
        sees = True
        while sees:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                sees = sight_of(await read_anew(self._request)) == self._listener.sight
            except (NotAuthenticated, NotAllowed):
                sees = False
            except GrangeError:
                continue  # a database that is away for a moment
        self._listener.close()
