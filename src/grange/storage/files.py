"""Reading local files to know them: digests of inputs, and what a task has written."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from grange.errors import (
    GrangeError,
    InputMissing,
    InputUnreadable,
    OutputRefused,
    StorePathRefused,
)
from grange.storage.base import Stored
from grange.storage.folders import flush_folder
from grange.storage.oserrors import store_error
from grange.storage.paths import check_path

T = TypeVar("T")
U = TypeVar("U")

CHUNK_BYTES = 1 << 20
MAX_FILES = 100_000
MAX_DEPTH = 64
# Files that are flushed to the disk at the same time, and known before the next are looked for.
_FLUSHING_THREADS = 8
_SEALED_TOGETHER = 256

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
# What lies with the file that was written, not with the disk under it.
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})


def digest_file(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> tuple[str, int]:
    """The SHA-256 of a file in hexadecimal and its size, read once in flat memory.

    Raises:
        InputMissing: There is no such file.
        InputUnreadable: It can't be read, or is no file at all.
    """
    try:
        # Asked before it is opened, since opening alone can set a device off.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise InputUnreadable(f"The input {_shown(path)} is {_kind(mode)}, not a file.")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _digest(descriptor, chunk_bytes=chunk_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _input_error(error, path) from error


def seal(
    folder: Path,
    *,
    known: Mapping[str, Stored] = MappingProxyType({}),
    max_files: int = MAX_FILES,
    max_depth: int = MAX_DEPTH,
) -> list[Stored]:
    """Make what a task has written durable, and say what it is.

    Every file is read once and flushed to the disk with its folders. Only regular
    files and folders can be published. A folder that is not there has no files.

    Args:
        folder: Where the task has written.
        known: Files by their paths that need not be read if they still are as these say.
        max_files: How many there may be.
        max_depth: How many folders may lie in each other.

    Returns:
        The files, sorted by path relative to the folder, with size and digest.

    Raises:
        OutputRefused: Something in the folder can't be published; the message names it.
        StoreError: The disk failed, or is full.
    """
    root = os.fsencode(folder)
    if folder.is_symlink():
        raise OutputRefused(f"The folder for outputs, {_shown(folder)}, was replaced by a link.")
    found: list[Stored] = []
    folders: list[bytes] = []
    files = _walk(root, folders, max_depth=max_depth)
    try:
        while some := list(islice(files, _SEALED_TOGETHER)):
            if len(found) + len(some) > max_files:
                raise OutputRefused(
                    f"More than {max_files} files were written.",
                    hint="Pack them into an archive, or raise the limit.",
                )
            found += _together(lambda one: _sealed(*one, known.get(one[0])), some)
        _together(flush_folder, folders)
    except FileNotFoundError as error:
        if found or error.filename != root:
            raise _seal_error(error, folder) from error
    except OSError as error:
        raise _seal_error(error, folder) from error
    return sorted(found, key=lambda stored: stored.path)


def _walk(root: bytes, folders: list[bytes], *, max_depth: int) -> Iterator[tuple[str, bytes]]:
    """Every file below, as its store path and its name on disk; notes the folders."""
    pending = [(root, "", 1)]
    while pending:
        folder, prefix, depth = pending.pop()
        folders.append(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                path = _storable(prefix, entry.name)
                if entry.is_file(follow_symlinks=False):
                    yield path, entry.path
                elif not entry.is_dir(follow_symlinks=False):
                    kind = _kind(entry.stat(follow_symlinks=False).st_mode)
                    raise OutputRefused(
                        f"The output {path!r} is {kind}; only files and folders can be kept.",
                        hint="Write a copy of what it stands for.",
                    )
                elif depth >= max_depth:
                    raise OutputRefused(f"The output {path!r} is {max_depth} folders deep.")
                else:
                    pending.append((entry.path, f"{path}/", depth + 1))


def _storable(prefix: str, name: bytes) -> str:
    try:
        return check_path(prefix + name.decode())
    except UnicodeDecodeError:
        shown = prefix + os.fsdecode(name)
        raise OutputRefused(f"The name of the output {shown!r} is not UTF-8.") from None
    except StorePathRefused as error:
        raise OutputRefused(f"An output can't be kept: {error.message}") from error


def _together(do: Callable[[T], U], given: Sequence[T]) -> list[U]:
    """Do it for all at once: a disk flushes a dozen files in the time that it takes for one."""
    if len(given) == 1:
        return [do(given[0])]
    # Most tasks write one file or none.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_FLUSHING_THREADS, len(given))) as threads:
        return list(threads.map(do, given))


def _sealed(path: str, name: bytes, known: Stored | None) -> Stored:
    # Never waits and never leaves the folder, even if the file was changed for a pipe or a link.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # No further than this, or a writer that is faster would be followed for ever.
        before = os.fstat(descriptor)
        begun = before.st_size
        if known is not None and (known.size, known.mtime_ns) == (begun, before.st_mtime_ns):
            os.fsync(descriptor)
            return known
        digest, size = _digest(descriptor, until_bytes=begun)
        os.fsync(descriptor)
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not begun == size == status.st_size:
        raise OutputRefused(
            f"The output {path!r} is still being written.",
            hint="End everything that writes before the task ends.",
        )
    return Stored(path=path, size=size, sha256=digest, mtime_ns=status.st_mtime_ns)


def _digest(
    descriptor: int, *, chunk_bytes: int = CHUNK_BYTES, until_bytes: int | None = None
) -> tuple[str, int]:
    digest = sha256()
    size = 0
    while chunk := os.read(descriptor, chunk_bytes):
        digest.update(chunk)
        size += len(chunk)
        if until_bytes is not None and size >= until_bytes:
            break
    return digest.hexdigest(), size


def _seal_error(error: OSError, folder: Path) -> GrangeError:
    if error.errno not in _REFUSED:
        return store_error(error, action="seal outputs", path="", root=folder)
    path = os.path.relpath(os.fsencode(error.filename), os.fsencode(folder))
    return OutputRefused(f"The output {os.fsdecode(path)!r} can't be read: {error.strerror}.")


def _input_error(error: OSError, path: Path) -> GrangeError:
    if error.errno in _GONE:
        return InputMissing(f"The input {_shown(path)} is not there: was it moved or deleted?")
    name = errno.errorcode.get(error.errno or 0, "")
    return InputUnreadable(
        f"The input {_shown(path)} can't be read: {error.strerror}.", evidence={"errno": name}
    )


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def _shown(path: Path) -> str:
    # Escapes what is not UTF-8 by itself.
    return repr(str(path))
