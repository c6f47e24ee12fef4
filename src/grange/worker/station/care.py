"""The machine under a station: room on its disk, and what is mounted."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Collection

from grange.core import sizes
from grange.worker.station.home import Home
from grange.worker.station.mounts import Mounts, Proof
from grange.worker.station.words import Words

# With less room than this nothing new is taken; on a small disk with less than this share of it.
LEAST_BYTES = 256 << 20
LEAST_SHARE = 0.05
# It has to be so much more before work is taken again.
_AGAIN = 1.25
# What didn't fit may go to a machine with more room meanwhile.
_DOUBT_SECONDS = 30.0
# A mount that doesn't answer hangs whoever looks at it.
LOOK_SECONDS = 10.0
_PROVE_EVERY_SECONDS = 30.0
# What is left of a run that has nothing here any more goes after this.
_KEPT_SECONDS = 600.0

DISK = "the disk is full"
MOUNT = "shared folders"


class Care:
    """Looks after the machine. Lives in the station's loop; what may block is in threads."""

    def __init__(self, home: Home, mounts: Mounts, words: Words) -> None:
        """Nothing is looked at yet."""
        self._home = home
        self._mounts = mounts
        self._words = words
        self._full = False
        self._full_until = 0.0
        self._proved = 0.0
        self._proving: asyncio.Task[bool] | None = None

    @property
    def is_full(self) -> bool:
        """Whether there is too little room to take anything new."""
        return self._full

    def filled(self, reason: str) -> None:
        """Somebody has found the disk full. Whatever room there seems to be, it was not enough."""
        self._full_until = time.monotonic() + _DOUBT_SECONDS
        self._fill(reason)

    def look(self, trouble: str = "") -> None:
        """See how much room there is; `trouble` is what keeps the journal from being written."""
        if trouble:
            self._fill(f"{self._home.folder}: {trouble}.")
            return
        try:
            status = os.statvfs(self._home.folder)
        except OSError as error:
            self._fill(f"{self._home.folder}: {error.strerror}.")
            return
        free = status.f_bavail * status.f_frsize
        least = min(LEAST_BYTES, LEAST_SHARE * status.f_blocks * status.f_frsize)
        if free < least:
            self._fill(f"{sizes.size(free)} are free below {self._home.folder}.")
        elif self._full and free >= _AGAIN * least and time.monotonic() >= self._full_until:
            self._full = False
            self._words.over(DISK, "there is room on the disk again: work is taken")

    async def prove(self) -> bool:
        """See what is mounted; whether anything has changed. One look at a time."""
        if self._proving is None or self._proving.done():
            self._proving = asyncio.create_task(self._prove())
        return await asyncio.shield(self._proving)

    async def prove_now_and_then(self) -> bool:
        """The same, but not more often than makes sense."""
        if time.monotonic() - self._proved < _PROVE_EVERY_SECONDS:
            return False
        return await self.prove()

    async def clear(self, in_use: Callable[[], Collection[str]]) -> None:
        """Remove what is left of runs that have had nothing here for a while."""
        now = time.time()
        for run in self._home.runs():
            folder = self._home.folder / "runs" / run
            try:
                old = now - folder.stat().st_mtime > _KEPT_SECONDS
            except OSError:
                continue
            if old and run not in in_use():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _fill(self, reason: str) -> None:
        if not self._full:
            self._full = True
            self._words.trouble(DISK, f"nothing new is taken. {reason}")

    async def _prove(self) -> bool:
        before = self._mounts.shared
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                proofs = await asyncio.to_thread(self._mounts.prove)
        except TimeoutError:
            self._words.trouble(MOUNT, "one doesn't answer: is its server there?")
            return False
        finally:
            self._proved = time.monotonic()
        self._tell(proofs, before)
        return before != self._mounts.shared

    def _tell(self, proofs: list[Proof], before: tuple[str, ...]) -> None:
        wrong = "; ".join(proof.trouble for proof in proofs if proof.trouble)
        if wrong:
            self._words.trouble(MOUNT, f"{wrong}. Bytes travel through the server instead.")
        else:
            self._words.over(MOUNT, "shared folders are as they should be again")
        new = [there for there in self._mounts.shared if there not in before]
        if new:
            self._words.say(f"shares {', '.join(new)} with the server")
        gone = [there for there in before if there not in self._mounts.shared]
        if gone:
            self._words.say(f"does not share {', '.join(gone)} with the server any more")
