"""How each database is connected to, and how its transactions begin."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from grange import errors
from grange.db import faults

if TYPE_CHECKING:
    import psycopg
    import pymysql

# The drivers that Grange is tested with, by the URL's scheme.
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_DRIVERS |= {driver: driver for driver in set(_DRIVERS.values())}
_DRIVERS["mariadb+pymysql"] = "mysql+pymysql"
_EXTRAS = {"postgresql+psycopg": "postgresql", "mysql+pymysql": "mysql"}

# An option of our own that tells a transaction that only reads from one that writes.
_READING = "grange_reading"

CONNECT_TIMEOUT_SECONDS = 10
# A server that vanished without a word is given up after so long: the network itself would wait for
# a quarter of an hour, or two hours. Both ends do, since a lost client may hold locks.
IDLE_SECONDS = 10
PROBE_SECONDS = 3
PROBES = 3
UNANSWERED_MILLISECONDS = 1000 * (IDLE_SECONDS + PROBES * PROBE_SECONDS)
# MySQL and MariaDB can't be told how to watch over one client's connection. MariaDB ends a
# transaction of which nothing is heard for so long; and so long may one statement take.
SILENT_SECONDS = 30
ANSWER_SECONDS = 300
# Connections that rest for longer may have been dropped by a firewall on the way.
RECYCLE_SECONDS = 1800
# How long to rest between tries to turn on write-ahead logging while another process does.
WAL_WAIT_SECONDS = 0.02
SQLITE_BUSY = 5

_SQLITE_PRAGMAS = (
    # Each commit is on the disk before it is answered.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # In KiB when negative: 16 MiB for each connection. The system keeps what is read again, too.
    "PRAGMA cache_size=-16384",
    "PRAGMA temp_store=MEMORY",
    # In pages. A larger log is written back less often, and a page changed often is written once.
    "PRAGMA wal_autocheckpoint=4000",
)


def engine(where: str | Path, *, busy_seconds: float) -> tuple[Engine, faults.Place]:
    """Return an engine that is not connected yet, and the place that messages speak of."""
    url = _url(where)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, busy_seconds=busy_seconds)
    place = faults.Place(url.render_as_string(hide_password=True), secret=str(url.password or ""))
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, busy_seconds=busy_seconds), place
    return _mysql(url, busy_seconds=busy_seconds), place


def for_reading(engine: Engine) -> Engine:
    """Return the engine over the same connections whose transactions only read."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(**{_READING: True})


def _url(where: str | Path) -> URL:
    if isinstance(where, Path):
        return URL.create("sqlite+pysqlite", database=str(where.absolute()))
    scheme, found, rest = where.partition("://")
    driver = _DRIVERS.get(scheme)
    if not found or driver is None:
        # What has no scheme is not quoted: it may be a password.
        what = f"{scheme}:// is" if found else "This is"
        raise errors.SettingInvalid(
            f"{what} no URL of a database that Grange can use.",
            hint="Give a URL that starts with sqlite:///, postgresql:// or mysql://.",
        )
    if driver == "sqlite+pysqlite":
        return _sqlite_url(rest)
    try:
        return make_url(f"{driver}://{rest}")
    except (ArgumentError, ValueError):
        # Without the cause, which would quote the URL and the password in it.
        raise errors.SettingInvalid(
            f"The URL of the {scheme} database can't be read.",
            hint=f"Write {scheme}://USER:PASSWORD@HOST/NAME.",
        ) from None


def _sqlite_url(rest: str) -> URL:
    path = unquote(rest.removeprefix("/"))
    if not rest.startswith("/") or path in {"", ":memory:"}:
        raise errors.SettingInvalid(
            "A SQLite database needs a file: several connections share it.",
            hint="Give sqlite:///relative/path or sqlite:////absolute/path.",
        )
    return URL.create("sqlite+pysqlite", database=str(Path(path).absolute()))


def _sqlite(url: URL, *, busy_seconds: float) -> tuple[Engine, faults.Place]:
    path = Path(url.database or "")
    place = faults.Place(str(path), folder=path.parent)
    try:
        _make_private(path)
    except OSError as error:
        raise faults.of_file(error, place) from error
    engine = create_engine(
        url,
        # Without an isolation level the driver begins nothing by itself.
        connect_args={"timeout": busy_seconds, "isolation_level": None, "cached_statements": 256},
        hide_parameters=True,
        max_overflow=-1,
        # The one used last has pages in memory; the others drop theirs at each of its writes.
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        _use_wal(connection, place, busy_seconds=busy_seconds)
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING, False)
        # No more often than needed: SQLite compiles all its statements anew after it.
        if connection.info.get(_READING) is not reading:
            connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
            connection.info[_READING] = reading
        # A transaction that reads first and writes later loses its update, or fails at once.
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine, place


def _make_private(path: Path) -> None:
    """Make the file for its owner alone, and the folders above it that are missing."""
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _use_wal(connection: sqlite3.Connection, place: faults.Place, *, busy_seconds: float) -> None:
    """Turn on write-ahead logging: readers and the writer don't wait for each other."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself for another process that does the same right now.
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(WAL_WAIT_SECONDS)
        else:
            break
    if mode != "wal":
        raise errors.DatabaseError(
            f"The file system of {place.name} can't hold a database in use by several processes.",
            hint="Keep it on a local disk, or use PostgreSQL or MariaDB.",
        )


def _postgresql(url: URL, *, busy_seconds: float) -> Engine:
    ours = {
        "application_name": "grange",
        "keepalives_idle": IDLE_SECONDS,
        "keepalives_interval": PROBE_SECONDS,
        "keepalives_count": PROBES,
        "tcp_user_timeout": UNANSWERED_MILLISECONDS,
    }
    engine = _server(url, busy_seconds=busy_seconds, options=ours)
    settings = (
        f"SET lock_timeout = {_milliseconds(busy_seconds)}",
        f"SET tcp_keepalives_idle = {IDLE_SECONDS}",
        f"SET tcp_keepalives_interval = {PROBE_SECONDS}",
        f"SET tcp_keepalives_count = {PROBES}",
        f"SET tcp_user_timeout = {UNANSWERED_MILLISECONDS}",
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: psycopg.Connection, _record: object) -> None:
        connection.autocommit = True
        connection.execute("; ".join(settings))
        connection.autocommit = False

    return engine


def _mysql(url: URL, *, busy_seconds: float) -> Engine:
    patience = max(ANSWER_SECONDS, round(2 * busy_seconds))
    # The first words count as reading, and a server that has no time for them is not there.
    ours = {"read_timeout": CONNECT_TIMEOUT_SECONDS, "write_timeout": patience}
    engine = _server(url, busy_seconds=busy_seconds, options={"charset": "utf8mb4", **ours})
    lock_seconds = max(1, round(busy_seconds))
    settings = (
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION default_storage_engine = InnoDB",
        f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}",
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: pymysql.Connection, _record: object) -> None:
        _watch_over(connection._sock)  # noqa: SLF001  # There is no other way to it.
        with connection.cursor() as cursor:
            for setting in settings:
                cursor.execute(setting)
            if "mariadb" in connection.get_server_info().lower():
                cursor.execute(f"SET SESSION idle_write_transaction_timeout = {SILENT_SECONDS}")
        if "read_timeout" not in url.query:
            connection._read_timeout = patience  # noqa: SLF001

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING, False)
        connection.exec_driver_sql(
            "START TRANSACTION READ ONLY"
            if reading
            else "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
        )

    return engine


def _watch_over(talk: socket.socket) -> None:
    """Let the system itself notice that the other end has vanished."""
    if talk.family == getattr(socket, "AF_UNIX", None):
        return
    talk.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", IDLE_SECONDS),
        ("TCP_KEEPINTVL", PROBE_SECONDS),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", UNANSWERED_MILLISECONDS),
    ):
        if hasattr(socket, name):  # Not every system has all of them.
            talk.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _server(url: URL, *, busy_seconds: float, options: dict[str, Any]) -> Engine:
    options = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **options}
    extra: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        extra["isolation_level"] = "READ COMMITTED"
    try:
        return create_engine(
            url,
            connect_args={name: value for name, value in options.items() if name not in url.query},
            hide_parameters=True,
            max_overflow=15,
            pool_pre_ping=True,
            pool_recycle=RECYCLE_SECONDS,
            pool_timeout=busy_seconds,
            **extra,
        )
    except ImportError as error:
        name = _EXTRAS[url.drivername]
        raise errors.ExtraMissing(
            f"The driver for {url.get_backend_name()} databases is not installed.",
            hint=f"Install it: pip install 'grange[{name}]'",
        ) from error


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
