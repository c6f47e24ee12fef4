"""Freezing a program for a while."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_PAUSE_SECONDS = 0.001


def freeze(group: int) -> None:
    """Let the programs of this process group hang; returns when all of their threads do."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    while not _is_frozen(group):
        time.sleep(_PAUSE_SECONDS)


def _is_frozen(group: int) -> bool:
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.getpgid(int(name)) == group:
                threads = Path("/proc", name, "task").glob("*/stat")
                states = {one.read_text().rpartition(")")[2].split()[0] for one in threads}
                if not states <= {"T", "X", "Z"}:
                    return False
    return True
