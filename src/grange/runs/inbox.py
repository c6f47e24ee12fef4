"""Where files arrive: a folder that is looked through again and again, wherever it lies.

Nothing is asked of the file system but names, sizes and times, so that a network
share will do as well as a disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from grange.errors import GrangeError, InputsInvalid, InputUnreadable
from grange.runs.growing import Arrival
from grange.runs.inputs import Scan
from grange.runs.models import NewItem
from grange.storage import digest_file, display_path, uri_path

# What browsers, copiers and editors call a file until it is whole.
_PARTIAL = re.compile(
    r".*(?:\.(?:part|partial|tmp|temp|crdownload|download|filepart|opdownload|aria2|!ut|swp)|~)",
    re.IGNORECASE | re.DOTALL,
)
_PARTIAL_END = re.compile(
    r"\.(?:part|partial|tmp|temp|crdownload|download|filepart|opdownload|aria2|!ut)$", re.IGNORECASE
)


def is_partial(name: str) -> bool:
    """Whether this is what programs call a file until it is whole."""
    return _PARTIAL.fullmatch(name) is not None


class Inbox(Protocol):
    """A place that files arrive in. Its methods may wait, and are called from several threads."""

    @property
    def settle_seconds(self) -> float:
        """For how long a file has to stay as it is before it counts as whole."""

    @property
    def fetchers(self) -> int:
        """How many files are worth being made ready at once."""

    def look(self) -> Iterator[NewItem]:
        """Everything that is there and wanted, whole or not.

        Raises:
            GrangeError: The place can't be looked at now.
        """

    def notes(self) -> list[str]:
        """What a person should know of the last look: what was passed over, and why."""

    def settled(self, item: NewItem) -> NewItem | None:
        """The file as it is now, asked of the place itself; None when it is gone."""

    def fetch(self, item: NewItem, *, again: bool) -> Arrival | None:
        """Make a file ready to be worked on; None when it is another one by now.

        `again` says that there was one of its name and size before.

        Raises:
            GrangeError: It can't be had now.
        """

    def release(self, path: str) -> None:
        """Nobody works on this item any more."""


@dataclass(slots=True)
class _Tolerant(Scan):
    """A scan that passes over what is being written, and folders that it can't look into."""

    unread: dict[str, str] = field(default_factory=dict)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            entries = Scan._entries(self, folder)  # noqa: SLF001  # a subclass with slots has no super
        except InputsInvalid as error:
            if folder == self.roots[0].path:
                raise
            # Gone since it was listed, or not ours to read: the rest goes on.
            if os.path.exists(folder):
                self.unread[folder] = error.message
            return []
        names = {entry.name for entry in entries if is_partial(entry.name)}
        if not names:
            return entries
        whole = {_PARTIAL_END.sub("", name) for name in names}
        asked = "".join(self.include)
        # A browser keeps a file's final name with an empty file while it writes beside it.
        return [
            entry
            for entry in entries
            if (entry.name not in names or _ending(entry.name) in asked)
            and (entry.name in names or entry.name not in whole)
        ]


class FolderInbox:
    """A folder with all below it."""

    fetchers = 1

    def __init__(self, scan: Scan, *, settle_seconds: float) -> None:
        """Look where the scan looks, which has one folder as its root."""
        self.settle_seconds = settle_seconds
        self._root = scan.roots[0].path
        self._scan = _Tolerant(scan.roots, scan.include, scan.exclude, scan.accepts, scan.out)
        self._device = os.stat(self._root).st_dev

    def look(self) -> Iterator[NewItem]:
        """Every wanted file with its size and time."""
        self._scan.unread.clear()
        if not os.path.isdir(self._root):
            raise InputUnreadable(f"The inbox {self._shown} is not there.")
        found = False
        for item in self._scan:
            found = True
            yield item
        if not found:
            self._check_mount()

    def notes(self) -> list[str]:
        """Folders that can't be read."""
        return sorted(self._scan.unread.values())

    def settled(self, item: NewItem) -> NewItem | None:
        """The file's size and time, asked of the file itself."""
        path = uri_path(item.uri)
        try:
            # A network share's client may remember what was long ago; opening makes it ask.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except PermissionError:
            # Whole or not, this is for the item's own account to say.
            return item
        except OSError:
            return None
        return replace(item, size=status.st_size, mtime_ns=status.st_mtime_ns)

    def fetch(self, item: NewItem, *, again: bool) -> Arrival | None:
        """It lies where it is; one that looks touched is read, to see whether it has changed."""
        if not again:
            return Arrival(item)
        path = uri_path(item.uri)
        try:
            digest, _ = digest_file(path)
        except GrangeError:
            # Whoever works on it will say why.
            return Arrival(item)
        return Arrival(item, digest) if self.settled(item) == item else None

    def release(self, path: str) -> None:
        """Nothing was taken."""

    def _check_mount(self) -> None:
        """An unmounted share leaves an empty folder, on another disk than the share's."""
        try:
            status = os.stat(self._root)
            empty = not os.listdir(self._root)
        except OSError as error:
            raise InputUnreadable(
                f"The inbox {self._shown} can't be read: {error.strerror}."
            ) from error
        if status.st_dev != self._device and empty:
            message = f"The inbox {self._shown} is empty, and not on the disk that it was on."
            raise InputUnreadable(message, hint="Is it unmounted?")

    @property
    def _shown(self) -> str:
        return display_path(self._root)


def _ending(name: str) -> str:
    return Path(name).suffix or name
