"""What goes wrong in a database is told in Grange's words, and never tells a password."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
import pytest
from sqlalchemy import exc, text

from grange import errors
from grange.db import Database, Duplicate, faults, open_database, prepare
from tests.db.tables import files, make_tables, rows
from tests.services import Server

HERE = faults.Place("here")
MEGABYTE = 1024 * 1024


def test_every_error_of_sqlalchemy_has_a_meaning() -> None:
    """A class that a new SQLAlchemy brings must be given its meaning here."""
    classes = [
        kind
        for kind in vars(exc).values()
        if isinstance(kind, type)
        and issubclass(kind, exc.SQLAlchemyError)
        and kind is not exc.SQLAlchemyError
    ]
    assert len(classes) > 30

    unmapped = [kind for kind in classes if not set(kind.__mro__) & set(faults._SQLALCHEMY)]
    assert unmapped == []


def test_every_kind_of_fault_has_its_words() -> None:
    """Each kind is told as an error of ours, that says what and where."""
    assert set(faults._WORDS) == set(faults.Fault)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.DeadlockDetected(), errors.DatabaseBusy),
        (psycopg.errors.SerializationFailure(), errors.DatabaseBusy),
        (psycopg.errors.LockNotAvailable(), errors.DatabaseBusy),
        (psycopg.errors.TooManyConnections(), errors.DatabaseBusy),
        (psycopg.errors.DiskFull(), errors.DatabaseFull),
        (psycopg.errors.AdminShutdown(), errors.DatabaseUnreachable),
        (psycopg.errors.CannotConnectNow(), errors.DatabaseUnreachable),
        (psycopg.errors.ConnectionFailure(), errors.DatabaseUnreachable),
        (psycopg.errors.InvalidPassword(), errors.DatabaseUnreachable),
        (psycopg.errors.InvalidCatalogName(), errors.DatabaseUnreachable),
        (psycopg.OperationalError("the connection is closed"), errors.DatabaseUnreachable),
        (
            psycopg.errors.ConnectionTimeout("connection timeout expired"),
            errors.DatabaseUnreachable,
        ),
        (psycopg.errors.UniqueViolation(), Duplicate),
        (psycopg.errors.NotNullViolation(), errors.DatabaseError),
        (psycopg.errors.DataCorrupted(), errors.DatabaseCorrupt),
        (pymysql.err.OperationalError(1213, "Deadlock found"), errors.DatabaseBusy),
        (pymysql.err.OperationalError(1205, "Lock wait timeout"), errors.DatabaseBusy),
        (pymysql.err.OperationalError(1021, "Disk full"), errors.DatabaseFull),
        (pymysql.err.OperationalError(1114, "The table is full"), errors.DatabaseFull),
        (pymysql.err.InternalError(28, "No space left"), errors.DatabaseFull),
        (pymysql.err.OperationalError(2003, "Can't connect"), errors.DatabaseUnreachable),
        (pymysql.err.OperationalError(2006, "Gone away"), errors.DatabaseUnreachable),
        (pymysql.err.OperationalError(1045, "Access denied"), errors.DatabaseUnreachable),
        (pymysql.err.InterfaceError(0, ""), errors.DatabaseUnreachable),
        (pymysql.err.IntegrityError(1062, "Duplicate entry"), Duplicate),
        (pymysql.err.IntegrityError(1452, "Foreign key"), errors.DatabaseError),
        (pymysql.err.OperationalError(1194, "Table is crashed"), errors.DatabaseCorrupt),
    ],
    ids=lambda each: repr(each) if isinstance(each, Exception) else each.__name__,
)
def test_a_server_code_means_one_thing(error: Exception, expected: type[Exception]) -> None:
    """The codes by which servers tell what happened become the errors that users meet."""
    wrapped = exc.DBAPIError("SELECT 1", {}, error)
    assert type(faults.translate(wrapped, HERE)) is expected


def test_a_full_disk_loses_nothing(small_disk: Callable[[int], Path]) -> None:
    """What was committed before the disk was full stays, and with room again all goes on."""
    disk = small_disk(3 * MEGABYTE)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(MEGABYTE))
    written: list[dict[str, object]] = []
    with closing(open_database(disk / "grange.db")) as db:
        make_tables(db)
        with pytest.raises(errors.DatabaseFull) as caught:
            _fill(db, written)

        assert str(disk) in caught.value.hint
        assert [row["key"] for row in rows(db)] == [row["key"] for row in written]

        ballast.unlink()
        with pytest.raises(errors.DatabaseFull):
            _fill(db, written)
        assert [row["key"] for row in rows(db)] == [row["key"] for row in written]
        with db.read() as connection:
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"


def test_a_database_is_not_made_on_a_full_disk(small_disk: Callable[[int], Path]) -> None:
    """A disk without any room says so at once, and the next try with room works."""
    disk = small_disk(MEGABYTE)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, MEGABYTE)

    with closing(open_database(disk / "grange.db")) as db, pytest.raises(errors.DatabaseFull):
        prepare(db)

    ballast.unlink()
    with closing(open_database(disk / "grange.db")) as db:
        prepare(db)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_unreachable(scheme: str) -> None:
    """A refused connection is told as such, with the address and without the password."""
    with socket.socket() as nobody:
        # Bound, but not listening: nobody else can take the port meanwhile.
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        db = open_database(f"{scheme}://me:hush-hush@127.0.0.1:{port}/grange")
        with pytest.raises(errors.DatabaseUnreachable) as caught, db.read():
            pass

    assert str(port) in caught.value.message
    _assert_secret("hush-hush", caught.value, db)


@pytest.mark.mariadb
def test_a_frozen_server_is_not_waited_for_without_end(
    mariadb_server: Server, mariadb_url: str
) -> None:
    """Whoever asks hears that it can't be reached; and all goes on when it does."""
    with closing(open_database(f"{mariadb_url}?read_timeout=1")) as db:
        make_tables(db)
        mariadb_server.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(errors.DatabaseUnreachable), db.read() as connection:
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - began < 10
        finally:
            mariadb_server.thaw()

        assert [] == rows(db)


def test_a_wrong_password_stays_secret(server_database_url: str) -> None:
    """A server that lets nobody in is unreachable, and the password is in no message."""
    db = open_database(server_database_url.replace("s3cret-of-the-tests", "hush%2Dhush"))
    with pytest.raises(errors.DatabaseUnreachable) as caught, db.read():
        pass

    _assert_secret("hush-hush", caught.value, db)


def test_an_error_tells_no_values(server_database_url: str) -> None:
    """What was to be written may be secret too, so a traceback doesn't quote it."""
    with closing(open_database(server_database_url)) as db:
        make_tables(db)
        with pytest.raises(errors.DatabaseError) as caught, db.write() as connection:
            connection.execute(files.insert(), {"key": None, "path": "hush-hush"})

        # PostgreSQL's own error, further down the chain, shows the row: the message doesn't.
        assert "hush-hush" not in str(caught.value) + str(caught.value.__cause__).split("[SQL")[1]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush-hush@host:many/grange",
        "mysql://me:hush-hush@host:port/grange",
        "oracle://me:hush-hush@host/grange",
        "me:hush-hush@host",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "",
    ],
)
def test_a_url_of_no_database_is_refused(url: str) -> None:
    """What can't be a database's URL is an invalid setting, and is not quoted whole."""
    with pytest.raises(errors.SettingInvalid) as caught:
        open_database(url)

    _assert_secret("hush-hush", caught.value, None)


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"),
    [("postgresql", "psycopg", "postgresql"), ("mariadb", "pymysql", "mysql")],
)
def test_a_missing_driver_says_what_to_install(
    scheme: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the driver, the error gives the very line that installs it."""
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(errors.ExtraMissing) as caught:
        open_database(f"{scheme}://me@localhost/grange")

    assert f"pip install 'grange[{extra}]'" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"dear diary, " * 1000, b"SQLite format 3\x00" + b"\xff" * 8000],
    ids=["text", "damaged"],
)
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Some other file in the database's place is told as such, and not written to."""
    file = tmp_path / "grange.db"
    file.write_bytes(content)
    with (
        closing(open_database(file)) as db,
        pytest.raises(errors.DatabaseCorrupt, match=r"grange\.db"),
    ):
        prepare(db)

    assert file.read_bytes() == content


def test_a_damaged_page_is_told(tmp_path: Path) -> None:
    """A database whose pages were overwritten is told to be damaged."""
    file = tmp_path / "grange.db"
    with closing(open_database(file)) as db:
        make_tables(db)
        with db.write() as connection:
            many = [{"key": f"{n:06}", "path": "p" * 500} for n in range(500)]
            db.insert_new(connection, files, many)
    with file.open("r+b") as raw:
        raw.seek(8 * 4096)
        raw.write(os.urandom(20 * 4096))

    with closing(open_database(file)) as db, pytest.raises(errors.DatabaseCorrupt):
        rows(db)


def test_a_file_in_place_of_a_folder_is_unreachable(tmp_path: Path) -> None:
    """A database below a file can't be made, and its path is told."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.DatabaseUnreachable, match=r"file/grange\.db"):
        open_database(tmp_path / "file" / "grange.db")


def test_a_folder_in_place_of_a_file_is_unreachable(tmp_path: Path) -> None:
    """A folder is no database."""
    with closing(open_database(tmp_path)) as db, pytest.raises(errors.DatabaseUnreachable):
        prepare(db)


def test_an_error_from_below_keeps_its_cause(tmp_path: Path) -> None:
    """Whoever looks for the reason finds the database's own error behind ours."""
    with closing(open_database(tmp_path / "grange.db")) as db:
        with pytest.raises(errors.DatabaseError) as caught, db.read() as connection:
            connection.execute(text("SELECT * FROM nowhere"))

        assert isinstance(caught.value.__cause__, exc.OperationalError)
        assert isinstance(caught.value.__cause__.orig, sqlite3.OperationalError)
        assert "nowhere" in caught.value.message


def _fill(db: Database, written: list[dict[str, object]]) -> None:
    """Commit batch after batch, and list what is in."""
    for start in range(len(written), 1_000_000, 10):
        batch: list[dict[str, object]] = [
            {"key": f"{start + n:06}", "path": "p" * 2000} for n in range(10)
        ]
        with db.write() as connection:
            db.insert_new(connection, files, batch)
        written += batch


def _assert_secret(password: str, error: Exception, db: object) -> None:
    told = "".join(traceback.format_exception(error)) + str(error) + repr(error) + repr(db)
    assert password not in told
