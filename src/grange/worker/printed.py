"""What pipelines print: kept per attempt, though a worker's stdout and stderr are its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

# So much of each stream is kept of one attempt: its beginning and its end.
KEPT_BYTES = 16 << 20
# Beyond this the worker's own file is emptied once its task is over.
_LARGEST_FILE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


class Printed:
    """Finds out what a task has printed. Descriptors 1 and 2 must be files opened to append."""

    def __init__(self) -> None:
        """Begin with what is there."""
        self._begun = [os.fstat(descriptor).st_size for descriptor in (1, 2)]

    def keep(self, logs: Callable[[], tuple[Path, Path]]) -> None:
        """Copy what was printed since the last call into the attempt's logs, if anything was."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for place, descriptor in enumerate((1, 2)):
            end = os.fstat(descriptor).st_size
            begin = self._begun[place]
            if end == begin:
                continue
            _copy(descriptor, begin, end, logs()[place])
            if end > _LARGEST_FILE_BYTES:
                os.ftruncate(descriptor, 0)
                end = 0
            self._begun[place] = end


def _copy(descriptor: int, begin: int, end: int, log: Path) -> None:
    # A descriptor to write only can't be read from; its file can be opened again.
    with open(f"/dev/fd/{descriptor}", "rb") as source, log.open("ab") as target:
        half = KEPT_BYTES // 2
        if end - begin > KEPT_BYTES:
            _copy_range(source, begin, begin + half, target)
            left_out = end - begin - KEPT_BYTES
            target.write(f"\n[{left_out} bytes left out here]\n".encode())
            begin = end - half
        _copy_range(source, begin, end, target)


def _copy_range(source: object, begin: int, end: int, target: object) -> None:
    source.seek(begin)  # type: ignore[attr-defined]
    while begin < end:
        chunk = source.read(min(_CHUNK_BYTES, end - begin))  # type: ignore[attr-defined]
        if not chunk:
            return
        target.write(chunk)  # type: ignore[attr-defined]
        begin += len(chunk)
