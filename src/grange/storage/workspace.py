"""The folder that a local store keeps for itself, beside the files that it was given.

    .grange/tmp/       files that are being written, each locked by its writer
    .grange/staging/   outputs that are being built, by token
    .grange/moving/    staged folders on their way to a path that is taken
    .grange/trash/     what was deleted or replaced

It lies in the same file system as those files, so that a rename brings a thing
in or out, whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import suppress

from grange.errors import StorePathRefused
from grange.storage.folders import (
    MAKE_TRIES,
    exchange,
    flush_folder,
    make_folders,
    move,
    remove_tree,
)

OWN = b".grange"
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class Workspace:
    """The store's own folder in `root`. OSErrors pass: the store tells them."""

    def __init__(self, root: bytes) -> None:
        """Name the folder; nothing is made before it is needed."""
        self._folder = os.path.join(root, OWN)

    def staging(self, token: str) -> bytes:
        """Where the token's outputs are built, whether it is there or not."""
        if not _TOKEN.fullmatch(token):
            raise StorePathRefused(f"{token!r} is no token of letters, digits, '.', '_', '-'.")
        return self._place("staging", token)

    def staged(self) -> list[str]:
        """The tokens that have a staging folder."""
        return [os.fsdecode(name) for name in self._names("staging")]

    def new_file(self) -> tuple[int, bytes]:
        """A new file that only its writer knows, locked so that `clean` sees it is in use."""
        while True:
            descriptor, temporary = self._open_new()
            with suppress(OSError):  # Not every file system has locks.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor, temporary
            os.close(descriptor)  # Cleaned away before it was locked.

    def _open_new(self) -> tuple[int, bytes]:
        temporary = self._place("tmp", _new_name())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for _ in range(MAKE_TRIES - 1):
            with suppress(FileNotFoundError):
                return os.open(temporary, flags, 0o666), temporary
            # Another process may clean up empty folders at the same time.
            make_folders(os.path.dirname(temporary))
        return os.open(temporary, flags, 0o666), temporary

    def put(self, token: str, target: bytes) -> None:
        """Move the staged folder to the target, in the place of a folder that is there.

        Raises:
            FileNotFoundError: Nothing is staged.
        """
        staged = self.staging(token)
        inode = _open_up(staged)
        try:
            move(staged, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            moving = self._place("moving", f"{token}.{inode}")
            move(staged, moving)
            self._replace(moving, target)

    def go_on(self, token: str, target: bytes) -> bool:
        """Finish a `put` that was cut off on its way; False when there is none."""
        moving = self._moving(token)
        for place in moving:
            self._replace(place, target)
        return bool(moving)

    def discard(self, token: str) -> None:
        """Delete what was staged, and what an interrupted `put` made of it."""
        for place in (self.staging(token), *self._moving(token)):
            remove_tree(place)

    def drop(self, folder: bytes) -> None:
        """Delete a folder of the store, which vanishes at once to those who read it."""
        try:
            status = os.lstat(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        doomed = self._place("trash", _new_name())
        try:
            move(folder, doomed)
        except OSError:
            # A full disk may have no room for the trash, and must be freed all the same.
            doomed = folder
        remove_tree(doomed)
        flush_folder(os.path.dirname(folder))

    def clean(self) -> None:
        """Delete what nobody works with any more, and the folders left empty."""
        for name in self._names("trash"):
            remove_tree(self._place("trash", name))
        for name in self._names("moving"):
            moving = self._place("moving", name)
            if not _is_new(moving):
                remove_tree(moving)
        for name in self._names("tmp"):
            _remove_abandoned(self._place("tmp", name))
        for area in ("trash", "moving", "tmp", "staging"):
            with suppress(OSError):
                os.rmdir(self._place(area))
        with suppress(OSError):
            os.rmdir(self._folder)

    def _place(self, area: str, name: str | bytes = "") -> bytes:
        folder = os.path.join(self._folder, area.encode())
        if os.path.realpath(folder) != folder:
            raise StorePathRefused(f"{os.fsdecode(folder)!r} must not be reached by a link.")
        return os.path.join(folder, os.fsencode(name)) if name else folder

    def _names(self, area: str) -> list[bytes]:
        try:
            return os.listdir(self._place(area))
        except FileNotFoundError:
            return []

    def _moving(self, token: str) -> list[bytes]:
        names = self._names("moving")
        own = [name for name in names if name.rpartition(b".")[0] == token.encode()]
        return [self._place("moving", name) for name in own]

    def _replace(self, moving: bytes, target: bytes) -> None:
        """Put a moving folder in the target's place, and delete what was there.

        Where the file system knows no exchange, the target is absent for the
        moment between two renames.
        """
        while _is_new(moving) and not exchange(moving, target):
            old = self._place("trash", _new_name())
            with suppress(FileNotFoundError):
                move(target, old)
            try:
                move(moving, target)
            except OSError as error:
                # Of several that publish at once, another may have come in between.
                if error.errno not in _TAKEN:
                    raise
            remove_tree(old)
        remove_tree(moving)


def _new_name() -> str:
    return os.urandom(8).hex()


def _open_up(staged: bytes) -> int:
    """Give a staged folder the rights of any folder made here, and return its inode."""
    status = os.lstat(staged)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    mode = stat.S_IMODE(os.stat(os.path.dirname(staged)).st_mode)
    with suppress(PermissionError):
        os.chmod(staged, mode)
    return status.st_ino


def _is_new(moving: bytes) -> bool:
    """Whether a moving folder is still the one that was staged.

    Its name ends in the inode that it began with: after an exchange that was cut
    off, this tells the old folder from the new one.
    """
    try:
        return os.lstat(moving).st_ino == int(moving.rpartition(b".")[2])
    except FileNotFoundError:
        return False


def _remove_abandoned(temporary: bytes) -> None:
    """Delete a file that was being written, if its writer is gone."""
    with suppress(OSError):
        descriptor = os.open(temporary, os.O_WRONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(temporary)
        finally:
            os.close(descriptor)
