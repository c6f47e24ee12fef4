"""A folder of a bucket as an inbox: objects are fetched, worked on, and removed again here.

An object is whole once it is listed, so nothing has to settle. Its key below the folder
is its item's path; what could lead out of a folder is never fetched.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from grange.errors import StoreMissing, StorePathRefused
from grange.runs.growing import Arrival
from grange.runs.inbox import is_partial
from grange.runs.models import NewItem
from grange.storage import check_path, digest_file, file_uri
from grange.storage.oserrors import told
from grange.storage.s3client import S3Client, S3Object, S3Place

# Fetched ahead of what works on them: enough to keep workers fed, bounded for the disk's sake.
_MOST_HELD = 64
_MOST_HELD_BYTES = 16 << 30


@dataclass(slots=True)
class _Remote(NewItem):
    """An object, as an item that lies where it will be fetched to."""

    found: S3Object


class BucketInbox:
    """What lies in a bucket below a prefix."""

    settle_seconds = 0.0
    fetchers = 4

    def __init__(
        self,
        client: S3Client,
        place: S3Place,
        folder: Path,
        wanted: Callable[[str], bool],
    ) -> None:
        """Fetch into `folder`, which is this inbox's alone, what `wanted` says of paths."""
        self._client = client
        self._place = place
        self._folder = folder
        self._wanted = wanted
        self._room = threading.Condition()
        self._held: dict[str, int] = {}
        self._refused: list[str] = []

    def look(self) -> Iterator[NewItem]:
        """Every object whose key can be a path, and is of a wanted kind."""
        self._refused = []
        for found in self._client.list(self._place.prefix):
            path = found.key[len(self._place.prefix) :]
            if not path or path.endswith("/"):
                continue  # What stands for a folder.
            try:
                check_path(path)
            except StorePathRefused as error:
                self._refused.append(f"An object was passed over. {error.message}")
                continue
            names = path.split("/")
            hidden = any(name.startswith(".") for name in names)
            if not hidden and not is_partial(names[-1]) and self._wanted(path):
                yield self._item(path, found)

    def notes(self) -> list[str]:
        """Keys that no file can have."""
        return self._refused

    def settled(self, item: NewItem) -> NewItem | None:
        """It is as it was listed, or fetching it will say so."""
        return item

    def fetch(self, item: NewItem, *, again: bool) -> Arrival | None:
        """Bring the object here; wait with that while enough is here already."""
        if not isinstance(item, _Remote):
            raise TypeError(item)
        self._take_room(item)
        target = self._target(item.path)
        try:
            with told("make room for", item.path, root=self._folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._client.fetch(item.found, target)
                os.utime(target, ns=(item.mtime_ns, item.mtime_ns))
        except StoreMissing:
            self.release(item.path)
            return None
        except BaseException:
            self.release(item.path)
            raise
        plain = NewItem(item.path, item.uri, item.size, item.mtime_ns)
        return Arrival(plain, digest_file(target)[0] if again else None)

    def release(self, path: str) -> None:
        """Remove what was fetched, and make room for more."""
        shutil.rmtree(self._target(path).parent, ignore_errors=True)
        with self._room:
            self._held.pop(path, None)
            self._room.notify_all()

    def tidy(self, unfinished: Iterable[str]) -> None:
        """Remove what an earlier watch has left here, but for the items that have no end yet."""
        kept = {self._target(path).parent.name for path in unfinished}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _take_room(self, item: NewItem) -> None:
        with self._room:
            while self._held and (
                len(self._held) >= _MOST_HELD
                or sum(self._held.values()) + item.size > _MOST_HELD_BYTES
            ):
                self._room.wait()
            self._held[item.path] = item.size

    def _item(self, path: str, found: S3Object) -> _Remote:
        return _Remote(path, file_uri(self._target(path)), found.size, found.stamp_ns, found)

    def _target(self, path: str) -> Path:
        """Where the object is fetched to: a folder for each, and in it the object's own name."""
        folder = blake2b(path.encode(), digest_size=16).hexdigest()
        return self._folder / folder / path.rpartition("/")[2]
