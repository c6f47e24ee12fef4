"""Pages from templates: what every one of them has, and how it is sent."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastapi import Request
from fastapi.responses import HTMLResponse

from grange.server.web.assets import assets
from grange.server.web.filters import filters
from grange.server.web.nav import Noun, nouns_of
from grange.server.web.once import mark
from grange.server.web.texts import DEFAULT, texts

if TYPE_CHECKING:
    from jinja2 import Environment

    from grange.accounts.models import Actor
    from grange.server.visitors import Visit

FOLDER = Path(__file__).parent / "templates"
THEME_COOKIE = "grange_theme"
THEMES = ("system", "light", "dark")


@dataclass(frozen=True)
class Frame:
    """What surrounds a page's own matter; templates know it as `frame`."""

    path: str
    address: str  # the path with what was asked for, to come back to
    theme: str
    actor: Actor | None
    csrf: str
    notice: str  # what was just done, in words; empty for nothing
    nouns: list[Noun] = field(default_factory=list)


def render(
    request: Request, template: str, /, *, status: int = HTTPStatus.OK, **context: object
) -> HTMLResponse:
    """The page of a template; `frame` and `t` are there for all."""
    made = environment().get_template(template)
    text = made.render(frame=frame_of(request), request=request, **context)
    return HTMLResponse(text, status_code=status, headers={"Content-Language": DEFAULT})


def is_fragment(request: Request) -> bool:
    """Whether a script of ours asks for a part of a page to put into the one that is open."""
    return "hx-request" in request.headers


def frame_of(request: Request) -> Frame:
    """Everything that a page's frame says, from the request alone."""
    visit: Visit | None = getattr(request.state, "visit", None)
    actor = visit.actor if visit else None
    query = f"?{request.url.query}" if request.url.query else ""
    return Frame(
        path=request.url.path,
        address=request.url.path + query,
        theme=theme_of(request),
        actor=actor,
        csrf=(visit.csrf or "") if visit else "",
        notice=texts().get(f"done.{request.query_params.get('done', '')}"),
        nouns=nouns_of(actor) if actor else [],
    )


def theme_of(request: Request) -> Literal["system", "light", "dark"]:
    """Light, dark, or what the browser says; known before the first byte, so nothing flashes."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"  # type: ignore[return-value]


@functools.cache
def environment(language: str = DEFAULT) -> Environment:
    """Where the templates are, with the texts of a language."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    t = texts(language)
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # A page is of one version: that of the server that runs, whatever is installed meanwhile.
        auto_reload=False,
    )
    made.filters.update(filters(t))
    made.globals.update(t=t, static=assets().url, language=language, mark=mark)
    return made
