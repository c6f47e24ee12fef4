"""The first administrator, and first passwords by one-time links."""

from __future__ import annotations

from fastapi import Response

from grange.client.schemas.accounts import Me, SetUp, SetupState, Welcome
from grange.server.api.basis import Router
from grange.server.api.session import me
from grange.server.visitors import Here, Whereabouts, give_cookie

router = Router(tags=["set-up"])


@router.get("/setup")
def show_setup(here: Here) -> SetupState:
    """Whether the site still waits for its first administrator."""
    return SetupState(open=not here.accounts.is_set_up())


@router.post("/setup", status_code=201)
def set_up(body: SetUp, here: Here, place: Whereabouts, response: Response) -> Me:
    """Make the first administrator by the one-time key, and log in as them."""
    user = here.accounts.set_up(
        body.key, email=body.email, name=body.name, password=body.password, place=place
    )
    opened = here.accounts.open_session(user, place=place)
    give_cookie(response, opened, here.settings)
    return me(here, opened.user, opened.session)


@router.post("/welcome", status_code=201)
def welcome_user(body: Welcome, here: Here, place: Whereabouts, response: Response) -> Me:
    """Choose a password by the one-time key of an invitation or a reset, and log in."""
    user = here.accounts.welcome(body.key, password=body.password, name=body.name, place=place)
    opened = here.accounts.open_session(user, place=place)
    give_cookie(response, opened, here.settings)
    return me(here, opened.user, opened.session)
