"""Whether those who were let in once would be let in still, asked of many at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from grange.accounts.basis import MOST_PER_PAGE, Basis
from grange.accounts.models import Actor, Session, User
from grange.accounts.people import read_users
from grange.accounts.tables import sessions, tokens, users
from grange.accounts.visits import ends_at, session_fact


class Standing(Basis):
    """Looks whether actors stand as they did: for what stays open for long."""

    def still(self, actors: Sequence[Actor]) -> list[bool]:
        """Of each actor, whether nothing has changed of what they may.

        Something has when their session or token has ended, or when their user is
        disabled or gone, or has another role or other groups. The database is
        asked, a few times for all of them together.
        """
        with self.database.read() as connection:
            people = _people(connection, {one.user.id for one in actors})
            open_sessions = self._sessions(connection, {one.session for one in actors})
            alive = self._tokens(connection, {one.token for one in actors})
        return [
            (one.session is None or one.session in open_sessions)
            and (one.token is None or one.token in alive)
            and _is_same(one.user, people.get(one.user.id))
            for one in actors
        ]

    def _sessions(self, connection: Connection, ids: set[str | None]) -> set[str]:
        found: set[str] = set()
        for some in _batches(ids):
            for row in connection.execute(select(sessions).where(sessions.c.id.in_(some))):
                if ends_at(Session(**session_fact(row), csrf="")) > self.clock():
                    found.add(row.id)
        return found

    def _tokens(self, connection: Connection, ids: set[str | None]) -> set[str]:
        found: set[str] = set()
        for some in _batches(ids):
            alive = tokens.c.revoked_at.is_(None) & (tokens.c.expires_at > self.clock())
            query = select(tokens.c.id).where(tokens.c.id.in_(some), alive)
            found.update(connection.execute(query).scalars())
        return found


def _people(connection: Connection, ids: set[str]) -> dict[str, User]:
    found: dict[str, User] = {}
    for some in _batches(ids):
        rows = connection.execute(select(users).where(users.c.id.in_(some)))
        found.update({user.id: user for user in read_users(connection, rows)})
    return found


def _is_same(before: User, now: User | None) -> bool:
    return (
        now is not None
        and not now.disabled
        and (before.role, sorted(before.groups)) == (now.role, sorted(now.groups))
    )


def _batches(ids: set[str] | set[str | None]) -> list[list[str]]:
    wanted = sorted(one for one in ids if one is not None)
    return [wanted[first : first + MOST_PER_PAGE] for first in range(0, len(wanted), MOST_PER_PAGE)]
