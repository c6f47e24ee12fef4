"""What a worker has started and did not outlive: found by the marker that all of it carries."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

# Every process that a worker starts has this in its environment, with the worker's own mark.
MARKER = "GRANGE_WORKER"
# Those of a machine that works for others have this too, with the mark of its program.
STATION_MARKER = "GRANGE_STATION"
# Those of a Ray cluster of our own have this, with the name of its folder.
CLUSTER_MARKER = "GRANGE_CLUSTER"

# Killed processes are gone within milliseconds. One that waits for a disk may
# take longer; it is not waited for, since it can do no more.
_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.005
# While a process turns into the program that it starts, its environment can't be read: nobody is
# left when so many looks in a row have found nobody.
_LOOKS = 3


def kill_strays(marker: str, *, variable: str = MARKER) -> None:
    """Kill every process that carries the marker in its environment, but this one.

    On Linux alone; elsewhere the worker's process group is all that can be found.
    """
    wanted = f"{variable}={marker}".encode()
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    in_vain = 0
    # What is born while the list is read is in the next list.
    while in_vain < _LOOKS and time.monotonic() < give_up_at:
        found = _marked(wanted)
        in_vain = 0 if found else in_vain + 1
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)


def _marked(wanted: bytes) -> list[int]:
    own = os.getpid()
    found = []
    try:
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for process in processes:
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        # A corpse has no environment left, so it is not found again.
        if process != own and wanted in environment.split(b"\0"):
            found.append(process)
    return found
