"""API tokens: keys for programs, with fewer rights than their user at will, and an end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from grange import errors
from grange.accounts.audit import OPERATOR
from grange.accounts.basis import Basis
from grange.accounts.models import JSON, ROLE_SCOPES, Actor, MadeToken, Place, Scope, Token
from grange.accounts.people import fact_of, groups_of_users, the_user, user_from, user_of
from grange.accounts.secret import digest, is_same, new_secret
from grange.accounts.tables import Record, tokens, users
from grange.accounts.text import name_of
from grange.core.ids import looks_like_id, new_id

PREFIX = "grange"
DAY_SECONDS = 86_400.0
USUAL_LIFE_SECONDS = 90 * DAY_SECONDS
LONGEST_LIFE_SECONDS = 366 * DAY_SECONDS
# That a token was used is written down no more often than this.
USED_SECONDS = 60.0
MOST_TOKENS = 100
# What is longer is no token, and not worth a digest.
TEXT_LENGTH = 200


class Tokens(Basis):
    """Makes, recognises and revokes tokens."""

    def make_token(
        self,
        actor: Actor,
        *,
        name: str,
        scopes: Iterable[Scope | str],
        expires_seconds: float | None = None,
        user: str | None = None,
    ) -> MadeToken:
        """Make a token, whose text is told here and never again.

        It may do no more than who makes it, and one made by a token ends with that one.
        The operator makes tokens for others, whose id is then given as `user`.

        Raises:
            NotAllowed: A scope is more than the actor has.
            RequestInvalid: There is no scope, or the token would live for too long.
            Conflict: The user has too many tokens already.
        """
        name, chosen = name_of(name), _chosen(scopes)
        life = USUAL_LIFE_SECONDS if expires_seconds is None else expires_seconds
        if not 0 < life <= LONGEST_LIFE_SECONDS:
            raise errors.RequestInvalid(
                "A token can't live for so long.", hint="Give at most 366 days."
            )
        text_of = {"id": new_id(), "secret": new_secret()}
        text = f"{PREFIX}_{text_of['id']}_{text_of['secret']}"

        def work(connection: Connection) -> Token:
            owner = _owner(connection, actor, chosen, user)
            now = self.clock()
            _limit(connection, owner, now)
            row = {
                "id": text_of["id"],
                "user": owner,
                "name": name,
                "scopes": " ".join(sorted(map(str, chosen))),
                "created_at": now,
                "expires_at": min(now + life, _end_of(connection, actor)),
            }
            connection.execute(insert(tokens).values(**row, key=digest(text)))
            detail = {"name": name, "scopes": row["scopes"], "expires_at": row["expires_at"]}
            target = f"token {row['id']}"
            self.record(actor, "token.made", target, detail=detail, connection=connection)
            return token_of(
                connection.execute(select(tokens).where(tokens.c.id == row["id"])).one()
            )

        return MadeToken(token=self.change(work), text=text)

    def actor_of_token(self, text: str, *, place: Place) -> Actor:
        """Who has this token.

        Raises:
            CredentialsInvalid: Nobody: it is none of this site, or is expired or revoked.
        """
        key = digest(text[: TEXT_LENGTH + 1])
        return self._token_actor(self.recall.find(key) or self._read_token(key, text), place)

    def recalled_token(self, text: str, *, place: Place) -> Actor | None:
        """Who has this token, if that can be told without waiting; None says nothing.

        Raises:
            CredentialsInvalid: It has expired.
        """
        fact = self.recall.find_at_once(digest(text[: TEXT_LENGTH + 1]))
        return None if fact is None else self._token_actor(fact, place)

    def _token_actor(self, fact: dict[str, JSON], place: Place) -> Actor:
        if fact["expires_at"] <= self.clock():
            raise _invalid()
        user = user_from(fact["user"])
        scopes = frozenset(map(Scope, fact["scopes"])) & ROLE_SCOPES[user.role]
        return Actor(user=user, scopes=scopes, place=place, token=fact["token"])

    def tokens(self, actor: Actor, user: str | None = None) -> list[Token]:
        """The actor's tokens, or for administrators those of a user, the newest first.

        The revoked and expired ones are among them until they are swept away.
        """
        whose = actor.user.id if user is None else user
        if whose != actor.user.id:
            self.require_admin(actor, "token.listed", f"user {whose}")
        query = select(tokens).where(tokens.c.user == whose)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(tokens.c.created_at.desc(), tokens.c.id))
            return [token_of(row) for row in rows]

    def revoke_token(self, actor: Actor, token_id: str) -> None:
        """End a token at once: one's own, or as an administrator anybody's.

        Raises:
            TokenNotFound: The actor has no such token.
            NotAllowed: A token asks for the end of one that may do more.
        """

        def work(connection: Connection) -> str:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
            if row is None or not (actor.is_admin or row.user == actor.user.id):
                raise errors.TokenNotFound("There is no such token.")
            _refuse_weaker(actor, row)
            alive = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
            connection.execute(update(tokens).where(alive).values(revoked_at=self.clock()))
            detail = {"name": row.name, "user": row.user}
            target = f"token {token_id}"
            self.record(actor, "token.revoked", target, detail=detail, connection=connection)
            return str(row.key)

        self.recall.drop([self.change(work)])

    def _read_token(self, key: str, text: str) -> dict[str, JSON]:
        """Look a token up in the database, and let the cache know."""
        now = self.clock()
        parts = text.split("_", 2)
        if len(text) > TEXT_LENGTH or len(parts) != len(("prefix", "id", "secret")):  # fmt: skip
            raise _invalid()
        with self.database.read() as connection:
            row, person = _row_and_user(connection, parts[1])
            if row is None or person is None or not is_same(row.key, key):
                raise _invalid()
            if row.revoked_at is not None or row.expires_at <= now or person.disabled:
                raise _invalid()
            groups = groups_of_users(connection, [person.id]).get(person.id, ())
        if row.used_at is None or now - row.used_at >= USED_SECONDS:
            self._use(row, now)
        fact = {"token": row.id, "scopes": row.scopes.split(), "expires_at": row.expires_at}
        fact["user"] = fact_of(user_of(person, groups))
        self.recall.keep(key, fact, read_at=now)
        return fact

    def _use(self, row: Record, now: float) -> None:
        """Write down that a token is in use; that there is no room for it must stop nobody."""
        used = update(tokens).where(tokens.c.id == row.id).values(used_at=now)
        with contextlib.suppress(errors.DatabaseBusy, errors.DatabaseFull):
            self.database.transact(lambda connection: connection.execute(used))


def token_of(row: Record) -> Token:
    """The token of a row."""
    return Token(
        id=row.id,
        user=row.user,
        name=row.name,
        scopes=frozenset(map(Scope, row.scopes.split())),
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked=row.revoked_at is not None,
    )


def sweep(connection: Connection, *, now: float) -> None:
    """Delete the tokens that ended long ago; until then people see what became of them."""
    long_ago = now - 30 * DAY_SECONDS
    ended = (tokens.c.expires_at < long_ago) | (tokens.c.revoked_at < long_ago)
    connection.execute(delete(tokens).where(ended))


def _chosen(scopes: Iterable[Scope | str]) -> frozenset[Scope]:
    try:
        chosen = frozenset(map(Scope, scopes))
    except ValueError:
        chosen = frozenset()
    if not chosen:
        known = ", ".join(Scope)
        raise errors.RequestInvalid("A token needs scopes.", hint=f"Choose among {known}.")
    return chosen


def _owner(connection: Connection, actor: Actor, chosen: frozenset[Scope], user: str | None) -> str:
    """Whose the new token will be."""
    if actor.user.id == OPERATOR:
        if user is None:
            raise errors.RequestInvalid(
                "The operator has no tokens of their own.", hint="Say for which user it is."
            )
        allowed = ROLE_SCOPES[the_user(connection, user).role]
    else:
        user, allowed = actor.user.id if user is None else user, actor.scopes
    if actor.user.id not in {user, OPERATOR}:
        raise errors.NotAllowed("Nobody can make a token for somebody else.")
    if not chosen <= allowed & ROLE_SCOPES[the_user(connection, user).role]:
        raise errors.NotAllowed(
            "A token can't do more than who makes it.", hint="Choose fewer scopes."
        )
    return user


def _limit(connection: Connection, user: str, now: float) -> None:
    alive = (tokens.c.user == user) & tokens.c.revoked_at.is_(None) & (tokens.c.expires_at > now)
    query = select(func.count()).select_from(tokens).where(alive)
    if connection.execute(query).scalar_one() >= MOST_TOKENS:
        raise errors.Conflict(
            f"There are {MOST_TOKENS} tokens already.", hint="Revoke those that nothing uses."
        )


def _end_of(connection: Connection, actor: Actor) -> float:
    """When what the actor asks with ends, which no token made by it may outlive."""
    if actor.token is None:
        return float("inf")
    query = select(tokens.c.expires_at).where(tokens.c.id == actor.token)
    return float(connection.execute(query).scalar_one())


def _refuse_weaker(actor: Actor, row: Record) -> None:
    theirs = frozenset(map(Scope, row.scopes.split()))
    if actor.token not in {None, row.id} and not theirs <= actor.scopes:
        raise errors.NotAllowed(
            "A token can't revoke one that may do more.", hint="Log in to do this."
        )


def _row_and_user(connection: Connection, token_id: str) -> tuple[Record | None, Record | None]:
    if not looks_like_id(token_id):
        return None, None
    row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
    if row is None:
        return None, None
    return row, connection.execute(select(users).where(users.c.id == row.user)).first()


def _invalid() -> errors.CredentialsInvalid:
    return errors.CredentialsInvalid(
        "The token is unknown, expired or revoked.", hint="Make a new one: grange login URL"
    )
