"""Users, groups, tokens and the audit log for the commands: over the API, or at the machine itself.

Who may write to the home of a server could change its files as well. So on the
server's own machine, where no other server is set, the commands act as its
operator and need no login.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from grange.client.schemas import accounts as schemas
from grange.errors import GroupNotFound, UserNotFound

if TYPE_CHECKING:
    from grange.settings import Settings


class People(Protocol):
    """What may be done with the people of a site."""

    def users(self, q: str = "") -> Iterator[schemas.User]:
        """All users, or those with these words in their name or address."""

    def invite(self, new: schemas.NewUser) -> schemas.Invited:
        """Make a user, who chooses a password by the link in the answer."""

    def change(self, user: str, change: schemas.UserChange) -> schemas.User:
        """Change a user; what was not given stays."""

    def reset(self, user: str) -> schemas.Invited:
        """A one-time link with which a user chooses a new password."""

    def delete(self, user: str) -> None:
        """Delete a user."""

    def groups(self) -> list[schemas.Group]:
        """The groups."""

    def make_group(self, name: str) -> schemas.Group:
        """Make a group without members."""

    def rename_group(self, group: str, name: str) -> schemas.Group:
        """Give a group another name."""

    def delete_group(self, group: str) -> None:
        """Delete a group."""

    def add_member(self, group: str, user: str) -> None:
        """Put a user into a group."""

    def remove_member(self, group: str, user: str) -> None:
        """Take a user out of a group."""

    def tokens(self, user: str | None) -> list[schemas.Token]:
        """One's own tokens, or those of a user."""

    def make_token(self, new: schemas.NewToken, user: str | None) -> schemas.MadeToken:
        """Make a token for oneself, or as the operator for a user."""

    def revoke_token(self, token: str) -> None:
        """End a token."""

    def audit(self, *, who: str = "", action: str = "") -> Iterator[schemas.AuditEntry]:
        """The audit log, the newest first, page by page."""

    def verify_audit(self) -> schemas.AuditVerdict:
        """Check the audit log's chain."""


@contextmanager
def open_people(settings: Settings) -> Iterator[People]:
    """The people of the server that the settings name, or of this machine's own home."""
    if settings.server is None:
        from grange.bootstrap.operating import open_operator

        with open_operator(settings) as people:
            yield people
        return
    from grange.bootstrap.remote.login import open_client
    from grange.bootstrap.remote.people import RemotePeople

    with open_client(settings) as client:
        yield RemotePeople(client)


def find_user(people: People, text: str) -> schemas.User:
    """The user of an id, an e-mail address, or of a name that only one has.

    Raises:
        UserNotFound: There is none, or there are several.
    """
    wanted = text.strip().lower()
    named = []
    for user in people.users():
        if wanted in {user.id, user.email}:
            return user
        if user.name.lower() == wanted:
            named.append(user)
    if len(named) != 1:
        what = "Several users are" if named else "No user is"
        raise UserNotFound(f"{what} called {text!r}.", hint="See them all: grange users list")
    return named[0]


def find_group(people: People, text: str) -> schemas.Group:
    """The group of an id or a name.

    Raises:
        GroupNotFound: There is none.
    """
    for group in people.groups():
        if text in {group.id, group.name}:
            return group
    raise GroupNotFound(f"No group is called {text!r}.", hint="See them all: grange groups list")
