"""The bodies of requests: how large, how slow, how deep they may be.

All but streamed ones are read here to their end, so that the app meets whole
ones of at most a mebibyte. JSON is looked at more closely than the parser of
the standard library would: what two programs could read differently, and what
no database can hold, is refused.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.datastructures import Headers

from grange.errors import GrangeError, RequestInvalid, TooLarge, TooMany
from grange.server import refusals
from grange.server.documents import is_streamed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 1 << 20
MOST_DEPTH = 64
# Larger bodies are read so many bytes at a time, all of them together; smaller ones always are.
SMALL_BYTES = 1 << 16
MOST_HELD_BYTES = 256 << 20
RETRY_SECONDS = 2.0
# A client that sends less than this in a while of waiting for it is cut off.
SLOWEST_BYTES_PER_SECOND = 256
PATIENCE_SECONDS = 15.0

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class SlowBody(Exception):
    """The client sends too slowly to go on with it."""

    status = 408
    told = RequestInvalid("The request came too slowly.", hint="Try again over a better line.")


class BodyGuard:
    """Reads bodies for the app, and refuses those that would hurt it."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around the app."""
        self._app = app
        self._held_bytes = 0  # that large bodies take which are being read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif is_streamed(scope):
            await self._app(scope, Patience(receive), send)
        else:
            await self._whole(scope, receive, send)

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not ("content-length" in headers or "transfer-encoding" in headers):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(headers, Patience(receive))
            if body and _is_json(headers):
                check_json(body)
        except GrangeError as error:
            response = refusals.refusal(error)
            # What is left of the body would be taken for the next request.
            response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _Replay(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, if there is room for it; None when the client went away."""
        size = _announced(headers)
        taken = size if size > SMALL_BYTES else 0
        if self._held_bytes + taken > MOST_HELD_BYTES:
            raise TooMany(
                "Too many large requests are coming in right now.",
                hint="Try again in a moment.",
                retry_seconds=RETRY_SECONDS,
            )
        self._held_bytes += taken
        try:
            return await _read(receive)
        finally:
            self._held_bytes -= taken


class Patience:
    """Receives for the app, and gives up on a client that keeps it waiting.

    Only the time spent waiting for the client counts, not what the app takes itself.
    """

    def __init__(self, receive: Receive) -> None:
        """Stand before `receive`."""
        self._receive = receive
        self._waited = 0.0
        self._bytes = 0

    async def __call__(self) -> Message:
        """The next part of the body.

        Raises:
            SlowBody: The client is too slow.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise SlowBody from None
        self._waited += time.monotonic() - began
        self._bytes += len(message.get("body", b""))
        if self._waited >= PATIENCE_SECONDS:
            if self._bytes < SLOWEST_BYTES_PER_SECOND * self._waited:
                raise SlowBody
            self._waited, self._bytes = 0.0, 0
        return message


class _Replay:
    """Gives the app the body that was read already, and then whatever comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _announced(headers: Headers) -> int:
    """How large the body is at most, by what the client says of it."""
    length = headers.get("content-length", str(MOST_BYTES))
    if not length.isdecimal() or int(length[:20]) > MOST_BYTES:
        _refuse_size()
    return int(length)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None when the client went away."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BYTES:
            _refuse_size()
    return bytes(body)


def _refuse_size() -> NoReturn:
    raise TooLarge(
        f"The request is larger than {MOST_BYTES >> 10} KiB.", hint="Send files as uploads."
    )


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def check_json(body: bytes) -> None:
    """Let JSON pass that every program reads alike and every database can hold.

    Raises:
        RequestInvalid: It is broken, too deep, names a key twice, holds a number
            that is none, or text that is none.
    """
    if body.count(b"[") + body.count(b"{") > MOST_DEPTH:
        _check_depth(body)
    try:
        # Only escapes can bring in what is no text.
        value = json.loads(
            body, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
    except RequestInvalid:
        raise
    except (ValueError, RecursionError):
        raise RequestInvalid(
            "The request's JSON can't be read.", hint="Check its syntax."
        ) from None
    if b"\\u" in body:
        _check_texts(value)


def _check_depth(body: bytes) -> None:
    """Take away closed pairs from the inside out: what takes too many rounds is too deep."""
    left = _without_texts(body).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MOST_DEPTH):
        shorter = left.replace(b"[]", b"")
        if len(shorter) == len(left):
            break
        left = shorter
    # What is left without a pair is broken, which the parser says better.
    if b"[]" in left:
        raise RequestInvalid(
            f"The request's JSON is deeper than {MOST_DEPTH} levels.",
            hint="Send something flatter.",
        )


def _without_texts(body: bytes) -> bytes:
    """The JSON without what stands in quotes, however it is escaped."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise RequestInvalid("The request's JSON names a key twice.", hint="Leave one out.")
    return made


def _no_number(name: str) -> NoReturn:
    raise RequestInvalid(f"{name} is no number in JSON.", hint="Leave it out, or send null.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RequestInvalid("The request's JSON holds a number beyond all bounds.")
    return number


def _check_texts(value: Any) -> None:  # noqa: ANN401  # any JSON
    """Refuse half characters and NUL, which no database takes."""
    text = json.dumps(value, ensure_ascii=False, check_circular=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text) or _holds_nul(value):
        raise RequestInvalid("The request's JSON holds text that is none.", hint="Leave out NUL.")


def _holds_nul(value: Any) -> bool:  # noqa: ANN401  # any JSON
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(one) for key, one in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))
