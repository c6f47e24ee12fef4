"""The ways in: the set-up, invitations and resets, and logging in with a password."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, insert, select, update

from grange import errors
from grange.accounts import keys, limits
from grange.accounts.audit import REFUSED
from grange.accounts.models import Actor, KeyKind, OpenedSession, Place, Role, User
from grange.accounts.passwords import refuse_weak
from grange.accounts.people import find_user, session_actor, the_user
from grange.accounts.tables import Record, users
from grange.accounts.text import email_of, name_of
from grange.accounts.visits import Visits
from grange.core.ids import new_id

# A password may be changed while a login checks the old one; that often nobody does it.
TRIES = 3


class Entrance(Visits):
    """Lets people in who prove who they are."""

    _done = False

    def is_set_up(self) -> bool:
        """Whether the site has an administrator. Once it has, it always will."""
        if not self._done:
            with self.database.read() as connection:
                self._done = _has_admin(connection)
        return self._done

    def setup_key(self) -> str | None:
        """A fresh one-time key for the set-up, in place of older ones; None once that is done."""

        def work(connection: Connection) -> str | None:
            if _has_admin(connection):
                return None
            return keys.issue(connection, KeyKind.SETUP, user=None, now=self.clock())[0]

        return self.change(work)

    def key_kind(self, key: str) -> KeyKind:
        """What a one-time key is for; it stays unused.

        Raises:
            CredentialsInvalid: It is unknown, used or expired.
        """
        with self.database.read() as connection:
            return keys.look_up(connection, key, now=self.clock()).kind

    def set_up(self, key: str, *, email: str, name: str, password: str, place: Place) -> User:
        """Make the first administrator.

        Raises:
            CredentialsInvalid: The key is unknown, used, expired, or for something else.
            SetUpAlready: There is an administrator.
            PasswordRefused: The password is too weak; the key can be used again.
            RequestInvalid: E-mail address or name are none.
        """
        email, name = email_of(email), name_of(name)
        if self.is_set_up():
            raise _set_up_already()
        if self.key_kind(key) is not KeyKind.SETUP:
            raise _wrong_link()
        refuse_weak(password, email=email, name=name)
        hashed = self.passwords.hash(password)

        def work(connection: Connection) -> User:
            if _has_admin(connection):
                raise _set_up_already()
            if keys.use_up(connection, key, now=self.clock()).kind is not KeyKind.SETUP:
                raise _wrong_link()
            row = {"id": new_id(), "email": email, "name": name, "role": str(Role.ADMIN)}
            connection.execute(
                insert(users).values(**row, password=hashed, created_at=self.clock())
            )
            user = the_user(connection, row["id"])
            actor = session_actor(user, place=place)
            self.record(actor, "site.set_up", f"user {email}", connection=connection)
            return user

        return self.change(work)

    def welcome(self, key: str, *, password: str, name: str | None, place: Place) -> User:
        """Give a user the password that they chose, by the key of an invitation or a reset.

        Their sessions end; tokens stay.

        Raises:
            CredentialsInvalid: The key is unknown, used or expired, or the user disabled.
            PasswordRefused: The password is too weak; the key can be used again.
        """
        with self.database.read() as connection:
            user = _owner(connection, keys.look_up(connection, key, now=self.clock()))
        chosen = user.name if name is None else name_of(name)
        refuse_weak(password, email=user.email, name=chosen)
        hashed = self.passwords.hash(password)

        def work(connection: Connection) -> tuple[User, list[str]]:
            found = keys.use_up(connection, key, now=self.clock())
            before = _owner(connection, found)
            values = {"password": hashed, "name": chosen}
            connection.execute(update(users).where(users.c.id == before.id).values(**values))
            ended = self._end_all(connection, before.id)
            limits.forgive(connection, before.email, place)
            after = the_user(connection, before.id)
            actor = session_actor(after, place=place)
            detail = {"by": str(found.kind)}
            self.record(
                actor,
                "password.chosen",
                f"user {after.email}",
                detail=detail,
                connection=connection,
            )
            return after, ended

        after, ended = self.change(work)
        self.recall.drop(ended)
        self.known_names.drop(after.id)
        return after

    def log_in(self, email: str, password: str, *, place: Place) -> OpenedSession:
        """Open a session for whoever knows the password.

        What is wrong is not told, and takes the same time for users who are not there.

        Raises:
            CredentialsInvalid: E-mail address or password are wrong, or the user disabled.
            TooMany: Too many logins failed; it says when it is worth another try.
        """
        email = email_of(email)
        counted = limits.subjects(email, place)
        self._check_limits(counted)
        with self.passwords.turn():
            # Once more: of many who come at once, those before may have failed.
            self._check_limits(counted)
            kept, opened = self._try_password(email, password, place)
            if opened is None or kept is None:
                self._count_failure(counted, email, place)
                raise errors.CredentialsInvalid("The e-mail address or the password is wrong.")
        self._hash_anew(opened.user, kept, password)
        return opened

    def change_password(self, actor: Actor, *, old: str, new: str) -> None:
        """Give the actor a new password; all of their other sessions end.

        Raises:
            CredentialsInvalid: The old password is wrong.
            PasswordRefused: The new one is too weak.
            TooMany: The old password was wrong too often.
        """
        user = actor.user
        counted = limits.subjects(user.email, actor.place)
        self._check_limits(counted)
        with self.passwords.turn():
            kept = self._kept(users.c.id == user.id)
            right = self.passwords.matches(kept.password if kept else None, old)
            if kept is None or not right:
                self._count_failure(counted, user.email, actor.place, action="password.changed")
                raise errors.CredentialsInvalid("The old password is wrong.")
        refuse_weak(new, email=user.email, name=user.name)
        hashed = self.passwords.hash(new)
        self.recall.drop(self._replace(actor, kept.password, hashed))

    def _replace(self, actor: Actor, old: str, new: str) -> list[str]:
        def work(connection: Connection) -> list[str]:
            mine = (users.c.id == actor.user.id) & (users.c.password == old)
            changed = connection.execute(update(users).where(mine).values(password=new))
            if changed.rowcount != 1:
                raise errors.CredentialsInvalid("The old password is wrong.")
            ended = self._end_all(connection, actor.user.id, but=actor.session)
            target = f"user {actor.user.email}"
            self.record(actor, "password.changed", target, connection=connection)
            return ended

        return self.change(work)

    def _try_password(
        self, email: str, password: str, place: Place
    ) -> tuple[str | None, OpenedSession | None]:
        for _ in range(TRIES):
            row = self._kept(users.c.email == email)
            right = self.passwords.matches(row.password if row else None, password)
            if row is None or not right or row.disabled:
                return None, None
            kept = row.password
            opened = self._open_if_same(email, kept, place)
            if opened is not None:
                return kept, opened
        return None, None

    def _open_if_same(self, email: str, kept: str, place: Place) -> OpenedSession | None:
        """Open a session if nothing changed since the password was looked up."""

        def work(connection: Connection) -> OpenedSession | None:
            same = (users.c.email == email) & (users.c.password == kept) & (users.c.disabled == 0)
            user = find_user(connection, same)
            if user is None:
                return None
            limits.forgive(connection, email, place)
            return self._open(connection, user, place)

        return self.change(work)

    def _hash_anew(self, user: User, kept: str, password: str) -> None:
        """Keep the password as new ones are kept, if the costs were changed since."""
        if not self.passwords.is_outdated(kept):
            return
        hashed = self.passwords.hash(password)
        same = (users.c.id == user.id) & (users.c.password == kept)
        self.database.transact(
            lambda connection: connection.execute(update(users).where(same).values(password=hashed))
        )

    def _kept(self, condition: ColumnElement[bool]) -> Record | None:
        query = select(users.c.password, users.c.disabled).where(condition)
        with self.database.read() as connection:
            return connection.execute(query).first()

    def _check_limits(self, counted: dict[str, int]) -> None:
        with self.database.read() as connection:
            limits.check(connection, counted, now=self.clock())

    def _count_failure(
        self, counted: dict[str, int], email: str, place: Place, *, action: str = "session.opened"
    ) -> None:
        def work(connection: Connection) -> None:
            limits.count(connection, counted, now=self.clock())
            target = f"user {email}"
            self.record(None, action, target, outcome=REFUSED, place=place, connection=connection)

        self.change(work)


def _has_admin(connection: Connection) -> bool:
    query = select(users.c.id).where(users.c.role == Role.ADMIN).limit(1)
    return connection.execute(query).first() is not None


def _owner(connection: Connection, found: keys.OneTimeKey) -> User:
    """Whom an invitation or a reset is for."""
    user = find_user(connection, users.c.id == found.user) if found.user else None
    if user is None or user.disabled:
        raise _wrong_link()
    return user


def _wrong_link() -> errors.CredentialsInvalid:
    return errors.CredentialsInvalid(
        "This link is not for what you are doing.", hint="Ask an administrator for a new one."
    )


def _set_up_already() -> errors.SetUpAlready:
    return errors.SetUpAlready(
        "The site has its administrator already.", hint="Log in, or ask for an invitation."
    )
