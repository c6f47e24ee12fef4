"""Logging in and out, and one's own sessions and password."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Response

from grange.accounts import models
from grange.accounts.models import ROLE_SCOPES
from grange.client.schemas import accounts as schemas
from grange.client.schemas.basis import Page
from grange.server.api.basis import IdInPath, Router
from grange.server.parts import Parts
from grange.server.visitors import (
    Here,
    Oneself,
    Visiting,
    Visitor,
    Whereabouts,
    give_cookie,
    take_cookie,
)

router = Router(tags=["session"])


@router.post("/session", status_code=201)
def log_in(body: schemas.LogIn, here: Here, place: Whereabouts, response: Response) -> schemas.Me:
    """Log in with a password: the answer sets the session's cookie."""
    opened = here.accounts.log_in(body.email, body.password, place=place)
    give_cookie(response, opened, here.settings)
    return me(here, opened.user, opened.session)


@router.get("/session")
def show_session(visit: Visiting, visitor: Visitor, here: Here) -> schemas.Me:
    """Who is asking, by a session or a token, and what they may do."""
    return me(here, visitor.user, visit.session, scopes=visitor.scopes)


@router.delete("/session", status_code=204)
def log_out(visitor: Visitor, here: Here, response: Response) -> None:
    """End the session, or revoke the token, that this request comes with."""
    if visitor.token:
        here.accounts.revoke_token(visitor, visitor.token)
    else:
        here.accounts.log_out(visitor)
    take_cookie(response, here.settings)


@router.get("/sessions")
def list_sessions(visitor: Visitor, here: Here) -> Page[schemas.Session]:
    """The browsers that are logged in as you."""
    found = here.accounts.sessions(visitor)
    told = [schemas.Session.model_validate(one) for one in found]
    items = [one.model_copy(update={"current": one.id == visitor.session}) for one in told]
    return Page[schemas.Session](items=items, total=len(items))


@router.delete("/sessions/{session}", status_code=204)
def end_session(session: IdInPath, visitor: Oneself, here: Here) -> None:
    """Log one of your browsers out."""
    here.accounts.end_session(visitor, session)


@router.post("/password", status_code=204)
def change_password(body: schemas.PasswordChange, visitor: Oneself, here: Here) -> None:
    """Change your password; your other sessions end."""
    here.accounts.change_password(visitor, old=body.old, new=body.new)


def me(
    here: Parts,
    user: models.User,
    session: models.Session | None,
    *,
    scopes: Iterable[models.Scope] | None = None,
) -> schemas.Me:
    """What a client is told of itself."""
    own = user.quota_bytes
    return schemas.Me(
        user=schemas.User.model_validate(user),
        scopes=[one.value for one in sorted(ROLE_SCOPES[user.role] if scopes is None else scopes)],
        csrf=session.csrf if session else None,
        used_bytes=here.uploads.used_bytes(user.id),
        quota_bytes=here.settings.quota_bytes if own is None else own,
    )
