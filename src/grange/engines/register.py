"""What a worker is doing, in a page of memory that the engine sees too: no message needed.

It outlives the worker, so that a death can be laid to the task that was at hand.
"""

from __future__ import annotations

import math
import mmap
import struct
import time
from dataclasses import dataclass
from pathlib import Path

# The worker writes: the task's id and when it began, how far it is, the last
# beat, and the last batch that it knows to be called back.
_TASK = struct.Struct("=qd")
_PROGRESS = struct.Struct("=d")
_BEAT = struct.Struct("=d")
_NUMBER = struct.Struct("=q")
_PROGRESS_AT = _TASK.size
_BEAT_AT = _PROGRESS_AT + _PROGRESS.size
_HEARD_AT = _BEAT_AT + _BEAT.size
# The engine writes: the last batch that it calls back.
_RECALL_AT = _HEARD_AT + _NUMBER.size
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
        self.begin(IDLE)

    def beat(self) -> None:
        """Give a sign of life."""
        _BEAT.pack_into(self._page, _BEAT_AT, time.monotonic())

    def progress(self, fraction: float) -> None:
        """Say how far the task is. What is no number says nothing."""
        if not math.isnan(fraction):
            _PROGRESS.pack_into(self._page, _PROGRESS_AT, min(max(fraction, 0.0), 1.0))

    def recall(self, batch: int) -> None:
        """Ask the worker to begin no more task of this batch or an earlier one."""
        _NUMBER.pack_into(self._page, _RECALL_AT, batch)

    def recalled(self) -> int:
        """The last batch of which the worker is to begin no more task."""
        (batch,) = _NUMBER.unpack_from(self._page, _RECALL_AT)
        return int(batch)

    def hear(self, batch: int) -> None:
        """Say that the recall is known, and that all that was done before has been told."""
        _NUMBER.pack_into(self._page, _HEARD_AT, batch)

    def heard(self) -> int:
        """The last batch of which no more task than the one at hand is begun."""
        (batch,) = _NUMBER.unpack_from(self._page, _HEARD_AT)
        return int(batch)

    def read(self) -> Reading:
        """What it says now."""
        task, begun = _TASK.unpack_from(self._page, 0)
        (beat,) = _BEAT.unpack_from(self._page, _BEAT_AT)
        (progress,) = _PROGRESS.unpack_from(self._page, _PROGRESS_AT)
        return Reading(task, begun, beat, None if progress < 0 else progress)

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()
