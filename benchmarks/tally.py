"""How many tasks the processes of somebody else's workers have done: counted by each in a file.

None of the compared says it by itself without paying for it, and a task that
does nothing must cost next to nothing to count.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

_BYTES = 8


class Tally:
    """Counts in this process, for another one to read. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Count in a file of this process's own, below the folder."""
        path = folder / str(os.getpid())
        path.write_bytes(bytes(_BYTES))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), _BYTES)
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        """One more is done."""
        with self._lock:
            self._count += 1
            self._file[:] = self._count.to_bytes(_BYTES, "little")


_MINE: dict[int, Tally] = {}
_MAKING = threading.Lock()


def count(folder: Path) -> None:
    """One more is done by this process."""
    with _MAKING:
        # By number: a process may have been forked from one that counts too.
        mine = _MINE.get(os.getpid())
        if mine is None:
            mine = _MINE[os.getpid()] = Tally(folder)
    mine.add()


def counted(folder: Path) -> int:
    """What all of them have counted."""
    return sum(int.from_bytes(one.read_bytes(), "little") for one in folder.iterdir())


def processes(folder: Path) -> int:
    """How many have counted at all."""
    return len(list(folder.iterdir()))


def wait_for(folder: Path, count: int, *, seconds: float, look_seconds: float = 0.005) -> None:
    """Wait until so many are done."""
    deadline = time.monotonic() + seconds
    while counted(folder) < count:
        assert time.monotonic() < deadline, f"{counted(folder)} of {count} tasks were done"
        time.sleep(look_seconds)
