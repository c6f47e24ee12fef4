"""What goes wrong between a client and its server, as errors of Grange."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import cache

import httpx
from pydantic import ValidationError

from grange.client.schemas.basis import Problem
from grange.errors import (
    GrangeError,
    NotAuthenticated,
    ServerError,
    ServerRefused,
    ServerUnreachable,
    ServerUntrusted,
    SettingInvalid,
    TooMany,
)

LOG_IN = "Log in: grange login URL"


def error_of(problem: Problem, *, retry_seconds: float = 1.0) -> GrangeError:
    """The error that the server met, of the very class that has its code.

    A code that this version does not know becomes a `ServerRefused` with the server's words.
    """
    kind = _classes().get(problem.code)
    hint = problem.hint or ""
    if kind is None:
        return ServerRefused(f"{problem.detail} ({problem.code})", hint=hint)
    if issubclass(kind, TooMany):
        return kind(problem.detail, hint=hint, retry_seconds=retry_seconds)
    if issubclass(kind, NotAuthenticated):
        return kind(problem.detail, hint=hint or LOG_IN)
    return kind(problem.detail, hint=hint)


def error_of_answer(status: int, headers: httpx.Headers, content: bytes) -> GrangeError:
    """What an answer that is no success says; anything but a problem document is unforeseen."""
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        if 300 <= status < 400:  # noqa: PLR2004  # redirections
            message = f"The server sends us on to {headers.get('location', 'nowhere')}."
            return ServerRefused(message, hint="Is its URL right? Name the one that answers.")
        message = f"The server answered with the status {status} and no reason."
        return ServerRefused(message, hint="Is it a Grange server, or something in front of one?")
    return error_of(problem, retry_seconds=seconds_of(headers.get("retry-after")))


def error_of_transport(error: Exception, server: str) -> ServerError:
    """Why no answer came."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerUntrusted(
                f"{server} can't prove who it is: {cause.verify_message}.",
                hint="If its certificate is your own, name its file: grange login URL --ca FILE",
            )
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "TLS failed").replace("_", " ").lower()
            hint = "Does it speak HTTPS there? See whether its URL begins with http or https."
            return ServerUnreachable(f"{server} can't be spoken to: {reason}.", hint=hint)
    hint = "Is it running, and is its URL right? See: grange doctor"
    if isinstance(error, httpx.TimeoutException):
        return ServerUnreachable(f"{server} does not answer in time.", hint=hint)
    if isinstance(error, httpx.RemoteProtocolError) and server.startswith("http://"):
        hint = "Is it there, and does it speak HTTPS? Then its URL begins with https."
    reason = next((one.strerror for one in causes if isinstance(one, OSError) and one.strerror), "")
    words = reason or str(error) or type(error).__name__
    return ServerUnreachable(f"{server} can't be reached: {words.rstrip('.')}.", hint=hint)


def error_of_url(server: str) -> SettingInvalid:
    """What is said of a URL that is none."""
    return SettingInvalid(
        f"{server!r} is not the URL of a server.", hint="It looks like https://grange.example.org"
    )


def not_understood(what: str) -> ServerRefused:
    """What is said when an answer has not the form that it should have."""
    return ServerRefused(
        f"The server's answer to {what} can't be understood.",
        hint="Is it a Grange server, and as new as this program?",
    )


def seconds_of(text: str | None, *, most: float = 3600.0) -> float:
    """How long the server asks to wait, within reason."""
    try:
        return min(max(float(text or 1.0), 0.1), most)
    except ValueError:
        return 1.0


@cache
def _classes() -> dict[str, type[GrangeError]]:
    found: dict[str, type[GrangeError]] = {}
    pending: list[type[GrangeError]] = [GrangeError]
    while pending:
        kind = pending.pop()
        found[kind.code] = kind
        pending.extend(kind.__subclasses__())
    return found


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: BaseException | None = error
    while pending is not None and id(pending) not in seen:
        seen.add(id(pending))
        yield pending
        pending = pending.__cause__ or pending.__context__
