"""The audit log: lines that are only ever added, each chained to the one before it by a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, select, update

from grange.accounts.models import JSON, Actor, Place
from grange.accounts.tables import Record, audit, audit_head
from grange.accounts.text import EMAIL_LENGTH, plain, plain_detail
from grange.db import Database

# The operator at the machine itself has an actor, but no row among the users.
OPERATOR = "operator"
DONE = "done"
REFUSED = "refused"

ACTION_LENGTH = 64
TARGET_LENGTH = 300
OUTCOME_LENGTH = 16
ADDRESS_LENGTH = 64


class Trail:
    """Writes the audit log of one database."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """Write into this database, with the times of this clock."""
        self._database = database
        self._clock = clock

    def record(
        self,
        actor: Actor | None,
        action: str,
        target: str = "",
        *,
        outcome: str = DONE,
        place: Place | None = None,
        detail: Mapping[str, JSON] | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Add a line, in the caller's transaction if there is one: told exactly if it was done.

        The newest line is then the caller's until the transaction ends, so let this be
        the last thing in it. Give no secrets: a line can't be taken back.
        """
        place = place or (actor.place if actor else Place())
        row = {
            "at": round(self._clock(), 6),
            "user": _user(actor),
            "who": plain(_who(actor), EMAIL_LENGTH),
            "action": plain(action, ACTION_LENGTH),
            "target": plain(target, TARGET_LENGTH),
            "outcome": plain(outcome, OUTCOME_LENGTH),
            "address": plain(place.address, ADDRESS_LENGTH),
            "detail": plain_detail(detail or {}),
        }
        if connection is not None:
            append(connection, row)
        else:
            self._database.transact(lambda own: append(own, row))


def lock_head(connection: Connection) -> Record:
    """The head of the chain, kept from all others until the transaction ends.

    Changes of accounts take it first: they are done one after the other, so that what
    they decide by (who is an administrator, which key is unused) stays true.
    """
    return connection.execute(select(audit_head).with_for_update()).one()


def append(connection: Connection, row: dict[str, JSON]) -> None:
    """Add a line whose texts are plain already."""
    head = lock_head(connection)
    number = head.number + 1
    text = json.dumps(row["detail"], separators=(",", ":"))
    hashed = line_hash(head.hash, {**row, "number": number, "detail": text})
    connection.execute(insert(audit).values(**row, number=number, hash=hashed))
    connection.execute(update(audit_head).values(number=number, hash=hashed))


def line_hash(previous: str, line: Mapping[str, JSON]) -> str:
    """The hash that binds a line, with its detail as the text that is kept, to those before."""
    canonical = json.dumps(line, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(f"{previous}{canonical}".encode()).hexdigest()


def _user(actor: Actor | None) -> str | None:
    return None if actor is None or actor.user.id == OPERATOR else actor.user.id


def _who(actor: Actor | None) -> str:
    return "" if actor is None else actor.user.email or actor.user.name
