"""Accounts of a site under test: a clock in the test's hands, and passwords that cost little."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from grange import errors
from grange.accounts.models import Actor, OpenedSession, Place, Role, User
from grange.accounts.passwords import Passwords
from grange.accounts.service import Accounts
from grange.accounts.sessions import SessionCache, open_cache
from grange.db import Database

T = TypeVar("T")

ADMIN = "ada@example.org"
PASSWORD = "seven quiet herons"
HERE = Place(address="192.0.2.7", agent="Firefox")
THREADS = 20


def cheap() -> Passwords:
    """Passwords hashed at next to no cost: those of the tests are worth nothing."""
    return Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


class Clock:
    """A time that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, *, seconds: float = 0, days: float = 0) -> None:
        self.now += seconds + days * 86_400


class Site:
    """One site, and the quick ways to its usual inhabitants."""

    def __init__(self, database: Database, cache: SessionCache | None = None) -> None:
        self.database = database
        self.clock = Clock()
        self.cache = cache or open_cache("memory")
        self.accounts = self.process(self.cache)

    def process(self, cache: SessionCache | None = None) -> Accounts:
        """The accounts as another process of the same site has them."""
        return Accounts(
            self.database,
            cache or open_cache("memory"),
            clock=self.clock,
            passwords=cheap(),
        )

    def admin(self) -> Actor:
        """The first administrator, logged in."""
        key = self.accounts.setup_key()
        assert key is not None
        user = self.accounts.set_up(key, email=ADMIN, name="Ada", password=PASSWORD, place=HERE)
        return self.actor(self.accounts.open_session(user, place=HERE))

    def user(self, admin: Actor, email: str, role: Role = Role.MEMBER) -> User:
        """Another user, who has chosen the usual password."""
        name = email.partition("@")[0]
        invited = self.accounts.invite(admin, email=email, name=name, role=role)
        return self.accounts.welcome(invited.key, password=PASSWORD, name=None, place=HERE)

    def log_in(self, email: str) -> OpenedSession:
        return self.accounts.log_in(email, PASSWORD, place=HERE)

    def member(self, admin: Actor, email: str, role: Role = Role.MEMBER) -> Actor:
        """Another user, logged in."""
        return self.actor(self.accounts.open_session(self.user(admin, email, role), place=HERE))

    def actor(self, opened: OpenedSession) -> Actor:
        return self.accounts.actor_of_session(opened.secret, place=HERE)[0]

    def is_open(self, secret: str) -> bool:
        """Whether this session's cookie lets anybody in."""
        try:
            self.accounts.actor_of_session(secret, place=HERE)
        except errors.CredentialsInvalid:
            return False
        return True

    def works(self, token: str) -> bool:
        """Whether this token lets anybody in."""
        try:
            self.accounts.actor_of_token(token, place=HERE)
        except errors.CredentialsInvalid:
            return False
        return True


def at_once(work: Callable[[int], T], *, threads: int = THREADS) -> list[T | errors.GrangeError]:
    """Do the same in many threads at a time; return what came of each, errors of ours too."""

    def one(number: int) -> T | errors.GrangeError:
        try:
            return work(number)
        except errors.GrangeError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))
