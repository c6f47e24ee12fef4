"""What a command prints, kept in a file: the beginning and the end, however much it is."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

LIMIT_BYTES: Final = 16 * 1024 * 1024

# What a failure's evidence shows of the end.
_LAST_BYTES = 4096
_LAST_LINES = 20


class Capture:
    """Takes a stream chunk by chunk; makes the file when there is something to keep.

    Holds half of the limit in memory at most. A disk that takes no more stops
    the keeping, not the stream.
    """

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        """Keep a stream in this file.

        Args:
            path: Made on the first write, with its folder.
            limit_bytes: How much is kept: one half from the beginning, one from the end.
        """
        self.path = path
        self.failure: OSError | None = None
        self._half_bytes = limit_bytes // 2
        self._file: BinaryIO | None = None
        self._room_bytes = self._half_bytes
        self._tail = bytearray()
        self._dropped_bytes = 0
        self._last = b""

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._last = (self._last + chunk)[-_LAST_BYTES:]
        head, rest = chunk[: self._room_bytes], chunk[self._room_bytes :]
        if head:
            self._room_bytes -= len(head)
            self._store(head)
        self._tail += rest
        excess = len(self._tail) - self._half_bytes
        if excess > 0:
            del self._tail[:excess]
            self._dropped_bytes += excess

    def close(self) -> None:
        """Write the end, and say how much is missing before it."""
        if self._dropped_bytes:
            self._store(f"\n[… {self._dropped_bytes} bytes left out …]\n".encode())
        if self._tail:
            self._store(self._tail)
        if self._file is not None:
            self._file.close()

    def last_lines(self) -> str:
        """The last lines of the stream, as text."""
        text = self._last.decode(errors="replace")
        return "\n".join(text.splitlines()[-_LAST_LINES:])

    def _store(self, piece: bytes | bytearray) -> None:
        if self.failure is not None:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("wb", buffering=0)
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.failure = error
