"""Who is asking: a session's cookie or a token's text becomes an actor, here and nowhere else.

A browser sends its cookie with whatever request any page makes. So a request
that changes something and comes with a cookie has to bring the session's own
`X-CSRF-Token` too (or the field `csrf` of a form), which only pages of this
server know. A token is sent by programs on purpose and needs no such proof.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from grange.accounts.models import ROLE_SCOPES, Actor, Place, Scope, Session
from grange.errors import CredentialsInvalid, ForgeryRefused, NotAllowed, NotAuthenticated
from grange.server.documents import is_streamed
from grange.server.parts import Parts

if TYPE_CHECKING:
    from grange.accounts.models import OpenedSession
    from grange.settings import Settings

SESSION_SECONDS = 30 * 86_400
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
# Whoever sends one of these asks for somebody else.
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# What a browser says of itself is kept in the audit log: the beginning of it will do.
LONGEST_AGENT = 200
LONGEST_TARGET = 200


@dataclass(frozen=True)
class Visit:
    """Who is asking, and the session that they ask through, if it is one."""

    actor: Actor
    session: Session | None = None

    @property
    def csrf(self) -> str | None:
        """What a page has to send back with whatever changes something."""
        return self.session.csrf if self.session else None


def parts(request: Request) -> Parts:
    """What the server is wired from."""
    found: Parts = request.app.state.parts
    return found


def place(request: Request) -> Place:
    """Where the request comes from, for the audit log and for counting failed logins."""
    agent = request.headers.get("user-agent", "")
    shown = "".join(letter if letter.isprintable() else "�" for letter in agent)
    return Place(address=_address(request), agent=shown[:LONGEST_AGENT])


async def visit(request: Request) -> Visit:
    """Who is asking.

    Raises:
        NotAuthenticated: The request brings neither a session nor a token, or a wrong one.
        ForgeryRefused: It brings a session, and nothing proves that the session's page made it.
    """
    known: Visit | None = getattr(request.state, "visit", None)
    if known is None:
        known = await _visit(request)
        if known.session and request.method not in SAFE_METHODS:
            await _check_forgery(request, known.session)
        request.state.visit = known
    return known


async def visit_if_any(request: Request) -> Visit | None:
    """Who is asking, or nobody: for pages that are there for everyone."""
    try:
        return await visit(request)
    except NotAuthenticated:
        return None


# Coroutines all of them: FastAPI gives a plain function a thread, at more than its own cost.


async def here(request: Request) -> Parts:
    """What the server is wired from, for whoever depends on it."""
    return parts(request)


async def _whereabouts(request: Request) -> Place:
    return place(request)


async def reader(request: Request) -> Actor:
    """Whoever asks, if they may read.

    Raises:
        NotAuthenticated: Nobody is logged in.
        NotAllowed: The token is for something else.
    """
    return _allowed((await visit(request)).actor, Scope.READ)


async def read_anew(request: Request) -> Actor:
    """Whoever asked, as they are by now, if they may still read: for answers that take long.

    Raises:
        NotAuthenticated: Their session or token has ended.
        NotAllowed: The token is for something else.
    """
    return _allowed((await _visit(request)).actor, Scope.READ)


async def _submitter(request: Request) -> Actor:
    return _allowed((await visit(request)).actor, Scope.RUN)


async def _administrator(request: Request) -> Actor:
    actor = (await visit(request)).actor
    if not actor.is_admin:
        # It writes down who tried, and refuses.
        what = f"{request.method} {request.url.path}"[:LONGEST_TARGET]
        refuse = parts(request).accounts.require_admin
        await run_in_threadpool(refuse, actor, "request.refused", what)
    return actor


async def _scraper(request: Request) -> None:
    found = parts(request)
    if found.settings.metrics == "local" and _is_of_this_machine(request):
        return
    _allowed((await visit(request)).actor, Scope.METRICS)


async def _oneself(request: Request) -> Actor:
    actor = (await visit(request)).actor
    if actor.token and not (actor.is_admin or ROLE_SCOPES[actor.user.role] <= actor.scopes):
        raise NotAllowed(
            "A token with fewer scopes than its user does not change the user's account.",
            hint="Log in, or use a token with all scopes that you have.",
        )
    return _allowed(actor, Scope.READ)


Here = Annotated[Parts, Depends(here)]
Whereabouts = Annotated[Place, Depends(_whereabouts)]
Visiting = Annotated[Visit, Depends(visit)]
VisitingPerhaps = Annotated[Visit | None, Depends(visit_if_any)]
Visitor = Annotated[Actor, Depends(reader)]
Submitter = Annotated[Actor, Depends(_submitter)]
Administrator = Annotated[Actor, Depends(_administrator)]
# Who may read the site's numbers: programs with a token for it, administrators, perhaps all here.
Scraper = Annotated[None, Depends(_scraper)]
# Who may change their own account: not whoever got hold of a token that only reads.
Oneself = Annotated[Actor, Depends(_oneself)]


def is_secure(settings: Settings) -> bool:
    """Whether browsers reach this server by HTTPS alone."""
    return settings.tls is not None or (settings.public_url or "").startswith("https://")


def cookie_name(settings: Settings) -> str:
    """The session's cookie; by HTTPS under a name that no neighbouring site can set."""
    return "__Host-grange_session" if is_secure(settings) else "grange_session"


def give_cookie(response: Response, opened: OpenedSession, settings: Settings) -> None:
    """Log the browser in that gets this answer."""
    response.set_cookie(
        cookie_name(settings),
        opened.secret,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=is_secure(settings),
    )


def take_cookie(response: Response, settings: Settings) -> None:
    """Let the browser that gets this answer forget its session."""
    response.delete_cookie(
        cookie_name(settings), httponly=True, samesite="lax", secure=is_secure(settings)
    )


async def _visit(request: Request) -> Visit:
    accounts = parts(request).accounts
    where = place(request)
    # What is known without waiting needs no thread to wait in, which costs more than the look.
    if text := _token(request):
        actor = accounts.recalled_token(text, place=where)
        if actor is None:
            actor = await run_in_threadpool(accounts.actor_of_token, text, place=where)
        return Visit(actor)
    if secret := request.cookies.get(cookie_name(parts(request).settings)):
        found = accounts.recalled_session(secret, place=where)
        if found is None:
            found = await run_in_threadpool(accounts.actor_of_session, secret, place=where)
        return Visit(*found)
    raise NotAuthenticated("Nobody is logged in.", hint="Log in, or send a token.")


def _token(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise CredentialsInvalid(
            "The header Authorization holds no token.",
            hint="Send: Authorization: Bearer grange_<id>_<secret>",
        )
    return text.strip()


async def _check_forgery(request: Request, session: Session) -> None:
    given = request.headers.get(CSRF_HEADER)
    # A streamed body is of any size: it is no form, and not looked into for a field of one.
    if given is None and not is_streamed(request.scope) and _is_form(request):
        field = (await request.form()).get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    if given is None or not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise ForgeryRefused(
            "Nothing proves that a page of this server made this request.",
            hint="Load the page again. Programs send a token, or the header X-CSRF-Token.",
        )


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(FORM_TYPES)


def _allowed(actor: Actor, scope: Scope) -> Actor:
    if not actor.may(scope):
        raise NotAllowed(
            f"This needs the scope {scope}, which {_lacking(actor, scope)}.",
            hint="Use a token that has it." if actor.token else "Ask an administrator.",
        )
    return actor


def _lacking(actor: Actor, scope: Scope) -> str:
    if scope in actor.scopes:
        return f"the role {actor.user.role} does not give"
    return "this token does not have" if actor.token else "this session does not have"


def _address(request: Request) -> str:
    """The client's address; what a proxy says of it counts if the proxy is this machine's own."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getlist("x-forwarded-for")
    if not forwarded or parts(request).settings.public_url is None or not _is_loopback(peer):
        return peer
    # The last one is what the proxy itself saw; those before it anybody can write.
    last = forwarded[-1].rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return peer


def _is_of_this_machine(request: Request) -> bool:
    """Whether a program on this machine asks, for itself: a proxy here asks for others."""
    peer = request.client.host if request.client else ""
    return _is_loopback(peer) and not any(name in request.headers for name in _OF_PROXIES)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
