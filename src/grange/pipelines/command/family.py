"""The processes that a command started, also those that tried to get away.

On Linux this process adopts what its descendants leave behind, so nothing
escapes by forking twice or by a session of its own. Elsewhere only the
command's process group is known.

A process runs one command at a time: whatever child it did not have before
the command began is the command's.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final

LINUX: Final = sys.platform == "linux"

_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Killed processes are gone within milliseconds, but one that waits for a disk
# may take longer; it is not waited for, since it can do no more.
_PATIENCE_SECONDS = 2.0


def others() -> frozenset[int]:
    """The children of this process that no command started: to be left alone."""
    _adopt_orphans()
    return frozenset(_children_of_own()) if _has_children() else frozenset()


def kill_leftovers(spared: frozenset[int]) -> None:
    """Kill and reap all descendants of this process but the spared ones and theirs."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    pause_seconds = 0.001
    while _has_children() and (left := _children_of_own() - spared):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > give_up_at:
            return
        # Children of the killed become ours as soon as their parent is dead: look again.
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, 0.02)


def memory_bytes(command: int, spared: frozenset[int], *, limit_bytes: int | None = None) -> int:
    """The memory that the command and all its descendants hold together.

    Pages that several of them share are counted for each, which is quick to
    find out; only where that sum is over the limit, they are counted once.
    """
    if not LINUX:
        return _memory_elsewhere(command)
    family = list(_descendants(spared))
    resident = sum(map(_resident_bytes, family))
    if limit_bytes is None or resident <= limit_bytes:
        return resident
    return sum(map(_proportional_bytes, family))


# ---- adoption


@functools.cache
def _adopt_orphans() -> None:
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _has_children() -> bool:
    """Whether this process has any child, dead or alive; much cheaper than to list them."""
    if not LINUX:
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


# ---- the process table


def _children_of_own() -> set[int]:
    own = os.getpid()
    return {pid for pid, parent in _parents() if parent == own}


def _descendants(spared: frozenset[int]) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    waiting = [pid for pid in children.get(os.getpid(), ()) if pid not in spared]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, ())


def _parents() -> Iterator[tuple[int, int]]:
    """Each process of this machine with its parent."""
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        stat = _read(f"/proc/{name}/stat")
        # The program's name stands in brackets and may hold brackets itself.
        _, bracket, rest = stat.rpartition(b") ")
        if bracket:
            yield int(name), int(rest.split(b" ", 2)[1])


def _resident_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0


def _proportional_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _resident_bytes(pid)


def _read(path: str) -> bytes:
    """What the kernel says in this file; nothing when the process is gone or another user's."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _memory_elsewhere(command: int) -> int:
    import psutil

    try:
        root = psutil.Process(command)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_resident_elsewhere, family))


def _resident_elsewhere(process: object) -> int:
    import psutil

    try:
        resident: int = process.memory_info().rss  # type: ignore[attr-defined]
    except psutil.Error:
        return 0
    return resident
