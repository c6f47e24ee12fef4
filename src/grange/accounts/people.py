"""Users as they are read from the database, and as a cache keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, select

from grange import errors
from grange.accounts.audit import OPERATOR
from grange.accounts.models import JSON, ROLE_SCOPES, Actor, Place, Role, User
from grange.accounts.tables import Record, members, sessions, tokens, users


def user_of(row: Record, groups: tuple[str, ...]) -> User:
    """The user of a row."""
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        disabled=bool(row.disabled),
        invited=row.password is None,
        quota_bytes=row.quota_bytes,
        created_at=row.created_at,
        seen_at=row.seen_at,
        groups=groups,
    )


def read_users(connection: Connection, rows: Iterable[Record]) -> list[User]:
    """The users of these rows, with their groups."""
    rows = list(rows)
    theirs = groups_of_users(connection, [row.id for row in rows])
    return [user_of(row, theirs.get(row.id, ())) for row in rows]


def find_user(connection: Connection, condition: ColumnElement[bool]) -> User | None:
    """The one user for whom this is so."""
    found = read_users(connection, connection.execute(select(users).where(condition)))
    return found[0] if found else None


def the_user(connection: Connection, user_id: str) -> User:
    """The user of this id.

    Raises:
        UserNotFound: There is none.
    """
    found = find_user(connection, users.c.id == user_id)
    if found is None:
        raise no_such_user()
    return found


def no_such_user() -> errors.UserNotFound:
    """What is said of users who are not there, and of those whom one must not see."""
    return errors.UserNotFound("There is no such user.", hint="See them all: grange users list")


def groups_of_users(connection: Connection, ids: list[str]) -> dict[str, tuple[str, ...]]:
    """The groups' ids of each of these users who is in one."""
    query = select(members.c.user, members.c.group).where(members.c.user.in_(ids))
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(query.order_by(members.c.user, members.c.group)):
        found[row.user] = (*found.get(row.user, ()), row.group)
    return found


def digests_of(connection: Connection, user_id: str) -> list[str]:
    """What the cache may know of a user by: their sessions and tokens."""
    found: list[str] = []
    for table in (sessions, tokens):
        query = select(table.c.key).where(table.c.user == user_id)
        found += connection.execute(query).scalars()
    return found


def session_actor(user: User, *, place: Place, session: str | None = None) -> Actor:
    """A user who may do all that their role lets them."""
    return Actor(user=user, scopes=ROLE_SCOPES[user.role], place=place, session=session)


def operator() -> Actor:
    """Whoever runs commands on the server's own machine: they could change the files as well."""
    user = User(id=OPERATOR, email="", name=OPERATOR, role=Role.ADMIN, created_at=0.0)
    return session_actor(user, place=Place())


def fact_of(user: User) -> dict[str, JSON]:
    """What a cache keeps of a user."""
    return {**vars(user), "role": str(user.role), "groups": list(user.groups)}


def user_from(fact: dict[str, JSON]) -> User:
    """The user of whom a cache kept this."""
    return User(**{**fact, "role": Role(fact["role"]), "groups": tuple(fact["groups"])})
