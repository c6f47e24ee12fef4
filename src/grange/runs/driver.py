"""Who drives a run: one process at a time, known by its lease and its process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from grange.core.ids import new_id
from grange.core.tasks import JSON

# The latest drivers of this process that have ended, the oldest first. Where the database was away,
# it has not heard of it; after a lease it needn't.
_gone: dict[str, None] = {}
_going = threading.Lock()
MOST_GONE = 1000
_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Driver:
    """A process that drives runs. `token` tells it from every other, before and after."""

    host: str
    boot: str
    process: int
    begun: str
    token: str

    def record(self) -> dict[str, JSON]:
        """What the ledger keeps."""
        return asdict(self)


def this_driver() -> Driver:
    """A driver for this process; each call makes a new one."""
    process = os.getpid()
    return Driver(socket.gethostname(), _boot(), process, _begun(process), new_id())


@contextmanager
def at_work(driver: Driver) -> Iterator[None]:
    """Know in this process that the driver has ended, even if it could not say so at the end."""
    with _going:
        _gone.pop(driver.token, None)
    try:
        yield
    finally:
        with _going:
            _gone[driver.token] = None
            if len(_gone) > MOST_GONE:
                del _gone[next(iter(_gone))]


def is_working(record: dict[str, JSON] | None, until: float | None, *, now: float) -> bool:
    """Whether the driver of this record can still be at work.

    On this very machine the process itself is asked, so that nobody waits for
    the lease of a dead one; from elsewhere the lease alone counts.
    """
    if record is None or until is None or record["token"] in _gone:
        return False
    if record["host"] != socket.gethostname():
        return until > now
    if record["boot"] != _boot():
        return False
    begun = _begun(record["process"])
    return bool(begun) and begun == record["begun"] and until > now


def words(record: dict[str, JSON]) -> str:
    """The driver, for people."""
    if record["host"] == socket.gethostname():
        return f"process {record['process']} on this machine"
    return f"process {record['process']} on {record['host']}"


def _boot() -> str:
    try:
        return _BOOT_FILE.read_text().strip()
    except OSError:
        return ""


def _begun(process: int) -> str:
    """When the process began, in the kernel's ticks; empty when there is none."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return _begun_elsewhere(process)
    except OSError:
        return ""
    # The program's name, in brackets, may hold anything; what follows it is split by spaces.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _begun_elsewhere(process: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "unknown"
    return "unknown"
