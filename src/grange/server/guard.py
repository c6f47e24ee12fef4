"""What every request passes before the app sees it, and every answer on its way out.

Plain ASGI, because it runs for each of them. From the outside in: the headers
and the log line of the answer, errors that nobody foresaw, the host that was
asked for, requests made by other sites' pages, the body, and how many at once:
whoever sends a body slowly takes nobody's turn.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from grange.errors import ForgeryRefused, RequestInvalid, TooMany
from grange.server import hosts, refusals
from grange.server.bodies import BodyGuard, SlowBody
from grange.server.documents import API, is_streamed
from grange.server.metering import count_request
from grange.server.visitors import SAFE_METHODS, is_secure

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from grange.settings import Settings
    from grange.telemetry.tally import Tally

access = logging.getLogger("grange.access")

_BEAT = f"{API}/workers/me/beat"
_REFUSED = 400

# Requests at once: further ones are turned away, for waiting helps nobody when so many wait.
MOST_REQUESTS = 256
# Bodies of any size, which take as long as the client's line takes.
MOST_STREAMED = 128
RETRY_SECONDS = 2.0
MISDIRECTED = 421

# Answers that end when the client goes away; the hub of events counts these itself.
ENDLESS = f"{API}/events"

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_ALWAYS = {
    "x-content-type-options": "nosniff",
    # Not "no-referrer": with that, browsers send the forms of our own pages as from nowhere.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # What is the same for all, such as a style sheet, says otherwise itself.
    "cache-control": "no-store",
}
_HSTS = {"strict-transport-security": "max-age=31536000"}


def install(app: FastAPI, settings: Settings, tally: Tally) -> None:
    """Put the guards around the app. The one added last stands outermost."""
    app.add_middleware(CrowdGuard)
    app.add_middleware(BodyGuard)
    app.add_middleware(OriginGuard, allowed=hosts.Hosts(settings))
    app.add_middleware(FaultGuard)
    app.add_middleware(AnswerGuard, secure=is_secure(settings), tally=tally)


class AnswerGuard:
    """Gives every answer its headers, and the log a line for it without secrets."""

    def __init__(self, app: ASGIApp, *, secure: bool, tally: Tally) -> None:
        """`secure` says whether browsers are to come back by HTTPS alone; `tally` counts."""
        self._app = app
        self._tally = tally
        always = _ALWAYS | (_HSTS if secure else {})
        self._of_api = _encoded({**always, "content-security-policy": _API_POLICY})
        self._of_page = _encoded({**always, "content-security-policy": _PAGE_POLICY})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(scope, message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - began
            _note(scope, status, seconds)
            count_request(self._tally, scope["method"], _route(scope), status, seconds)

    def _complete(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        own = {name.lower() for name, _ in headers}
        ours = self._of_api if scope["path"].startswith(API) else self._of_page
        headers.extend(header for header in ours if header[0] not in own)


class FaultGuard:
    """Turns an error that nobody foresaw into an answer that gives nothing away."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around the app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # nobody is there to be told
        except SlowBody as error:
            if not begun:
                response = refusals.refusal(error.told, status=error.status)
                response.headers["connection"] = "close"
                await response(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http" or begun:
                raise
            await refusals.told(Request(scope), refusals.fault(error))(scope, receive, send)


class OriginGuard:
    """Refuses names that are not this server's, and what other sites' pages would change.

    The name, because a page elsewhere may let its own name point to this
    machine, and would then count as one of this server's pages.
    """

    def __init__(self, app: ASGIApp, *, allowed: hosts.Hosts) -> None:
        """`allowed` knows the names of this server."""
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if not self._allowed(host):
                error = RequestInvalid(
                    "This server is not known under the name that was asked for.",
                    hint="Set public_url to the address that people use.",
                )
                await refusals.refusal(error, status=MISDIRECTED)(scope, receive, send)
                return
            if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
                error = RequestInvalid("The address holds a NUL.", hint="Leave it out.")
                await refusals.refusal(error)(scope, receive, send)
                return
            if scope["method"] not in SAFE_METHODS and self._is_foreign(scope, headers, host):
                forged = ForgeryRefused(
                    "A page of another site made this request.", hint="Use this server's own pages."
                )
                await refusals.refusal(forged)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope, headers: Headers, host: str) -> bool:
        # No page can make a browser send a token of its choice to another site. The other
        # kinds it can: a browser sends the name and the password that stand in an address.
        if headers.get("authorization", "").lower().startswith("bearer "):
            return False
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return True
        origin = headers.get("origin")
        own = f"{scope['scheme']}://{host}"
        return origin is not None and origin not in {own, self._allowed.public_origin}


class CrowdGuard:
    """Turns requests away while too many others are being answered."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around the app."""
        self._app = app
        self._requests = 0
        self._streamed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or turn it away."""
        if scope["type"] != "http" or scope["path"] == ENDLESS:
            await self._app(scope, receive, send)
        elif is_streamed(scope):
            if self._streamed >= MOST_STREAMED:
                await _turn_away(scope, receive, send)
                return
            self._streamed += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._streamed -= 1
        elif self._requests >= MOST_REQUESTS:
            await _turn_away(scope, receive, send)
        else:
            self._requests += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._requests -= 1


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    error = TooMany(
        "Too many requests are being answered right now.",
        hint="Try again in a moment.",
        retry_seconds=RETRY_SECONDS,
    )
    await refusals.refusal(error, status=503)(scope, receive, send)


def _route(scope: Scope) -> str:
    """The pattern of the address, as the code has it: what people ask for has no end."""
    pattern: str | None = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return "none"
    # A router knows its own part of the address alone.
    prefix = API if scope["path"].startswith(f"{API}/") and not pattern.startswith(API) else ""
    return prefix + pattern


def _note(scope: Scope, status: int, seconds: float) -> None:
    """One line of the log: no query, which may hold a one-time key, and nothing but one line.

    That a worker is there is said every few seconds, and worth a line only when it goes wrong.
    """
    level = logging.DEBUG if scope["path"] == _BEAT and status < _REFUSED else logging.INFO
    if access.isEnabledFor(level):
        client = scope["client"][0] if scope.get("client") else "-"
        # As it was sent, in which a blank or the end of a line can't be.
        path = scope["raw_path"].decode("ascii", "backslashreplace")
        said = (client, scope["method"], path, status, seconds * 1000)
        access.log(level, "%s %s %s %d %.1fms", *said)
