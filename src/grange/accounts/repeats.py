"""Requests that come again: the same key makes the same thing once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from grange import errors
from grange.accounts.models import JSON
from grange.accounts.secret import digest
from grange.accounts.tables import repeats
from grange.core.ids import new_id
from grange.db import Database

KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What a request makes: under this id, and with this answer if it was given already."""

    resource_id: str
    answer: JSON | None


class Repeats:
    """Remembers for a day which request made what, for each user apart."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        """Remember it in this database."""
        self._database = database
        self._clock = clock

    def begin(self, user_id: str, key: str, fingerprint: str) -> Begun:
        """Choose the id of what a request makes, or find the one that was chosen before.

        It is on disk before anything is made. So whoever comes again after a crash
        finds or makes the very same one, and of many at once all get one id.

        Raises:
            RepeatedDifferently: The key came with another request before.
        """
        now = self._clock()
        row = {"user": user_id, "key": digest(key), "fingerprint": digest(fingerprint)}
        new = {**row, "resource": new_id(), "created_at": now}
        mine = (repeats.c.user == user_id) & (repeats.c.key == row["key"])

        def work(connection: Connection) -> Begun:
            old = repeats.c.created_at < now - KEPT_SECONDS
            connection.execute(delete(repeats).where(mine & old))
            self._database.insert_new(connection, repeats, [new])
            found = connection.execute(select(repeats).where(mine)).one()
            if found.fingerprint != row["fingerprint"]:
                raise errors.RepeatedDifferently(
                    "The idempotency key came with another request before.",
                    hint="Take a new key for each new request.",
                )
            return Begun(resource_id=found.resource, answer=found.answer)

        return self._database.transact(work)

    def finish(self, user_id: str, key: str, answer: JSON) -> None:
        """Remember the answer: the request was done as a whole."""
        mine = (repeats.c.user == user_id) & (repeats.c.key == digest(key))
        self._database.transact(
            lambda connection: connection.execute(update(repeats).where(mine).values(answer=answer))
        )

    def forget(self, user_id: str, key: str) -> None:
        """Take the key back: the request was refused, and may come again in another form."""
        mine = (repeats.c.user == user_id) & (repeats.c.key == digest(key))
        unanswered = mine & repeats.c.answer.is_(None)
        self._database.transact(
            lambda connection: connection.execute(delete(repeats).where(unanswered))
        )

    def sweep(self) -> None:
        """Forget what came long ago."""
        old = repeats.c.created_at < self._clock() - KEPT_SECONDS
        self._database.transact(lambda connection: connection.execute(delete(repeats).where(old)))
