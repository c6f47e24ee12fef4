"""A folder of a bucket as a store sees it: its files, and which folders in it are whole."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from typing import IO, Final, TypeVar

from grange.errors import StoreCorrupt, StoreError, StoreMissing, StorePathRefused
from grange.storage.base import Stored
from grange.storage.paths import check_path
from grange.storage.s3listing import list_objects
from grange.storage.s3objects import MOST_COPIED_BYTES, Objects
from grange.storage.s3parts import (
    PART_BYTES,
    abandoned,
    call_off,
    copy_parts,
    part_bytes,
    write_parts,
)
from grange.storage.s3requests import S3Access
from grange.storage.s3urls import S3Object, key_of, path_of

# What a store keeps for itself, below its prefix.
OWN: Final = ".grange/"
# No key that begins so sorts behind it.
_BEHIND_OWN = f"{OWN}\U0010ffff"
# How many requests of one operation are under way at the same time.
AT_ONCE: Final = 8
# What servers delete in one request.
_BATCH = 1000
_MOST_MARKER_BYTES = 64 << 20
_FORMAT = 1

T = TypeVar("T")


def each(do: Callable[[T], object], of: Iterable[T]) -> None:
    """Do it to each, some at a time; the first error ends it."""
    rest = iter(of)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="s3") as pool:
        # In batches, so that of very many not each is a waiting task.
        while batch := list(islice(rest, 100)):
            for done in [pool.submit(do, one) for one in batch]:
                done.result()


class Bucket:
    """What lies below `root` in a bucket; `root` is empty or ends with a slash."""

    def __init__(self, access: S3Access, root: str) -> None:
        """Nothing is asked yet."""
        self._access = access
        self.root = root
        self.objects = Objects(access)

    def files(self, prefix: str = "") -> Iterator[tuple[str, S3Object]]:
        """Every object below the folder that a store path can name, with that path, by key."""
        base = f"{self.root}{key_of(prefix)}/" if prefix else self.root
        for found in self._others(base):
            path = path_of(found.key[len(self.root) :])
            try:
                if path is not None and path.split("/", 1)[0] != OWN.rstrip("/"):
                    yield check_path(path), found
            except StorePathRefused:
                continue

    def below(self, base: str) -> Iterator[S3Object]:
        """Every object whose key begins with `base`."""
        return list_objects(self._access, base)

    def holds(self, base: str) -> bool:
        """Whether any key begins with `base`."""
        return next(list_objects(self._access, base, most=1), None) is not None

    def empty(self, base: str, *, but: Callable[[S3Object], bool] | None = None) -> None:
        """Delete every object whose key begins with `base`, but those of which `but` says so."""
        doomed = (one.key for one in self.below(base) if but is None or not but(one))
        while batch := list(islice(doomed, _BATCH)):
            self.objects.delete(batch)

    def put_file(self, key: str, file: IO[bytes], size: int, digest: str | None = None) -> None:
        """Write what a file holds as one object, in parts if it is large.

        Raises:
            StoreCorrupt: It has another size, or digest, than was said.
        """
        if size <= PART_BYTES:
            content = b"".join(_checked(file, key, size, digest, PART_BYTES))
            self.objects.put(key, content)
            return
        try:
            write_parts(self._access, key, _checked(file, key, size, digest, part_bytes(size)))
        except StoreMissing:
            # The answer to an end that was done may be lost, and the number is gone then.
            found = self.objects.head(key)
            if found is None or found.size != size:
                raise

    def copy(self, source: str, target: str, size: int) -> None:
        """Copy an object within the bucket."""
        if size <= MOST_COPIED_BYTES:
            self.objects.copy(source, target)
        else:
            copy_parts(self._access, source, target, size)

    def begin(self, marker: str) -> None:
        """Write down that something is being published."""
        self.objects.put(marker, json.dumps({"format": _FORMAT, "files": {}}).encode())

    def settle(self, base: str, marker: str, expect: Sequence[Stored]) -> None:
        """Delete what is below `base` and not expected, then write down what is there."""
        wanted = {base + key_of(one.path): one for one in expect}
        files: dict[str, list[object]] = {}

        def stays(found: S3Object) -> bool:
            want = wanted.get(found.key)
            if want is not None and want.size == found.size:
                files[want.path] = [found.size, want.mtime_ns, found.etag]
            return want is not None

        self.empty(base, but=stays)
        if len(files) != len(wanted):
            raise StoreError(f"What was published as {base!r} is not there.", hint="Try again.")
        text = json.dumps({"format": _FORMAT, "files": files}).encode()
        self.put_file(marker, io.BytesIO(text), len(text))

    def is_settled(self, base: str, marker: str, expect: Sequence[Stored]) -> bool:
        """Whether exactly these files are below `base`, as `settle` wrote them down.

        Where it has written nothing, names and sizes decide.
        """
        wanted = {base + key_of(one.path): one for one in expect}
        there: dict[str, str] = {}
        for found in self.below(base):
            want = wanted.get(found.key)
            if want is None or want.size != found.size:
                return False
            there[want.path] = found.etag
        if len(there) != len(wanted):
            return False
        marks = self._marks(marker) if there else None
        return marks is None or all(
            _agrees(marks.get(one.path), one, there[one.path]) for one in expect
        )

    def call_off_abandoned(self) -> None:
        """Call off the uploads of programs that were killed a long time ago."""
        for one in abandoned(self._access, self.root):
            call_off(self._access, one.key, one.upload)

    def _others(self, base: str) -> Iterator[S3Object]:
        """The objects below, without asking for the store's own."""
        if base != self.root:
            yield from self.below(base)
            return
        for found in self.below(base):
            if found.key.startswith(self.root + OWN):
                yield from list_objects(self._access, base, after=self.root + _BEHIND_OWN)
                return
            yield found

    def _marks(self, marker: str) -> dict[str, list[object]] | None:
        try:
            found, chunks = self.objects.open(marker)
        except StoreMissing:
            return None
        if found.size > _MOST_MARKER_BYTES:
            return {}
        try:
            files = json.loads(b"".join(chunks))["files"]
        except (ValueError, TypeError, KeyError):
            return {}
        return files if isinstance(files, dict) else {}


def _agrees(mark: object, want: Stored, etag: str) -> bool:
    match mark:
        case [int(size), mtime_ns, str(tag)]:
            times = (mtime_ns, want.mtime_ns)
            return size == want.size and tag == etag and (None in times or times[0] == times[1])
        case _:
            return False


def _checked(
    file: IO[bytes], key: str, size: int, digest: str | None, piece_bytes: int
) -> Iterator[bytes]:
    """The file in pieces, the last of which comes only if all is as it was said."""
    seen, left = sha256(), size
    while True:
        piece = _filled(file, min(piece_bytes, left))
        left -= len(piece)
        if digest is not None:
            seen.update(piece)
        if not left or not piece:
            break
        yield piece
    if left or file.read(1) or digest not in {None, seen.hexdigest()}:
        name = key.rpartition("/")[2]
        raise StoreCorrupt(
            f"The output {name!r} has changed since it was finished.",
            hint="End everything that writes before the task ends.",
        )
    yield piece


def _filled(file: IO[bytes], size: int) -> bytes:
    piece = file.read(size)
    while len(piece) < size and (more := file.read(size - len(piece))):
        piece += more
    return piece
