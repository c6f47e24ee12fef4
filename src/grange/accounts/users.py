"""Users: inviting, changing and deleting them, and who sees what of whom."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from grange import errors
from grange.accounts import keys
from grange.accounts.basis import MOST_PER_PAGE, Basis
from grange.accounts.models import Actor, Invited, Keep, KeyKind, Page, Role, User, UserChange
from grange.accounts.people import (
    digests_of,
    groups_of_users,
    no_such_user,
    read_users,
    the_user,
)
from grange.accounts.tables import members, users
from grange.accounts.text import email_of, name_of
from grange.core.ids import new_id
from grange.db import Duplicate


class Users(Basis):
    """Looks after the users of the site."""

    def users(
        self, actor: Actor, *, after: str | None = None, limit: int = 50, query: str = ""
    ) -> Page[User]:
        """Users by their e-mail address, or those whose name or address has a text in it.

        Administrators see all. Others see themselves, and of those in their groups the name,
        by which alone they find them.
        """
        # By what is not shown to the actor, nothing is found or sorted either.
        key = users.c.email if actor.is_admin else users.c.id
        condition = self._visible(actor) & _matching(actor, query)
        limit = min(max(limit, 1), MOST_PER_PAGE)
        listed = select(users).where(condition).order_by(key).limit(limit + 1)
        if after is not None:
            listed = listed.where(key > _key_of(after))
        counted = select(func.count()).select_from(users).where(condition)
        with self.database.read() as connection:
            found = read_users(connection, connection.execute(listed))
            total = connection.execute(counted).scalar_one()
        following = _cursor(actor, found[limit - 1]) if len(found) > limit else None
        shown = [_shown(actor, user) for user in found[:limit]]
        return Page(items=shown, next=following, total=total)

    def user(self, actor: Actor, user_id: str) -> User:
        """A user.

        Raises:
            UserNotFound: There is none, or the actor shares no group with them.
        """
        with self.database.read() as connection:
            condition = self._visible(actor) & (users.c.id == user_id)
            found = read_users(connection, connection.execute(select(users).where(condition)))
        if not found:
            raise no_such_user()
        return _shown(actor, found[0])

    def find_user(self, actor: Actor, text: str) -> User:
        """The user of this id or e-mail address.

        Raises:
            UserNotFound: There is none whom the actor may see.
        """
        named = users.c.email == text.strip().lower()
        if not actor.is_admin:
            named &= users.c.id == actor.user.id
        with self.database.read() as connection:
            by_email = connection.execute(select(users.c.id).where(named)).scalar()
        return self.user(actor, by_email or text)

    def names(self, ids: Iterable[str]) -> dict[str, str]:
        """The names of these users; who is gone is missing."""
        wanted = set(ids)
        found = self.known_names.find(wanted)
        missing = sorted(wanted - found.keys())
        for start in range(0, len(missing), MOST_PER_PAGE):
            some = missing[start : start + MOST_PER_PAGE]
            query = select(users.c.id, users.c.name).where(users.c.id.in_(some))
            with self.database.read() as connection:
                found.update({row.id: row.name for row in connection.execute(query)})
        if missing:
            self.known_names.keep({one: found[one] for one in missing if one in found})
        return found

    def groups_of(self, user_id: str) -> tuple[str, ...]:
        """The ids of a user's groups."""
        with self.database.read() as connection:
            return groups_of_users(connection, [user_id]).get(user_id, ())

    def invite(
        self, actor: Actor, *, email: str, name: str, role: Role, quota_bytes: int | None = None
    ) -> Invited:
        """Make a user, who chooses a password by the one-time key that comes with it.

        Raises:
            NotAllowed: The actor is no administrator.
            NameTaken: There is a user with this address.
        """
        email, name = email_of(email), name_of(name)
        self.require_admin(actor, "user.invited", f"user {email}")

        def work(connection: Connection) -> Invited:
            row = {"id": new_id(), "email": email, "name": name, "role": str(Role(role))}
            connection.execute(
                insert(users).values(**row, quota_bytes=quota_bytes, created_at=self.clock())
            )
            detail = {"role": row["role"]}
            return self._issue(connection, actor, row["id"], "user.invited", detail)

        try:
            return self.change(work)
        except Duplicate as error:
            raise errors.NameTaken(
                f"There is a user {email} already.", hint="Send them a new link instead."
            ) from error

    def reset(self, actor: Actor, user_id: str) -> Invited:
        """Make a new one-time key for a user, in place of older ones.

        The old password works until the key is used.

        Raises:
            NotAllowed: The actor is no administrator.
            UserNotFound: There is no such user.
        """
        self.require_admin(actor, "user.reset", f"user {user_id}")
        return self.change(
            lambda connection: self._issue(connection, actor, user_id, "user.reset", {})
        )

    def change_user(self, actor: Actor, user_id: str, change: UserChange) -> User:
        """Change a user: oneself may change the name, administrators all of it, at once.

        Raises:
            NotAllowed: It takes an administrator.
            UserNotFound: There is no such user.
            LastAdmin: Nobody would be left to look after the site.
        """
        values = _values(change)
        if user_id != actor.user.id or set(values) - {"name"}:
            self.require_admin(actor, "user.changed", f"user {user_id}")

        def work(connection: Connection) -> tuple[User, list[str]]:
            before = the_user(connection, user_id)
            if values:
                connection.execute(update(users).where(users.c.id == user_id).values(**values))
            after = the_user(connection, user_id)
            _refuse_last_admin(connection, before)
            target = f"user {after.email}"
            self.record(actor, "user.changed", target, detail=values, connection=connection)
            return after, digests_of(connection, user_id)

        after, known = self.change(work)
        self.recall.drop(known)
        self.known_names.drop(user_id)
        return after

    def delete_user(self, actor: Actor, user_id: str) -> None:
        """Delete a user with their sessions and tokens; what the audit log says of them stays.

        Raises:
            NotAllowed: The actor is no administrator.
            UserNotFound: There is no such user.
            LastAdmin: Nobody would be left to look after the site.
        """
        self.require_admin(actor, "user.deleted", f"user {user_id}")

        def work(connection: Connection) -> list[str]:
            before = the_user(connection, user_id)
            known = digests_of(connection, user_id)
            connection.execute(delete(users).where(users.c.id == user_id))
            _refuse_last_admin(connection, before)
            detail = {"id": user_id, "name": before.name}
            target = f"user {before.email}"
            self.record(actor, "user.deleted", target, detail=detail, connection=connection)
            return known

        self.recall.drop(self.change(work))
        self.known_names.drop(user_id)

    def _issue(
        self,
        connection: Connection,
        actor: Actor,
        user_id: str,
        action: str,
        detail: dict[str, str],
    ) -> Invited:
        user = the_user(connection, user_id)
        kind = KeyKind.INVITATION if user.invited else KeyKind.RESET
        key, expires_at = keys.issue(connection, kind, user=user_id, now=self.clock())
        self.record(actor, action, f"user {user.email}", detail=detail, connection=connection)
        return Invited(user=user, key=key, expires_at=expires_at)

    def _visible(self, actor: Actor) -> ColumnElement[bool]:
        if actor.is_admin:
            return users.c.id == users.c.id
        mine = select(members.c.group).where(members.c.user == actor.user.id)
        fellows = select(members.c.user).where(members.c.group.in_(mine))
        return or_(users.c.id == actor.user.id, users.c.id.in_(fellows))


def _matching(actor: Actor, text: str) -> ColumnElement[bool]:
    wanted = text.strip().lower()
    by_email = users.c.email.contains(wanted, autoescape=True)
    if not actor.is_admin:
        by_email &= users.c.id == actor.user.id
    return or_(by_email, func.lower(users.c.name).contains(wanted, autoescape=True))


def _shown(actor: Actor, user: User) -> User:
    """What the actor may know of a user whom they may see."""
    if actor.is_admin or user.id == actor.user.id:
        return user
    shared = tuple(group for group in user.groups if group in actor.user.groups)
    return User(
        id=user.id,
        email="",
        name=user.name,
        role=user.role,
        disabled=user.disabled,
        created_at=user.created_at,
        groups=shared,
    )


def _values(change: UserChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if change.name is not None:
        values["name"] = name_of(change.name)
    if change.role is not None:
        values["role"] = str(Role(change.role))
    if change.disabled is not None:
        values["disabled"] = int(change.disabled)
    if not isinstance(change.quota_bytes, Keep):
        values["quota_bytes"] = change.quota_bytes
    return values


def _refuse_last_admin(connection: Connection, before: User) -> None:
    """Undo the change that took the last administrator who can log in."""
    was_one = before.role is Role.ADMIN and not before.disabled and not before.invited
    active = (users.c.role == Role.ADMIN) & (users.c.disabled == 0) & users.c.password.is_not(None)
    if was_one and connection.execute(select(users.c.id).where(active).limit(1)).first() is None:
        raise errors.LastAdmin(
            f"{before.name} is the last administrator.", hint="Make somebody else one first."
        )


def _cursor(actor: Actor, last: User) -> str:
    key = last.email if actor.is_admin else last.id
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _key_of(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise errors.RequestInvalid(
            "This is no place in the list.", hint="Take `next` of the page before."
        ) from error
