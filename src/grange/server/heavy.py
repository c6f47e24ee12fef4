"""Work that takes long, in few threads at once: so there are always some for everybody else.

All requests that wait for the database or the disk share some threads. One user's
archives, or walks over large folders, could take them all.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from grange.errors import TooMany

T = TypeVar("T")

RETRY_SECONDS = 5.0


class PerUser:
    """How much of one kind a user may have under way, so that one alone can't take all places."""

    def __init__(self, most: int) -> None:
        """Let each user have so many."""
        self._most = most
        self._users: Counter[str] = Counter()

    @contextmanager
    def place(self, user: str) -> Iterator[None]:
        """Hold one of the user's places.

        Raises:
            TooMany: There is none left.
        """
        if self._users[user] >= self._most:
            raise TooMany(
                "You have too much of this under way already.",
                hint="Wait until some of it is done.",
                retry_seconds=RETRY_SECONDS,
            )
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


class Heavy:
    """Some kind of work: what is too much at once waits, without a thread."""

    def __init__(self, *, at_once: int, per_user: int) -> None:
        """Do so many at once, and let so many of one user be under way or wait."""
        self._turns = asyncio.Semaphore(at_once)
        self._places = PerUser(per_user)

    async def do(self, user: str, work: Callable[[], T]) -> T:
        """What the work gives, once it has had its turn.

        Raises:
            TooMany: The user has too much of it under way already.
        """
        with self._places.place(user):
            async with self._turns:
                return await run_in_threadpool(work)


# Of the forty threads that there are.
UNPACKING = Heavy(at_once=6, per_user=40)
SUBMITTING = Heavy(at_once=12, per_user=40)
# Writing results anew takes a core for as long as it lasts.
EXPORTING = Heavy(at_once=2, per_user=4)
# A broker's management that hangs is waited for by all its workers at the same time.
RENEWING = Heavy(at_once=4, per_user=2)
# Each takes one of the server's turns for as long as its reader takes.
DOWNLOADS = PerUser(100)
# Half of the requests with streamed bodies that there may be at once.
SENDING = PerUser(64)
