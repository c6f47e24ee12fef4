"""One's own account: name and password, tokens, browsers that are logged in."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from grange import errors
from grange.accounts.models import ROLE_SCOPES, Actor, Scope, UserChange
from grange.client.schemas.accounts import NewToken, PasswordChange
from grange.client.schemas.accounts import UserChange as UserFields
from grange.server.api.basis import IdInPath
from grange.server.parts import Parts
from grange.server.problems import http_status
from grange.server.visitors import Here, Oneself, Visitor
from grange.server.web.forms import Form, Sent
from grange.server.web.once import once
from grange.server.web.questions import Question, ask
from grange.server.web.templating import render
from grange.server.web.texts import texts

router = APIRouter(prefix="/me", include_in_schema=False)

DAY_SECONDS = 86_400
# What a token may live for, in days; the first is what is offered.
LIVES = (90, 7, 30, 365)


@router.get("")
def show_me(request: Request, visitor: Visitor, here: Here) -> Response:
    """Who I am here, and what I may keep."""
    return _me(request, here, visitor, Form(values={"name": visitor.user.name}))


@router.post("")
def change_name(request: Request, visitor: Oneself, here: Here, form: Sent) -> Response:
    """Change my name."""
    wanted = form.read(UserFields)
    if wanted is None:
        return _me(request, here, visitor, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        here.accounts.change_user(visitor, visitor.user.id, UserChange(name=wanted.name))
    except errors.RequestInvalid as error:
        return _me(request, here, visitor, form.refuse(error, "name"), http_status(error))
    return _to("/me?done=saved")


@router.post("/password")
def change_password(request: Request, visitor: Oneself, here: Here, form: Sent) -> Response:
    """Change my password; my other browsers are logged out."""
    wanted = form.read(PasswordChange)
    form.values = {"name": visitor.user.name}
    if wanted is None:
        return _me(request, here, visitor, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        here.accounts.change_password(visitor, old=wanted.old, new=wanted.new)
    except errors.PasswordRefused as error:
        return _me(request, here, visitor, form.refuse(error, "new"), http_status(error))
    except (errors.CredentialsInvalid, errors.TooMany) as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _me(request, here, visitor, form.refuse(error, "old"), status)
    return _to("/me?done=password_changed")


@router.get("/tokens")
def list_tokens(request: Request, visitor: Visitor, here: Here) -> Response:
    """My tokens, and the form for another one."""
    form = Form(values={"days": LIVES[0]}, several={"scopes": [Scope.READ, Scope.RUN]})
    return _tokens(request, here, visitor, form)


@router.post("/tokens")
def make_token(request: Request, visitor: Oneself, here: Here, form: Sent) -> Response:
    """Make a token, and show its text: this once."""
    wanted = form.read(NewToken, scopes=form.several.get("scopes", []))
    days = form.text("days")
    if wanted is None or days not in map(str, LIVES):
        return _tokens(request, here, visitor, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with once(here, visitor, form):
            made = here.accounts.make_token(
                visitor,
                name=wanted.name,
                scopes=frozenset(map(Scope, wanted.scopes)),
                expires_seconds=float(days) * DAY_SECONDS,
            )
    except (errors.UsageError, errors.Conflict, errors.NotAllowed) as error:
        return _tokens(request, here, visitor, form.refuse(error), http_status(error))
    return render(request, "me/token.html", made=made, here=here)


@router.get("/tokens/{token}/revoke")
def ask_to_revoke(request: Request, token: IdInPath, visitor: Visitor, here: Here) -> Response:
    """Ask whether the token should open nothing any more."""
    t = texts()
    found = next((one for one in here.accounts.tokens(visitor) if one.id == token), None)
    if found is None:
        raise errors.TokenNotFound("There is no such token.")
    question = Question(
        title=t("me.revoke.title", name=found.name),
        text=t("me.revoke.text"),
        verb=t("me.revoke.verb"),
        path=f"/me/tokens/{token}/revoke",
        back="/me/tokens",
    )
    return ask(request, question)


@router.post("/tokens/{token}/revoke")
def revoke_token(token: IdInPath, visitor: Oneself, here: Here) -> Response:
    """From now on the token opens nothing."""
    here.accounts.revoke_token(visitor, token)
    return _to("/me/tokens?done=token_revoked")


@router.get("/sessions")
def list_sessions(request: Request, visitor: Visitor, here: Here) -> Response:
    """The browsers that are logged in as me."""
    return render(request, "me/sessions.html", sessions=here.accounts.sessions(visitor))


@router.post("/sessions/{session}/end")
def end_session(session: IdInPath, visitor: Oneself, here: Here) -> Response:
    """Log one of my browsers out."""
    here.accounts.end_session(visitor, session)
    return _to("/me/sessions?done=session_ended")


def _me(
    request: Request, here: Parts, visitor: Actor, form: Form, status: int = HTTPStatus.OK
) -> Response:
    user = visitor.user
    return render(
        request,
        "me/account.html",
        status=status,
        form=form,
        used=here.uploads.used_bytes(user.id),
        quota=here.settings.quota_bytes if user.quota_bytes is None else user.quota_bytes,
        groups=[one.name for one in here.accounts.groups(visitor) if user.id in one.members],
    )


def _tokens(
    request: Request, here: Parts, visitor: Actor, form: Form, status: int = HTTPStatus.OK
) -> Response:
    return render(
        request,
        "me/tokens.html",
        status=status,
        tokens=[one for one in here.accounts.tokens(visitor) if not one.revoked],
        form=form,
        lives=LIVES,
        scopes=[scope for scope in Scope if scope in ROLE_SCOPES[visitor.user.role]],
    )


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
