"""Sessions: who is logged in, in which browser, and for how long."""

from __future__ import annotations

import contextlib

from sqlalchemy import Connection, delete, insert, select, update

from grange import errors
from grange.accounts.basis import Basis
from grange.accounts.models import JSON, Actor, OpenedSession, Place, Session, User
from grange.accounts.people import fact_of, groups_of_users, session_actor, user_from, user_of
from grange.accounts.secret import derived, digest, new_secret
from grange.accounts.tables import Record, sessions, users
from grange.accounts.text import plain
from grange.core.ids import new_id

DAY_SECONDS = 86_400.0
LIFE_SECONDS = 30 * DAY_SECONDS
IDLE_SECONDS = 7 * DAY_SECONDS
# A sign of life is written down no more often than this.
SEEN_SECONDS = 60.0
# More browsers than this nobody has: the one that rested longest is logged out.
MOST_SESSIONS = 50

ADDRESS_LENGTH = 64
AGENT_LENGTH = 200


class Visits(Basis):
    """Opens, recognises and ends sessions."""

    def open_session(self, user: User, *, place: Place) -> OpenedSession:
        """Log a user in who has just proved who they are."""
        return self.change(lambda connection: self._open(connection, user, place))

    def actor_of_session(self, secret: str, *, place: Place) -> tuple[Actor, Session]:
        """Who has this cookie.

        Raises:
            CredentialsInvalid: Nobody, or the session has ended.
        """
        key = digest(secret)
        return self._session_actor(secret, self.recall.find(key) or self._read(key), place)

    def recalled_session(self, secret: str, *, place: Place) -> tuple[Actor, Session] | None:
        """Who has this cookie, if that can be told without waiting; None says nothing.

        Raises:
            CredentialsInvalid: The session has ended.
        """
        fact = self.recall.find_at_once(digest(secret))
        return None if fact is None else self._session_actor(secret, fact, place)

    def _session_actor(
        self, secret: str, fact: dict[str, JSON], place: Place
    ) -> tuple[Actor, Session]:
        session = Session(**fact["session"], csrf=derived(secret, "csrf"))
        if ends_at(session) <= self.clock():
            raise _ended()
        user = user_from(fact["user"])
        return session_actor(user, place=place, session=session.id), session

    def log_out(self, actor: Actor) -> None:
        """End the session that asks; a token stays what it is."""
        if actor.session is not None:
            self._end(actor, actor.session, actor.user.id)

    def sessions(self, actor: Actor) -> list[Session]:
        """The actor's own sessions that have not ended, the newest first."""
        query = select(sessions).where(sessions.c.user == actor.user.id)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(sessions.c.created_at.desc())).all()
        found = [Session(**session_fact(row), csrf="") for row in rows]
        return [one for one in found if ends_at(one) > self.clock()]

    def end_session(self, actor: Actor, session_id: str) -> None:
        """End one of the actor's sessions; an administrator may end anybody's.

        Raises:
            TokenNotFound: The actor has no such session.
        """
        self._end(actor, session_id, None if actor.is_admin else actor.user.id)

    def _open(self, connection: Connection, user: User, place: Place) -> OpenedSession:
        now = self.clock()
        secret = new_secret()
        fact: dict[str, JSON] = {
            "id": new_id(),
            "user": user.id,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + LIFE_SECONDS,
            "address": plain(place.address, ADDRESS_LENGTH),
            "agent": plain(place.agent, AGENT_LENGTH),
        }
        _make_room(connection, user.id)
        connection.execute(insert(sessions).values(**fact, key=digest(secret)))
        connection.execute(update(users).where(users.c.id == user.id).values(seen_at=now))
        actor = session_actor(user, place=place)
        self.record(actor, "session.opened", f"session {fact['id']}", connection=connection)
        session = Session(**fact, csrf=derived(secret, "csrf"))
        return OpenedSession(secret=secret, session=session, user=user)

    def _read(self, key: str) -> dict[str, JSON]:
        """Look a session up in the database, and let the cache know."""
        now = self.clock()
        with self.database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.key == key)).first()
            person = row and connection.execute(select(users).where(users.c.id == row.user)).first()
            if row is None or person is None or person.disabled:
                raise _ended()
            groups = groups_of_users(connection, [person.id]).get(person.id, ())
        fact = {"session": session_fact(row), "user": fact_of(user_of(person, groups))}
        if now - row.seen_at >= SEEN_SECONDS and ends_at(Session(**fact["session"], csrf="")) > now:
            self._see(row, now)
            fact["session"]["seen_at"] = now
        self.recall.keep(key, fact, read_at=now)
        return fact

    def _see(self, row: Record, now: float) -> None:
        """Write a sign of life down; that there is no room for it must keep nobody out."""

        def work(connection: Connection) -> None:
            connection.execute(update(users).where(users.c.id == row.user).values(seen_at=now))
            connection.execute(
                update(sessions)
                .where(sessions.c.id == row.id, sessions.c.seen_at < now)
                .values(seen_at=now)
            )

        with contextlib.suppress(errors.DatabaseBusy, errors.DatabaseFull):
            self.database.transact(work)

    def _end(self, actor: Actor, session_id: str, user_id: str | None) -> None:
        def work(connection: Connection) -> str:
            query = select(sessions.c.key, sessions.c.user).where(sessions.c.id == session_id)
            row = connection.execute(query).first()
            if row is None or user_id not in {None, row.user}:
                raise errors.TokenNotFound("There is no such session.")
            connection.execute(delete(sessions).where(sessions.c.id == session_id))
            detail = {} if row.user == actor.user.id else {"user": row.user}
            self.record(
                actor,
                "session.ended",
                f"session {session_id}",
                detail=detail,
                connection=connection,
            )
            return str(row.key)

        self.recall.drop([self.change(work)])

    def _end_all(
        self, connection: Connection, user_id: str, *, but: str | None = None
    ) -> list[str]:
        """End a user's sessions, and return what the cache must forget after the commit."""
        theirs = (sessions.c.user == user_id) & (sessions.c.id != (but or ""))
        keys = list(connection.execute(select(sessions.c.key).where(theirs)).scalars())
        connection.execute(delete(sessions).where(theirs))
        return keys


def sweep(connection: Connection, *, now: float) -> None:
    """Delete sessions that have ended."""
    idle = sessions.c.seen_at <= now - IDLE_SECONDS
    connection.execute(delete(sessions).where((sessions.c.expires_at <= now) | idle))


def _make_room(connection: Connection, user_id: str) -> None:
    query = select(sessions.c.id).where(sessions.c.user == user_id)
    ids = list(connection.execute(query.order_by(sessions.c.seen_at.desc())).scalars())
    if len(ids) >= MOST_SESSIONS:
        connection.execute(delete(sessions).where(sessions.c.id.in_(ids[MOST_SESSIONS - 1 :])))


def session_fact(row: Record) -> dict[str, JSON]:
    """What a row says of a session."""
    names = ("id", "user", "created_at", "seen_at", "expires_at", "address", "agent")
    return {name: getattr(row, name) for name in names}


def ends_at(session: Session) -> float:
    """When the session ends if nobody uses it any more."""
    return min(session.expires_at, session.seen_at + IDLE_SECONDS)


def _ended() -> errors.CredentialsInvalid:
    return errors.CredentialsInvalid("You are not logged in any more.", hint="Log in again.")
