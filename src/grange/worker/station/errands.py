"""What a station does beside its loop: bytes on their way, pauses, and what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from grange.errors import (
    ClaimEnded,
    CredentialsInvalid,
    GrangeError,
    OutputRefused,
    StoreFull,
    TaskError,
)

T = TypeVar("T")

# So many inputs travel at once, and so many outputs: more would only share the same line.
TRANSFERS = 4
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

# What another try won't change.
_FINAL = (ClaimEnded, StoreFull, TaskError, OutputRefused)


class Errands:
    """Coroutines that nobody waits for, and threads for what blocks. Lives in one loop."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        """`trouble` hears in words what doesn't go on for now."""
        self._trouble = trouble
        # Apart: inputs may have to wait for room, until what has it has been carried away.
        self._coming = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="coming")
        self._leaving = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="leaving")
        self.is_closed = False
        self._going: set[asyncio.Task[None]] = set()

    def go(self, errand: Coroutine[None, None, None]) -> None:
        """Let it run to its end."""
        task = asyncio.get_running_loop().create_task(errand)
        self._going.add(task)
        task.add_done_callback(self._gone)

    async def blocking(self, work: Callable[[], T], *, coming: bool = False) -> T:
        """Do in a thread what blocks; of such, only so many at once.

        What is `coming` here is in nobody else's way.
        """
        threads = self._coming if coming else self._leaving
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    async def persist(
        self,
        work: Callable[[], T],
        *,
        wanted: Callable[[], bool],
        what: str,
        coming: bool = False,
    ) -> T | None:
        """Do in a thread what blocks, again and again while it fails for what may pass.

        None when nobody wants it any longer. What another try won't change is raised.
        """
        pause = _FIRST_PAUSE_SECONDS
        while wanted():
            try:
                return await self.blocking(work, coming=coming)
            except _FINAL:
                raise
            except GrangeError as error:
                if isinstance(error, CredentialsInvalid):
                    pause = _LONGEST_PAUSE_SECONDS
                self._trouble(f"{what}: {error.message}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return None

    async def close(self) -> None:
        """End all errands. Threads that are still at something are left alone."""
        self.is_closed = True
        going = list(self._going)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        for threads in (self._coming, self._leaving):
            threads.shutdown(wait=False, cancel_futures=True)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # A fault of ours: it must not pass unseen.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "an errand has failed", "exception": error, "task": task}
            )
