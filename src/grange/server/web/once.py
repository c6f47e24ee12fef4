"""Forms whose answer shows a secret once: a reload of that answer makes no second one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from grange import errors
from grange.accounts.models import Actor
from grange.accounts.repeats import Repeats
from grange.server.parts import Parts
from grange.server.problems import http_status
from grange.server.web.forms import Form

FIELD = "once"


def mark() -> str:
    """What tells one showing of a form from every other: the value of its field `once`."""
    return secrets.token_urlsafe(12)


@contextmanager
def once(here: Parts, actor: Actor, form: Form) -> Iterator[None]:
    """Do what the form asks for, unless this very form was sent and done before.

    The secret that was shown then lies nowhere, so it can't be shown again.

    Raises:
        Conflict: It was.
    """
    key = form.text(FIELD)
    if not key:
        yield
        return
    repeats = Repeats(here.database)
    if repeats.begin(actor.user.id, key, FIELD).answer is not None:
        raise errors.Conflict(
            "This form was sent before, and what it made was shown then. Nothing new was made.",
            hint="If what was shown is lost, go back to the list and make a new one.",
        )
    try:
        yield
    except errors.GrangeError as error:
        if http_status(error) < HTTPStatus.INTERNAL_SERVER_ERROR:
            repeats.forget(actor.user.id, key)
        raise
    repeats.finish(actor.user.id, key, {"done": True})
