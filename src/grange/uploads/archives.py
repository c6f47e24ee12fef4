"""What is in an archive, file by file, within limits: archives are made by anybody.

Only plain files come out. Links, devices, absolute paths, `..`, a path that
comes twice, and more than the limits allow are refused, and the error names the member.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from grange.core import sizes
from grange.errors import ArchiveRefused, QuotaExceeded, StorePathRefused
from grange.uploads import sniff, tars, zips
from grange.uploads.folders import check_name
from grange.uploads.members import MOST_MEMBERS, Member, Readable

# No real archive of files is packed tighter than this as a whole; below the bytes, no ratio counts.
MOST_RATIO = 200
FREE_BYTES = 64 << 20

_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a way of packing that Python doesn't know
    RuntimeError,  # nested without end
    ValueError,
    OverflowError,
)


def members(
    archive: Path, *, left_bytes: int, check: Callable[[str], str] = check_name
) -> Generator[Member, None, None]:
    """The files of a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz, each to be read before the next.

    Args:
        archive: The file; what it is, its content says.
        left_bytes: How much room there is for what comes out.
        check: Gives the path of a member, or refuses it by `StorePathRefused`.

    Raises:
        ArchiveRefused: It is no such archive, or holds what it must not.
        QuotaExceeded: More comes out than there is room.
    """
    most_bytes = max(FREE_BYTES, MOST_RATIO * archive.stat().st_size)
    limits = Limits(most_bytes, left_bytes, check)
    with _told("its beginning"), closing(_opened(archive, limits)) as found:
        while True:
            member = next(found, None)
            if member is None:
                return
            # What `tar c .` packs begins with "./".
            path = limits.admitted(replace(member, path=member.path.removeprefix("./")))
            content = _Content(member.content, path)
            yield Member(path, member.size, content)
            if content.read(1):
                raise ArchiveRefused(f"The archive's {path!r} is longer than it says.")


@dataclass
class Limits:
    """How much may come out of an archive, and what has."""

    most_bytes: int
    left_bytes: int
    check: Callable[[str], str] = check_name
    total: int = 0
    paths: set[str] = field(default_factory=set)

    def announced(self, size: int) -> None:
        """Refuse an archive that says by itself that too much comes out of it."""
        self._check("as a whole", size)

    def admitted(self, member: Member) -> str:
        """The member's path, if it may come out."""
        try:
            path = self.check(member.path)
        except StorePathRefused as error:
            raise ArchiveRefused(
                f"The archive can't be unpacked: {error.message}",
                hint="Pack it again, with plain paths below one folder.",
            ) from None
        if path in self.paths:
            raise ArchiveRefused(f"The archive holds {path!r} twice.", hint="Pack it again.")
        if len(self.paths) >= MOST_MEMBERS:
            raise ArchiveRefused(
                f"The archive holds more than {MOST_MEMBERS} files.", hint="Send it in parts."
            )
        self.paths.add(path)
        self.total += member.size
        self._check(f"at {path!r}", self.total)
        return path

    def _check(self, where: str, size: int) -> None:
        if size > self.most_bytes:
            raise ArchiveRefused(
                f"The archive unpacks to more than {sizes.size(self.most_bytes)}, {where}: "
                f"more than {MOST_RATIO} times what it is.",
                hint="Send its files as they are.",
            )
        if size > self.left_bytes:
            raise QuotaExceeded(
                f"The archive unpacks to more than the {sizes.size(self.left_bytes)} of your room "
                f"that are left, {where}.",
                hint="Delete folders that you no longer need, or ask for more room.",
            )


class _Content:
    """A member's content, whose damage is told as that of the archive."""

    def __init__(self, content: Readable, path: str) -> None:
        self._content = content
        self._path = path

    def read(self, size: int, /) -> bytes:
        with _told(repr(self._path)):
            return self._content.read(size)


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What gzip and bz2 say of damage is an OSError without a number.
        if error.errno is not None:
            raise
        raise _damaged(where, error) from error
    except _BROKEN as error:
        raise _damaged(where, error) from error


def _opened(archive: Path, limits: Limits) -> Generator[Member, None, None]:
    kind = sniff.kind_of_file(archive)
    if kind == sniff.ZIP:
        return zips.members(archive, limits.announced)
    if kind in tars.OPENERS:
        return tars.members(archive, kind, most_bytes=limits.most_bytes)
    raise ArchiveRefused(
        f"This is no archive that can be unpacked, but {kind}.",
        hint="Send a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz.",
    )


def _damaged(where: str, error: Exception) -> ArchiveRefused:
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return ArchiveRefused(
        f"The archive is damaged at {where}: {reason}.", hint="Pack it again, or send it again."
    )
