"""How one thread wakes another that waits for descriptors."""

from __future__ import annotations

import socket
from contextlib import suppress

_READ_BYTES = 4096


class Bell:
    """Rung by any thread, heard by the one that waits for its descriptor. Goes with its owner."""

    def __init__(self) -> None:
        """Open it, silent."""
        self._inside, self._outside = socket.socketpair()
        self._inside.settimeout(0)
        self._outside.settimeout(0)

    def fileno(self) -> int:
        """The descriptor that can be read once somebody has rung."""
        return self._inside.fileno()

    def ring(self) -> None:
        """Wake whoever waits. Never blocks; a bell that is closed rings for nobody."""
        # One that is full has been rung.
        with suppress(OSError):
            self._outside.send(b"\n")

    def hush(self) -> None:
        """Forget that it was rung."""
        with suppress(BlockingIOError):
            while len(self._inside.recv(_READ_BYTES)) == _READ_BYTES:
                pass

    def close(self) -> None:
        """Close both ends. Idempotent."""
        self._inside.close()
        self._outside.close()
