"""Work that takes long, in few threads at once: so there are always some for everybody else.

All requests that wait for the database or the disk share some threads. One user's
archives, or walks over large folders, could take them all.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from grange.errors import TooMany

T = TypeVar("T")

RETRY_SECONDS = 5.0


class Heavy:
    """Some kind of work: what is too much at once waits, without a thread."""

    def __init__(self, *, at_once: int, per_user: int) -> None:
        """Do so many at once, and let so many of one user be under way or wait."""
        self._turns = asyncio.Semaphore(at_once)
        self._per_user = per_user
        self._users: Counter[str] = Counter()

    async def do(self, user: str, work: Callable[[], T]) -> T:
        """What the work gives, once it has had its turn.

        Raises:
            TooMany: The user has too much of it under way already.
        """
        if self._users[user] >= self._per_user:
            raise TooMany(
                "You have too much of this under way already.",
                hint="Wait until some of it is done.",
                retry_seconds=RETRY_SECONDS,
            )
        self._users[user] += 1
        try:
            async with self._turns:
                return await run_in_threadpool(work)
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


# Of the forty threads that there are.
UNPACKING = Heavy(at_once=6, per_user=40)
SUBMITTING = Heavy(at_once=12, per_user=40)
