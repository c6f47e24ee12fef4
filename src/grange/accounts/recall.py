"""What the cache knows of who holds a secret: for seconds, and as this site alone has said it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from sqlalchemy import select

from grange.accounts.models import JSON
from grange.accounts.secret import derived, digest, is_same
from grange.accounts.sessions.base import SessionCache
from grange.accounts.tables import audit_head
from grange.db import Database

# For how long processes may disagree that share no cache.
TRUST_SECONDS = 15


class Recall:
    """Facts about secrets, by the digests of these; the secrets themselves never get here.

    Several sites may share one cache: each has keys of its own, and believes only what
    carries its mark, which nobody can make who sees the cache alone.
    """

    def __init__(self, cache: SessionCache, database: Database, clock: Callable[[], float]) -> None:
        """Look into this cache; the database is asked once which site this is."""
        self._cache = cache
        self._database = database
        self._clock = clock
        self._site: str | None = None

    def find(self, secret_digest: str) -> dict[str, JSON] | None:
        """What is known, if it still holds."""
        text = self._cache.get(self._name(secret_digest))
        if text is None:
            return None
        mark, _, body = text.partition(" ")
        if not is_same(self._mark(secret_digest, body), mark):
            return None
        fact: dict[str, JSON] = json.loads(body)
        return fact if fact["until"] > self._clock() else None

    def find_at_once(self, secret_digest: str) -> dict[str, JSON] | None:
        """What is known, if it still holds and nothing has to be waited for to tell."""
        waits = self._cache.waits or self._site is None
        return None if waits else self.find(secret_digest)

    def keep(self, secret_digest: str, fact: dict[str, JSON], *, read_at: float) -> None:
        """Know something for some seconds from when it was read in the database."""
        body = json.dumps({**fact, "until": read_at + TRUST_SECONDS}, separators=(",", ":"))
        text = f"{self._mark(secret_digest, body)} {body}"
        self._cache.put(self._name(secret_digest), text, seconds=TRUST_SECONDS)

    def drop(self, digests: Iterable[str]) -> None:
        """Forget: the database says something else by now."""
        for one in digests:
            self._cache.drop(self._name(one))

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()

    def site(self) -> str:
        """What tells this site from every other; no secret, and it never changes."""
        return digest(f"site {self._genesis()}")[:32]

    def _name(self, secret_digest: str) -> str:
        return f"grange:{digest(self._genesis())[:16]}:{secret_digest}"

    def _mark(self, secret_digest: str, body: str) -> str:
        return derived(self._genesis(), f"{secret_digest} {body}")

    def _genesis(self) -> str:
        if self._site is None:
            with self._database.read() as connection:
                self._site = connection.execute(select(audit_head.c.genesis)).scalar_one()
        return self._site
