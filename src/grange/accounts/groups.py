"""Groups: users who see each other's runs where these say so."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from grange import errors
from grange.accounts.basis import Basis
from grange.accounts.models import Actor, Group
from grange.accounts.people import digests_of, the_user
from grange.accounts.tables import groups, members
from grange.accounts.text import name_of
from grange.core.ids import new_id
from grange.db import Duplicate


class Groups(Basis):
    """Looks after the groups of the site; only administrators change them."""

    def groups(self, actor: Actor) -> list[Group]:
        """All groups for administrators, for others their own, by name."""
        with self.database.read() as connection:
            found = _read(connection)
        return [one for one in found if _may_see(actor, one)]

    def group(self, actor: Actor, group_id: str) -> Group:
        """A group.

        Raises:
            GroupNotFound: There is none, or the actor is not in it.
        """
        with self.database.read() as connection:
            found = _the_group(connection, group_id)
        if not _may_see(actor, found):
            raise _no_such_group()
        return found

    def make_group(self, actor: Actor, name: str, *, group_id: str | None = None) -> Group:
        """Make a group that nobody is in yet; if there is one of this id already, it is that one.

        Raises:
            NotAllowed: The actor is no administrator.
            NameTaken: There is a group of this name.
        """
        name = name_of(name)
        self.require_admin(actor, "group.made", f"group {name}")

        def work(connection: Connection) -> Group:
            if group_id is not None and (made := _read(connection, group_id)):
                return made[0]
            group = Group(id=group_id or new_id(), name=name, created_at=self.clock())
            row = {"id": group.id, "name": name, "created_at": group.created_at}
            connection.execute(insert(groups).values(**row))
            detail = {"name": name}
            target = f"group {group.id}"
            self.record(actor, "group.made", target, detail=detail, connection=connection)
            return group

        try:
            return self.change(work)
        except Duplicate as error:
            raise _name_taken(name) from error

    def rename_group(self, actor: Actor, group_id: str, name: str) -> Group:
        """Give a group another name.

        Raises:
            NotAllowed: The actor is no administrator.
            GroupNotFound: There is no such group.
            NameTaken: Another one has this name.
        """
        name = name_of(name)
        self.require_admin(actor, "group.renamed", f"group {group_id}")

        def work(connection: Connection) -> Group:
            before = _the_group(connection, group_id)
            connection.execute(update(groups).where(groups.c.id == group_id).values(name=name))
            detail = {"name": name, "before": before.name}
            target = f"group {group_id}"
            self.record(actor, "group.renamed", target, detail=detail, connection=connection)
            return _the_group(connection, group_id)

        try:
            return self.change(work)
        except Duplicate as error:
            raise _name_taken(name) from error

    def delete_group(self, actor: Actor, group_id: str) -> None:
        """Delete a group; its members stay users.

        Raises:
            NotAllowed: The actor is no administrator.
            GroupNotFound: There is no such group.
        """
        self.require_admin(actor, "group.deleted", f"group {group_id}")

        def work(connection: Connection) -> list[str]:
            before = _the_group(connection, group_id)
            known = [one for user in before.members for one in digests_of(connection, user)]
            connection.execute(delete(groups).where(groups.c.id == group_id))
            detail = {"name": before.name, "members": list(before.members)}
            target = f"group {group_id}"
            self.record(actor, "group.deleted", target, detail=detail, connection=connection)
            return known

        self.recall.drop(self.change(work))

    def add_member(self, actor: Actor, group_id: str, user_id: str) -> Group:
        """Put a user into a group; who is in it stays.

        Raises:
            NotAllowed: The actor is no administrator.
            GroupNotFound: There is no such group.
            UserNotFound: There is no such user.
        """
        return self._move(actor, group_id, user_id, joins=True)

    def remove_member(self, actor: Actor, group_id: str, user_id: str) -> Group:
        """Take a user out of a group, whether they are in it or not.

        Raises:
            NotAllowed: The actor is no administrator.
            GroupNotFound: There is no such group.
            UserNotFound: There is no such user.
        """
        return self._move(actor, group_id, user_id, joins=False)

    def _move(self, actor: Actor, group_id: str, user_id: str, *, joins: bool) -> Group:
        action = "group.joined" if joins else "group.left"
        self.require_admin(actor, action, f"group {group_id}")

        def work(connection: Connection) -> tuple[Group, list[str]]:
            group, user = _the_group(connection, group_id), the_user(connection, user_id)
            if (user_id in group.members) == joins:
                return group, []
            if joins:
                connection.execute(insert(members).values(group=group_id, user=user_id))
            else:
                this = (members.c.group == group_id) & (members.c.user == user_id)
                connection.execute(delete(members).where(this))
            detail = {"group": group.name, "user": user.email}
            target = f"group {group_id}"
            self.record(actor, action, target, detail=detail, connection=connection)
            return _the_group(connection, group_id), digests_of(connection, user_id)

        group, known = self.change(work)
        self.recall.drop(known)
        return group


def _read(connection: Connection, group_id: str | None = None) -> list[Group]:
    query = select(groups).order_by(groups.c.name)
    inside = select(members.c.group, members.c.user).order_by(members.c.user)
    if group_id is not None:
        query = query.where(groups.c.id == group_id)
        inside = inside.where(members.c.group == group_id)
    theirs: dict[str, list[str]] = {}
    for row in connection.execute(inside):
        theirs.setdefault(row.group, []).append(row.user)
    return [
        Group(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            members=tuple(theirs.get(row.id, ())),
        )
        for row in connection.execute(query)
    ]


def _the_group(connection: Connection, group_id: str) -> Group:
    found = _read(connection, group_id)
    if not found:
        raise _no_such_group()
    return found[0]


def _may_see(actor: Actor, group: Group) -> bool:
    return actor.is_admin or actor.user.id in group.members


def _no_such_group() -> errors.GroupNotFound:
    return errors.GroupNotFound("There is no such group.", hint="See them all: grange groups list")


def _name_taken(name: str) -> errors.NameTaken:
    return errors.NameTaken(f"There is a group {name} already.", hint="Take another name.")
