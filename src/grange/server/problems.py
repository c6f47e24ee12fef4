"""The one mapping of the error tree to HTTP: a status, and a body as RFC 9457 says."""

from __future__ import annotations

from http import HTTPStatus

from grange import errors

# The nearest class of an error's ancestry decides, so a new error needs a row only to differ.
STATUS: dict[type[errors.GrangeError], HTTPStatus] = {
    errors.GrangeError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UsageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.ExtraMissing: HTTPStatus.NOT_IMPLEMENTED,
    errors.StorePathRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.StoreMissing: HTTPStatus.NOT_FOUND,
    errors.StoreFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.StoreDenied: HTTPStatus.FORBIDDEN,
    errors.StoreUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.ServerError: HTTPStatus.BAD_GATEWAY,
    errors.EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TaskError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InputMissing: HTTPStatus.NOT_FOUND,
    errors.InputChanged: HTTPStatus.CONFLICT,
    # No waiting helps.
    errors.ProtocolMismatch: HTTPStatus.CONFLICT,
}


def http_status(error: errors.GrangeError) -> int:
    """The status that tells this error to a client."""
    return int(next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS))


def problem(error: errors.GrangeError) -> dict[str, object]:
    """The error as a problem document (`application/problem+json`).

    `type` names the class of problem for programs, `code` is the same without
    the prefix; `hint` is there when something can be done.
    """
    status = http_status(error)
    document: dict[str, object] = {
        "type": f"urn:grange:error:{error.code}",
        "title": _title(error),
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    return document | ({"hint": error.hint} if error.hint else {})


def _title(error: errors.GrangeError) -> str:
    """What the class says of itself: the same words for every error of one type."""
    return (type(error).__doc__ or "").split("\n", 1)[0].rstrip(".:")
