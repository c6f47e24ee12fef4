"""The types of the accounts domain."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar

JSON = Any
T = TypeVar("T")


class Role(StrEnum):
    """What a user is on the whole site."""

    ADMIN = "admin"  # looks after the site, and sees everything on it
    MEMBER = "member"  # has runs and files of their own
    VIEWER = "viewer"  # looks at what is shared with their groups


class Scope(StrEnum):
    """What a token may be used for; never more than its user's role allows."""

    READ = "read"
    RUN = "run"  # submit and change runs, send files
    ADMIN = "admin"  # look after users, groups and the site
    METRICS = "metrics"  # read the site's numbers, and where those of its machines are


class KeyKind(StrEnum):
    """What a one-time key is for."""

    SETUP = "setup"  # make the first administrator
    INVITATION = "invitation"  # a new user's first password
    RESET = "reset"  # a known user's new password


ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.MEMBER: frozenset({Scope.READ, Scope.RUN}),
    Role.VIEWER: frozenset({Scope.READ}),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a request comes from, for the audit log."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, kw_only=True)
class User:
    """A person, or a program that has an account of its own."""

    id: str
    email: str
    name: str
    role: Role
    disabled: bool = False
    invited: bool = False  # has not chosen a password yet
    quota_bytes: int | None = None  # None: the site's default
    created_at: float
    seen_at: float | None = None
    groups: tuple[str, ...] = ()  # ids


@dataclass(frozen=True, kw_only=True)
class Group:
    """Users who see each other's runs where these say so."""

    id: str
    name: str
    created_at: float
    members: tuple[str, ...] = ()  # users' ids


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who is asking: a user through a session or a token, with what that lets them do.

    Everything below the server's routers takes one of these, never a raw cookie or token.
    """

    user: User
    scopes: frozenset[Scope]
    place: Place = field(default_factory=Place)
    session: str | None = None  # the session's id
    token: str | None = None  # the token's id

    @property
    def is_admin(self) -> bool:
        """Whether this is an administrator who may act as one here."""
        return self.user.role is Role.ADMIN and Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether both the user's role and the session or token allow it."""
        return scope in self.scopes and scope in ROLE_SCOPES[self.user.role]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser that is logged in."""

    id: str
    user: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    csrf: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """A key for programs; its text is shown once and kept only as a hash."""

    id: str
    user: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the audit log: who did what to what, when, from where, with which outcome."""

    number: int
    at: float
    user: str | None
    who: str  # the address or name at that time
    action: str  # dotted: session.opened, run.submitted, user.created
    target: str  # what it was done to: "run 3k9…", empty for nothing in particular
    outcome: str  # done, refused
    address: str
    detail: dict[str, JSON]
    hash: str


@dataclass(frozen=True, kw_only=True)
class AuditVerdict:
    """What a check of the audit log's chain found."""

    entries: int
    head: str  # the newest entry's hash: keep it elsewhere to prove later that nothing was cut off
    broken_at: int | None = None
    reason: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing was changed."""
        return self.broken_at is None


class Keep(Enum):
    """Says of a value that it stays as it is, where None is a value of its own."""

    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class UserChange:
    """What to change of a user; what is left out stays. None as quota is the site's default."""

    name: str | None = None
    role: Role | None = None
    disabled: bool | None = None
    quota_bytes: int | Keep | None = Keep.KEEP


@dataclass(frozen=True, kw_only=True)
class OpenedSession:
    """A session that has just begun: `secret` is the cookie's text, and is kept nowhere else."""

    secret: str = field(repr=False)
    session: Session
    user: User


@dataclass(frozen=True, kw_only=True)
class MadeToken:
    """A new token with its text, which can't be had a second time."""

    token: Token
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Invited:
    """A user who may choose a password by this one-time key, until it expires."""

    user: User
    key: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list; `next` is the `after` of the part that follows, None at the end."""

    items: list[T]
    next: str | None = None
    total: int | None = None
