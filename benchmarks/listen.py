"""Follow a run on many pages at once: python -m benchmarks.listen PORT RUN PAGES TOKENS….

Opens so many streams of events, prints a line once all are open, follows them
to the run's end, and prints as JSON when which item came to which page. A
process of its own; it looks into what came only after the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from itertools import cycle, islice
from typing import Any

import uvloop

PATIENCE_SECONDS = 120.0
# In an event of a run; an item's state is followed by something else.
RUN_DONE = b'"state":"done","counts"'


class Page(asyncio.Protocol):
    """One open page."""

    def __init__(self, request: bytes) -> None:
        """Ask for this."""
        self._request = request
        self._came: list[tuple[float, bytes]] = []
        loop = asyncio.get_running_loop()
        self.opened, self.ended = loop.create_future(), loop.create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note when it came."""
        self._came.append((time.time(), data))
        if not self.opened.done() and b"event: run" in data:
            self.opened.set_result(None)
        if RUN_DONE in data and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, if it was too early."""
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_exception(ConnectionError(f"a stream ended early: {self._came[:1]!r}"))

    def items(self) -> list[tuple[int, float]]:
        """The id of each item that was told, in turn, and when."""
        found, text, at = [], b"", 0.0
        for at, data in self._came:
            *whole, text = (text + data).split(b"\n\n")
            for event in whole:
                _, told, line = event.partition(b"event: items\ndata: ")
                if told:
                    # An event is in one chunk of HTTP, whose length stands before it.
                    found += [(item["id"], at) for item in json.loads(line)["items"]]
        return found


async def listen(port: int, run: str, pages: int, tokens: list[str]) -> list[Any]:
    """What came to each page."""
    loop = asyncio.get_running_loop()
    opened = []
    for token in islice(cycle(tokens), pages):
        lines = [f"GET /api/v1/events?topic=run:{run}&after=start HTTP/1.0", "Host: 127.0.0.1"]
        text = "\r\n".join([*lines, f"Authorization: Bearer {token}", "", ""])
        made = await loop.create_connection(partial(Page, text.encode()), "127.0.0.1", port)
        opened.append(made[1])
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(page.opened for page in opened))
        print(time.time(), flush=True)
        await asyncio.gather(*(page.ended for page in opened))
    return [page.items() for page in opened]


def main() -> None:
    """Do as the command line says."""
    port, run, pages, *tokens = sys.argv[1:]
    print(json.dumps(uvloop.run(listen(int(port), run, int(pages), tokens))))


if __name__ == "__main__":
    main()
