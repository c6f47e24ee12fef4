"""Unfinished uploads: one file each, whose size is how much has come.

Nothing else says where an upload stands, so a killed server loses at most what
it had not written. Bytes of a part with a checksum count only once it is
proven: until then a small file beside says where they begin.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grange.errors import TooLarge, UploadConflict
from grange.storage.oserrors import told
from grange.uploads.places import Places

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK_BYTES = 1 << 20
FEW_PIECES = 16
# Who sends nothing for so long has to give way to whoever sends again.
SILENT_SECONDS = 5.0
# Digests in the making that are carried from one part to the next.
MOST_CARRIED = 1024


@dataclass(slots=True)
class Carried:
    """A digest in the making: of so many bytes from the beginning."""

    sha: _Hash = field(default_factory=hashlib.sha256)
    at: int = 0


class Part:
    """An upload's file, held by one writer. Blocking; for one thread at a time.

    Errors of the disk are those of a store; what was written before one stays.
    """

    def __init__(self, places: Places, upload: str, descriptor: int, carried: Carried) -> None:
        """Take the locked file."""
        self.path = places.upload(upload)
        self.position = os.fstat(descriptor).st_size
        self.touched = time.monotonic()
        self._unproven = places.unproven(upload)
        self._root = places.home
        self._descriptor = descriptor
        self._carried = carried
        self._closed = False
        self._lock = threading.Lock()

    @property
    def carried(self) -> Carried:
        """The digest as far as it is known."""
        return self._carried

    def write(self, chunks: Sequence[bytes], *, limit: int) -> None:
        """Add bytes at the end, and to the digest.

        Raises:
            TooLarge: They would make it longer than `limit`; none of them is written.
            UploadConflict: Another writer has taken over.
            StoreFull: There is no room for all of them.
        """
        with self._lock, told("write an upload", "", root=self._root):
            if self._closed:
                raise taken()
            self.touched = time.monotonic()
            if self.position + sum(map(len, chunks)) > limit:
                raise TooLarge(
                    f"More comes than the {limit} bytes that the upload was said to have.",
                    hint="Send the file that was announced, or begin another upload.",
                )
            # Large pieces are written as they are; each of many small ones would wait for
            # the interpreter twice.
            for chunk in chunks if len(chunks) <= FEW_PIECES else [b"".join(chunks)]:
                self._write(chunk)
            self.touched = time.monotonic()

    def begin_unproven(self) -> None:
        """From here on, bytes count only after `prove`."""
        with told("write an upload", "", root=self._root):
            self._unproven.write_text(str(self.position))

    def prove(self) -> None:
        """Let all bytes count."""
        with told("write an upload", "", root=self._root):
            self._unproven.unlink(missing_ok=True)

    def go_back(self) -> None:
        """Drop the bytes that are not proven."""
        with self._lock, told("write an upload", "", root=self._root):
            proven = _proven(self._unproven)
            if self._closed or proven is None:
                return
            if proven < self.position:
                os.ftruncate(self._descriptor, proven)
                self.position = proven
            if self._carried.at > proven:
                self._carried = Carried()
            self._unproven.unlink(missing_ok=True)

    def flush(self) -> None:
        """Make what was written durable."""
        with self._lock, told("write an upload", "", root=self._root):
            if not self._closed:
                os.fsync(self._descriptor)

    def digest(self) -> str:
        """The SHA-256 of all of it; what was not hashed on its way is read again."""
        carried = self._carried
        with told("read an upload", "", root=self._root):
            buffer = bytearray(CHUNK_BYTES)
            view = memoryview(buffer)
            while count := os.preadv(self._descriptor, [buffer], carried.at):
                carried.sha.update(view[:count])
                carried.at += count
        return carried.sha.hexdigest()

    def close(self) -> None:
        """Let go of the file; afterwards nothing is written any more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            count = os.pwrite(self._descriptor, view, self.position)
            if self._carried.at == self.position:
                self._carried.sha.update(view[:count])
                self._carried.at += count
            self.position += count
            view = view[count:]


class Parts:
    """All unfinished uploads on disk."""

    def __init__(self, places: Places) -> None:
        """Look after the unfinished uploads of these places."""
        self._places = places
        self._carried: OrderedDict[str, Carried] = OrderedDict()
        self._open: dict[str, Part] = {}
        self._lock = threading.Lock()

    def make(self, upload: str) -> None:
        """Make the file of a new upload."""
        with told("begin an upload", "", root=self._places.home):
            self._places.upload(upload).touch(mode=0o600)

    def offset(self, upload: str) -> int:
        """How much has come and counts."""
        proven = _proven(self._places.unproven(upload))
        with told("read an upload", "", root=self._places.home):
            try:
                size = self._places.upload(upload).stat().st_size
            except FileNotFoundError:
                size = 0
        return size if proven is None else min(size, proven)

    @contextmanager
    def held(self, upload: str) -> Iterator[Part]:
        """Hold an upload as its only writer, in all processes.

        Whoever holds it but has been silent for a while has to let go.

        Raises:
            UploadConflict: Another one is writing.
        """
        descriptor = self._locked(upload)
        part = Part(self._places, upload, descriptor, self._taken_carried(upload))
        with self._lock:
            self._open[upload] = part
        try:
            part.go_back()
            yield part
        finally:
            with self._lock:
                if self._open.get(upload) is part:
                    del self._open[upload]
                    self._keep_carried(upload, part)
            part.close()

    def drop(self, upload: str) -> None:
        """Delete what has come of an upload; whoever is writing it can't go on."""
        with self._lock:
            part = self._open.pop(upload, None)
            self._carried.pop(upload, None)
        if part is not None:
            part.close()
        with told("delete an upload", "", root=self._places.home):
            self._places.upload(upload).unlink(missing_ok=True)
            self._places.unproven(upload).unlink(missing_ok=True)

    def is_held(self, upload: str) -> bool:
        """Whether somebody is writing it."""
        try:
            os.close(_lock(self._places.upload(upload), os.O_RDWR))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _locked(self, upload: str) -> int:
        path = self._places.upload(upload)
        with told("write an upload", "", root=self._places.home):
            try:
                return _lock(path, os.O_RDWR | os.O_CREAT)
            except BlockingIOError:
                if not self._make_room(upload):
                    raise taken() from None
            try:
                return _lock(path, os.O_RDWR | os.O_CREAT)
            except BlockingIOError:
                raise taken() from None

    def _make_room(self, upload: str) -> bool:
        """Close the part of a writer of this process who has gone silent."""
        with self._lock:
            part = self._open.get(upload)
            if part is None or time.monotonic() - part.touched < SILENT_SECONDS:
                return False
            del self._open[upload]
        part.close()
        with self._lock:
            self._keep_carried(upload, part)
        return True

    def _taken_carried(self, upload: str) -> Carried:
        with self._lock:
            return self._carried.pop(upload, None) or Carried()

    def _keep_carried(self, upload: str, part: Part) -> None:
        self._carried[upload] = part.carried
        while len(self._carried) > MOST_CARRIED:
            self._carried.popitem(last=False)


def taken() -> UploadConflict:
    """The error for an upload that another one is writing."""
    return UploadConflict(
        "Another connection is sending this upload.", hint="Wait for it, then ask where it stands."
    )


def _lock(path: os.PathLike[str], flags: int) -> int:
    """Open and lock a file that is still there under this name afterwards."""
    while True:
        descriptor = _opened(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise BlockingIOError(error.errno, error.strerror) from error
            raise
        os.close(descriptor)


def _opened(path: os.PathLike[str], flags: int) -> int:
    try:
        return os.open(path, flags, 0o600)
    except PermissionError:
        # A server was killed while it made a content of it: all has come, none is written.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _proven(path: os.PathLike[str]) -> int | None:
    with suppress(FileNotFoundError, ValueError), open(path, encoding="ascii") as file:
        return int(file.read())
    return None
