"""Folders of sent files: rows that say what is in them, and hard links that runs read."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b

from sqlalchemy import Connection, delete, insert, select, update

from grange.core.ids import looks_like_id, new_id
from grange.db import Database, Duplicate
from grange.errors import FolderNotFound, StoreMissing, StorePathRefused
from grange.storage import check_path
from grange.storage.folders import remove_tree
from grange.storage.oserrors import told
from grange.uploads.blobs import NO_LINKS, READ_ONLY, know
from grange.uploads.models import Folder, FolderFile
from grange.uploads.places import Places
from grange.uploads.quotas import check_files, check_folders
from grange.uploads.tables import Record, folder_files, folders

BATCH = 1000
DEEPEST = 64

# A key is the path, or where that is too long its beginning, "//" (which no path
# holds) and a digest.
_KEY_BYTES = 255
_KEY_DIGEST_BYTES = 32
_KEY_PREFIX = _KEY_BYTES - 2 - 2 * _KEY_DIGEST_BYTES


def check_name(path: str) -> str:
    """Return the path if a sent file may have it: one line, relative, not too deep.

    Raises:
        StorePathRefused: It may not; the message says why.
    """
    check_path(path)
    if any(letter < " " or letter == "\x7f" for letter in path):
        raise StorePathRefused(
            f"The path {path!r} holds a control character.", hint="Rename the file."
        )
    if path.count("/") >= DEEPEST:
        raise StorePathRefused(f"The path {path!r} is more than {DEEPEST} folders deep.")
    return path


def path_key(path: str) -> str:
    """What finds a path among the rows, and sorts as far as it reaches like the path."""
    encoded = path.encode()
    if len(encoded) <= _KEY_BYTES:
        return path
    digest = blake2b(encoded, digest_size=_KEY_DIGEST_BYTES).hexdigest()
    return f"{encoded[:_KEY_PREFIX].decode(errors='ignore')}//{digest}"


class Folders:
    """All folders, whoever owns them: the service asks who may."""

    def __init__(self, database: Database, places: Places) -> None:
        """Look after the folders of these places."""
        self._database = database
        self._places = places

    def make(self, folder: Folder, also: Callable[[Connection], object]) -> Folder:
        """Make a folder; one that has this id and owner already is returned as it is.

        `also` is done in the same transaction, once, when the folder is new.

        Raises:
            FolderNotFound: Somebody else's folder has this id.
            QuotaExceeded: The owner has as many folders as anybody may.
        """
        row = {
            "id": folder.id,
            "owner": folder.owner,
            "name": folder.name,
            "created_at": folder.created_at,
        }

        def work(connection: Connection) -> Record | None:
            query = select(folders).where(folders.c.id == folder.id)
            there = connection.execute(query).first()
            if there is None:
                check_folders(connection, folder.owner)
                connection.execute(insert(folders).values(row))
                also(connection)
            return there or connection.execute(query).first()

        try:
            made = self._database.transact(work)
        except Duplicate:
            # Another request with the same id was faster.
            made = self._database.transact(work)
        if made is None or made.owner != folder.owner:
            raise not_found(folder.id)
        with told("make a folder", "", root=self._places.home):
            self._places.folder(folder.id).mkdir(exist_ok=True)
        return folder_of(made)

    def find(self, folder: str) -> Folder:
        """The folder of this id.

        Raises:
            FolderNotFound: There is none.
        """
        row = None
        if looks_like_id(folder):
            with self._database.read() as connection:
                row = connection.execute(select(folders).where(folders.c.id == folder)).first()
        if row is None:
            raise not_found(folder)
        return folder_of(row)

    def page(self, owner: str, *, after: str | None, limit: int) -> list[Folder]:
        """A user's folders, the newest first, from the one that follows `after`."""
        query = select(folders).where(folders.c.owner == owner)
        query = query.order_by(folders.c.created_at.desc(), folders.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            if after is not None:
                last = (
                    looks_like_id(after)
                    and connection.execute(
                        select(folders.c.created_at).where(
                            folders.c.id == after, folders.c.owner == owner
                        )
                    ).scalar()
                )
                if last is None or last is False:
                    raise not_found(after)
                query = query.where(
                    (folders.c.created_at < last)
                    | ((folders.c.created_at == last) & (folders.c.id < after))
                )
            return [folder_of(row) for row in connection.execute(query)]

    def files(self, folder: str, *, after: str | None, limit: int) -> list[FolderFile]:
        """A folder's files by their paths, from the one that follows the key `after`."""
        query = select(folder_files).where(folder_files.c.folder == folder)
        if after is not None:
            # No key holds what a database may refuse.
            query = query.where(folder_files.c.path_key > after.replace("\0", ""))
        query = query.order_by(folder_files.c.path_key).limit(limit)
        with self._database.read() as connection:
            return [_file_of(row) for row in connection.execute(query)]

    def link(self, folder: str, files: Iterable[FolderFile]) -> None:
        """Put hard links to contents into the folder on disk, replacing what has their paths.

        Raises:
            StorePathRefused: A file stands where a folder would have to be, or the reverse.
            StoreMissing: A content is not there.
        """
        root = os.fsencode(self._places.folder(folder))
        known: set[bytes] = set()
        for file in files:
            with told("put", file.path, root=self._places.folders):
                target = os.path.join(root, file.path.encode())
                above = os.path.dirname(target)
                if above not in known:
                    os.makedirs(above, exist_ok=True)
                    known.add(above)
                self._link(os.fsencode(self._places.blob(file.sha256)), target)

    def add(self, folder: str, owner: str, files: Sequence[FolderFile]) -> None:
        """Put files into a folder, on disk and in its rows, and let its owner know their contents.

        The caller keeps the contents from being deleted meanwhile.

        Raises:
            FolderNotFound: The folder is gone.
            StorePathRefused: A file stands where a folder would have to be, or the reverse.
            QuotaExceeded: These would be more files than the owner may have.
        """
        with self._database.read() as connection:
            check_files(connection, owner, more=len(files))

        def work(connection: Connection) -> None:
            contents = ((one.sha256, one.size, one.kind) for one in files)
            know(connection, self._database, owner, contents)
            record(connection, self._database, folder, files)

        self.link(folder, files)
        self._database.transact(work)

    def delete(self, connection: Connection, folder: str) -> list[str]:
        """Delete a folder's rows; returns the digests of what was in it."""
        digests = select(folder_files.c.sha256).where(folder_files.c.folder == folder).distinct()
        found = list(connection.execute(digests).scalars())
        connection.execute(delete(folder_files).where(folder_files.c.folder == folder))
        connection.execute(delete(folders).where(folders.c.id == folder))
        return found

    def remove(self, folder: str) -> None:
        """Delete a folder on disk; the contents stay what they are."""
        with told("delete a folder", "", root=self._places.home):
            remove_tree(os.fsencode(self._places.folder(folder)))

    def mend(self, folder: Folder) -> None:
        """Bring back links that a crash of the machine took, from the rows."""
        root = self._places.folder(folder.id)
        with told("read a folder", "", root=self._places.home):
            root.mkdir(exist_ok=True)
            there = sum(len(names) for _, _, names in os.walk(root))
        if there >= folder.files:
            return
        after: str | None = None
        while batch := self.files(folder.id, after=after, limit=BATCH):
            self.link(folder.id, (one for one in batch if not (root / one.path).exists()))
            after = path_key(batch[-1].path)

    def sweep(self) -> int:
        """Delete folders on disk that no row names."""
        with told("read folders", "", root=self._places.home):
            there = sorted(os.listdir(self._places.folders))
        deleted = 0
        for first in range(0, len(there), BATCH):
            batch = there[first : first + BATCH]
            query = select(folders.c.id).where(folders.c.id.in_(batch))
            with self._database.read() as connection:
                named = set(connection.execute(query).scalars())
            for name in sorted(set(batch) - named):
                with suppress(ValueError):  # Somebody else's file.
                    self.remove(name)
                    deleted += 1
        return deleted

    def _link(self, blob: bytes, target: bytes) -> None:
        try:
            os.link(blob, target)
            return
        except FileExistsError:
            if os.path.samefile(blob, target):
                return
        except OSError as error:
            if error.errno not in NO_LINKS | {errno.EMLINK}:
                raise
        aside = os.fsencode(self._places.new / new_id())
        try:
            _link_or_copy(blob, aside)
            os.rename(aside, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)


def record(
    connection: Connection, database: Database, folder: str, files: Sequence[FolderFile]
) -> None:
    """Write down what is in a folder now, in place of what had these paths.

    Raises:
        FolderNotFound: The folder is gone.
    """
    held = connection.execute(
        database.lock(select(folders.c.id).where(folders.c.id == folder))
    ).first()
    if held is None:
        raise not_found(folder)
    by_key: Mapping[str, FolderFile] = {path_key(file.path): file for file in files}
    replaced = connection.execute(
        select(folder_files.c.size).where(
            folder_files.c.folder == folder, folder_files.c.path_key.in_(list(by_key))
        )
    ).scalars()
    sizes = list(replaced)
    rows = [
        {"folder": folder, "path_key": key, "path": file.path}
        | {"sha256": file.sha256, "size": file.size, "kind": file.kind}
        for key, file in by_key.items()
    ]
    changed = ("path", "sha256", "size", "kind")
    database.upsert(connection, folder_files, rows, keys=("folder", "path_key"), update=changed)
    connection.execute(
        update(folders)
        .where(folders.c.id == folder)
        .values(
            files=folders.c.files + len(rows) - len(sizes),
            bytes=folders.c.bytes + sum(one.size for one in by_key.values()) - sum(sizes),
        )
    )


def batches(files: Iterable[FolderFile]) -> Iterator[list[FolderFile]]:
    """The files in lists of as many as one transaction takes."""
    batch: list[FolderFile] = []
    for file in files:
        batch.append(file)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def folder_of(row: Record) -> Folder:
    """The folder that a row says."""
    return Folder(
        id=row.id,
        owner=row.owner,
        name=row.name,
        created_at=row.created_at,
        files=row.files,
        bytes=row.bytes,
    )


def not_found(folder: str) -> FolderNotFound:
    """The error for a folder that is not there, or not for whoever asks."""
    return FolderNotFound(f"There is no folder {folder!r}.", hint="List the folders to see yours.")


def _file_of(row: Record) -> FolderFile:
    return FolderFile(path=row.path, size=row.size, sha256=row.sha256, kind=row.kind)


def _link_or_copy(blob: bytes, aside: bytes) -> None:
    """A content that has as many links as its file system can keep is copied."""
    try:
        os.link(blob, aside)
    except FileNotFoundError:
        raise StoreMissing("A content that is known is not on disk any more.") from None
    except OSError as error:
        if error.errno not in NO_LINKS | {errno.EMLINK}:
            raise
        shutil.copy2(blob, aside)
        os.chmod(aside, READ_ONLY)
