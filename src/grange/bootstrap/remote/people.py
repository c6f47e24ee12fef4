"""The people of a server, over its API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from grange.client.paging import every
from grange.client.schemas import accounts as schemas
from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.client.api import Client


class RemotePeople:
    """What the API lets one do with people."""

    def __init__(self, client: Client) -> None:
        """Act over this client, in its name."""
        self._accounts = client.accounts

    def users(self, q: str = "") -> Iterator[schemas.User]:
        """All users, or those with these words in their name or address."""
        return self._accounts.every_user(q)

    def invite(self, new: schemas.NewUser) -> schemas.Invited:
        """Make a user, who chooses a password by the link in the answer."""
        return self._accounts.invite_user(new)

    def change(self, user: str, change: schemas.UserChange) -> schemas.User:
        """Change a user; what was not given stays."""
        return self._accounts.change_user(user, change)

    def reset(self, user: str) -> schemas.Invited:
        """A one-time link with which a user chooses a new password."""
        return self._accounts.reset_password(user)

    def delete(self, user: str) -> None:
        """Delete a user."""
        self._accounts.delete_user(user)

    def groups(self) -> list[schemas.Group]:
        """The groups."""
        return self._accounts.list_groups().items

    def make_group(self, name: str) -> schemas.Group:
        """Make a group without members."""
        return self._accounts.make_group(schemas.NewGroup(name=name))

    def rename_group(self, group: str, name: str) -> schemas.Group:
        """Give a group another name."""
        return self._accounts.rename_group(group, schemas.GroupChange(name=name))

    def delete_group(self, group: str) -> None:
        """Delete a group."""
        self._accounts.delete_group(group)

    def add_member(self, group: str, user: str) -> None:
        """Put a user into a group."""
        self._accounts.add_member(group, user)

    def remove_member(self, group: str, user: str) -> None:
        """Take a user out of a group."""
        self._accounts.remove_member(group, user)

    def tokens(self, user: str | None) -> list[schemas.Token]:
        """One's own tokens, or those of a user."""
        return self._accounts.list_tokens(user=user).items

    def make_token(self, new: schemas.NewToken, user: str | None) -> schemas.MadeToken:
        """Make a token for oneself.

        Raises:
            UsageError: It is for somebody else.
        """
        if user is not None:
            raise UsageError(
                "A token for somebody else is made on the server's own machine alone.",
                hint="Leave --user out, or work there with GRANGE_SERVER=none.",
            )
        return self._accounts.make_token(new)

    def revoke_token(self, token: str) -> None:
        """End a token."""
        self._accounts.revoke_token(token)

    def audit(self, *, who: str = "", action: str = "") -> Iterator[schemas.AuditEntry]:
        """The audit log, the newest first, page by page."""
        listed = self._accounts.list_audit
        return every(lambda after: listed(after=after, limit=500, who=who, action=action))

    def verify_audit(self) -> schemas.AuditVerdict:
        """Check the audit log's chain."""
        return self._accounts.verify_audit()
