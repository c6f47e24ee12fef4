"""Inputs that lie elsewhere are brought here first: a bounded cache, shared by processes.

<folder>/<digest>/lock      locked for reading by whoever works on it, for writing by whoever
fetches or removes it; its time says when it was used last
<folder>/<digest>/size      the room that is taken
<folder>/<digest>/held.json what was fetched: size, digest, and when the file was changed last
<folder>/<digest>/in/NAME   the file
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from grange.errors import InputChanged, InputMissing, InputUnreadable, StoreDenied, StoreMissing
from grange.storage import digest_file
from grange.storage.oserrors import told
from grange.storage.s3urls import uri_object

if TYPE_CHECKING:
    from grange.storage.s3client import S3Client

DEFAULT_BYTES = 20 << 30
# How long a server that is away is waited for before the attempt fails.
PATIENCE_SECONDS = 60.0
_REST_SECONDS = 0.2
_NAME_BYTES = 255


def fetcher_in(work: str, limit_bytes: int = 0) -> Fetcher:
    """What keeps inputs below this folder; without one, below the temporary one of the system."""
    folder = Path(work) if work else Path(tempfile.gettempdir(), f"grange-{os.getuid()}")
    return Fetcher(folder / "inputs", limit_bytes or DEFAULT_BYTES)


@dataclass(frozen=True, slots=True)
class Held:
    """A file that stays here as long as it is held. `sha256` is known when it was fetched whole.

    `is_fresh` says that it was brought just now.
    """

    path: Path
    sha256: str | None
    is_fresh: bool = False


Fetched = Held

# Fills a file, and says its digest if it passed by.
Writer = Callable[[Path], str | None]


class Fetcher:
    """Keeps at most `limit_bytes` below a folder, the longest unused goes first.

    Whoever needs room that others hold waits for them; one file that is larger than
    all the room is fetched when it is the only one. Safe in any number of processes.
    """

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_BYTES) -> None:
        """Nothing is made before something is fetched."""
        self._folder = folder
        self._limit_bytes = limit_bytes

    def held_bytes(self) -> int:
        """How much room the files take that are here."""
        try:
            return sum(size for _, size, _ in _others(self._folder, self._folder))
        except FileNotFoundError:
            return 0

    @contextmanager
    def fetch(self, uri: str, size: int, mtime_ns: int) -> Iterator[Held]:
        """Hold an object of a bucket, exactly as it was when the run was submitted.

        Raises:
            InputMissing, InputChanged, InputUnreadable: As they say.
            StoreFull: There is no room on this machine.
            StoreError: The server can't be reached.
        """
        bucket, key = uri_object(uri)
        name = key.rpartition("/")[2]

        def write(target: Path) -> str:
            return _fetch(bucket, key, (size, mtime_ns), target)

        with self.bring(uri, name, size, mtime_ns, write) as held:
            yield held

    @contextmanager
    def bring(  # what says which bytes these are, and how they come
        self, key: str, name: str, size: int, mtime_ns: int, write: Writer
    ) -> Iterator[Held]:
        """Hold the file of this key, size and time; `write` brings it when it isn't here.

        What `write` raises passes, and nothing is kept then.
        """
        text = f"{key}\0{name}\0{size}\0{mtime_ns}".encode(errors="surrogateescape")
        place = self._folder / hashlib.blake2b(text, digest_size=16).hexdigest()
        entry = _Entry(place, name, size, mtime_ns)
        is_fresh = False

        def noted(target: Path) -> str | None:
            nonlocal is_fresh
            is_fresh = True
            return write(target)

        lock = self._pinned(entry, noted)
        try:
            yield Held(entry.file, entry.digest(), is_fresh)
        finally:
            os.close(lock)

    def _pinned(self, entry: _Entry, write: Writer) -> int:
        """Open its lock, locked for reading, when the file is here."""
        while True:
            with told("hold", entry.file.name, root=self._folder):
                lock = entry.open_lock()
            try:
                if _take(lock, fcntl.LOCK_SH) and entry.is_whole():
                    os.utime(lock)
                    return lock
                # Others that wait for the same file find it when their turn comes.
                if _take(lock, fcntl.LOCK_EX) and not entry.is_whole():
                    self._bring(entry, write)
            except BaseException:
                os.close(lock)
                raise
            # Between two kinds of a lock there is a gap: look again.
            os.close(lock)

    def _bring(self, entry: _Entry, write: Writer) -> None:
        try:
            with told("make room for", entry.file.name, root=self._folder):
                while not self._take_room(entry):
                    time.sleep(_REST_SECONDS)
                entry.file.parent.mkdir(exist_ok=True)
            digest = write(entry.file)
            with told("keep", entry.file.name, root=self._folder):
                entry.seal(digest)
        except BaseException:
            entry.remove()
            raise

    def _take_room(self, entry: _Entry) -> bool:
        """Note the room that the file takes, once there is so much."""
        descriptor = os.open(self._folder / "room", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            others = sorted(_others(self._folder, entry.place))
            used = sum(size for _, size, _ in others)
            for _, size, place in others:
                if used + entry.size <= self._limit_bytes:
                    break
                if _remove_unused(place):
                    used -= size
            if used and used + entry.size > self._limit_bytes:
                return False
            (entry.place / "size").write_text(str(entry.size))
            return True
        finally:
            os.close(descriptor)


class _Entry:
    """One file of the cache, and what is noted of it."""

    def __init__(self, place: Path, name: str, size: int, mtime_ns: int) -> None:
        self.place = place
        self.size = size
        self.file = place / "in" / name
        self._mtime_ns = mtime_ns
        self._record = place / "held.json"

    def open_lock(self) -> int:
        while True:
            self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileNotFoundError):
                return os.open(self.place / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def digest(self) -> str | None:
        digest = self._read().get("sha256")
        return digest if isinstance(digest, str) else None

    def is_whole(self) -> bool:
        """Whether the file is what was fetched: by its times, or else by its digest."""
        noted = self._read()
        try:
            status = os.lstat(self.file)
        except OSError:
            return False
        if not noted or status.st_size != self.size or status.st_mtime_ns != self._mtime_ns:
            return False
        if noted.get("ctime_ns") == status.st_ctime_ns:
            return True
        return noted.get("sha256") == digest_file(self.file)[0]

    def seal(self, digest: str | None) -> None:
        """Note what has come. What has another size is none."""
        os.utime(self.file, ns=(self._mtime_ns, self._mtime_ns))
        status = os.lstat(self.file)
        if status.st_size != self.size:
            message = f"{self.file.name!r} came with {status.st_size} bytes, not {self.size}."
            raise InputChanged(message)
        noted = {
            "sha256": digest or digest_file(self.file)[0],
            "ctime_ns": status.st_ctime_ns,
        }
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(noted))
        fresh.replace(self._record)

    def remove(self) -> None:
        """Remove all that is here; its lock has to be held for writing."""
        shutil.rmtree(self.place, ignore_errors=True)

    def _read(self) -> dict[str, object]:
        try:
            noted = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}


def _take(lock: int, kind: int) -> bool:
    """Wait for the lock; False when its file was removed meanwhile."""
    fcntl.flock(lock, kind)
    return os.fstat(lock).st_nlink > 0


def _others(folder: Path, mine: Path) -> Iterator[tuple[int, int, Path]]:
    """When each other entry was used last, the room that it takes, and where it is."""
    for place in folder.iterdir():
        with suppress(OSError, ValueError):
            if place != mine:
                size = int((place / "size").read_text())
                yield (place / "lock").stat().st_mtime_ns, size, place


def _remove_unused(place: Path) -> bool:
    """Remove an entry that nobody holds."""
    try:
        lock = os.open(place / "lock", os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:
            shutil.rmtree(place, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return not place.exists()


def _fetch(bucket: str, key: str, wanted: tuple[int, int], target: Path) -> str:
    """Stream the object into a file, if it still is the one that was wanted."""
    shown = f"s3://{bucket}/{key}"
    digest = hashlib.sha256()
    try:
        found, chunks = _client(bucket).open(key)
        if not found.is_as_stamped(*wanted):
            message = f"The input {shown!r} has changed since the run was submitted."
            hint = "Give the same command once more when this run has ended: it takes the new one."
            raise InputChanged(message, hint=hint)
        with told("fetch", key, root=target.parent), target.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
    except StoreMissing:
        raise InputMissing(f"The input {shown!r} is not there any more.") from None
    except StoreDenied as error:
        raise InputUnreadable(f"The input {shown!r}: {error.message}", hint=error.hint) from None
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _client(bucket: str) -> S3Client:
    # Most workers never need what this imports.
    from grange.storage.s3client import S3Client

    return S3Client(bucket, patience_seconds=PATIENCE_SECONDS)
