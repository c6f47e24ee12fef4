"""What people send, with who may: folders, uploads in pieces, contents known from before."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select

from grange.accounts.models import Actor, Page
from grange.core.ids import new_id
from grange.errors import NotAllowed
from grange.uploads import folders as folder_rows
from grange.uploads.arrivals import Proof
from grange.uploads.blobs import Contents, forget
from grange.uploads.folders import Folders
from grange.uploads.models import Added, Folder, FolderFile, NamedFile, Swept, Unpacked, Upload
from grange.uploads.pieces import Pieces
from grange.uploads.places import Places
from grange.uploads.quotas import largest, total_bytes, used_bytes
from grange.uploads.tables import blobs, folder_files, uploads
from grange.uploads.tables import folders as folder_table
from grange.uploads.unpack import Unpacker

if TYPE_CHECKING:
    from grange.db import Database

Record = Callable[..., Any]
# Writing and hashing of uploads that come at the same time.
THREADS = 16


class Uploads:
    """The files that people send. All methods block, but for `receive`.

    Each takes who is asking: what belongs to others is not there for them, but
    for an administrator, who may look at it and delete it.
    """

    def __init__(self, database: Database, home: Path, *, quota_bytes: int, record: Record) -> None:
        """Keep files below a home.

        Args:
            database: With the tables of the newest revision.
            home: Where contents, folders and unfinished uploads lie.
            quota_bytes: What a user may keep who has no quota of their own.
            record: `Accounts.record`, for the audit log.

        Raises:
            StoreError: The folders below the home can't be made.
        """
        self._database = database
        self._quota_bytes = quota_bytes
        self._record = record
        self._places = Places(home)
        self._places.make()
        self._contents = Contents(database, self._places)
        self._folders = Folders(database, self._places)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
        self._pieces = Pieces(database, self._places, self._contents, self._folders)

    def close(self) -> None:
        """Let the threads end once their work is done."""
        self._threads.shutdown()

    # Uploads in pieces

    def begin(
        self,
        actor: Actor,
        *,
        size: int,
        name: str = "",
        folder: str | None = None,
        path: str | None = None,
    ) -> Upload:
        """Begin an upload of so many bytes, which take part in the user's quota from now on.

        With `folder` the finished file lands there under `path`, or under its name.

        Raises:
            QuotaExceeded: There is no room for it in the user's quota, or too many are unfinished.
            StoreFull: There is no room for it on the disk.
            FolderNotFound: The folder is not the actor's.
            StorePathRefused: No file may have this path.
        """
        if folder is not None:
            self._own_folder(actor, folder)
            path = folder_rows.check_name(path or name)
        now = time.time()
        upload = Upload(
            id=new_id(),
            owner=actor.user.id,
            name=name,
            size=size,
            offset=0,
            folder=folder,
            path=path if folder else None,
            sha256=None,
            created_at=now,
            progress_at=now,
        )
        return self._pieces.begin(upload, quota_bytes=self.quota_bytes(actor))

    def find(self, actor: Actor, upload: str) -> Upload:
        """How an upload stands; one that has come whole is finished now if it was not yet.

        Raises:
            UploadNotFound: There is none of this id, or it is not the actor's.
        """
        return self._pieces.settled(self._pieces.find(actor, upload))

    async def receive(
        self,
        actor: Actor,
        upload: str,
        offset: int,
        pieces: AsyncIterable[bytes],
        proof: Proof | None = None,
    ) -> Upload:
        """Take in what comes, from this offset on; once it is whole, it is finished.

        What came before the pieces broke off is kept, unless it was to be proven.

        Raises:
            UploadNotFound: There is none of this id, or it is not the actor's.
            UploadConflict: It stands elsewhere, or another one is sending it.
            ChecksumWrong: What came is not what was sent; nothing of it is kept.
            TooLarge: More came than was announced.
            StoreFull: The disk is full; with room, it goes on from the new offset.
        """
        return await self._pieces.receive(
            (actor, upload, offset), pieces, proof, threads=self._threads
        )

    def drop(self, actor: Actor, upload: str) -> None:
        """Give up an upload, finished or not; what is in a folder stays there.

        Raises:
            UploadNotFound: There is none of this id, or it is not the actor's.
        """
        self._pieces.drop(self._pieces.find(actor, upload))

    # Folders

    def make_folder(self, actor: Actor, name: str = "", id: str | None = None) -> Folder:  # noqa: A002
        """Make a folder, with an id chosen before if the caller has one; repeating that is safe.

        Raises:
            QuotaExceeded: The actor has as many folders as anybody may.
        """
        chosen = id or new_id()
        folder = Folder(id=chosen, owner=actor.user.id, name=name, created_at=time.time())

        def recorded(connection: Connection) -> None:
            self._record(actor, "folder.created", f"folder {chosen}", connection=connection)

        return self._folders.make(folder, recorded)

    def folders(self, actor: Actor, after: str | None = None, limit: int = 50) -> Page[Folder]:
        """The actor's own folders, the newest first."""
        found = self._folders.page(actor.user.id, after=after, limit=limit + 1)
        return _page(found, limit, [one.id for one in found])

    def folder(self, actor: Actor, folder: str) -> Folder:
        """A folder.

        Raises:
            FolderNotFound: There is none of this id, or it is not the actor's.
        """
        found = self._folders.find(folder)
        if found.owner != actor.user.id and not actor.is_admin:
            raise folder_rows.not_found(folder)
        return found

    def delete_folder(self, actor: Actor, folder: str) -> None:
        """Delete a folder with the uploads on their way to it; its contents go with the last use.

        Raises:
            FolderNotFound: There is none of this id, or it is not the actor's.
        """
        found = self.folder(actor, folder)
        waiting = select(uploads.c.id).where(uploads.c.folder == folder)

        def work(connection: Connection) -> tuple[list[str], list[str]]:
            coming = list(connection.execute(waiting).scalars())
            connection.execute(delete(uploads).where(uploads.c.folder == folder))
            digests = self._folders.delete(connection, folder)
            forget(connection, found.owner, digests)
            self._record(actor, "folder.deleted", f"folder {folder}", connection=connection)
            return coming, digests

        with self._contents.deleting():
            coming, digests = self._database.transact(work)
        for upload in coming:
            self._pieces.discard(upload)
        self._folders.remove(folder)
        self._contents.release(digests)

    def forget_user(self, user: str) -> None:
        """Let go of all that a user has sent who is gone; the next sweep gives the room back."""
        theirs = select(folder_table.c.id).where(folder_table.c.owner == user)

        def work(connection: Connection) -> None:
            connection.execute(delete(folder_files).where(folder_files.c.folder.in_(theirs)))
            for table in (folder_table, uploads, blobs):
                connection.execute(delete(table).where(table.c.owner == user))

        with self._contents.deleting():
            self._database.transact(work)

    def files(
        self, actor: Actor, folder: str, after: str | None = None, limit: int = 1000
    ) -> Page[FolderFile]:
        """The files in a folder, by their paths.

        Raises:
            FolderNotFound: There is none of this id, or it is not the actor's.
        """
        total = self.folder(actor, folder).files
        found = self._folders.files(folder, after=after, limit=limit + 1)
        return _page(found, limit, [folder_rows.path_key(one.path) for one in found], total=total)

    def add_known(self, actor: Actor, folder: str, files: Sequence[NamedFile]) -> Added:
        """Put those files into a folder whose content this very user has sent before.

        Raises:
            FolderNotFound: The folder is not the actor's.
            StorePathRefused: No file may have this path.
            QuotaExceeded: There would be more files than a user may have.
        """
        self._own_folder(actor, folder)
        for file in files:
            folder_rows.check_name(file.path)
        with self._contents.keeping():
            known = self._known(actor.user.id, {file.sha256 for file in files})
            there = [
                FolderFile(path=one.path, size=one.size, sha256=one.sha256, kind=kind)
                for one in files
                if (kind := known.get((one.sha256, one.size))) is not None
            ]
            for batch in folder_rows.batches(there):
                self._folders.add(folder, actor.user.id, batch)
        missing = [one.path for one in files if (one.sha256, one.size) not in known]
        return Added(added=len(there), missing=missing)

    def unpack(self, actor: Actor, folder: str, upload: str) -> Unpacked:
        """Unpack a finished upload into a folder. What came before a refusal stays.

        Raises:
            FolderNotFound: The folder is not the actor's.
            UploadNotFound: The upload is not the actor's.
            UploadConflict: It has not come whole yet.
            ArchiveRefused: It is no archive, or holds what it must not; the member is named.
            QuotaExceeded: What comes out doesn't fit into the user's quota.
        """
        self._own_folder(actor, folder)
        whole = self.find(actor, upload)
        unpacker = Unpacker(self._database, self._places, self._contents, self._folders)
        archive = self._pieces.content_of(whole)
        unpacked = unpacker.unpack(
            archive, folder, owner=actor.user.id, quota_bytes=self.quota_bytes(actor)
        )
        detail = {"files": unpacked.files, "bytes": unpacked.bytes}
        self._record(actor, "archive.unpacked", f"folder {folder}", detail=detail)
        return unpacked

    def path_of(self, actor: Actor, folder: str) -> Path:
        """Where a folder lies on disk, with all that is in it: what a run takes as its input.

        Raises:
            FolderNotFound: There is none of this id, or it is not the actor's.
        """
        self._folders.mend(self.folder(actor, folder))
        return self._places.folder(folder)

    def place_of(self, actor: Actor, folder: str) -> Path:
        """Like `path_of`, without a look at whether all is there.

        Raises:
            FolderNotFound: There is none of this id, or it is not the actor's.
        """
        return self._places.folder(self.folder(actor, folder).id)

    # Room

    def used_bytes(self, user_id: str) -> int:
        """How much of the server's room a user takes."""
        with self._database.read() as connection:
            return used_bytes(connection, user_id)

    def total_bytes(self) -> int:
        """How much room all users take together."""
        with self._database.read() as connection:
            return total_bytes(connection)

    def largest(self, limit: int) -> list[tuple[str, int]]:
        """The users whose contents take the most room, with their bytes."""
        with self._database.read() as connection:
            return largest(connection, limit)

    def quota_bytes(self, actor: Actor) -> int:
        """How much of the server's room a user may take."""
        own = actor.user.quota_bytes
        return self._quota_bytes if own is None else own

    def sweep(self) -> Swept:
        """Delete expired uploads, contents that nobody knows, and what crashes have left.

        Any number of processes may do so at once, beside everything else.
        """
        gone = self._pieces.sweep()
        return Swept(uploads=gone, folders=self._folders.sweep(), contents=self._contents.sweep())

    def _own_folder(self, actor: Actor, folder: str) -> Folder:
        found = self.folder(actor, folder)
        if found.owner != actor.user.id:
            raise NotAllowed(
                "An administrator may look at others' folders and delete them, not fill them.",
                hint="Make a folder of your own.",
            )
        return found

    def _known(self, owner: str, digests: set[str]) -> dict[tuple[str, int], str]:
        query = select(blobs).where(blobs.c.owner == owner, blobs.c.sha256.in_(sorted(digests)))
        with self._database.read() as connection:
            return {(row.sha256, row.size): row.kind for row in connection.execute(query)}


def _page(found: list[Any], limit: int, cursors: list[str], total: int | None = None) -> Page[Any]:
    more = len(found) > limit
    return Page(items=found[:limit], next=cursors[limit - 1] if more else None, total=total)
