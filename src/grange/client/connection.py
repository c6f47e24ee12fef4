"""One server, spoken to over HTTP: who asks, what is tried again, and what counts as an answer."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from grange.client.trouble import (
    error_of_answer,
    error_of_transport,
    error_of_url,
    not_understood,
    seconds_of,
)
from grange.errors import (
    CredentialsInvalid,
    GrangeError,
    ServerUnreachable,
    ServerUntrusted,
    SettingInvalid,
)

M = TypeVar("M", bound=BaseModel)

API = "/api/v1"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
# How long an answer that is read whole may be.
MOST_ANSWER_BYTES = 64 << 20
# How long a server that has not answered even once is given.
FIRST_PATIENCE_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
_LONGEST_DELAY_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 0.2
_MOST_CONNECTIONS = 16

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# Whoever answers so may answer otherwise soon.
_PASSING = frozenset({429, 502, 503, 504})

Query = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was read whole."""

    status: int
    headers: httpx.Headers
    content: bytes


class Connection:
    """Sends requests to one server, from as many threads as wanted.

    What may be repeated is, with growing pauses, for `patience_seconds`: reads,
    and creates that carry a key. Setting `stop` ends such a wait, and whatever is
    sent or brought in pieces.
    """

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        ca: Path | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Name the server and who asks; nothing is sent yet. `trust` wins over `ca`.

        Raises:
            SettingInvalid: The URL or the file `ca` is none.
            CredentialsInvalid: The token can't be one.
        """
        self.server = server.rstrip("/")
        self.patience_seconds = PATIENCE_SECONDS
        self.stop = threading.Event()
        # A session's proof that no other site's page sends in its name.
        self.csrf: str | None = None
        self._answered = False
        self._http = self._open(_headers(token), trust or _trust(ca))

    def get(self, model: type[M], path: str, query: Query | None = None) -> M:
        """Read something."""
        return self._parsed(model, self.send("GET", path, query=query), path)

    def post(
        self, model: type[M], path: str, body: BaseModel | None = None, *, key: str | None = None
    ) -> M:
        """Make or do something; with a key it happens once, however often it is sent."""
        return self._parsed(model, self.send("POST", path, body=body, key=key), path)

    def patch(self, model: type[M], path: str, body: BaseModel) -> M:
        """Change something. Fields that were not given are not sent."""
        return self._parsed(model, self.send("PATCH", path, body=body), path)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: BaseModel | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Answered:
        """Send a request and read its answer whole.

        Raises:
            ServerUnreachable, ServerUntrusted: No answer came.
            GrangeError: What the server says went wrong.
        """
        repeatable = method in _SAFE or key is not None
        extra = dict(headers or {}) | ({"Idempotency-Key": key} if key else {})
        if body is not None:
            content = body.model_dump_json(exclude_unset=True).encode()
            extra["Content-Type"] = "application/json"
        delays = self.delays()
        while True:
            asked = 0.0
            try:
                answered = self._answer(
                    self._request(method, path, query=query, content=content, headers=extra)
                )
                if answered.status < 300:  # noqa: PLR2004  # success
                    return answered
                failure: GrangeError = _error(answered)
                passing = repeatable and answered.status in _PASSING
                asked = seconds_of(answered.headers.get("retry-after")) if passing else 0.0
            except httpx.TransportError as error:
                failure = error_of_transport(error, self.server)
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                passing = repeatable or unsent
            if not passing or isinstance(failure, ServerUntrusted) or not delays.wait(asked):
                raise failure

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float = ANSWER_SECONDS,
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; nothing is repeated.

        Raises:
            httpx.TransportError: It was cut off; `told` makes an error of that.
            GrangeError: What the server says went wrong.
        """
        request = self._request("GET", path, query=query, headers=headers)
        request.extensions["timeout"]["read"] = silence_seconds
        response = self._http.send(request, stream=True)
        try:
            if response.status_code >= 300:  # noqa: PLR2004  # no success
                content = _whole(response)
                raise error_of_answer(response.status_code, response.headers, content)
            self._answered = True
            yield response
        finally:
            response.close()

    def check(self) -> None:
        """Go on with the next piece, unless `stop` was set.

        Raises:
            ServerUnreachable: It was.
        """
        if self.stop.is_set():
            raise ServerUnreachable(f"What was going on with {self.server} was stopped.")

    def told(self, error: Exception) -> GrangeError:
        """The error for a stream that was cut off."""
        return error_of_transport(error, self.server)

    def delays(self) -> Delays:
        """Pauses between tries, for as long as there is patience."""
        patience = self.patience_seconds if self._answered else FIRST_PATIENCE_SECONDS
        return Delays(patience, self.stop)

    def close(self) -> None:
        """Let go of the server."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, headers: dict[str, str], trust: ssl.SSLContext) -> httpx.Client:
        parts = urlsplit(self.server)
        spaced = any(one.isspace() for one in self.server)
        if parts.scheme not in {"http", "https"} or not parts.hostname or spaced:
            raise error_of_url(self.server)
        try:
            # A machine's talk with itself goes through no proxy.
            direct = {f"all://{name}": None for name in ("127.0.0.1", "localhost", "[::1]")}
            return httpx.Client(
                base_url=f"{self.server}{API}/",
                headers=headers,
                verify=trust,
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
                mounts=direct,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise error_of_url(self.server) from error

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        extra = dict(headers or {})
        if self.csrf is not None and method not in {"GET", "HEAD", "OPTIONS"}:
            extra |= {"X-CSRF-Token": self.csrf, "Origin": self.server}
        asked = {name: value for name, value in (query or {}).items() if value not in {None, ""}}
        return self._http.build_request(
            method, path, params=asked or None, content=content, headers=extra
        )

    def _answer(self, request: httpx.Request) -> Answered:
        response = self._http.send(request, stream=True)
        try:
            content = _whole(response)
        finally:
            response.close()
        self._answered = True
        return Answered(response.status_code, response.headers, content)

    def _parsed(self, model: type[M], answered: Answered, path: str) -> M:
        try:
            return model.model_validate_json(answered.content)
        except ValidationError as error:
            raise not_understood(f"{self.server}{API}/{path}") from error


class Delays:
    """Growing pauses between tries, until patience ends."""

    def __init__(self, patience_seconds: float, stop: threading.Event) -> None:
        """Begin now."""
        self._until = time.monotonic() + patience_seconds
        self._next = _FIRST_DELAY_SECONDS
        self._stop = stop

    def wait(self, asked_seconds: float = 0.0) -> bool:
        """Pause, at least for as long as was asked for; False when patience has ended instead."""
        # Spread, so that many clients don't come back in one instant.
        delay = max(asked_seconds, self._next * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        if time.monotonic() + delay > self._until:
            return False
        self._next = min(self._next * 2, _LONGEST_DELAY_SECONDS)
        return not self._stop.wait(delay)


def _headers(token: str | None) -> dict[str, str]:
    headers = {"User-Agent": f"grange/{version('grange')}", "Accept": "application/json"}
    if token is None:
        return headers
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise CredentialsInvalid("The token has characters that no token has.")
    return headers | {"Authorization": f"Bearer {token}"}


def _trust(ca: Path | None) -> ssl.SSLContext:
    """Whom to believe: the usual authorities and those of the system, or those of one file."""
    try:
        if ca is not None:
            return ssl.create_default_context(cafile=str(ca))
        trust = httpx.create_ssl_context()
        trust.load_default_certs()
    except OSError as error:
        message = f"The certificates in {ca} can't be read: {error.strerror or error}."
        raise SettingInvalid(message, hint="It has to be a PEM file.") from error
    return trust


def _error(answered: Answered) -> GrangeError:
    return error_of_answer(answered.status, answered.headers, answered.content)


def _whole(response: httpx.Response) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > MOST_ANSWER_BYTES:
            raise not_understood(f"{response.request.url.path} (it has no end)")
        pieces.append(piece)
    return b"".join(pieces)
