"""Creates that may be sent twice: the second time says what the first one made.

A client that got no answer does not know whether its request was done. It
sends the same one with the same `Idempotency-Key` again, and gets the same
answer; with another request under that key it is a mistake of the client's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel, StringConstraints

from grange.accounts.repeats import Repeats
from grange.errors import GrangeError
from grange.server.problems import http_status
from grange.server.visitors import Here, Visitor

A = TypeVar("A", bound=BaseModel)
Of = Callable[[A], str]

Key = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")] | None,
    Header(
        alias="Idempotency-Key",
        description="Chosen by the client, new for each create: a repeat of it makes nothing new.",
    ),
]


class Once:
    """One request that makes something, perhaps for the second time."""

    def __init__(self, repeats: Repeats, user: str, *, key: str | None, what: str) -> None:
        """`what` is the operation: one key is for one operation."""
        self._repeats = repeats
        self._user = user
        self._key = key
        self._what = what

    def make(self, kind: type[A], body: BaseModel, make: Callable[[str | None], A]) -> A:
        """The answer of `make`, or the one that an earlier call with the same request gave.

        `make` gets the id that the new thing must have, so that a repeat after
        a crash makes the very same thing, or finds it; None without a key.

        Raises:
            RepeatedDifferently: The key came before with another request.
        """
        if self._key is None:
            return make(None)
        begun = self._repeats.begin(self._user, self._key, self._fingerprint(body))
        if begun.answer is not None:
            return kind.model_validate(begun.answer)
        with self._forgetting(self._key):
            made = make(begun.resource_id)
        self._repeats.finish(self._user, self._key, made.model_dump(mode="json"))
        return made

    def make_secret(
        self, body: BaseModel, make: Callable[[], A], *, again: Callable[[str], A], of: Of[A]
    ) -> A:
        """Like `make`, for answers with a secret, which must not lie in the database.

        Only the new thing's id, which `of` tells, is kept; `again` gets it at a
        repeat, and has to put a fresh secret in the place of the one that got lost.
        """
        if self._key is None:
            return make()
        begun = self._repeats.begin(self._user, self._key, self._fingerprint(body))
        with self._forgetting(self._key):
            made = make() if begun.answer is None else again(begun.answer["id"])
        self._repeats.finish(self._user, self._key, {"id": of(made)})
        return made

    @contextmanager
    def _forgetting(self, key: str) -> Iterator[None]:
        """A request that was refused made nothing: mended, it may come under the same key."""
        try:
            yield
        except GrangeError as error:
            if http_status(error) < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._repeats.forget(self._user, key)
            raise

    def _fingerprint(self, body: BaseModel) -> str:
        return hashlib.sha256(f"{self._what}\n{body.model_dump_json()}".encode()).hexdigest()


async def _once(request: Request, here: Here, visitor: Visitor, key: Key = None) -> Once:
    what = f"{request.method} {request.url.path}"
    return Once(Repeats(here.database), visitor.user.id, key=key, what=what)


Repeatable = Annotated[Once, Depends(_once)]
