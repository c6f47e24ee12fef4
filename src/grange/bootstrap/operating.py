"""The people of this machine's own home, for whoever operates it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from grange.accounts import models
from grange.client.schemas import accounts as schemas
from grange.errors import UsageError

if TYPE_CHECKING:
    from grange.accounts.service import Accounts
    from grange.settings import Settings


@contextmanager
def open_operator(settings: Settings) -> Iterator[Operator]:
    """The accounts of the home and database that the settings name."""
    from grange.accounts.service import Accounts
    from grange.accounts.sessions import open_cache
    from grange.bootstrap.embedded import make_home
    from grange.db import open_database
    from grange.db.schema import prepare

    make_home(settings.home)
    database = open_database(settings.database)
    try:
        prepare(database)
        accounts = Accounts(database, open_cache(settings.sessions))
        try:
            yield Operator(accounts, base_url(settings))
        finally:
            accounts.close()
    finally:
        database.close()


def base_url(settings: Settings) -> str:
    """How people reach the server, as far as the settings tell."""
    if settings.public_url is not None:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls else 'http'}://{host}:{settings.port}"


class Operator:
    """Acts as an administrator whom the audit log calls operator."""

    def __init__(self, accounts: Accounts, base: str) -> None:
        """Use `open_operator`; `base` is the address that one-time links begin with."""
        self._accounts = accounts
        self._base = base
        self._actor = accounts.operator()

    def users(self, q: str = "") -> Iterator[schemas.User]:
        """All users, or those with these words in their name or address."""
        after: str | None = None
        while True:
            part = self._accounts.users(self._actor, after=after, limit=500, query=q)
            yield from map(schemas.User.model_validate, part.items)
            after = part.next
            if after is None:
                return

    def invite(self, new: schemas.NewUser) -> schemas.Invited:
        """Make a user, who chooses a password by the link in the answer."""
        return self._invited(
            self._accounts.invite(
                self._actor,
                email=new.email,
                name=new.name,
                role=models.Role(new.role),
                quota_bytes=new.quota_bytes,
            )
        )

    def change(self, user: str, change: schemas.UserChange) -> schemas.User:
        """Change a user; what was not given stays."""
        keep = "quota_bytes" not in change.model_fields_set
        wanted = models.UserChange(
            name=change.name,
            role=models.Role(change.role) if change.role else None,
            disabled=change.disabled,
            quota_bytes=models.Keep.KEEP if keep else change.quota_bytes,
        )
        changed = self._accounts.change_user(self._actor, user, wanted)
        return schemas.User.model_validate(changed)

    def reset(self, user: str) -> schemas.Invited:
        """A one-time link with which a user chooses a new password."""
        return self._invited(self._accounts.reset(self._actor, user))

    def delete(self, user: str) -> None:
        """Delete a user."""
        self._accounts.delete_user(self._actor, user)

    def groups(self) -> list[schemas.Group]:
        """The groups."""
        return list(map(schemas.Group.model_validate, self._accounts.groups(self._actor)))

    def make_group(self, name: str) -> schemas.Group:
        """Make a group without members."""
        return schemas.Group.model_validate(self._accounts.make_group(self._actor, name))

    def rename_group(self, group: str, name: str) -> schemas.Group:
        """Give a group another name."""
        renamed = self._accounts.rename_group(self._actor, group, name)
        return schemas.Group.model_validate(renamed)

    def delete_group(self, group: str) -> None:
        """Delete a group."""
        self._accounts.delete_group(self._actor, group)

    def add_member(self, group: str, user: str) -> None:
        """Put a user into a group."""
        self._accounts.add_member(self._actor, group, user)

    def remove_member(self, group: str, user: str) -> None:
        """Take a user out of a group."""
        self._accounts.remove_member(self._actor, group, user)

    def tokens(self, user: str | None) -> list[schemas.Token]:
        """A user's tokens.

        Raises:
            UsageError: No user is named, and the operator has none.
        """
        if user is None:
            raise UsageError("The operator has no tokens.", hint="Name a user: --user EMAIL")
        return list(map(_token, self._accounts.tokens(self._actor, user)))

    def make_token(self, new: schemas.NewToken, user: str | None) -> schemas.MadeToken:
        """Make a token for a user.

        Raises:
            UsageError: No user is named.
        """
        if user is None:
            raise UsageError("The operator has no tokens.", hint="Name a user: --user EMAIL")
        made = self._accounts.make_token(
            self._actor,
            name=new.name,
            scopes=frozenset(map(models.Scope, new.scopes)),
            expires_seconds=new.expires_seconds,
            user=user,
        )
        return schemas.MadeToken(token=_token(made.token), text=made.text)

    def revoke_token(self, token: str) -> None:
        """End a token."""
        self._accounts.revoke_token(self._actor, token)

    def audit(self, *, who: str = "", action: str = "") -> Iterator[schemas.AuditEntry]:
        """The audit log, the newest first, page by page."""
        after: int | None = None
        while True:
            part = self._accounts.audit(self._actor, after=after, limit=500, who=who, action=action)
            yield from map(schemas.AuditEntry.model_validate, part.items)
            if part.next is None:
                return
            after = int(part.next)

    def verify_audit(self) -> schemas.AuditVerdict:
        """Check the audit log's chain."""
        return schemas.AuditVerdict.model_validate(self._accounts.verify_audit(None))

    def _invited(self, invited: models.Invited) -> schemas.Invited:
        return schemas.Invited(
            user=schemas.User.model_validate(invited.user),
            link=f"{self._base}/welcome?{urlencode({'key': invited.key})}",
            expires_at=invited.expires_at,
        )


def _token(token: models.Token) -> schemas.Token:
    told = {**vars(token), "scopes": sorted(str(scope) for scope in token.scopes)}
    return schemas.Token.model_validate(told)
