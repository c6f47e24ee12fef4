"""The files in a .zip."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path

from grange.errors import ArchiveRefused
from grange.uploads.members import MOST_MEMBERS, Member, refused

# Its directory is held in memory, before anything else can be checked.
MOST_DIRECTORY_BYTES = 64 << 20

_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MAGIC = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x1
# Packed by LZMA, a few bytes can ask for gigabytes of memory.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def members(archive: Path, announced: Callable[[int], None]) -> Generator[Member, None, None]:
    """The files, in the order of the archive's directory.

    Args:
        archive: The file.
        announced: Is told first how many bytes come out in all; it may refuse.
    """
    _check_directory(archive)
    with zipfile.ZipFile(archive) as packed:
        infos = packed.infolist()
        if len(infos) > MOST_MEMBERS:
            _refuse_number()
        announced(sum(info.file_size for info in infos))
        for info in infos:
            if info.is_dir():
                continue
            # Some programs of Windows write its own separator.
            path = info.filename.replace("\\", "/")
            _check(info, path)
            with packed.open(info) as content:
                yield Member(path, info.file_size, content)


def _check(info: zipfile.ZipInfo, path: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind in _KINDS:
        raise refused(path, _KINDS[kind])
    if info.flag_bits & _ENCRYPTED:
        raise refused(path, "locked by a password")
    if info.compress_type not in _METHODS:
        raise refused(path, "packed in a way that few programs know")


def _check_directory(archive: Path) -> None:
    """Refuse a directory that is too large to be read, by what the end of the file says."""
    size = archive.stat().st_size
    with archive.open("rb") as file:
        begin = max(0, size - _END.size - _LONGEST_COMMENT - _LOCATOR.size)
        file.seek(begin)
        tail = file.read()
        at = tail.rfind(_END_MAGIC)
        if at < 0 or at + _END.size > len(tail):
            raise ArchiveRefused("The archive ends too early.", hint="Send it again.")
        end = _END.unpack_from(tail, at)
        number, directory_bytes = end[4], end[5]
        if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(_LOCATOR_MAGIC):
            number, directory_bytes = _end64(file.fileno(), begin + at)
    if number > MOST_MEMBERS:
        _refuse_number()
    if directory_bytes > MOST_DIRECTORY_BYTES:
        raise ArchiveRefused("The archive's directory is too large.", hint="Send it in parts.")


def _end64(descriptor: int, end_at: int) -> tuple[int, int]:
    """The number of members and the size of the directory, where they need 64 bits.

    The record stands right before its locator, which is where Python reads it too.
    """
    at = end_at - _LOCATOR.size - _END64.size
    record = os.pread(descriptor, _END64.size, max(0, at))
    fields = _END64.unpack(record)
    return fields[7], fields[8]


def _refuse_number() -> None:
    raise ArchiveRefused(
        f"The archive holds more than {MOST_MEMBERS} files.", hint="Send it in parts."
    )
