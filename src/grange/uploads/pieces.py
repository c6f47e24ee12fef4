"""Uploads in pieces, from their beginning to the content that they become."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from grange.accounts.models import Actor
from grange.core import sizes
from grange.core.ids import looks_like_id
from grange.db import Database
from grange.errors import (
    GrangeError,
    QuotaExceeded,
    StoreFull,
    StorePathRefused,
    UploadConflict,
    UploadNotFound,
)
from grange.uploads.arrivals import Arrival, Proof
from grange.uploads.blobs import Contents, forget, know
from grange.uploads.folders import Folders
from grange.uploads.models import UPLOAD_SECONDS, FolderFile, Upload
from grange.uploads.parts import Part, Parts
from grange.uploads.places import Places
from grange.uploads.quotas import (
    QUOTA_LOCK,
    check_files,
    check_room,
    check_unfinished,
)
from grange.uploads.receiving import receive
from grange.uploads.sniff import kind_of_file
from grange.uploads.tables import Record, uploads

BATCH = 500


class Pieces:
    """All uploads that are not forgotten yet."""

    def __init__(
        self, database: Database, places: Places, contents: Contents, folders: Folders
    ) -> None:
        """Turn what comes to these places into contents."""
        self._database = database
        self._places = places
        self._contents = contents
        self._folders = folders
        self._parts = Parts(places)

    def begin(self, upload: Upload, *, quota_bytes: int) -> Upload:
        """Write down an upload of which nothing has come; an empty one is whole at once."""
        row = {
            name: getattr(upload, name)
            for name in ("id", "owner", "name", "size", "folder", "path")
        }
        row |= {"created_at": upload.created_at, "progress_at": upload.progress_at}

        def work(connection: Connection) -> None:
            check_room(connection, upload.owner, more_bytes=upload.size, quota_bytes=quota_bytes)
            check_unfinished(connection, upload.owner)
            if upload.folder is not None:
                check_files(connection, upload.owner, more=1)
            self._check_disk(upload.size)
            connection.execute(insert(uploads).values(row))

        # Two that begin at once must not both take the last room.
        with self._places.changing(QUOTA_LOCK, alone=True):
            self._database.transact(work)
        self._parts.make(upload.id)
        return upload if upload.size else self.settled(upload)

    def find(self, actor: Actor, upload: str) -> Upload:
        """The actor's upload of this id; an administrator finds everybody's."""
        found = self._row(upload)
        if found is None or (found.owner != actor.user.id and not actor.is_admin):
            raise not_found(upload)
        return self._upload(found)

    def settled(self, upload: Upload) -> Upload:
        """The upload, finished now if all of it has come and nobody is at it."""
        if upload.is_whole or upload.offset < upload.size:
            return upload
        try:
            with self._parts.held(upload.id) as part:
                return self._finish(part, upload.id)
        except UploadConflict:
            return upload

    async def receive(
        self,
        where: tuple[Actor, str, int],
        pieces: AsyncIterable[bytes],
        proof: Proof | None,
        *,
        threads: Executor,
    ) -> Upload:
        """Take in what comes from this offset on."""
        loop = asyncio.get_running_loop()
        arrival = await loop.run_in_executor(threads, partial(self._arrival, *where, proof))
        try:
            await receive(pieces, arrival.write, threads)
            return await loop.run_in_executor(threads, self._complete, arrival)
        finally:
            await loop.run_in_executor(threads, self._leave, arrival)

    def _arrival(self, actor: Actor, upload: str, offset: int, proof: Proof | None) -> Arrival:
        found = self.find(actor, upload)
        arrival = Arrival(self._parts, found, proof)
        try:
            # Looked up again, now that nobody else can finish it.
            arrival.begin(self.find(actor, upload), offset)
        except BaseException:
            arrival.close()
            raise
        return arrival

    def _complete(self, arrival: Arrival) -> Upload:
        arrival.complete()
        if arrival.part.position < arrival.upload.size:
            return replace(arrival.upload, offset=arrival.part.position, progress_at=time.time())
        return self._finish(arrival.part, arrival.upload.id)

    def _leave(self, arrival: Arrival) -> None:
        advanced = arrival.close()
        if advanced:
            values = update(uploads).where(uploads.c.id == arrival.upload.id)
            self._database.transact(
                lambda connection: connection.execute(values.values(progress_at=time.time()))
            )

    def drop(self, upload: Upload) -> None:
        """Forget an upload and, where nothing else holds it, its content."""
        self._drop([upload.id], uploads.c.id == upload.id)

    def discard(self, upload: str) -> None:
        """Delete what has come of an upload whose row is gone."""
        self._parts.drop(upload)

    def content_of(self, upload: Upload) -> Path:
        """The content that a finished upload has become.

        Raises:
            UploadConflict: It has not come whole yet.
        """
        if upload.sha256 is None:
            raise UploadConflict(
                f"Of the upload {upload.id}, {upload.offset} of {upload.size} bytes have come.",
                hint="Send the rest first.",
            )
        return self._places.blob(upload.sha256)

    def sweep(self) -> int:
        """Forget uploads that got nothing for long, and delete files that no row names."""
        expired = uploads.c.progress_at < time.time() - UPLOAD_SECONDS
        with self._database.read() as connection:
            rows = connection.execute(select(uploads.c.id).where(expired)).scalars().all()
        idle = [upload for upload in rows if not self._parts.is_held(upload)]
        for first in range(0, len(idle), BATCH):
            batch = idle[first : first + BATCH]
            self._drop(batch, uploads.c.id.in_(batch) & expired)
        self._remove_unnamed()
        return len(idle)

    def _check_disk(self, size: int) -> None:
        status = os.statvfs(self._places.uploads)
        free = status.f_bavail * status.f_frsize
        if size > free:
            raise StoreFull(
                f"The server's disk has {sizes.size(free)} left, too little for "
                f"{sizes.size(size)} more.",
                hint="Ask an administrator to free room.",
            )

    def _row(self, upload: str) -> Record | None:
        if not looks_like_id(upload):
            return None
        with self._database.read() as connection:
            return connection.execute(select(uploads).where(uploads.c.id == upload)).first()

    def _upload(self, row: Record) -> Upload:
        return Upload(
            id=row.id,
            owner=row.owner,
            name=row.name,
            size=row.size,
            offset=row.size if row.sha256 else self._parts.offset(row.id),
            folder=row.folder,
            path=row.path,
            sha256=row.sha256,
            created_at=row.created_at,
            progress_at=row.progress_at,
        )

    def _finish(self, part: Part, upload: str) -> Upload:
        """Make a content of an upload that has come whole, and put it into its folder."""
        row = self._row(upload)
        if row is None:
            self._parts.drop(upload)
            raise not_found(upload)
        found = self._upload(row)
        if found.is_whole:
            return found
        digest = part.digest()
        kind = kind_of_file(part.path)
        with self._contents.keeping():
            self._contents.keep(part.path, digest, size=found.size)
            refused = self._put(found, digest, kind)
            whole = replace(found, sha256=digest, offset=found.size, progress_at=time.time())
            self._database.transact(lambda connection: self._close(connection, whole, kind))
        self._parts.drop(upload)
        if refused is not None:
            raise refused
        return whole

    def _put(self, upload: Upload, digest: str, kind: str) -> GrangeError | None:
        """Put the content where the upload says; why not, where there is no place for it."""
        if upload.folder is None or upload.path is None:
            return None
        file = FolderFile(path=upload.path, size=upload.size, sha256=digest, kind=kind)
        try:
            self._folders.add(upload.folder, upload.owner, [file])
        except (StorePathRefused, QuotaExceeded) as error:
            return error
        return None

    def _close(self, connection: Connection, whole: Upload, kind: str) -> None:
        know(connection, self._database, whole.owner, [(str(whole.sha256), whole.size, kind)])
        connection.execute(
            update(uploads)
            .where(uploads.c.id == whole.id)
            .values(sha256=whole.sha256, progress_at=whole.progress_at)
        )

    def _drop(self, ids: list[str], which: ColumnElement[bool]) -> None:
        def work(connection: Connection) -> list[str]:
            rows = connection.execute(select(uploads.c.owner, uploads.c.sha256).where(which)).all()
            connection.execute(delete(uploads).where(which))
            for owner in {row.owner for row in rows}:
                mine = [row.sha256 for row in rows if row.owner == owner and row.sha256]
                forget(connection, owner, mine)
            return [row.sha256 for row in rows if row.sha256]

        with self._contents.deleting():
            digests = self._database.transact(work)
        for upload in ids:
            if self._row(upload) is None:
                self._parts.drop(upload)
        self._contents.release(digests)

    def _remove_unnamed(self) -> None:
        names = sorted(
            name.partition(".")[0]
            for name in os.listdir(self._places.uploads)
            if not name.startswith(".")
        )
        for first in range(0, len(names), BATCH):
            batch = names[first : first + BATCH]
            query = select(uploads.c.id).where(uploads.c.id.in_(batch), uploads.c.sha256.is_(None))
            with self._database.read() as connection:
                named = set(connection.execute(query).scalars())
            for name in set(batch) - named:
                with suppress(ValueError):  # Somebody else's file.
                    if not self._parts.is_held(name):
                        self._parts.drop(name)


def not_found(upload: str) -> UploadNotFound:
    """The error for an upload that is not there, or not for whoever asks."""
    return UploadNotFound(
        f"There is no upload {upload!r}.", hint="It may have expired: begin another one."
    )
