"""What is done to whole folders of a local file system."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

# What renameat2 answers where the kernel or the file system can't exchange,
# or where there is nothing to exchange with.
_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOENT})
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

# What a walk meets when a folder goes away under it, or no path reaches it.
_OUT_OF_REACH = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
# Another process may delete the same tree at the same time.
_REMOVE_TRIES = 3
# Another process may clean up empty folders at the same time.
MAKE_TRIES = 5


def flush_folder(folder: bytes) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems flush names at once and refuse to be asked.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def make_folders(folder: bytes) -> None:
    """Make a folder and those above it, durably. Those that are there are fine."""
    for _ in range(MAKE_TRIES - 1):
        with suppress(FileNotFoundError):
            _make_folders(folder)
            return
    _make_folders(folder)


def _make_folders(folder: bytes) -> None:
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for name in reversed(missing):
        try:
            os.mkdir(name)
        except FileExistsError:
            if not os.path.isdir(name):
                raise
        flush_folder(os.path.dirname(name))


def move(source: bytes, target: bytes) -> None:
    """Rename, making the folders above the target when they are missing."""
    for _ in range(MAKE_TRIES - 1):
        try:
            os.rename(source, target)
        except FileNotFoundError:
            if not os.path.lexists(source):
                raise
            make_folders(os.path.dirname(target))
        else:
            return
    os.rename(source, target)


def exchange(one: bytes, other: bytes) -> bool:
    """Let two names change places in one step; False where that can't be done."""
    import ctypes

    rename = _renameat2()
    if rename is None:
        return False
    if rename(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def remove_tree(folder: bytes) -> None:
    """Delete a folder with all that is in it, however deep; its links are not followed.

    What is not there is fine, and so is something else than a folder.
    """
    from shutil import rmtree

    for _ in range(_REMOVE_TRIES):
        try:
            if os.path.islink(folder) or not os.path.isdir(folder):
                os.unlink(folder)
            else:
                rmtree(folder)
        except FileNotFoundError:
            pass
        except PermissionError:
            _unlock(folder)
        except (RecursionError, OSError) as error:
            if not _is_too_deep(error):
                raise
            _remove_deep(folder)
        if not os.path.lexists(folder):
            return
    os.rmdir(folder)


def walk_files(root: bytes, prefix: str, *, skip: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every regular file below `prefix`, sorted by its path in `root`.

    Args:
        root: The folder that paths are relative to.
        prefix: Where to begin; empty, or ending in `/`.
        skip: The folder in `root` that is left out.
    """
    # A folder's path ends in "/" here, so that it sorts where its files belong.
    pending = [prefix]
    while pending:
        path = pending.pop()
        place = os.path.join(root, path.encode())
        try:
            if path.endswith("/") or not path:
                names = sorted(_names(place, path), reverse=True)
                pending.extend(name for name in names if name != f"{skip}/")
                continue
            status = os.lstat(place)
        except OSError as error:
            if error.errno not in _OUT_OF_REACH:
                raise
            continue
        if stat.S_ISREG(status.st_mode):
            yield path, status


def _names(folder: bytes, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(UnicodeDecodeError):
                path = prefix + entry.name.decode()
                if entry.is_file(follow_symlinks=False):
                    yield path
                elif entry.is_dir(follow_symlinks=False):
                    yield f"{path}/"


def _renameat2() -> Callable[..., int] | None:
    import ctypes

    function: Callable[..., int] | None = getattr(
        ctypes.CDLL(None, use_errno=True), "renameat2", None
    )
    return function


def _unlock(folder: bytes) -> None:
    """Take back the right to change folders whose owner, which is us, has given it up."""
    for place, names, _ in os.walk(folder):
        for name in names:
            below = os.path.join(place, name)
            with suppress(OSError):
                if not os.path.islink(below):
                    os.chmod(below, stat.S_IRWXU)


def _remove_deep(folder: bytes) -> None:
    """Leave it to rm, which keeps neither a stack nor a path."""
    import subprocess

    subprocess.run(["/bin/rm", "-rf", "--", folder], check=False, stderr=subprocess.DEVNULL)


def _is_too_deep(error: Exception) -> bool:
    if isinstance(error, RecursionError):
        return True
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENAMETOOLONG}
