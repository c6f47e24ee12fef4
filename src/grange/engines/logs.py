"""From a worker's own stdout and stderr to the logs of one attempt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# So much of each stream is kept of one attempt: its beginning and its end.
KEPT_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


def keep_log(source: str | Path, log: Path) -> None:
    """Append what the source holds to the log; of very much, the middle is left out.

    Nothing is made of an empty source.
    """
    with open(source, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as target:
            begin = 0
            if size > KEPT_BYTES:
                half = KEPT_BYTES // 2
                _copy(file, 0, half, target)
                begin = size - half
                target.write(f"\n[… {begin - half} bytes left out …]\n".encode())
            _copy(file, begin, size, target)


def _copy(source: BinaryIO, begin: int, end: int, target: BinaryIO) -> None:
    source.seek(begin)
    while begin < end:
        chunk = source.read(min(_CHUNK_BYTES, end - begin))
        if not chunk:
            return
        target.write(chunk)
        begin += len(chunk)
