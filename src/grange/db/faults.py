"""What the errors of SQLAlchemy and the database drivers mean to Grange."""

from __future__ import annotations

import errno
import os
import sqlite3
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from sqlalchemy import exc

from grange import errors

# A file system with less than this left counts as full when SQLite says "disk I/O error".
FULL_BELOW_BYTES = 256 * 1024


class Duplicate(errors.Conflict):
    """A row with the same key is there already."""

    code = "database.duplicate"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is: what messages may say of it, and what they must not."""

    name: str
    folder: Path | None = None
    secret: str = field(default="", repr=False)


class Fault(Enum):
    """The kinds of errors that are worth telling apart."""

    BUSY = auto()
    FULL = auto()
    UNREACHABLE = auto()
    CORRUPT = auto()
    READ_ONLY = auto()
    DUPLICATE = auto()
    REFUSED = auto()
    BROKEN_USE = auto()


# Errors of SQLAlchemy itself; those of the database are told apart by the driver's codes.
_SQLALCHEMY: dict[type[exc.SQLAlchemyError], Fault] = {
    exc.TimeoutError: Fault.BUSY,
    exc.DisconnectionError: Fault.UNREACHABLE,
    exc.StatementError: Fault.REFUSED,
    exc.ArgumentError: Fault.BROKEN_USE,
    exc.CircularDependencyError: Fault.BROKEN_USE,
    exc.CompileError: Fault.BROKEN_USE,
    exc.IdentifierError: Fault.BROKEN_USE,
    exc.InvalidRequestError: Fault.BROKEN_USE,
}

# Primary result codes of SQLite (sqlite.org/rescode.html).
_SQLITE = {
    5: Fault.BUSY,
    6: Fault.BUSY,
    8: Fault.READ_ONLY,
    11: Fault.CORRUPT,
    13: Fault.FULL,
    14: Fault.UNREACHABLE,
    26: Fault.CORRUPT,
}
# Extended result codes of SQLite for a broken primary key, UNIQUE or rowid.
_SQLITE_DUPLICATE = {1555, 2067, 2579}
# "Disk I/O error" and "can't open": what a full disk looks like while SQLite makes its side files.
_SQLITE_PERHAPS_FULL = {10, 14}

# SQLSTATEs of PostgreSQL; a class of two letters stands for all of its codes.
_POSTGRESQL = {
    "08": Fault.UNREACHABLE,
    "28": Fault.UNREACHABLE,
    "3D": Fault.UNREACHABLE,
    "57P": Fault.UNREACHABLE,
    "40001": Fault.BUSY,
    "40P01": Fault.BUSY,
    "53300": Fault.BUSY,
    "55P03": Fault.BUSY,
    "53100": Fault.FULL,
    "23505": Fault.DUPLICATE,
    "25006": Fault.READ_ONLY,
    "XX001": Fault.CORRUPT,
    "XX002": Fault.CORRUPT,
}

# Error numbers of MySQL and MariaDB: the server's from 1000, the client's from 2000.
_MYSQL = {
    **dict.fromkeys((1040, 1203, 1205, 1213, 3572), Fault.BUSY),
    **dict.fromkeys((errno.ENOSPC, 1021, 1041, 1114), Fault.FULL),
    **dict.fromkeys((0, 1044, 1045, 1049, 1053, 1077, 1079, 1927), Fault.UNREACHABLE),
    **dict.fromkeys((2002, 2003, 2005, 2006, 2013, 2014, 2055), Fault.UNREACHABLE),
    **dict.fromkeys((126, 127, 1034, 1035, 1194, 1712, 1877), Fault.CORRUPT),
    **dict.fromkeys((1290, 1792, 1836), Fault.READ_ONLY),
    **dict.fromkeys((1062, 1169, 1586), Fault.DUPLICATE),
}

# For each kind: the error of ours, what it says of the database, and what to do next.
_WORDS: dict[Fault, tuple[type[errors.GrangeError], str, str]] = {
    Fault.BUSY: (
        errors.DatabaseBusy,
        "The database {} stayed locked by others",
        "See what else uses it, or try again in a moment.",
    ),
    Fault.FULL: (
        errors.DatabaseFull,
        "There is no room left for the database {}",
        "Free some room {room}, then do the same again: nothing is half written.",
    ),
    Fault.UNREACHABLE: (
        errors.DatabaseUnreachable,
        "The database {} can't be reached",
        "See whether {reach}.",
    ),
    Fault.CORRUPT: (
        errors.DatabaseCorrupt,
        "The database {} is damaged, or is no database",
        "Put it aside and bring back a backup; without one, start with a new file.",
    ),
    Fault.READ_ONLY: (
        errors.DatabaseError,
        "The database {} can only be read",
        "See who owns it, and whether its disk or server is set to read-only.",
    ),
    Fault.DUPLICATE: (Duplicate, "The database {} holds a row of this key already", ""),
    Fault.REFUSED: (errors.DatabaseError, "The database {} refused a statement", ""),
    Fault.BROKEN_USE: (
        errors.DatabaseError,
        "The database {} was used wrongly",
        "This is a mistake in Grange: please report it.",
    ),
}


def translate(error: exc.SQLAlchemyError, place: Place) -> errors.GrangeError:
    """Return the error of ours that says what an error of SQLAlchemy means, to what."""
    fault = classify(error, place)
    return _told(fault, _detail(error, place), place)


def classify(error: exc.SQLAlchemyError, place: Place) -> Fault:
    """Tell what kind of error this is."""
    if isinstance(error, exc.DBAPIError):
        fault = _of_driver(error.orig or error, place)
        if fault is Fault.REFUSED and error.connection_invalidated:
            return Fault.UNREACHABLE
        return fault
    for kind in type(error).__mro__:
        if kind in _SQLALCHEMY:
            return _SQLALCHEMY[kind]
    return Fault.BROKEN_USE


def of_file(error: OSError, place: Place) -> errors.GrangeError:
    """Say what it means that a database's folder or file can't be made."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return _told(Fault.FULL if full else Fault.UNREACHABLE, error.strerror or str(error), place)


def _of_driver(error: BaseException, place: Place) -> Fault:
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(getattr(error, "sqlite_errorcode", 0), place)
    if type(error).__module__.startswith("pymysql."):
        return _MYSQL.get(error.args[0] if error.args else -1, Fault.REFUSED)
    if hasattr(error, "sqlstate"):
        names = {kind.__name__ for kind in type(error).__mro__}
        return _of_postgresql(error.sqlstate, connected="OperationalError" not in names)
    return Fault.REFUSED


def _of_sqlite(code: int, place: Place) -> Fault:
    if code in _SQLITE_DUPLICATE:
        return Fault.DUPLICATE
    primary = code & 0xFF
    if primary in _SQLITE_PERHAPS_FULL and _is_full(place.folder):
        return Fault.FULL
    return _SQLITE.get(primary, Fault.REFUSED)


def _of_postgresql(state: str | None, *, connected: bool) -> Fault:
    if state is None:
        # Without a state the server never answered: the driver speaks of the connection.
        return Fault.REFUSED if connected else Fault.UNREACHABLE
    for known in (state, state[:3], state[:2]):
        if known in _POSTGRESQL:
            return _POSTGRESQL[known]
    return Fault.REFUSED


def _is_full(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    no_files_left = disk.f_files > 0 and disk.f_favail == 0
    return no_files_left or disk.f_bavail * disk.f_frsize < FULL_BELOW_BYTES


def _detail(error: exc.SQLAlchemyError, place: Place) -> str:
    source = (error.orig if isinstance(error, exc.StatementError) else None) or error
    # PyMySQL's errors are a number and a text.
    text = str(source.args[1] if len(source.args) > 1 else source)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = line or type(source).__name__
    return line.replace(place.secret, "***") if place.secret else line


def _told(fault: Fault, detail: str, place: Place) -> errors.GrangeError:
    kind, message, hint = _WORDS[fault]
    if place.folder is None:
        room, reach = "on the database server's disk", "the server runs and lets you in"
    else:
        room, reach = f"in {place.folder}", f"{place.folder} is there and yours to write to"
    return kind(
        f"{message.format(place.name)} ({detail}).", hint=hint.format(room=room, reach=reach)
    )
