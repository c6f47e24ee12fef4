"""One database, whichever it is: transactions, retries, and the few statements that differ."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Pool, Select, Table
from sqlalchemy.exc import SQLAlchemyError

from grange import errors
from grange.db import connect, faults, statements

T = TypeVar("T")
S = TypeVar("S", bound=Select[Any])

# Waits between tries of a transaction that others were in the way of: doubled each time, with
# chance in them, so that those who collided don't collide again.
FIRST_WAIT_SECONDS = 0.01
LONGEST_WAIT_SECONDS = 1.0


def open_database(where: str | Path, *, busy_seconds: float = 30.0) -> Database:
    """Open a database by its URL, or a SQLite file by its path.

    A SQLite file that is not there is made, readable by its owner only, and so
    are missing folders above it. A server is first spoken to when it is used.

    Args:
        where: `sqlite:///…`, `postgresql://…`, `mysql://…` or `mariadb://…`, or a path.
        busy_seconds: How long to wait for others before it is an error.

    Raises:
        SettingInvalid: The URL is none of a database that Grange can use.
        ExtraMissing: The database's driver is not installed.
        DatabaseUnreachable: The SQLite file can't be made.
        DatabaseFull: There is no room to make it.
    """
    engine, place = connect.engine(where, busy_seconds=busy_seconds)
    return Database(engine, place, busy_seconds=busy_seconds)


class Database:
    """A database that many threads may use at once.

    Errors of SQLAlchemy inside a transaction's block leave the block as those of
    `grange.errors`; a broken unique key is `Duplicate`. Catch them around the block:
    after an error the transaction is lost.
    """

    def __init__(self, engine: Engine, place: faults.Place, *, busy_seconds: float) -> None:
        """Take what `open_database` has set up."""
        self._engine = engine
        self._reader = connect.for_reading(engine)
        self._place = place
        self._busy_seconds = busy_seconds
        self._writing = threading.Lock()
        self._process = os.getpid()
        self._inherited: list[Pool] = []

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @property
    def url(self) -> str:
        """The URL, with the password hidden."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def dialect_name(self) -> str:
        """One of `sqlite`, `postgresql` and `mysql`, which stands for MariaDB too."""
        return self._engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server's database."""
        return Path(self._engine.url.database or "") if self.dialect_name == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a transaction that can only read, and sees one state of things throughout."""
        self._notice_fork()
        with self._translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def read_once(self) -> Iterator[Connection]:
        """Give such a transaction for what nobody looks at again soon.

        SQLite keeps nothing of it in memory, nor what this connection had there before.
        """
        with self.read() as connection:
            yield connection
            if self.dialect_name == "sqlite":
                connection.exec_driver_sql("PRAGMA shrink_memory")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a transaction that is committed at the block's end, and undone on an error.

        On SQLite there is one writer at a time; the others wait for their turn.
        """
        self._notice_fork()
        with self._turn(), self._translated(), self._engine.begin() as connection:
            yield connection

    def transact(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a write transaction, again when others were in the way.

        It is repeated after a deadlock, a lost race or a lock that was not given,
        for as long as the database's `busy_seconds`, and once when the connection
        broke before the commit was tried. So it may run more than once, but is
        committed once: it must do nothing that outlives a rollback.
        """
        deadline = time.monotonic() + self._busy_seconds
        reconnected = False
        for tries in itertools.count():
            committing = False
            try:
                with self.write() as connection:
                    result = function(connection)
                    committing = True
                return result
            except errors.DatabaseBusy:
                if time.monotonic() >= deadline:
                    raise
            except errors.DatabaseUnreachable:
                # A commit that got no answer may have been done: only the caller can tell.
                if committing or reconnected:
                    raise
                reconnected = True
            longest = min(FIRST_WAIT_SECONDS * 2**tries, LONGEST_WAIT_SECONDS)
            time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 (no secret)
        raise AssertionError  # pragma: no cover (the loop has no end)

    def insert_new(
        self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]
    ) -> None:
        """Insert the rows whose keys are not there yet, and leave those that are as they are.

        All rows name the same columns. Any unique key counts, not the primary alone.
        """
        if rows:
            statement = statements.insert_new(table, dialect_name=self.dialect_name)
            connection.execute(statement, rows)

    def upsert(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[dict[str, Any]],
        *,
        keys: Sequence[str],
        update: Sequence[str],
    ) -> None:
        """Insert rows; of those that are there already, set the columns named in `update`.

        Args:
            connection: A write transaction.
            table: Where the rows go.
            rows: All of the same columns.
            keys: The columns of the unique key by which a row is found. MySQL goes by
                any unique key, so a table with two of them needs care.
            update: The columns that take the new row's value.
        """
        if rows:
            statement = statements.upsert(
                table, keys=keys, update=update, dialect_name=self.dialect_name
            )
            connection.execute(statement, rows)

    def lock(self, select: S) -> S:
        """Return the select that keeps its rows from others until the transaction's end.

        SQLite needs no such thing: a write transaction is the only one.
        """
        return select.with_for_update()

    @contextmanager
    def alter(self) -> Iterator[Connection]:
        """Give a write transaction for changes of the schema.

        SQLite changes a table by copying it, which must set off no foreign key;
        the keys are checked once at the end instead.
        """
        self._notice_fork()
        with self._turn(), self._translated(), self._engine.connect() as connection:
            # Closed at the end, so that no later user of the pool meets its settings.
            connection.detach()
            on_sqlite = self.dialect_name == "sqlite"
            if on_sqlite:
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            with connection.begin():
                yield connection
                if on_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise errors.DatabaseError(
                        f"The change of {self._place.name} would break its foreign keys.",
                        hint="Nothing was changed: please report it.",
                    )

    def close(self) -> None:
        """Close all connections; the database opens again when it is used."""
        self._engine.dispose()

    def _notice_fork(self) -> None:
        """Leave the parent's connections alone when this process is a fork of another."""
        if os.getpid() == self._process:
            return
        if self.dialect_name == "sqlite":
            # SQLite takes the parent's locks for its own from then on.
            raise errors.DatabaseError(
                f"The database {self._place.name} was opened before this process was forked.",
                hint="Start processes by spawn, and open the database in each of them.",
            )
        # Kept, because the last reference gone would close the parent's connections.
        self._inherited.append(self._engine.pool)
        self._engine.dispose(close=False)
        self._process = os.getpid()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise faults.translate(error, self._place) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let this process's threads write in turn: SQLite itself wakes those who wait by luck."""
        if self.dialect_name != "sqlite":
            yield
            return
        lock = self._writing
        if not lock.acquire(timeout=self._busy_seconds):
            raise errors.DatabaseBusy(
                f"The database {self._place.name} stayed locked by this very process.",
                hint="Look for a write transaction that waits for something.",
            )
        try:
            yield
        finally:
            lock.release()
