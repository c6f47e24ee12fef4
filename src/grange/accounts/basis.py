"""What all topics of the accounts stand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from grange import errors
from grange.accounts.audit import REFUSED, Trail, lock_head
from grange.accounts.models import JSON, Actor, Place, Scope
from grange.accounts.names import Names
from grange.accounts.passwords import Passwords
from grange.accounts.recall import Recall
from grange.accounts.sessions.base import SessionCache
from grange.db import Database

T = TypeVar("T")

MOST_PER_PAGE = 1000


class Basis:
    """The database with its audit log, the cache, the clock and the passwords."""

    def __init__(
        self,
        database: Database,
        cache: SessionCache,
        *,
        clock: Callable[[], float] = time.time,
        passwords: Passwords | None = None,
    ) -> None:
        """Wire the parts; nothing is asked of any of them yet."""
        self.database = database
        self.clock = clock
        self.passwords = passwords or Passwords()
        self.recall = Recall(cache, database, clock)
        self.trail = Trail(database, clock)
        self.known_names = Names()

    def record(
        self,
        actor: Actor | None,
        action: str,
        target: str = "",
        *,
        outcome: str = "done",
        place: Place | None = None,
        detail: Mapping[str, JSON] | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Add a line to the audit log.

        With a connection it is written in that transaction, so that it is told exactly
        if it was done; let it be the last thing there. Secrets don't belong in it:
        a line can't be taken back.
        """
        self.trail.record(
            actor,
            action,
            target,
            outcome=outcome,
            place=place,
            detail=detail,
            connection=connection,
        )

    def change(self, work: Callable[[Connection], T]) -> T:
        """Change accounts in one transaction, and one such after the other on the whole site."""

        def alone(connection: Connection) -> T:
            lock_head(connection)
            return work(connection)

        return self.database.transact(alone)

    def require_admin(self, actor: Actor, action: str, target: str = "") -> None:
        """See that an administrator asks, and write down when it is somebody else.

        Raises:
            NotAllowed: It is somebody else, or a token without this right.
        """
        if actor.is_admin:
            return
        self.record(actor, action, target, outcome=REFUSED)
        hint = "Ask an administrator."
        if actor.token and actor.user.role == "admin":
            hint = f"Use a token that has the scope `{Scope.ADMIN}`."
        raise errors.NotAllowed("Only administrators may do this.", hint=hint)
