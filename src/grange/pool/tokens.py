"""Tokens by which machines join: made by administrators, for a few machines, for a short time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from grange.accounts.audit import OPERATOR
from grange.accounts.models import Actor
from grange.accounts.secret import digest, is_same, new_secret
from grange.accounts.tables import Record
from grange.core.ids import ID_LENGTH, looks_like_id, new_id
from grange.errors import Conflict, CredentialsInvalid, RequestInvalid, TokenNotFound
from grange.pool.models import WorkerToken
from grange.pool.tables import worker_tokens

DAY_SECONDS = 86_400.0
LONGEST_SECONDS = 30 * DAY_SECONDS
MOST_USES = 1000
MOST_TOKENS = 100
# For so long after its end a token still serves a worker that it has served: one whose answer
# got lost asks again.
KEPT_SECONDS = DAY_SECONDS


def make(
    connection: Connection,
    actor: Actor,
    labels: Sequence[str],
    *,
    seconds: float,
    uses: int,
    now: float,
) -> tuple[WorkerToken, str]:
    """Put a token down; also returns its text, `<id>.<secret>`, of which a hash alone is kept.

    Raises:
        RequestInvalid: It would live for too long, or serve too many.
        Conflict: There are too many tokens.
    """
    if not 0 < seconds <= LONGEST_SECONDS or not 0 < uses <= MOST_USES:
        raise RequestInvalid(
            "A token for workers can't live for so long, or serve so many.",
            hint=f"At most {LONGEST_SECONDS / DAY_SECONDS:.0f} days, and {MOST_USES} machines.",
        )
    if len(every(connection, now=now)) >= MOST_TOKENS:
        raise Conflict(
            f"There are {MOST_TOKENS} tokens for workers already.", hint="Revoke some of them."
        )
    token = WorkerToken(
        id=new_id(),
        labels=tuple(labels),
        uses=uses,
        used=0,
        created_at=now,
        expires_at=now + seconds,
    )
    text = f"{token.id}.{new_secret()}"
    by = None if actor.user.id == OPERATOR else actor.user.id
    row = {**_row(token), "key": digest(text), "by": by}
    connection.execute(insert(worker_tokens).values(row))
    return token, text


def every(connection: Connection, *, now: float) -> list[WorkerToken]:
    """The tokens by which somebody may still join, the newest first."""
    good = (worker_tokens.c.expires_at > now) & (worker_tokens.c.used < worker_tokens.c.uses)
    query = select(worker_tokens).where(good).order_by(worker_tokens.c.created_at.desc())
    return [_token(row) for row in connection.execute(query)]


def known(connection: Connection, text: str, *, lock: bool = False) -> WorkerToken:
    """The token of this text, whether or not it is used up or over.

    With `lock` nobody else changes it until the transaction ends.

    Raises:
        CredentialsInvalid: There is none.
    """
    token_id = text.partition(".")[0]
    row = None
    if len(token_id) == ID_LENGTH and looks_like_id(token_id):
        query = select(worker_tokens).where(worker_tokens.c.id == token_id)
        row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None or not is_same(row.key, digest(text)):
        raise _refused("is unknown, or was revoked")
    return _token(row)


def use(connection: Connection, token: WorkerToken, *, now: float) -> None:
    """Count one more machine on a token that `known` has found in the same transaction.

    Raises:
        CredentialsInvalid: It is over, or used up.
    """
    if token.expires_at <= now:
        raise _refused("has expired")
    if token.used >= token.uses:
        machines = "a machine" if token.uses == 1 else f"{token.uses} machines"
        raise _refused(f"was used by {machines} already")
    mine = worker_tokens.c.id == token.id
    connection.execute(
        update(worker_tokens).where(mine).values(used=worker_tokens.c.used + 1, used_at=now)
    )


def give_back(connection: Connection, token_id: str) -> None:
    """Let a token serve once more, since a machine that used it could not join."""
    mine = (worker_tokens.c.id == token_id) & (worker_tokens.c.used > 0)
    connection.execute(update(worker_tokens).where(mine).values(used=worker_tokens.c.used - 1))


def revoke(connection: Connection, token_id: str) -> None:
    """End a token.

    Raises:
        TokenNotFound: There is none of this id.
    """
    found = connection.execute(delete(worker_tokens).where(worker_tokens.c.id == token_id[:40]))
    if not found.rowcount:
        raise TokenNotFound("There is no such token for workers.")


def sweep(connection: Connection, *, now: float) -> None:
    """Delete the tokens that have been over for long."""
    old = worker_tokens.c.expires_at < now - KEPT_SECONDS
    connection.execute(delete(worker_tokens).where(old))


def _row(token: WorkerToken) -> dict[str, object]:
    return {**vars(token), "labels": list(token.labels)}


def _token(row: Record) -> WorkerToken:
    return WorkerToken(
        id=row.id,
        labels=tuple(row.labels),
        uses=row.uses,
        used=row.used,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _refused(reason: str) -> CredentialsInvalid:
    return CredentialsInvalid(
        f"The token {reason}.", hint="Make a new one on the server: grange workers token"
    )
