"""What a worker is doing, in a page of memory that the engine sees too: no message needed.

It outlives the worker, so that a death can be laid to the task that was at hand.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass
from pathlib import Path

# The task's id and when it began; the last beat; how far the task is.
_TASK = struct.Struct("=qd")
_BEAT = struct.Struct("=d")
_PROGRESS = struct.Struct("=d")
_BEAT_AT = _TASK.size
_PROGRESS_AT = _BEAT_AT + _BEAT.size
_SIZE = mmap.PAGESIZE

IDLE = 0
_UNKNOWN = -1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the register says. Times are those of `time.monotonic`, the same in all processes."""

    task: int
    begun: float
    beat: float
    progress: float | None


class Register:
    """The page. The worker writes, the engine reads; either may be killed at any time."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Map the file, or make it first."""
        if create:
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        if create:
            self.rest()
            self.beat()

    def begin(self, task: int) -> None:
        """Say that the task is at hand."""
        _TASK.pack_into(self._page, 0, task, time.monotonic())
        _PROGRESS.pack_into(self._page, _PROGRESS_AT, _UNKNOWN)

    def rest(self) -> None:
        """Say that no task is."""
        _TASK.pack_into(self._page, 0, IDLE, time.monotonic())
        _PROGRESS.pack_into(self._page, _PROGRESS_AT, _UNKNOWN)

    def beat(self) -> None:
        """Give a sign of life."""
        _BEAT.pack_into(self._page, _BEAT_AT, time.monotonic())

    def progress(self, fraction: float) -> None:
        """Say how far the task is."""
        _PROGRESS.pack_into(self._page, _PROGRESS_AT, min(max(fraction, 0.0), 1.0))

    def read(self) -> Reading:
        """What it says now."""
        task, begun = _TASK.unpack_from(self._page, 0)
        (beat,) = _BEAT.unpack_from(self._page, _BEAT_AT)
        (progress,) = _PROGRESS.unpack_from(self._page, _PROGRESS_AT)
        return Reading(task, begun, beat, None if progress < 0 else progress)

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()
