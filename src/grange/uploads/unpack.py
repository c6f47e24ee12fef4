"""Unpacking an archive into a folder: each file becomes a content, in batches."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from grange.db import Database
from grange.errors import ArchiveRefused
from grange.storage.oserrors import told
from grange.uploads.archives import members
from grange.uploads.blobs import Contents
from grange.uploads.folders import Folders
from grange.uploads.members import Member
from grange.uploads.models import FolderFile, Unpacked
from grange.uploads.places import Places
from grange.uploads.quotas import QUOTA_LOCK, check_room, used_bytes
from grange.uploads.sniff import HEAD_BYTES, kind_of

CHUNK_BYTES = 1 << 20
# A batch ends with so many files or bytes: then it is flushed, kept and written down.
BATCH_FILES = 1000
BATCH_BYTES = 1 << 30


@dataclass(frozen=True)
class _Made:
    """A file that was unpacked, and where it lies until it is kept."""

    place: Path
    file: FolderFile


class Unpacker:
    """Unpacks archives into folders."""

    def __init__(
        self, database: Database, places: Places, contents: Contents, folders: Folders
    ) -> None:
        """Take where contents and folders are kept."""
        self._database = database
        self._places = places
        self._contents = contents
        self._folders = folders

    def unpack(self, archive: Path, folder: str, *, owner: str, quota_bytes: int) -> Unpacked:
        """Put the files of an archive into a folder. What came before an error stays there.

        Raises:
            ArchiveRefused: It is no archive, or holds what it must not.
            QuotaExceeded: What comes out doesn't fit into the quota.
        """
        with self._database.read() as connection:
            left = max(0, quota_bytes - used_bytes(connection, owner))
        files = size = 0
        with self._contents.workshop() as shop, told("unpack", "", root=self._places.home):
            batches = _batches(archive, shop, left_bytes=left)
            with closing(batches):
                for batch in batches:
                    self._keep(batch, shop, folder, owner=owner, quota_bytes=quota_bytes)
                    files += len(batch)
                    size += sum(made.file.size for made in batch)
        if not files:
            raise ArchiveRefused("The archive holds no files.", hint="See what was packed.")
        return Unpacked(files=files, bytes=size)

    def _keep(
        self, batch: list[_Made], shop: Path, folder: str, *, owner: str, quota_bytes: int
    ) -> None:
        self._contents.flush(shop)
        size = sum(made.file.size for made in batch)
        with self._places.changing(QUOTA_LOCK, alone=True):
            with self._database.read() as connection:
                check_room(connection, owner, more_bytes=size, quota_bytes=quota_bytes)
            with self._contents.keeping():
                for made in batch:
                    self._contents.keep(
                        made.place, made.file.sha256, size=made.file.size, flush=False
                    )
                self._folders.add(folder, owner, [made.file for made in batch])
        for made in batch:
            made.place.unlink(missing_ok=True)


def _batches(archive: Path, shop: Path, *, left_bytes: int) -> Generator[list[_Made], None, None]:
    """What was unpacked, in lists; the list that an error cuts off comes before the error."""
    batch: list[_Made] = []
    size = 0
    found = members(archive, left_bytes=left_bytes)
    try:
        for number, member in enumerate(found):
            batch.append(_unpacked(member, shop / str(number)))
            size += member.size
            if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except GeneratorExit:
        raise
    except Exception:
        if batch:
            yield batch
        raise
    finally:
        found.close()
    if batch:
        yield batch


def _unpacked(member: Member, place: Path) -> _Made:
    digest = sha256()
    head = b""
    size = 0
    with place.open("wb") as file:
        while chunk := member.content.read(min(CHUNK_BYTES, member.size - size)):
            head = head or chunk[:HEAD_BYTES]
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
            if size == member.size:
                break
    if size != member.size:
        raise ArchiveRefused(
            f"The archive's {member.path!r} is shorter than it says.", hint="Send it again."
        )
    file_ = FolderFile(path=member.path, size=size, sha256=digest.hexdigest(), kind=kind_of(head))
    return _Made(place, file_)
