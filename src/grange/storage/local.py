"""A store in a folder: a local disk, or a shared file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import sha256
from pathlib import Path

from grange.errors import StoreMissing, StorePathRefused
from grange.storage.base import Store, Stored
from grange.storage.files import CHUNK_BYTES
from grange.storage.folders import flush_folder, make_folders, move, walk_files
from grange.storage.oserrors import told
from grange.storage.paths import check_path, file_uri, uri_path
from grange.storage.workspace import OWN, Workspace


def open_local(url: str, _: Path | None = None, *, patient: bool = True) -> LocalStore:  # noqa: ARG001  # as stores are opened
    """The store in the folder of a `file://` URL, which has room of its own for staging."""
    return LocalStore(uri_path(url))


class LocalStore(Store):
    """Plain files below one folder, which is made when something is first written.

    Links below the folder are followed as long as they stay in it.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is made yet."""
        self._path = Path(os.path.realpath(root))
        self._root = os.fsencode(self._path)
        self._inside = os.path.join(self._root, b"")
        self._workspace = Workspace(self._root)

    @property
    def url(self) -> str:
        """The folder as a `file://` URL."""
        return file_uri(self._path)

    def write(self, path: str, chunks: Iterable[bytes]) -> Stored:
        """Write to a temporary name, flush, rename, flush the folder."""
        target = self._place(path)
        with self._told("write", path):
            descriptor, temporary = self._workspace.new_file()
        try:
            digest, size = sha256(), 0
            # What the chunks raise is their caller's: only the store's own errors are told.
            for chunk in _gathered(chunks):
                digest.update(chunk)
                size += len(chunk)
                with self._told("write", path):
                    _write_all(descriptor, chunk)
            with self._told("write", path):
                os.fsync(descriptor)
                mtime_ns = os.fstat(descriptor).st_mtime_ns
                move(temporary, target)
                flush_folder(os.path.dirname(target))
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        return Stored(path=path, size=size, sha256=digest.hexdigest(), mtime_ns=mtime_ns)

    def read(self, path: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream the file that the path names when the first chunk is asked for."""
        place = self._place(path)
        with self._told("read", path):
            # Without O_NONBLOCK a pipe of that name would wait for a writer.
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise StoreMissing(f"{path!r} in {str(self._path)!r} is no file.")
                os.lseek(descriptor, start, os.SEEK_SET)
                yield from _read(descriptor, length)
            finally:
                os.close(descriptor)

    def stat(self, path: str) -> Stored | None:
        """Look at the file's entry."""
        place = self._place(path)
        with self._told("look at", path):
            try:
                status = os.stat(place)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored(path, status) if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Walk the folders; no more than the names of those on the way are held."""
        begin = ""
        if prefix:
            self._place(prefix)
            begin = f"{prefix}/"
        with self._told("list" if prefix else "list files", prefix):
            for path, status in walk_files(self._root, begin, skip=OWN.decode()):
                yield _stored(path, status)

    def delete(self, path: str) -> None:
        """Unlink, and flush the folder."""
        place = self._place(path)
        with self._told("delete", path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(place)
            flush_folder(os.path.dirname(place))

    def delete_tree(self, prefix: str) -> None:
        """Move the folder out of sight, then delete what is in it."""
        place = self._place(prefix)
        with self._told("delete", prefix):
            self._workspace.drop(place)

    def staging(self, token: str) -> Path:
        """Make a folder in the store's file system, so that a rename can publish it."""
        with self._told("stage outputs", ""), suppress(FileExistsError):
            place = self._workspace.staging(token)
            try:
                os.mkdir(place, stat.S_IRWXU)
            except FileNotFoundError:
                make_folders(os.path.dirname(place))
                os.mkdir(place, stat.S_IRWXU)
        return Path(os.fsdecode(place))

    def staged(self) -> Iterator[str]:
        """Read the names in the staging folder."""
        with self._told("list what is staged", ""):
            yield from self._workspace.staged()

    def publish(self, token: str, path: str, *, expect: Sequence[Stored]) -> None:
        """Rename the staged folder, or exchange it with the one that is there.

        Where the file system knows no exchange (NFS), the path is absent for the
        moment between two renames.
        """
        target = self._place(path)
        with self._told("publish", path):
            if not expect:
                self._workspace.drop(target)
                self._workspace.discard(token)
                return
            try:
                self._workspace.put(token, target)
            except FileNotFoundError:
                if not self._workspace.go_on(token, target) and not self.published(path, expect):
                    raise StoreMissing(f"Nothing is staged as {token!r} for {path!r}.") from None
            flush_folder(os.path.dirname(target))

    def discard(self, token: str) -> None:
        """Delete the staging folder, and what an interrupted publishing made of it."""
        with self._told("discard outputs", ""):
            self._workspace.discard(token)

    def clean(self) -> None:
        """Clean the store's own folder."""
        with self._told("clean up", ""):
            self._workspace.clean()

    def free_bytes(self) -> int:
        """Ask the file system for the room that this user has."""
        place = self._root
        with self._told("look for room", ""):
            while not os.path.exists(place):
                place = os.path.dirname(place)
            status = os.statvfs(place)
        return status.f_bavail * status.f_frsize

    def _told(self, action: str, path: str) -> AbstractContextManager[None]:
        return told(action, path, root=self._path)

    def _place(self, path: str) -> bytes:
        """Where the path lies on disk; refused when that is not below the root."""
        place = os.path.join(self._root, check_path(path).encode())
        real = os.path.realpath(place)
        if not real.startswith(self._inside):
            raise StorePathRefused(f"The path {path!r} leads out of the store {str(self._path)!r}.")
        for name in (place, real):
            if name.removeprefix(self._inside).split(b"/", 1)[0] == OWN:
                raise StorePathRefused(f"The path {path!r} is the store's own.")
        return place


def _stored(path: str, status: os.stat_result) -> Stored:
    return Stored(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces, since each costs a call of the system."""
    pieces: list[bytes] = []
    size = 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            yield b"".join(pieces)
            pieces.clear()
            size = 0
    if pieces:
        yield b"".join(pieces)


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read(descriptor: int, length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        chunk = os.read(descriptor, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk
