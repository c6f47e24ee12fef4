"""Every error becomes an answer here, and nowhere else."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from grange import errors
from grange.core.ids import new_id
from grange.server.documents import API, PROBLEM_TYPE
from grange.server.problems import problem
from grange.server.visitors import visit_if_any

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    # Makes a page of a problem; the pages give theirs to the app as `app.state.error_page`.
    ErrorPage = Callable[[Request, Mapping[str, object]], Response]

log = logging.getLogger("grange.server")

# How many mistakes of one request are told.
MOST_MISTAKES = 50
_LONGEST_PLACE = 100


def install(app: FastAPI) -> None:
    """Let the app tell every error as a problem, or as a page to people."""
    app.add_exception_handler(errors.GrangeError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_router)


def answer(document: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """The problem document as an answer."""
    return Response(
        json.dumps(document, ensure_ascii=False),
        status_code=cast("int", document["status"]),
        headers=dict(headers or {}),
        media_type=PROBLEM_TYPE,
    )


def refusal(error: errors.GrangeError, *, status: int | None = None) -> Response:
    """The answer to a program that says this error."""
    document = problem(error) | ({"status": status} if status else {})
    return answer(document, _headers(error))


def fault(error: BaseException) -> dict[str, object]:
    """The problem of an error that nobody foresaw: what happened stays in the log."""
    number = new_id()
    log.error("fault %s", number, exc_info=error)
    return {
        "type": "urn:grange:error:fault",
        "title": "Something unforeseen happened",
        "status": int(HTTPStatus.INTERNAL_SERVER_ERROR),
        "detail": "Something unforeseen happened in the server.",
        "code": "fault",
        "hint": f"Try again. If it stays, look for {number} in the server's log.",
    }


def told(
    request: Request, document: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """The problem as a page where a person looks, and as a document where a program does."""
    page: ErrorPage | None = getattr(request.app.state, "error_page", None)
    if page is None or request.url.path.startswith(API) or not _wants_page(request):
        return answer(document, headers)
    response = page(request, document)
    response.headers.update(headers or {})
    return response


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _headers(error: errors.GrangeError) -> dict[str, str]:
    if isinstance(error, errors.TooMany):
        return {"Retry-After": str(max(1, math.ceil(error.retry_seconds)))}
    if isinstance(
        error, errors.DatabaseBusy | errors.DatabaseUnreachable | errors.StoreUnreachable
    ):
        return {"Retry-After": "5"}
    if isinstance(error, errors.NotAuthenticated):
        return {"WWW-Authenticate": 'Bearer realm="grange"'}
    return {}


async def _known(request: Request, error: Exception) -> Response:
    known = cast("errors.GrangeError", error)
    document = problem(known)
    if document["status"] == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", known.code, known, exc_info=known)
    return told(request, document, _headers(known))


async def _invalid(request: Request, error: Exception) -> Response:
    await _recognise(request)
    found = cast("RequestValidationError", error).errors()
    mistakes = [_mistake(one) for one in found[:MOST_MISTAKES]]
    first = mistakes[0]
    where = f" ({first['where']})" if first["where"] else ""
    invalid = errors.RequestInvalid(
        f"The request makes no sense{where}: {first['said']}.",
        hint="The document of the API says what each request takes: /api/v1/openapi.json",
    )
    return told(request, problem(invalid) | {"errors": mistakes})


def _mistake(found: Mapping[str, Any]) -> dict[str, str]:
    """Where the mistake is and what is wrong: never what was sent, which may be a secret."""
    where = ".".join(str(one) for one in found["loc"])[:_LONGEST_PLACE]
    return {"where": where, "said": found["msg"].rstrip("."), "type": found["type"]}


async def _recognise(request: Request) -> None:
    """Look who asks where no route did, so that a page of an error has what is theirs around it."""
    if _wants_page(request) and not request.url.path.startswith(API):
        with suppress(errors.GrangeError):
            await visit_if_any(request)


async def _of_router(request: Request, error: Exception) -> Response:
    await _recognise(request)
    refused = cast("HTTPException", error)
    if refused.status_code == HTTPStatus.NOT_FOUND:
        document = problem(errors.NotFound("Nothing is served under this address."))
    else:
        said = f"The request can't be served: {refused.detail.rstrip('.')}."
        document = problem(errors.RequestInvalid(said)) | {"status": refused.status_code}
    return told(request, document, refused.headers)
