"""The files in a .tar, packed or not, read once from its beginning to its end."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, cast

from grange.errors import ArchiveRefused
from grange.uploads import sniff
from grange.uploads.members import MOST_MEMBERS, Member, Readable, refused

# What tarfile reads at once: more is asked for only by a header made to fill the memory.
MOST_HEADER_BYTES = 1 << 20
# Headers and padding for the most members, beside what the files may take.
OVERHEAD_BYTES = 256 << 20
# A packer's own dictionary; the strongest usual setting of xz needs 65 MiB to unpack.
MOST_XZ_BYTES = 128 << 20
PIECE_BYTES = 1 << 18

_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a file with holes",
}


def members(archive: Path, kind: str, *, most_bytes: int) -> Generator[Member, None, None]:
    """The files, in the archive's order.

    Args:
        archive: The file.
        kind: How it is packed: a key of `OPENERS`.
        most_bytes: How much may come out of it.
    """
    with closing(OPENERS[kind](archive)) as unpacked:
        stream = _Forward(unpacked, most_bytes + OVERHEAD_BYTES)
        with tarfile.TarFile(fileobj=cast("IO[bytes]", stream), errorlevel=1) as packed:
            number = 0
            while (info := packed.next()) is not None:
                # tarfile remembers every member otherwise.
                packed.members.clear()  # type: ignore[attr-defined]
                number += 1
                if number > MOST_MEMBERS:
                    raise ArchiveRefused(
                        f"The archive holds more than {MOST_MEMBERS} members.",
                        hint="Send it in parts.",
                    )
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise refused(info.name, _KINDS.get(info.type, "something special"))
                yield Member(info.name, info.size, cast("Readable", packed.extractfile(info)))
        if stream.last.strip(b"\0"):
            # tarfile takes a header that it can't read for the end.
            raise tarfile.ReadError("a header can't be read")
        # To the end of what is packed, where its own checksum stands.
        while stream.read(PIECE_BYTES):
            pass


class _Forward:
    """A stream as tarfile wants a file, which ends with an error where it is too long."""

    def __init__(self, source: Readable, most_bytes: int) -> None:
        self._source = source
        self._most_bytes = most_bytes
        self._at = 0
        self.last = b""

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> None:
        if position < self._at:
            raise tarfile.StreamError("its members lie across each other")
        while self._at < position:
            if not self.read(min(PIECE_BYTES, position - self._at)):
                return

    def read(self, size: int) -> bytes:
        if size > MOST_HEADER_BYTES:
            raise ArchiveRefused("The archive has a header of more than a mebibyte.")
        pieces = []
        wanted = size
        while wanted and (piece := self._source.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self.last = b"".join(pieces)
        self._at += len(self.last)
        if self._at > self._most_bytes:
            raise ArchiveRefused(
                "The archive unpacks to far more than its size.", hint="Send its files as they are."
            )
        return self.last


class _Xz:
    """An .xz that may not ask for more memory than usual."""

    def __init__(self, archive: Path) -> None:
        self._file = archive.open("rb")
        self._packed = self._new()

    def close(self) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        while True:
            if self._packed.eof:
                rest = self._packed.unused_data or self._file.read(PIECE_BYTES)
                if not rest.strip(b"\0"):
                    return b""
                self._packed = self._new()
            elif self._packed.needs_input:
                rest = self._file.read(PIECE_BYTES)
                if not rest:
                    raise EOFError("it ends too early")
            else:
                rest = b""
            if piece := self._packed.decompress(rest, size):
                return piece

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_XZ_BYTES)


# How a tar is unpacked, by the media type of its first bytes.
OPENERS: dict[str, Callable[[Path], Any]] = {
    sniff.TAR: lambda archive: archive.open("rb"),
    sniff.GZIP: gzip.open,
    sniff.BZIP2: bz2.open,
    sniff.XZ: _Xz,
}
