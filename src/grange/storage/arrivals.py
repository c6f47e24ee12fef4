"""Files that come into a staging folder from another machine: whole, or piece by piece.

What has come of a file lies in a folder beside the staging folder until all of
it is there and is what was sent. So whoever publishes the staging folder never
meets a part of a file, and a piece that was cut off can be sent again.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from grange.errors import ChecksumWrong, StoreFull, StoreMissing, TooLarge, UploadConflict
from grange.storage.base import Stored
from grange.storage.oserrors import told
from grange.storage.paths import check_path

if TYPE_CHECKING:
    from hashlib import _Hash

# Files whose digests are remembered; of others they are taken once more.
MOST_KNOWN = 100_000
# Files of several pieces whose digests go on from piece to piece.
MOST_BEGUN = 1000
MAX_DEPTH = 64
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Begun:
    """How far the digest of a file has come."""

    size: int
    digest: _Hash


class Arrivals:
    """What is coming in, and what has come. Safe to use from several threads at once."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._known: OrderedDict[str, dict[str, Stored]] = OrderedDict()
        self._number_known = 0

    def begin(
        self, folder: Path, aside: Path, path: str, *, offset: int = 0, size: int | None = None
    ) -> Arrival:
        """A place for the file `path` of `folder`, or for the piece of it from `offset` on.

        Args:
            folder: Where the file goes once it is whole.
            aside: A folder of the same file system, where it lies until then.
            path: Its path in the folder.
            offset: Where the piece begins. What is there behind it is written anew.
            size: How large the whole is; the piece ends it where this is not known.

        Raises:
            StorePathRefused: The path is none, or too deep.
            UploadConflict: The pieces before are not there, or the file is just coming in.
        """
        if check_path(path).count("/") >= MAX_DEPTH:
            raise TooLarge(f"The output {path[:200]!r} is more than {MAX_DEPTH} folders deep.")
        with told("take in", path, root=folder):
            return Arrival(self, folder, aside, path, offset=offset, size=size)

    def known(self, folder: Path) -> Mapping[str, Stored]:
        """What has come into a folder, by its path there; what came long ago may be forgotten."""
        with self._lock:
            return dict(self._known.get(str(folder), {}))

    def forget(self, folder: Path) -> None:
        """Nobody will ask for this folder any more."""
        with self._lock:
            self._number_known -= len(self._known.pop(str(folder), {}))

    def _keep(self, folder: Path, stored: Stored) -> None:
        with self._lock:
            kept = self._known.setdefault(str(folder), {})
            self._number_known += stored.path not in kept
            kept[stored.path] = stored
            while self._number_known > MOST_KNOWN and len(self._known) > 1:
                self._number_known -= len(self._known.popitem(last=False)[1])

    def _keep_begun(self, place: str, begun: _Begun) -> None:
        with self._lock:
            self._begun[place] = begun
            while len(self._begun) > MOST_BEGUN:
                self._begun.popitem(last=False)

    def _begun_at(self, place: str) -> _Begun | None:
        with self._lock:
            return self._begun.get(place)


class Arrival:
    """One file, or a piece of one, while it comes in. To be closed at the end."""

    def __init__(
        self,
        arrivals: Arrivals,
        folder: Path,
        aside: Path,
        path: str,
        *,
        offset: int,
        size: int | None,
    ) -> None:
        """Use `Arrivals.begin`."""
        self._arrivals = arrivals
        self._folder = folder
        self._path = path
        self._size = size
        self._place = os.fspath(aside / sha256(path.encode()).hexdigest())
        self._at = offset
        self._descriptor, there = _open_alone(self._place, path)
        try:
            # The answer to the last piece may have been lost: it is sent once more.
            self._is_done = bool(offset) and not there and self._target_size() == size
            if not self._is_done:
                self._digest = self._digest_to(offset, there)
                os.ftruncate(self._descriptor, offset)
        except BaseException:
            self.close()
            raise

    @property
    def reached(self) -> int:
        """How much of the file is there."""
        return self._at

    def write(self, chunks: Sequence[bytes]) -> None:
        """Add some bytes.

        Raises:
            TooLarge: They are more than was announced.
            StoreFull, StoreError: They can't be kept.
        """
        for chunk in chunks:
            if self._size is not None and self._at + len(chunk) > self._size:
                raise TooLarge(f"The output {self._path[:200]!r} is longer than it was said to be.")
            if not self._is_done:
                self._add(chunk)
                self._digest.update(chunk)
            self._at += len(chunk)

    def end(self, digest: str | None = None) -> Stored | None:
        """Put the file into its place, if it is whole; None when pieces are missing.

        Args:
            digest: What the file's sha256 has to be.

        Raises:
            ChecksumWrong: It is another one. Nothing is left of what came.
            StorePathRefused: Another file is in its way.
            StoreMissing: The staging folder is gone.
        """
        if self._size is not None and self._at < self._size:
            if not self._is_done:
                begun = _Begun(self._at, self._digest)
                self._arrivals._keep_begun(self._place, begun)  # noqa: SLF001  # its other half
            return None
        with told("take in", self._path, root=self._folder):
            stored = self._there() if self._is_done else self._put(digest)
        if digest is not None and stored.sha256 != digest:
            raise ChecksumWrong(
                f"What arrived as {self._path[:200]!r} is not what was sent.", hint="Send it again."
            )
        self._arrivals._keep(self._folder, stored)  # noqa: SLF001  # its other half
        return stored

    def close(self) -> None:
        """Let go of it; what came of a piece may be sent again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _digest_to(self, offset: int, there: int) -> _Hash:
        """The digest of what is there up to `offset`, remembered or taken anew."""
        begun = self._arrivals._begun_at(self._place)  # noqa: SLF001  # its other half
        if offset > there:
            raise UploadConflict(
                f"The piece of {self._path[:200]!r} begins at {offset}, and only {there} bytes "
                "are there.",
                hint="Begin the file again.",
            )
        if begun is not None and begun.size == offset:
            # A copy: when this piece is cut off, it is sent again from the same place.
            return begun.digest.copy()
        return _digest(self._descriptor, offset)

    def _add(self, chunk: bytes) -> None:
        try:
            with told("take in", self._path, root=self._folder):
                _write_all(self._descriptor, chunk, self._at)
        except StoreFull:
            # Nobody can go on with it before there is room, which this would take.
            os.ftruncate(self._descriptor, 0)
            raise

    def _target_size(self) -> int | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.lstat(self._folder / self._path).st_size
        return None

    def _there(self) -> Stored:
        """The file that was put into its place before."""
        known = self._arrivals.known(self._folder).get(self._path)
        descriptor = os.open(self._folder / self._path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if known is not None and known.mtime_ns == status.st_mtime_ns:
                return known
            found = _digest(descriptor, status.st_size).hexdigest()
        finally:
            os.close(descriptor)
        return Stored(self._path, status.st_size, found, status.st_mtime_ns)

    def _put(self, digest: str | None) -> Stored:
        found = self._digest.hexdigest()
        stored = Stored(self._path, self._at, found, os.fstat(self._descriptor).st_mtime_ns)
        if digest not in {None, found}:
            os.unlink(self._place)
            return stored
        if not self._folder.is_dir():
            # Whoever drives the run has thrown it away, since the attempt is over.
            raise StoreMissing(f"Nothing is staged in {self._folder.name!r} any more.")
        if self._target_size() == self._at and (there := self._there()).sha256 == found:
            # Sent once more: what may have been told of it already stays true.
            os.unlink(self._place)
            return there
        target = self._folder / self._path
        if "/" in self._path:
            target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(self._place, target)
        return stored


def _open_alone(place: str, path: str) -> tuple[int, int]:
    """The file at the place, which nobody else writes to, and its size."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise UploadConflict(
                f"The output {path[:200]!r} is just coming in.", hint="Try again in a moment."
            ) from None
        except OSError:
            pass  # Not every file system has locks.
        status = os.fstat(descriptor)
        if status.st_nlink:
            return descriptor, status.st_size
        os.close(descriptor)  # Put into its place before it was locked.


def _write_all(descriptor: int, chunk: bytes, at: int) -> None:
    rest = memoryview(chunk)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest, at = rest[written:], at + written


def _digest(descriptor: int, size: int) -> _Hash:
    digest, at = sha256(), 0
    while at < size and (chunk := os.pread(descriptor, min(_CHUNK_BYTES, size - at), at)):
        digest.update(chunk)
        at += len(chunk)
    return digest
