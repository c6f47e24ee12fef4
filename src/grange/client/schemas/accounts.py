"""Users, groups, sessions, tokens, audit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from grange.client.schemas.basis import JSON, Answer, Request, Secret, Title

RoleName = Literal["admin", "member", "viewer"]
ScopeName = Literal["read", "run", "admin", "metrics"]

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$",
    ),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Bytes = Annotated[int, Field(ge=0, le=1 << 60)]


class SetupState(Answer):
    """Whether the site still waits for its first administrator."""

    open: bool


class SetUp(Request):
    """The first administrator, by the one-time key that `grange serve` prints."""

    key: Secret
    email: Email
    name: Title
    password: Password


class Welcome(Request):
    """A password, by the one-time key of an invitation or a reset."""

    key: Secret
    password: Password
    name: Title | None = None


class LogIn(Request):
    """A password login."""

    email: Email
    password: Password


class PasswordChange(Request):
    """One's own new password."""

    old: Password
    new: Password


class User(Answer):
    """A user."""

    id: str
    email: str
    name: str
    role: RoleName
    disabled: bool = False
    invited: bool = False
    quota_bytes: int | None = None
    created_at: float
    seen_at: float | None = None
    groups: list[str] = Field(default_factory=list)


class Me(Answer):
    """Who is asking, and what they may do. `csrf` is there for sessions only."""

    user: User
    scopes: list[ScopeName]
    csrf: str | None = None
    used_bytes: int = 0
    quota_bytes: int | None = None


class NewUser(Request):
    """A user to be invited."""

    email: Email
    name: Title
    role: RoleName = "member"
    quota_bytes: Bytes | None = None


class UserChange(Request):
    """What to change of a user; what is left out stays. None as quota is the site's default."""

    name: Title | None = None
    role: RoleName | None = None
    disabled: bool | None = None
    quota_bytes: Bytes | None = None


class Invited(Answer):
    """A user, and the one-time link with which they choose a password. It is shown once."""

    user: User
    link: str
    expires_at: float


class Group(Answer):
    """A group and its members' ids."""

    id: str
    name: str
    created_at: float
    members: list[str] = Field(default_factory=list)


class NewGroup(Request):
    """A group to be made."""

    name: Title


class GroupChange(Request):
    """A group's new name."""

    name: Title


class Session(Answer):
    """A browser that is logged in."""

    id: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    current: bool = False


class NewToken(Request):
    """A token to be made; without `expires_seconds` it lasts 90 days."""

    name: Title
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=4)]
    expires_seconds: Annotated[float, Field(gt=0, le=366 * 86_400)] | None = None


class Token(Answer):
    """A token, without its secret."""

    id: str
    user: str
    name: str
    scopes: list[ScopeName]
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked: bool = False


class MadeToken(Answer):
    """A new token with its text, which is never shown again."""

    token: Token
    text: str


class AuditEntry(Answer):
    """Who did what to what, when, from where, with which outcome."""

    number: int
    at: float
    user: str | None
    who: str
    action: str
    target: str
    outcome: str
    address: str
    detail: dict[str, JSON]
    hash: str


class AuditVerdict(Answer):
    """What a check of the audit log's chain found."""

    entries: int
    head: str
    whole: bool
    broken_at: int | None = None
    reason: str = ""
