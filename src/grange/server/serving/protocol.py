"""HTTP as uvicorn speaks it, with limits that it does not have itself.

The heads of requests are bounded in size, number and time, and so is the time
that a client takes to read what it asked for.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from grange.errors import GrangeError, RequestInvalid, TooLarge
from grange.server.documents import PROBLEM_TYPE
from grange.server.problems import problem

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MOST_HEADERS = 100
MOST_HEAD_BYTES = 32 << 10
MOST_URL_BYTES = 16 << 10
# How long a client may take for the head of a request.
HEAD_SECONDS = 10.0
# How long a client may take to read as much as the system buffers.
READ_SECONDS = 60.0
MOST_CONNECTIONS = 4096

_URL_TOO_LONG = 414
_HEAD_TOO_LARGE = 431
_TOO_SLOW = 408
_BROKEN = 400


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take what uvicorn gives each connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._head_bytes = 0  # that came while the head was not whole
        self._taken = 0  # of headers that are whole
        self._excess: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request; turn the client away when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not there yet."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._timer is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Begin a new head."""
        self._in_head, self._head_bytes, self._taken = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        if len(self.url) > MOST_URL_BYTES:
            self._exceed(_URL_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._taken += len(name) + len(value)
        if len(self.headers) > MOST_HEADERS or self._taken > MOST_HEAD_BYTES:
            self._exceed(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the app answer."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, for as long as connections are kept."""
        self._in_head, self._head_bytes = True, 0
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read: wait for it, but not for ever."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def send_400_response(self, msg: str) -> None:
        """Say in our own words why the request can't be read."""
        self._refuse(self._excess or _BROKEN)

    def _exceed(self, status: int) -> None:
        self._excess = status
        # The parser stops at this, and `send_400_response` tells the client.
        raise ValueError

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, _TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int) -> None:
        """Answer without the app, and hang up."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        document = problem(_WHY[status]) | {"status": status}
        body = json.dumps(document).encode()
        head = [
            STATUS_LINE[status],
            f"content-type: {PROBLEM_TYPE}\r\n".encode(),
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n",
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode(),
        ]
        self.transport.write(b"".join([*head, body]))
        self.transport.close()


_WHY: dict[int, GrangeError] = {
    _BROKEN: RequestInvalid("This is no HTTP request.", hint="Check the client, or use HTTPS."),
    _TOO_SLOW: RequestInvalid("The request came too slowly.", hint="Try over a better line."),
    _URL_TOO_LONG: TooLarge("The address is too long.", hint="Ask for less at once."),
    _HEAD_TOO_LARGE: TooLarge("The headers are too many or too large.", hint="Send fewer."),
}
