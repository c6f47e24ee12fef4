"""What can be done with several people at once."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from grange import errors
from grange.accounts.models import Actor, UserChange
from grange.server.parts import Parts
from grange.server.visitors import Administrator, Here
from grange.server.web.forms import Sent
from grange.server.web.templating import render

router = APIRouter(prefix="/people", include_in_schema=False)

MOST_CHOSEN = 200
_CHANGES = {"disable": UserChange(disabled=True), "enable": UserChange(disabled=False)}


@router.post("/bulk")
def change_several(request: Request, admin: Administrator, here: Here, form: Sent) -> Response:
    """Shut the chosen people out, which is asked about first, or let them in again."""
    chosen = form.several.get("user", [])[:MOST_CHOSEN]
    action = form.text("action")
    if not chosen or action not in _CHANGES:
        return _to("/people")
    if action == "disable" and not form.text("sure"):
        people = [here.accounts.user(admin, one) for one in chosen]
        return render(request, "people/ask_bulk.html", people=people)
    changed = [_try(here, admin, one, _CHANGES[action]) for one in chosen]
    return _to(f"/people?done=people_{action}d" if all(changed) else "/people?done=people_some")


def _try(here: Parts, admin: Actor, user: str, change: UserChange) -> bool:
    """Do it where it can be done; of several people some may have gone meanwhile."""
    try:
        here.accounts.change_user(admin, user, change)
    except errors.UserNotFound:
        return True
    except errors.LastAdmin:
        return False
    return True


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
