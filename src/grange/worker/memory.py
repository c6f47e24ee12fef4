"""How much memory this process holds, and whether it has grown too much."""

from __future__ import annotations

import os
import sys
import time

# Memory is looked at this often.
LOOK_SECONDS = 0.25


class MemoryWatch:
    """Whether this process has grown too much since its first look after some work."""

    def __init__(self, limit_bytes: int) -> None:
        """Allow a growth of `limit_bytes`."""
        self._limit_bytes = limit_bytes
        self._first_bytes = 0
        self._next = 0.0

    def has_grown(self) -> bool:
        """Look, unless it was just done."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK_SECONDS
        held = resident_bytes()
        if not self._first_bytes:
            self._first_bytes = held
        return held - self._first_bytes > self._limit_bytes


def resident_bytes() -> int:
    """How much memory this process holds; 0 where the system doesn't say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
