"""Contents: each is kept once, read-only, under its SHA-256, for as long as anybody knows it.

Whoever keeps a content holds the lock `blobs` with others until the rows that
name it are committed; whoever deletes contents holds it alone. So a content is
never deleted between the moment it is there and the moment it is named. Hard
links in folders keep the bytes of what is deleted here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, delete, exists, select

from grange.core.ids import new_id
from grange.db import Database
from grange.storage.folders import flush_folder, make_folders, remove_tree
from grange.storage.oserrors import told
from grange.uploads.places import Places
from grange.uploads.tables import blobs, folder_files, folders, uploads

LOCK = "blobs"
READ_ONLY = 0o444
BATCH = 500
DIGEST_LENGTH = 64
# What link() answers where a file system has no hard links.
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})


class Contents:
    """The contents on disk, and who knows them."""

    def __init__(self, database: Database, places: Places) -> None:
        """Look after the contents of these places."""
        self._database = database
        self._places = places

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Hold off deletions: from before `keep` until the rows that name it are committed."""
        with self._places.changing(LOCK):
            yield

    @contextmanager
    def deleting(self) -> Iterator[None]:
        """Hold off those who keep contents: while rows go that name some."""
        with self._places.changing(LOCK, alone=True):
            yield

    def keep(self, made: Path, digest: str, *, size: int, flush: bool = True) -> None:
        """Make a flushed file the content of this digest; both names are there afterwards.

        Without `flush` the name is durable only when the disk pleases: for many at once.

        Raises:
            StoreError: The disk refuses.
        """
        target = self._places.blob(digest)
        with told("keep a content", "", root=self._places.home):
            made.chmod(READ_ONLY)
            if not target.parent.is_dir():
                make_folders(os.fsencode(target.parent))
            try:
                _link(made, target)
            except FileExistsError:
                if target.stat().st_size != size:
                    # What is there was damaged; these bytes are proven.
                    target.unlink()
                    _link(made, target)
            if flush:
                flush_folder(os.fsencode(target.parent))

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A private folder for contents in the making, deleted at the end with what is left."""
        with self.keeping():
            # A sweep must not come between the folder and its lock.
            folder = self._places.new / new_id()
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            remove_tree(os.fsencode(folder))
            os.close(descriptor)

    def flush(self, folder: Path) -> None:
        """Make all that was written on the folder's disk durable, in one go."""
        import ctypes

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)

    def release(self, digests: Iterable[str]) -> int:
        """Delete those of the contents that no row names any more; returns how many."""
        wanted = sorted(set(digests))
        deleted = 0
        for first in range(0, len(wanted), BATCH):
            batch = wanted[first : first + BATCH]
            with self._places.changing(LOCK, alone=True):
                named = self._named(batch)
                for digest in batch:
                    if digest not in named:
                        deleted += _delete(self._places.blob(digest))
        return deleted

    def sweep(self) -> int:
        """Delete every content that no row names, and what crashed makers left."""
        with self.deleting():
            _remove_abandoned(self._places.new)
        deleted = 0
        for shard in _names(self._places.blobs):
            if not shard.startswith("."):
                there = _names(self._places.blobs / shard)
                deleted += self.release(name for name in there if len(name) == DIGEST_LENGTH)
        return deleted

    def _named(self, digests: Sequence[str]) -> set[str]:
        with self._database.read() as connection:
            named: set[str] = set()
            for table in (blobs, folder_files):
                query = select(table.c.sha256).where(table.c.sha256.in_(digests)).distinct()
                named.update(connection.execute(query).scalars())
        return named


def know(
    connection: Connection, database: Database, owner: str, contents: Iterable[tuple[str, int, str]]
) -> None:
    """Let a user know contents, each by its digest, size and kind."""
    now = time.time()
    rows = [
        {"owner": owner, "sha256": digest, "size": size, "kind": kind, "known_at": now}
        for digest, size, kind in sorted(set(contents))
    ]
    database.insert_new(connection, blobs, rows)


def forget(connection: Connection, owner: str, digests: Iterable[str]) -> None:
    """Let a user no longer know the contents that nothing of theirs holds any more."""
    wanted = sorted(set(digests))
    in_folder = exists().where(
        folder_files.c.sha256 == blobs.c.sha256,
        folder_files.c.folder == folders.c.id,
        folders.c.owner == owner,
    )
    in_upload = exists().where(uploads.c.sha256 == blobs.c.sha256, uploads.c.owner == owner)
    for first in range(0, len(wanted), BATCH):
        batch = wanted[first : first + BATCH]
        connection.execute(
            delete(blobs).where(
                blobs.c.owner == owner, blobs.c.sha256.in_(batch), ~in_folder, ~in_upload
            )
        )


def _link(made: Path, target: Path) -> None:
    try:
        os.link(made, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        made.replace(target)


def _delete(path: Path) -> int:
    try:
        path.unlink()
    except FileNotFoundError:
        return 0
    return 1


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_abandoned(folder: Path) -> None:
    for name in _names(folder):
        with suppress(OSError):
            descriptor = os.open(folder / name, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(os.fsencode(folder / name))
            finally:
                os.close(descriptor)
