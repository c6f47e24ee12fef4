"""A store in a bucket of an S3 server, or in a folder of one.

What S3 has no words for can't be promised as a local store does:

- There are no folders to rename. `publish` writes a marker below `.grange/published/` that
  says nothing yet, then the new objects one by one, deletes those that are left over, and at
  last writes into the marker what is there. `published` believes the marker, so a folder that
  was cut off half-way is never taken for a whole one, and publishing it again is safe. A
  reader may meet old and new files side by side meanwhile; each of them is whole.
  `delete_tree` deletes one by one, too.
- There are no locks, and none are made of conditional writes. On one machine, publishers of
  one path wait for each other; of several machines' the ledger lets only one publish a run.
- A file and a folder may have the same name. This store makes no such pair.

Outputs are built in a folder of this machine. Objects above 16 MiB travel in parts; an upload
that fails is called off, one whose program was killed is called off by `clean` a day later.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path

from grange.errors import (
    ExtraMissing,
    SettingInvalid,
    StoreDenied,
    StoreError,
    StoreMissing,
    StorePathRefused,
)
from grange.storage.base import Store, Stored
from grange.storage.oserrors import told
from grange.storage.paths import check_path
from grange.storage.s3bucket import AT_ONCE, OWN, Bucket
from grange.storage.s3client import s3_access
from grange.storage.s3objects import check_extra
from grange.storage.s3parts import PART_BYTES
from grange.storage.s3requests import SHORT_SECONDS, TIMEOUT_SECONDS
from grange.storage.s3staging import Staging, locked, private_folder
from grange.storage.s3urls import S3Place, key_of, parse_s3

# How long a server that is away is waited for before it is said.
PATIENCE_SECONDS = 60.0
_KEY_BYTES = 1024
_KNOWN_FOLDERS = 10_000
_PUBLISHED = f"{OWN}published/"
_CHECK = f"{OWN}check"
_IN_THE_WAY = "Something else has this name, or that of a folder above it: move it away."


def open_s3(url: str, work: Path | None, *, patient: bool = True) -> S3Store:
    """The store in the bucket of an `s3://` URL, whose server is waited for when `patient`.

    Raises:
        StoreError: It is no such URL.
    """
    try:
        place = parse_s3(url)
    except SettingInvalid as error:
        raise StoreError(error.message, hint=error.hint) from None
    if place.prefix:
        check_path(place.prefix.rstrip("/"))
    return S3Store(place, work, patient=patient)


class S3Store(Store):
    """Objects below one prefix of a bucket, which has to be there; staging is local.

    Control characters in names are written as `%` and two digits, since no client takes them.
    """

    publishers = AT_ONCE

    def __init__(self, place: S3Place, work: Path | None = None, *, patient: bool = True) -> None:
        """Name the place; nothing is asked, and nothing is made."""
        self._place = place
        self._work = work
        self._is_patient = patient
        # What was no file when it was looked at, so that not each publication looks again.
        self._folders: set[str] = set()

    @property
    def url(self) -> str:
        """The place as an `s3://` URL."""
        return self._place.url

    def write(self, path: str, chunks: Iterable[bytes]) -> Stored:
        """Take all chunks first, then write the object: it is replaced as a whole."""
        key = self._key(path)
        digest, size = sha256(), 0
        with tempfile.SpooledTemporaryFile(PART_BYTES, dir=str(self._spool)) as file:
            # What the chunks raise is their caller's: only the store's own errors are told.
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                with told("write", path, root=self._spool):
                    file.write(chunk)
            with told("write", path, root=self._spool):
                file.seek(0)
            self._refuse_folder(path)
            self._refuse_files_above(path)
            self._bucket.put_file(key, file, size)
        found = self._bucket.objects.head(key)
        mtime_ns = found.stamp_ns if found is not None and found.size == size else None
        return Stored(path=path, size=size, sha256=digest.hexdigest(), mtime_ns=mtime_ns)

    def read(self, path: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream the object that is there when the first chunk is asked for."""
        key = self._key(path)
        missing = StoreMissing(f"{path!r} in {self.url!r} is no file.")
        if start or length is not None:
            found = self._bucket.objects.head(key)
            if found is None:
                raise missing
            end = found.size if length is None else min(found.size, start + length)
            yield from self._bucket.objects.read(found, start, end)
            return
        try:
            yield from self._bucket.objects.open(key)[1]
        except StoreMissing:
            raise missing from None

    def stat(self, path: str) -> Stored | None:
        """Look at the object."""
        found = self._bucket.objects.head(self._key(path))
        return Stored(path, found.size, mtime_ns=found.stamp_ns) if found else None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Ask for pages of a thousand objects; no more than one is held."""
        if prefix:
            self._key(prefix)
        for path, found in self._bucket.files(prefix):
            yield Stored(path, found.size, mtime_ns=found.stamp_ns)

    def delete(self, path: str) -> None:
        """Delete the object."""
        key = self._key(path)
        if self._bucket.objects.head(key) is None:
            self._refuse_folder(path)
            return
        self._bucket.objects.delete([key])

    def delete_tree(self, prefix: str) -> None:
        """Delete the objects below, a thousand at a time: readers see it happen."""
        self._refuse_file(prefix)
        self._bucket.empty(f"{self._key(prefix)}/")
        self._bucket.empty(f"{self._marker(prefix).rpartition('/')[0]}/")

    def staging(self, token: str) -> Path:
        """Make a folder on this machine."""
        return self._staging.folder(token)

    def fresh(self, token: str) -> Path:
        """Empty it here; what was handed in is replaced when it is handed in again."""
        self._staging.drop(token)
        return self._staging.folder(token)

    def staged(self) -> Iterator[str]:
        """Read the names on this machine, and in the bucket."""
        return self._staging.tokens()

    def hand_in(self, token: str, sealed: Sequence[Stored]) -> None:
        """Upload it below `.grange/staging/` of the bucket, checked by its digests."""
        self._staging.hand_in(token, sealed)

    def staged_here(self, token: str) -> Path:
        """Fetch it, if it was handed in on another machine."""
        return self._staging.bring(token)

    def publish(self, token: str, path: str, *, expect: Sequence[Stored]) -> None:
        """Write, or copy, the objects; delete what is left over; mark it as whole."""
        for one in expect:
            check_path(one.path)  # Another machine may have named them.
        base = f"{self._key(path)}/"
        self._staging.check(token)
        with locked(self._home, path):
            self._refuse_file(path)
            self._refuse_files_above(path)
            if not expect:
                self.delete_tree(path)
            elif source := self._staging.find(token, expect):
                self._bucket.begin(self._marker(path))
                source.write(base)
                self._bucket.settle(base, self._marker(path), expect)
                source.drop()
                return
            elif not self.published(path, expect):
                raise StoreMissing(f"Nothing is staged as {token!r} for {path!r}.")
            self._staging.discard(token)

    def discard(self, token: str) -> None:
        """Delete it on this machine and in the bucket."""
        self._staging.discard(token)

    def check(self, token: str) -> None:
        """Look into the bucket, write an object below `.grange/`, and delete it."""
        super().check(token)
        key = f"{self._place.prefix}{_CHECK}"
        self._bucket.objects.put(key, b"")
        self._bucket.objects.delete([key])

    def clean(self) -> None:
        """Tidy up on this machine, and call off uploads of long ago."""
        self._staging.clean()
        self._bucket.call_off_abandoned()

    def free_bytes(self) -> None:
        """Nobody knows."""

    def has_published(self, path: str) -> bool:
        """Whether it has a marker, which is written first and last."""
        return self._bucket.objects.head(self._marker(path)) is not None

    def published(self, path: str, expect: Sequence[Stored]) -> bool:
        """Whether the folder holds exactly these files, as its marker has them."""
        return self._bucket.is_settled(f"{self._key(path)}/", self._marker(path), expect)

    def _key(self, path: str) -> str:
        """The key of a path; refused when it is the store's own, or too long."""
        key = self._place.prefix + key_of(check_path(path))
        if path.split("/", 1)[0] == OWN.rstrip("/"):
            raise StorePathRefused(f"The path {path!r} is the store's own.")
        if len(key.encode()) > _KEY_BYTES:
            raise StorePathRefused(f"The path {path!r} is longer than a key in a bucket can be.")
        return key

    def _marker(self, path: str) -> str:
        """Where it is written down what was published as this folder."""
        return f"{self._place.prefix}{_PUBLISHED}{key_of(path)}/.json"

    def _refuse_file(self, path: str) -> None:
        if self._bucket.objects.head(self._key(path)) is not None:
            raise StorePathRefused(f"{path!r} in {self.url!r} is a file.", hint=_IN_THE_WAY)

    def _refuse_files_above(self, path: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            above = "/".join(parts[:count])
            if above not in self._folders:
                self._refuse_file(above)
                if len(self._folders) < _KNOWN_FOLDERS:
                    self._folders.add(above)

    def _refuse_folder(self, path: str) -> None:
        if self._bucket.holds(f"{self._key(path)}/"):
            raise StorePathRefused(f"{path!r} in {self.url!r} is a folder.", hint=_IN_THE_WAY)

    @cached_property
    def _bucket(self) -> Bucket:
        try:
            check_extra()
            access = s3_access(
                self._place.bucket,
                patience_seconds=PATIENCE_SECONDS if self._is_patient else 0.0,
                timeout_seconds=TIMEOUT_SECONDS if self._is_patient else SHORT_SECONDS,
            )
        except SettingInvalid as error:
            raise StoreDenied(error.message, hint=error.hint) from None
        except ExtraMissing as error:
            raise StoreError(error.message, hint=error.hint) from None
        return Bucket(access, self._place.prefix)

    @cached_property
    def _staging(self) -> Staging:
        return Staging(self._home, self._bucket)

    @cached_property
    def _home(self) -> Path:
        """This store's own folder on this machine."""
        name = blake2b(self.url.encode(), digest_size=16).hexdigest()
        return (self._work or private_folder()) / "stores" / name

    @cached_property
    def _spool(self) -> Path:
        with suppress(OSError):
            self._home.mkdir(parents=True, exist_ok=True)
        return self._home
