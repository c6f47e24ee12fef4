"""The checks of `grange doctor`: each looks at one thing, and says what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from grange.cli import reaching, words
from grange.errors import GrangeError
from grange.settings import Settings, usable_cores

if TYPE_CHECKING:
    from grange.core.tasks import Outcome

OK, WARN, BROKEN, ABSENT = "ok", "warn", "broken", "absent"

# SQLite's write-ahead log needs memory that is shared between processes: no network gives that.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *(
            "9p",
            "afs",
            "beegfs",
            "ceph",
            "cifs",
            "davfs",
            "glusterfs",
            "gpfs",
            "lustre",
            "nfs",
            "nfs4",
        ),
        *("smb3", "smbfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone"),
    }
)

ROOM_BYTES = 1 << 30
MEMORY_BYTES = 512 << 20
# Each batch of outcomes waits for the disk once.
SLOW_FSYNC_SECONDS = 0.05
# A larger database takes long to read as a whole.
CHECKED_BYTES = 2 << 30
WORKER_SECONDS = 30.0
EXTRAS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "redis": "redis",
    "memcached": "pymemcache",
    "s3": "obstore",
    "rabbitmq": "aio_pika",
    "ray": "ray",
    "pandas": "pandas",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: a word for how it is, what was seen, and what to do."""

    name: str
    state: str
    seen: str
    todo: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def findings(settings: Settings) -> Iterator[Finding]:
    """All findings, as they come. A check that breaks is a finding, and stops no other."""
    for check in CHECKS:
        name = check.__name__.strip("_")
        try:
            yield from check(settings)
        except GrangeError as error:
            yield Finding(name, BROKEN, error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # what is broken is what a doctor is to find
            yield Finding(name, BROKEN, f"{type(error).__name__}: {error}")


def _python(_: Settings) -> Iterator[Finding]:
    seen = f"Grange {metadata.version('grange')}, Python {platform.python_version()}"
    yield Finding("python", OK, f"{seen} at {sys.executable}, {platform.platform()}")


def _home(settings: Settings) -> Iterator[Finding]:
    place = _existing(settings.home)
    there = "" if place == settings.home else " (made at first use)"
    if place != settings.home and os.path.lexists(settings.home):
        yield Finding("home", BROKEN, f"{settings.home} is no folder", "Set GRANGE_HOME to one.")
        return
    if not os.access(place, os.W_OK | os.X_OK):
        todo = "Give yourself the right to write there, or set GRANGE_HOME to another folder."
        yield Finding("home", BROKEN, f"{settings.home} can't be written to", todo)
        return
    kind = _file_system(place)
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    seen = f"{settings.home}{there}, on {kind}, {words.size(free)} free"
    if kind in NETWORK_FILE_SYSTEMS and settings.database.startswith("sqlite"):
        todo = "SQLite needs a local disk: set GRANGE_HOME or GRANGE_DATABASE."
        yield Finding("home", WARN, seen, todo)
    elif free < ROOM_BYTES:
        yield Finding("home", WARN, seen, "Make room: the ledger and the logs are kept there.")
    else:
        yield Finding("home", OK, seen)


def _disk(settings: Settings) -> Iterator[Finding]:
    seconds = []
    with tempfile.TemporaryFile(dir=_existing(settings.home)) as file:
        for _ in range(5):
            file.write(bytes(4096))
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    middle = statistics.median(seconds)
    seen = f"{1000 * middle:.1f} ms until a write is safe"
    slow = middle > SLOW_FSYNC_SECONDS
    todo = "Small tasks will wait for this disk; a faster one helps." if slow else ""
    yield Finding("disk", WARN if slow else OK, seen, todo)


def _sqlite(settings: Settings) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(dir=_existing(settings.home), prefix=".doctor-") as folder:
        connection = sqlite3.connect(Path(folder) / "test.db")
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.close()
    if mode == "wal":
        yield Finding("sqlite", OK, f"SQLite {sqlite3.sqlite_version}, with a write-ahead log")
    else:
        todo = "Set GRANGE_HOME to a folder on a local disk."
        yield Finding("sqlite", BROKEN, f"no write-ahead log works there, only {mode}", todo)


def _database(settings: Settings) -> Iterator[Finding]:
    from grange.db import open_database, schema

    shown = settings.shown("database")
    file = Path(settings.database.removeprefix("sqlite:///"))
    is_file = settings.database.startswith("sqlite")
    if is_file and not file.exists():
        yield Finding("database", OK, f"{shown} (made at first use)")
        return
    if is_file and file.stat().st_size <= CHECKED_BYTES:
        yield from _integrity(file)
    database = open_database(settings.database)
    try:
        revision = schema.current(database)
    finally:
        database.close()
    if revision is not None and revision > schema.HEAD:
        todo = "A newer Grange has used it: upgrade this one."
        yield Finding("database", BROKEN, f"{shown}: its tables are of {revision}", todo)
    elif revision != schema.HEAD:
        yield Finding("database", OK, f"{shown}: its tables are brought up to date at the next use")
    else:
        yield Finding("database", OK, f"{shown}: reached, tables of {revision}")


def _machine(_: Settings) -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    seen = (
        f"{usable_cores()} of {os.cpu_count()} cores, "
        f"{words.size(memory.available)} of {words.size(memory.total)} memory free"
    )
    if memory.available < MEMORY_BYTES:
        yield Finding("machine", WARN, seen, "End other programs, or take fewer workers.")
    else:
        yield Finding("machine", OK, seen)


def _worker(settings: Settings) -> Iterator[Finding]:
    from grange.core.tasks import OutcomeState

    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="grange-doctor-") as folder:
        outcome = _first_outcome(Path(folder), settings)
    seconds = words.duration(time.monotonic() - begun)
    if outcome is None:
        yield Finding("worker", BROKEN, f"a worker process gave no answer in {seconds}")
    elif outcome.state is not OutcomeState.DONE:
        why = outcome.failure.message if outcome.failure else str(outcome.state)
        yield Finding("worker", BROKEN, f"a worker process failed at a first command: {why}")
    else:
        yield Finding(
            "worker", OK, f"a worker process started and ran a first command in {seconds}"
        )


def _pipelines(_: Settings) -> Iterator[Finding]:
    from grange.pipelines import catalog

    found = catalog.names()
    usable = [one.name for one in found if not one.error]
    yield Finding("pipelines", OK if usable else BROKEN, ", ".join(usable) or "none can be loaded")
    for one in found:
        if one.error:
            todo = f"Mend, upgrade or uninstall what brings it: {one.source}"
            yield Finding("pipelines", WARN, f"{one.name}: {one.error}", todo)


def _extras(_: Settings) -> Iterator[Finding]:
    for extra, module in EXTRAS.items():
        if importlib.util.find_spec(module) is not None:
            yield Finding("extras", OK, f"{extra}: {module} is installed")
        else:
            todo = f"If you want it: pip install 'grange[{extra}]'"
            yield Finding("extras", ABSENT, f"{extra}: {module} is not installed", todo)


CHECKS: tuple[Check, ...] = (
    _python,
    _home,
    _disk,
    _sqlite,
    _database,
    _machine,
    _worker,
    _pipelines,
    _extras,
    reaching.server,
    reaching.engine,
    reaching.joined,
    reaching.buckets,
)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.is_dir())


def _file_system(path: Path) -> str:
    import psutil

    real = path.resolve()
    mounts = psutil.disk_partitions(all=True)
    above = [mount for mount in mounts if real.is_relative_to(mount.mountpoint)]
    # Of several mounts at one place, the last one is seen.
    nearest = max(enumerate(above), key=lambda one: (len(one[1].mountpoint), one[0]), default=None)
    return nearest[1].fstype if nearest else "an unknown file system"


def _integrity(file: Path) -> Iterator[Finding]:
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    finally:
        connection.close()
    if said != "ok":
        todo = "Keep a copy of it, then restore a backup, or move it away to begin anew."
        yield Finding("database", BROKEN, f"{file} is damaged: {said}", todo)


def _first_outcome(folder: Path, settings: Settings) -> Outcome | None:
    """What comes of one small command, given to a real worker process."""
    from grange.bootstrap.embedded import worker_command
    from grange.bootstrap.engines import WITHHELD
    from grange.core.tasks import Batch, Job, Task, TaskKind
    from grange.engines import make_engine
    from grange.storage import file_uri

    file = folder / "first"
    file.write_bytes(b"first")
    about = file.stat()
    params = {"shell": "cp {input} {output}"}
    job = Job("doctor", "command", params, file_uri(folder / "out"), str(folder / "logs"))
    task = Task(
        id=1,
        epoch=1,
        kind=TaskKind.PROCESS,
        path=file.name,
        uri=file_uri(file),
        size=about.st_size,
        mtime_ns=about.st_mtime_ns,
    )
    engine = make_engine(
        "local",
        worker_command(),
        workers=1,
        lease_seconds=settings.lease_seconds,
        recycle_bytes=settings.recycle_bytes,
        withheld=WITHHELD,
    )
    deadline = time.monotonic() + WORKER_SECONDS
    try:
        engine.start()
        engine.publish(Batch(job, (task,)))
        while time.monotonic() < deadline:
            for outcome in engine.collect(0.1):
                return outcome
    finally:
        engine.close()
    return None
