"""The ways in: set-up, invitation, login; and the way out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from grange import errors
from grange.accounts.models import KeyKind, OpenedSession, Place, User
from grange.client.schemas.accounts import LogIn, SetUp, Welcome
from grange.server.parts import Parts
from grange.server.problems import http_status
from grange.server.visitors import (
    Here,
    Visiting,
    VisitingPerhaps,
    Whereabouts,
    give_cookie,
    take_cookie,
)
from grange.server.web.forms import Form, Sent
from grange.server.web.refusals import safe_next
from grange.server.web.templating import render

router = APIRouter(include_in_schema=False)

Key = Annotated[str, Query(max_length=1024)]
Next = Annotated[str, Query(max_length=2000)]


@router.get("/setup")
def show_setup(request: Request, here: Here, key: Key = "") -> Response:
    """Ask for the first administrator, while there is none."""
    if here.accounts.is_set_up():
        return _to("/")
    return _setup(request, Form(values={"key": key}))


@router.post("/setup")
def set_up(request: Request, here: Here, place: Whereabouts, form: Sent) -> Response:
    """Make the first administrator, and let them in."""
    wanted = form.read(SetUp)
    if wanted is None:
        return _setup(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        user = here.accounts.set_up(
            wanted.key,
            email=wanted.email,
            name=wanted.name,
            password=wanted.password,
            place=place,
        )
    except errors.CredentialsInvalid as error:
        return _setup(request, form.refuse(error, "key"), http_status(error))
    except errors.PasswordRefused as error:
        return _setup(request, form.refuse(error, "password"), http_status(error))
    except (errors.Conflict, errors.UsageError) as error:
        return _setup(request, form.refuse(error), http_status(error))
    return _let_in(here, user, place)


@router.get("/welcome")
def show_welcome(request: Request, here: Here, key: Key = "") -> Response:
    """Ask whoever comes with a one-time link for a password."""
    return _welcome(request, here, Form(values={"key": key}))


@router.post("/welcome")
def welcome(request: Request, here: Here, place: Whereabouts, form: Sent) -> Response:
    """Keep the password, and let them in."""
    name = form.text("name")
    wanted = form.read(Welcome, name=name or None)
    if wanted is None:
        return _welcome(request, here, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        user = here.accounts.welcome(
            wanted.key, password=wanted.password, name=wanted.name, place=place
        )
    except errors.UsageError as error:
        return _welcome(request, here, form.refuse(error, "password"), http_status(error))
    except errors.NotAuthenticated as error:
        return _welcome(request, here, form.refuse(error), http_status(error))
    return _let_in(here, user, place)


@router.get("/login")
def show_login(
    request: Request,
    here: Here,
    visit: VisitingPerhaps,
    next: Next = "/",  # noqa: A002  # the name in the address
) -> Response:
    """Ask for the password; who is logged in already goes on."""
    if visit is not None:
        return _to(safe_next(next))
    if not here.accounts.is_set_up():
        return _to("/setup")
    return _login(request, Form(values={"next": next}))


@router.post("/login")
def log_in(request: Request, here: Here, place: Whereabouts, form: Sent) -> Response:
    """Open a session, and go to where they wanted to be."""
    wanted = form.read(LogIn)
    if wanted is None:
        return _login(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        opened = here.accounts.log_in(wanted.email, wanted.password, place=place)
    except (errors.NotAuthenticated, errors.TooMany, errors.UsageError) as error:
        return _login(request, form.refuse(error), http_status(error))
    return _opened(here, opened, safe_next(form.text("next")))


@router.post("/logout")
def log_out(here: Here, visit: Visiting) -> Response:
    """End the session of this browser."""
    here.accounts.log_out(visit.actor)
    response = _to("/login?done=logged_out")
    take_cookie(response, here.settings)
    return response


def _setup(request: Request, form: Form, status: int = HTTPStatus.OK) -> Response:
    return render(request, "entrance/setup.html", status=status, form=form)


def _login(request: Request, form: Form, status: int = HTTPStatus.OK) -> Response:
    return render(request, "entrance/login.html", status=status, form=form)


def _welcome(request: Request, here: Parts, form: Form, status: int = HTTPStatus.OK) -> Response:
    """What the key is for decides what is asked; one that opens nothing is told as that."""
    try:
        kind = here.accounts.key_kind(form.text("key"))
    except errors.CredentialsInvalid as error:
        return render(
            request, "entrance/stale.html", status=http_status(error), form=Form().refuse(error)
        )
    if kind is KeyKind.SETUP:
        return _setup(request, form)
    invited = kind is KeyKind.INVITATION
    return render(request, "entrance/welcome.html", status=status, form=form, invited=invited)


def _let_in(here: Parts, user: User, place: Place) -> Response:
    return _opened(here, here.accounts.open_session(user, place=place), "/")


def _opened(here: Parts, opened: OpenedSession, path: str) -> Response:
    response = _to(path)
    give_cookie(response, opened, here.settings)
    return response


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
