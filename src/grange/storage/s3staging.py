"""Where outputs of a store in a bucket are built: on this machine, and handed in for others."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from grange.errors import StoreDenied
from grange.storage.base import Stored
from grange.storage.folders import make_folders, remove_tree
from grange.storage.oserrors import told
from grange.storage.s3bucket import OWN, Bucket, each
from grange.storage.s3urls import S3Object, key_of, path_of
from grange.storage.workspace import Workspace

_AREA = f"{OWN}staging/"
# So many files stand for the locks of all paths.
_LOCKS = 64


def private_folder() -> Path:
    """A folder of this user's alone, below the system's temporary one.

    Raises:
        StoreDenied: Somebody else was there first.
    """
    folder = Path(tempfile.gettempdir()) / f"grange-{os.getuid()}"
    with told("make", folder.name, root=folder.parent):
        with suppress(FileExistsError):
            folder.mkdir(mode=stat.S_IRWXU)
        status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        message = f"The folder {str(folder)!r} is not this user's alone."
        raise StoreDenied(message, hint="Move it away, or set TMPDIR.")
    return folder


@contextmanager
def locked(home: Path, name: str) -> Iterator[None]:
    """Let nobody else on this machine do something to this name meanwhile."""
    number = blake2b(name.encode(), digest_size=4).digest()[0] % _LOCKS
    folder = home / "locks"
    with told("lock", name, root=home):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with told("lock", name, root=home):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Source:
    """What was staged: it is written below a key's beginning, and dropped after that."""

    write: Callable[[str], None]
    drop: Callable[[], None]


class Staging:
    """Staging folders below `home` on this machine, and those that were handed in."""

    def __init__(self, home: Path, bucket: Bucket) -> None:
        """Nothing is made, and nothing is asked."""
        self._home = home
        self._workspace = Workspace(os.fsencode(os.path.realpath(home)))
        self._bucket = bucket

    def check(self, token: str) -> None:
        """Refuse what is no token."""
        self._workspace.staging(token)

    def folder(self, token: str) -> Path:
        """The folder on this machine, made if it is not there."""
        with told("stage outputs", "", root=self._home), suppress(FileExistsError):
            place = self._workspace.staging(token)
            try:
                os.mkdir(place, stat.S_IRWXU)
            except FileNotFoundError:
                make_folders(os.path.dirname(place))
                os.mkdir(place, stat.S_IRWXU)
        return Path(os.fsdecode(place))

    def tokens(self) -> Iterator[str]:
        """Every token that has a folder here, or in the bucket."""
        with told("list what is staged", "", root=self._home):
            here = self._workspace.staged()
        yield from here
        seen, area = set(here), self._bucket.root + _AREA
        for found in self._bucket.below(area):
            token = found.key[len(area) :].partition("/")[0]
            if token not in seen:
                seen.add(token)
                yield token

    def hand_in(self, token: str, sealed: Sequence[Stored]) -> None:
        """Upload the folder, then drop it here. Cut off, it can be done again."""
        if self._is_here(token):
            self._upload(token, self._area(token), sealed)
            self.drop(token)

    def bring(self, token: str) -> Path:
        """The folder, with what was handed in elsewhere."""
        if self._is_here(token):
            return self.folder(token)
        with locked(self._home, token):
            found = [] if self._is_here(token) else list(self._handed_in(token))
            if found:
                self._download(token, found)
        return self.folder(token)

    def find(self, token: str, expect: Sequence[Stored]) -> Source | None:
        """What was staged, here or elsewhere; None when that is not all that is expected."""
        if self._is_here(token):
            return Source(
                lambda base: self._upload(token, base, expect), lambda: self.discard(token)
            )
        there = dict(self._handed_in(token))
        # More may be there: of an upload of other files that was cut off.
        if any(one.path not in there or there[one.path].size != one.size for one in expect):
            return None

        def copy(base: str) -> None:
            each(
                lambda one: self._bucket.copy(
                    there[one.path].key, base + key_of(one.path), one.size
                ),
                expect,
            )

        return Source(
            copy, lambda: self._bucket.objects.delete([one.key for one in there.values()])
        )

    def discard(self, token: str) -> None:
        """Delete it here and there."""
        self.drop(token)
        self._bucket.empty(self._area(token))

    def drop(self, token: str) -> None:
        """Delete the folder, at once to whoever looks for it."""
        with told("discard outputs", "", root=self._home):
            self._workspace.drop(self._workspace.staging(token))

    def clean(self) -> None:
        """Remove what was left here by programs that were killed, and empty folders."""
        with told("clean up", "", root=self._home):
            self._workspace.clean()

    def _area(self, token: str) -> str:
        return f"{self._bucket.root}{_AREA}{token}/"

    def _is_here(self, token: str) -> bool:
        return os.path.isdir(self._workspace.staging(token))

    def _upload(self, token: str, base: str, files: Sequence[Stored]) -> None:
        folder = self.folder(token)

        def upload(one: Stored) -> None:
            with told("read", one.path, root=folder), (folder / one.path).open("rb") as file:
                self._bucket.put_file(base + key_of(one.path), file, one.size, one.sha256)

        each(upload, files)

    def _handed_in(self, token: str) -> Iterator[tuple[str, S3Object]]:
        area = self._area(token)
        for found in self._bucket.below(area):
            path = path_of(found.key[len(area) :])
            if path is not None:
                yield path, found

    def _download(self, token: str, files: Sequence[tuple[str, S3Object]]) -> None:
        fresh = Path(tempfile.mkdtemp(dir=self._home))

        def fetch(one: tuple[str, S3Object]) -> None:
            path, found = one
            target = fresh / path
            with told("fetch", path, root=fresh):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    for chunk in self._bucket.objects.read(found, 0, found.size):
                        file.write(chunk)

        try:
            each(fetch, files)
            with told("stage outputs", "", root=self._home):
                make_folders(os.path.dirname(self._workspace.staging(token)))
                fresh.rename(os.fsdecode(self._workspace.staging(token)))
        except BaseException:
            remove_tree(os.fsencode(fresh))
            raise
