"""Sending files into a folder of the server: only what it lacks, in pieces, several at once."""

from __future__ import annotations

import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import IO

from grange.client.connection import Connection
from grange.client.files import Files
from grange.client.known import Known
from grange.client.schemas.files import MOST_FILES, NewFile
from grange.errors import (
    GrangeError,
    InputChanged,
    InputMissing,
    InputUnreadable,
    ServerRefused,
    ServerUnreachable,
    UploadConflict,
    UploadNotFound,
)

PIECE_BYTES = 16 << 20
# Smaller files travel together: a request for each would cost more than its bytes.
SMALL_BYTES = 1 << 20
MOST_ARCHIVE_BYTES = 64 << 20
AT_ONCE = 4
# How long the paths in one request are together, at most: some letters take six bytes in JSON.
MOST_NAMED_LETTERS = 100_000
# How often files that change while they are sent are read anew.
MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be sent: its path in the folder, where it lies, and what the file system says."""

    path: str
    file: Path
    size: int
    mtime_ns: int
    sha256: str = ""


@dataclass(slots=True)
class Sent:
    """How sending stands."""

    files: int = 0
    bytes: int = 0
    sent_bytes: int = 0  # what had to travel


class Sender:
    """Fills one folder of the server."""

    def __init__(
        self,
        connection: Connection,
        known: Known,
        folder: str,
        *,
        told: Callable[[Sent], None] = lambda _: None,
    ) -> None:
        """Send into `folder`; `told` hears now and then how it stands, from any thread."""
        self._connection = connection
        self._files = Files(connection)
        self._known = known
        self._folder = folder
        self._told = told
        self._sent = Sent()
        self._lock = threading.Lock()

    def send(self, found: Iterable[LocalFile]) -> Sent:
        """Let the folder hold these files; what it holds already, or the server knows, is not sent.

        Raises:
            InputMissing, InputUnreadable: A file can't be read.
            InputChanged: A file does not stop changing.
            QuotaExceeded: There is no room for it.
        """
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sending") as pool:
                self._send_all(_Work(pool), found)
        finally:
            self._connection.stop.clear()
        return self._sent

    def _send_all(self, work: _Work, found: Iterable[LocalFile]) -> None:
        try:
            for batch in _batches(found):
                self._send_batch(work, batch)
            work.finish()
        except BaseException:
            # Nobody is to wait for pieces that are under way.
            self._connection.stop.set()
            work.drop()
            raise

    def _send_batch(self, work: _Work, batch: Sequence[LocalFile]) -> None:
        digested = list(work.pool.map(self._digested, batch))
        missing = self._missing(digested)
        with self._lock:
            self._sent.files += len(digested) - len(missing)
            self._sent.bytes += sum(one.size for one in digested)
        self._told(self._sent)
        for small in _archives(one for one in missing if one.size < SMALL_BYTES):
            work.add(self._send_archive, small)
        for one in missing:
            if one.size >= SMALL_BYTES:
                work.add(self._send_file, one)

    def _missing(self, digested: Sequence[LocalFile]) -> list[LocalFile]:
        """Put what is known into the folder; returns what has to be sent."""
        named = [NewFile(path=one.path, size=one.size, sha256=one.sha256) for one in digested]
        missing = set(self._files.add_files(self._folder, named).missing)
        return [one for one in digested if one.path in missing]

    def _digested(self, file: LocalFile) -> LocalFile:
        """The file as it is now, with its digest, which is remembered."""
        path = str(file.file)
        with _readable(file.file) as opened:
            status = os.fstat(opened.fileno())
            size, mtime_ns = status.st_size, status.st_mtime_ns
            found = self._known.digest(path, size=size, mtime_ns=mtime_ns)
            if found is None:
                found = file_digest(opened, "sha256").hexdigest()
                after = os.fstat(opened.fileno())
                if (after.st_size, after.st_mtime_ns) == (size, mtime_ns):
                    self._known.keep_digest(path, size=size, mtime_ns=mtime_ns, sha256=found)
        return replace(file, sha256=found, size=size, mtime_ns=mtime_ns)

    def _send_archive(self, files: Sequence[LocalFile]) -> None:
        """Send small files together; whatever changed on the way is read and sent again."""
        left = list(files)
        for _ in range(MOST_ROUNDS):
            with tempfile.TemporaryFile() as archive:
                _pack(archive, left)
                size = archive.tell()
                upload = self._files.begin_upload(size, name="files.tar")
                self._send_pieces(upload, archive, size, 0)
            with suppress(ServerUnreachable):
                # Whether it was unpacked before a cut, the next question tells.
                self._files.unpack_archive(self._folder, upload)
                # What it held is in the folder; the archive itself would count for the quota.
                self._files.drop_upload(upload)
            # The server knows all of them by now, unless a file was another one when it was packed.
            changed = self._missing(left)
            self._count(len(left) - len(changed))
            if not changed:
                return
            left = [self._digested(one) for one in changed]
        raise _changing(left[0])

    def _send_file(self, file: LocalFile) -> None:
        """Send a large file, going on with an upload of it that was cut off."""
        for _ in range(MOST_ROUNDS):
            what = (self._connection.server, self._folder, file.path, file.sha256)
            if self._send_whole(file, what) == file.sha256:
                self._known.drop_upload(*what)
                self._count(1)
                return
            self._known.drop_upload(*what)
            file = self._digested(file)
        raise _changing(file)

    def _send_whole(self, file: LocalFile, what: tuple[str, ...]) -> str | None:
        """Send what the server lacks of the file; returns the digest of what it has then."""
        with _readable(file.file) as opened:
            upload, offset = self._under_way(file, what)
            try:
                self._send_pieces(upload, opened, file.size, offset)
            except UploadNotFound:
                # It has expired since.
                self._known.drop_upload(*what)
                upload, offset = self._under_way(file, what)
                self._send_pieces(upload, opened, file.size, offset)
        return self._files.show_upload(upload).sha256

    def _under_way(self, file: LocalFile, what: tuple[str, ...]) -> tuple[str, int]:
        """The upload of this file, and how much of it is there."""
        upload = self._known.upload(*what)
        if upload is not None:
            with suppress(UploadNotFound):
                return upload, self._files.show_upload_offset(upload)
        name = file.path.rpartition("/")[2]
        upload = self._files.begin_upload(file.size, name=name, folder=self._folder, path=file.path)
        self._known.keep_upload(upload, *what)
        return upload, 0

    def _send_pieces(self, upload: str, opened: IO[bytes], size: int, offset: int) -> None:
        """Send all from `offset` on. After a cut the server is asked how far it came."""
        delays = self._connection.delays()
        while offset < size:
            self._connection.check()
            opened.seek(offset)
            piece = opened.read(min(PIECE_BYTES, size - offset))
            if not piece:
                raise InputChanged("A file became shorter while it was sent.")
            try:
                reached = self._files.send_part(upload, offset, piece)
            except (ServerUnreachable, ServerRefused, UploadConflict):
                if not delays.wait():
                    raise
                reached = self._files.show_upload_offset(upload)
            if reached > offset:
                self._count_bytes(reached - offset)
                delays = self._connection.delays()
            offset = reached

    def _count(self, files: int) -> None:
        with self._lock:
            self._sent.files += files
        self._told(self._sent)

    def _count_bytes(self, count: int) -> None:
        with self._lock:
            self._sent.sent_bytes += count
        self._told(self._sent)


class _Work:
    """What is under way: no more than a few things wait, and the first failure ends all."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self._pending: set[Future[None]] = set()

    def add(self, function: Callable[..., None], what: object) -> None:
        while len(self._pending) >= 2 * AT_ONCE:
            self._collect()
        self._pending.add(self.pool.submit(function, what))

    def finish(self) -> None:
        while self._pending:
            self._collect()

    def drop(self) -> None:
        for one in self._pending:
            one.cancel()

    def _collect(self) -> None:
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()


def _batches(found: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """The files in batches that one request can name: requests have a limit in bytes too."""
    batch: list[LocalFile] = []
    letters = 0
    for one in found:
        if len(batch) == MOST_FILES or letters > MOST_NAMED_LETTERS:
            yield batch
            batch, letters = [], 0
        batch.append(one)
        letters += len(one.path)
    if batch:
        yield batch


def _archives(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    batch: list[LocalFile] = []
    size = 0
    for one in files:
        if batch and size + one.size > MOST_ARCHIVE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size
    if batch:
        yield batch


def _pack(archive: IO[bytes], files: Sequence[LocalFile]) -> None:
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in files:
            entry = tarfile.TarInfo(one.path)
            with _readable(one.file) as opened:
                entry.size = os.fstat(opened.fileno()).st_size
                if entry.size >= MOST_ARCHIVE_BYTES:
                    raise _changing(one)
                try:
                    tar.addfile(entry, opened)
                except OSError as error:
                    raise _unreadable(one.file, error) from error


def _readable(file: Path) -> BufferedReader:
    try:
        # Without O_NONBLOCK a pipe of that name would wait for a writer.
        return os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> GrangeError:
    if isinstance(error, FileNotFoundError):
        return InputMissing(f"The input {str(file)!r} is not there: was it moved or deleted?")
    return InputUnreadable(f"The input {str(file)!r} can't be read: {error.strerror or error}.")


def _changing(file: LocalFile) -> InputChanged:
    return InputChanged(
        f"The input {str(file.file)!r} changes while it is sent.",
        hint="Run again when nobody writes to it.",
    )
