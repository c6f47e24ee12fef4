"""What the operating system refuses, told as errors of a store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grange.errors import (
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StorePathRefused,
)
from grange.storage.paths import display_path

_KINDS: dict[int, type[StoreError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EACCES: StoreDenied,
    errno.EPERM: StoreDenied,
    errno.EROFS: StoreDenied,
    errno.ENOENT: StoreMissing,
    errno.ENAMETOOLONG: StorePathRefused,
    errno.ELOOP: StorePathRefused,
    errno.EISDIR: StorePathRefused,
    errno.ENOTDIR: StorePathRefused,
    errno.EEXIST: StorePathRefused,
    errno.ENOTEMPTY: StorePathRefused,
}
_IN_THE_WAY = "Something else has this name, or that of a folder above it: move it away."
_HINTS = {
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.EXDEV: "A folder in the store lies on another disk: make it a store of its own.",
    errno.ELOOP: "Its links lead in a circle: remove them.",
}


@contextmanager
def told(action: str, path: str, *, root: Path) -> Iterator[None]:
    """Turn an OSError of the block into the StoreError that says it.

    Args:
        action: What was tried, as in "write", followed by the path if there is one.
        path: The store's path that it was tried on; empty for none.
        root: Where the store lies.
    """
    try:
        yield
    except OSError as error:
        raise store_error(error, action=action, path=path, root=root) from error


def store_error(error: OSError, *, action: str, path: str, root: Path) -> StoreError:
    """The StoreError for what the operating system refused."""
    number = error.errno or 0
    kind = _KINDS.get(number, StoreError)
    what = f"{action} {path!r}" if path else action
    reason = error.strerror or str(error) or type(error).__name__
    return kind(
        f"Can't {what} in {str(root)!r}: {reason}.",
        hint=_hint(number, kind, root),
    )


def _hint(number: int, kind: type[StoreError], root: Path) -> str:
    if kind is StoreFull:
        room = "Raise the quota" if number == errno.EDQUOT else "Free room"
        return f"{room} on {_mount_point(root)}, then resume."
    if number == errno.EROFS:
        return f"{_mount_point(root)} is mounted read-only: choose another folder."
    if kind is StoreDenied:
        return f"Give this user the right to read and write {display_path(str(root))}."
    return _HINTS.get(number, "")


def _mount_point(path: Path) -> str:
    """The mount point of the file system that holds the path, or will hold it."""
    place = path.resolve()
    mounts = (folder for folder in (place, *place.parents) if folder.is_mount())
    return display_path(str(next(mounts)))
