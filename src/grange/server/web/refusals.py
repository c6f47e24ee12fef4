"""How a problem looks to a person."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from grange.server.visitors import SAFE_METHODS
from grange.server.web.templating import frame_of, render

if TYPE_CHECKING:
    from grange.errors import GrangeError

LOGIN = "/login"
# The words of these stand ready; the others share one heading.
_TITLED = frozenset({401, 403, 404, 405, 413, 429, 500, 503})


def error_page(request: Request, document: Mapping[str, object]) -> Response:
    """The page of a problem document; whoever is not logged in comes to the login first."""
    status = int(str(document["status"]))
    if status == HTTPStatus.UNAUTHORIZED:
        return to_login(request)
    heading = str(status) if status in _TITLED else "other"
    return render(request, "error.html", status=status, problem=document, heading=heading)


def to_login(request: Request) -> Response:
    """Send the browser to the login, and from there back to where it wanted to go."""
    safe = request.method in SAFE_METHODS
    wanted = safe_next(frame_of(request).address if safe else _sent_from(request))
    back = "" if wanted == "/" else f"?next={quote(wanted, safe='')}"
    return RedirectResponse(LOGIN + back, HTTPStatus.SEE_OTHER)


def _sent_from(request: Request) -> str:
    """The page of this site that holds the form; browsers tell it to this site alone."""
    page = urlsplit(request.headers.get("referer", ""))
    here = page.netloc == request.headers.get("host", "")
    return page.path + (f"?{page.query}" if page.query else "") if here else "/"


def safe_next(path: str | None) -> str:
    """Where to go after the login: a page of this site, whatever the address asks for."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    if any(ord(letter) <= ord(" ") for letter in path) or "\\" in path:
        return "/"
    return path


def words_of(error: GrangeError) -> dict[str, str]:
    """What a form says of an error that concerns it as a whole."""
    return {"refused": error.message, "hint": error.hint, "code": error.code}
