"""Tokens: keys for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from grange.accounts.models import Actor, Scope
from grange.accounts.models import Token as TokenRow
from grange.client.schemas.accounts import MadeToken, NewToken, Token
from grange.client.schemas.basis import Page
from grange.server.api.basis import IdInPath, Router
from grange.server.idempotency import Repeatable
from grange.server.parts import Parts
from grange.server.visitors import Here, Oneself, Visitor

router = Router(prefix="/tokens", tags=["tokens"])

OfUser = Annotated[str | None, Query(max_length=40, description="A user's id.")]
DEFAULT_SECONDS = 90 * 86_400.0


@router.get("")
def list_tokens(visitor: Visitor, here: Here, user: OfUser = None) -> Page[Token]:
    """Your tokens, without their secrets; another user's for administrators."""
    items = [_told(one) for one in here.accounts.tokens(visitor, user)]
    return Page[Token](items=items, total=len(items))


@router.post("", status_code=201)
def make_token(body: NewToken, visitor: Oneself, here: Here, once: Repeatable) -> MadeToken:
    """Make a token. Its text is shown this once; a repeat makes another in its place."""

    def again(token: str) -> MadeToken:
        here.accounts.revoke_token(visitor, token)
        return _made(here, visitor, body)

    return once.make_secret(
        body,
        lambda: _made(here, visitor, body),
        again=again,
        of=lambda made: made.token.id,
    )


@router.delete("/{token}", status_code=204)
def revoke_token(token: IdInPath, visitor: Oneself, here: Here) -> None:
    """Revoke a token: from now on it opens nothing."""
    here.accounts.revoke_token(visitor, token)


def _made(here: Parts, visitor: Actor, body: NewToken) -> MadeToken:
    made = here.accounts.make_token(
        visitor,
        name=body.name,
        scopes=frozenset(map(Scope, body.scopes)),
        expires_seconds=body.expires_seconds or DEFAULT_SECONDS,
    )
    return MadeToken(token=_told(made.token), text=made.text)


def _told(token: TokenRow) -> Token:
    return Token(
        id=token.id,
        user=token.user,
        name=token.name,
        scopes=[scope.value for scope in sorted(token.scopes)],
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
        revoked=token.revoked,
    )
