"""A .zip made while it is read: nothing on disk, and some bytes of memory for each file in it."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterable, Iterator

# Files are stored as they are: most results are compressed already, and a reader waits.
# Every file has its sizes in the 64-bit form after its bytes, for they are not known before.
_VERSION = 45
_FLAGS = 0x0808  # sizes follow the bytes; names are UTF-8
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_DESCRIPTOR = struct.Struct("<4sIQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_EXTRA = struct.Struct("<HHQQQ")
_LOCAL_EXTRA = struct.Struct("<HHQQ")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")
_ALL16, _ALL32 = 0xFFFF, 0xFFFFFFFF
_MODE = 0o100644 << 16
_UNIX = 3 << 8

Entry = tuple[str, int, Iterable[bytes]]  # a path, a time in nanoseconds, and the bytes


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of the archive, in the order of the entries."""
    directory = bytearray()
    number = position = 0
    for path, mtime_ns, chunks in entries:
        name, begin = path.encode(), position
        clock, date = _dos_time(mtime_ns)
        head = _LOCAL.pack(
            b"PK\3\4", _VERSION, _FLAGS, 0, clock, date, 0, _ALL32, _ALL32, len(name), 20
        )
        head += name + _LOCAL_EXTRA.pack(1, 16, 0, 0)
        yield head
        digest = size = 0
        for chunk in chunks:
            digest = zlib.crc32(chunk, digest)
            size += len(chunk)
            yield chunk
        tail = _DESCRIPTOR.pack(b"PK\7\10", digest, size, size)
        yield tail
        position += len(head) + size + len(tail)
        number += 1
        directory += _CENTRAL.pack(
            *(b"PK\1\2", _UNIX | _VERSION, _VERSION, _FLAGS, 0, clock, date, digest),
            *(_ALL32, _ALL32, len(name), _EXTRA.size, 0, 0, 0, _MODE, _ALL32),
        )
        directory += name + _EXTRA.pack(1, 24, size, size, begin)
    yield bytes(directory)
    yield _end(number, len(directory), position)


def _end(number: int, size: int, position: int) -> bytes:
    """What closes the archive: always in the 64-bit form too."""
    end64 = _END64.pack(b"PK\6\6", 44, _VERSION, _VERSION, 0, 0, number, number, size, position)
    locator = _LOCATOR.pack(b"PK\6\7", 0, position + size, 1)
    few = min(number, _ALL16)
    end = _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _ALL32), min(position, _ALL32), 0)
    return end64 + locator + end


def _dos_time(mtime_ns: int) -> tuple[int, int]:
    at = time.gmtime(max(mtime_ns // 1_000_000_000, 315_532_800))
    clock = at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2
    return clock, min(at.tm_year - 1980, 127) << 9 | at.tm_mon << 5 | at.tm_mday
