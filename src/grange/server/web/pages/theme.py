"""Light, dark or as the machine: remembered by the browser."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from grange.server.visitors import Here, VisitingPerhaps, is_secure
from grange.server.web.refusals import safe_next
from grange.server.web.templating import THEME_COOKIE, THEMES

YEAR_SECONDS = 365 * 86_400

router = APIRouter(include_in_schema=False)


@router.post("/theme")
def choose_theme(
    parts: Here,
    _visit: VisitingPerhaps,
    theme: Annotated[str, Form()] = "system",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002  # the field's name
) -> RedirectResponse:
    """Remember the choice, and go back."""
    response = RedirectResponse(safe_next(next), HTTPStatus.SEE_OTHER)
    # Scripts set it too, to spare the way to the server; it says nothing about anybody.
    response.set_cookie(
        THEME_COOKIE,
        theme if theme in THEMES else "system",
        max_age=YEAR_SECONDS,
        samesite="lax",
        secure=is_secure(parts.settings),
    )
    return response
