"""About the site itself: its audit log, its settings, its health."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from grange import settings
from grange.runs.report import words
from grange.server import condition
from grange.server.api.basis import Words
from grange.server.visitors import Administrator, Here
from grange.server.web.lists import Address
from grange.server.web.templating import is_fragment, render

router = APIRouter(include_in_schema=False)

PAGE = 100
Number = Annotated[int | None, Query(ge=0, lt=1 << 62)]


@router.get("/audit")
def show_audit(
    request: Request,
    admin: Administrator,
    here: Here,
    *,
    who: Words = "",
    action: Words = "",
    after: Number = None,
    verify: bool = False,
) -> Response:
    """Who did what, the newest first; with `verify` also whether anything was changed."""
    page = here.accounts.audit(admin, after=after, limit=PAGE, who=who, action=action)
    here_after = None if after is None else str(after)
    return render(
        request,
        "site/audit.html",
        page=page,
        address=Address("/audit", {"who": who, "action": action}, here_after),
        details={one.number: _detail(one.detail) for one in page.items},
        verdict=here.accounts.verify_audit(admin) if verify else None,
        who=who,
        action=action,
    )


@router.get("/settings")
def show_settings(request: Request, _admin: Administrator, here: Here) -> Response:
    """What is in force and where it was said; without secrets."""
    rows = [
        (one, _value(one, here.settings), here.settings.source(one.name))
        for one in settings.SETTINGS
    ]
    return render(request, "site/settings.html", rows=rows, file=here.settings.file)


@router.get("/health")
def show_health(request: Request, _admin: Administrator, here: Here) -> Response:
    """How the site does; the page asks again by itself."""
    template = "site/checks.html" if is_fragment(request) else "site/health.html"
    # Elsewhere there are as many as have joined: their own page tells.
    own = here.settings.engine == "local"
    return render(request, template, system=condition.examine(here), own_workers=own)


def _value(setting: settings.Setting, inforce: settings.Settings) -> str:
    """A setting's value as people write it, without passwords."""
    value = getattr(inforce, setting.name)
    if setting.type == "size" and value is not None:
        return words.size(value)
    return str(value).lower() if isinstance(value, bool) else inforce.shown(setting.name)


def _detail(detail: dict[str, object]) -> str:
    """The details of a line as short text."""
    if not detail:
        return ""
    return ", ".join(
        f"{name}: {_part(name, value)}" for name, value in detail.items() if value is not None
    )


def _part(name: str, value: object) -> str:
    if isinstance(value, int | float) and name.endswith("_at"):
        return words.moment(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
