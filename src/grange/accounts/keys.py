"""One-time keys: in the links of the set-up, of invitations and of resets."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from grange import errors
from grange.accounts.models import KeyKind
from grange.accounts.secret import digest, new_secret
from grange.accounts.tables import one_time_keys

DAY_SECONDS = 86_400.0
LIFE_SECONDS = {
    KeyKind.SETUP: DAY_SECONDS,
    KeyKind.INVITATION: 7 * DAY_SECONDS,
    KeyKind.RESET: DAY_SECONDS,
}


@dataclass(frozen=True, kw_only=True)
class OneTimeKey:
    """What a key is for, and whose it is: nobody's for the set-up."""

    kind: KeyKind
    user: str | None


def issue(
    connection: Connection, kind: KeyKind, *, user: str | None, now: float
) -> tuple[str, float]:
    """Make a key, which replaces the older ones of this user; say too when it expires."""
    text = new_secret()
    expires_at = now + LIFE_SECONDS[kind]
    # The set-up's key has no user; comparing with None asks for exactly that.
    connection.execute(delete(one_time_keys).where(one_time_keys.c.user == user))
    row = {"key": digest(text), "kind": str(kind), "user": user}
    connection.execute(insert(one_time_keys).values(**row, created_at=now, expires_at=expires_at))
    return text, expires_at


def look_up(connection: Connection, text: str, *, now: float) -> OneTimeKey:
    """What a key is for.

    Raises:
        CredentialsInvalid: It is unknown, used or expired: which of them is not told.
    """
    query = select(one_time_keys.c.kind, one_time_keys.c.user, one_time_keys.c.expires_at)
    row = connection.execute(query.where(one_time_keys.c.key == digest(text))).first()
    if row is None or row.expires_at <= now:
        raise _invalid()
    return OneTimeKey(kind=KeyKind(row.kind), user=row.user)


def use_up(connection: Connection, text: str, *, now: float) -> OneTimeKey:
    """What a key is for, once: of many who come with it at a time, one gets an answer.

    Raises:
        CredentialsInvalid: It is unknown, used or expired.
    """
    found = look_up(connection, text, now=now)
    used = connection.execute(delete(one_time_keys).where(one_time_keys.c.key == digest(text)))
    if used.rowcount != 1:
        raise _invalid()
    return found


def sweep(connection: Connection, *, now: float) -> None:
    """Delete the keys that have expired."""
    connection.execute(delete(one_time_keys).where(one_time_keys.c.expires_at <= now))


def _invalid() -> errors.CredentialsInvalid:
    return errors.CredentialsInvalid(
        "This link is unknown, has expired, or was used already.",
        hint="Ask an administrator for a new one; `grange serve` prints a new one for the set-up.",
    )
