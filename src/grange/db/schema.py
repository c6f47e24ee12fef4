"""Which revision of the tables a database has, and how it gets to another.

Alembic is imported only where there is something to change: whether a database
is up to date is one SELECT.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from grange import errors
from grange.db.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision in migrations/versions.
HEAD = "0007_task_holders"

# How long one process waits while another one changes the tables.
PATIENCE_SECONDS = 600.0
POLL_SECONDS = 0.05
# Any number that no other program locks in the same PostgreSQL database.
ADVISORY_LOCK = 0x6772616E6765
# Alembic keeps what it is doing in a variable of the whole process.
_ONE_THREAD = threading.Lock()


def prepare(db: Database) -> None:
    """Bring the tables up to date; when they are, this is one quick look.

    Any number of processes may do so at once: one changes the tables, the others wait.

    Raises:
        DatabaseNewer: The tables were made by a newer Grange.
        DatabaseError: They can't be read or changed.
    """
    if current(db) != HEAD:
        upgrade(db)


def current(db: Database) -> str | None:
    """Return the revision that the tables have; None where there are none yet."""
    try:
        with db.read() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except errors.DatabaseError:
        with db.read() as connection:
            if inspect(connection).has_table("alembic_version"):
                raise
        return None


def upgrade(db: Database, revision: str = "head") -> None:
    """Bring the tables up to a revision; they stay as they are when they are past it.

    On SQLite and PostgreSQL it is done as a whole or not at all. MySQL and MariaDB
    keep what was done before a step that failed.
    """
    from alembic import command

    _migrate(db, lambda config: command.upgrade(config, revision))


def downgrade(db: Database, revision: str) -> None:
    """Take the tables back to an older revision, or to `base`: to none."""
    from alembic import command

    _migrate(db, lambda config: command.downgrade(config, revision))


def _migrate(db: Database, change: Callable[[Config], None]) -> None:
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    # A percent sign would start the name of another option.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    try:
        with _ONE_THREAD, _alone(db) as connection:
            _refuse_newer(connection, config)
            config.attributes["connection"] = connection
            change(config)
    except CommandError as error:
        raise errors.DatabaseError(f"The tables of {db.url} can't be changed: {error}") from error


def _refuse_newer(connection: Connection, config: Config) -> None:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise errors.DatabaseNewer(
            f"The database's tables are of revision {found}, which this Grange doesn't know.",
            hint="Install the Grange that made them, or a newer one: pip install --upgrade grange",
        )


@contextmanager
def _alone(db: Database) -> Iterator[Connection]:
    """Give the transaction in which the tables change, while every other such waits."""
    if db.file is not None:
        with _file_lock(db.file), db.alter() as connection:
            yield connection
        return
    with db.alter() as connection:
        if db.dialect_name == "postgresql":
            _lock_postgresql(connection)
        else:
            _lock_mysql(connection)
        yield connection


@contextmanager
def _file_lock(file: Path) -> Iterator[None]:
    path = file.with_name(f"{file.name}.migrate.lock")
    deadline = time.monotonic() + PATIENCE_SECONDS
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise _still_busy(str(file))
            time.sleep(POLL_SECONDS)
        yield
    finally:
        # The file stays: who removed it would take it from under one who waits for it.
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_postgresql(connection: Connection) -> None:
    """Take a lock that ends with the transaction."""
    usual = connection.execute(text("SHOW lock_timeout")).scalar_one()
    connection.execute(text(f"SET LOCAL lock_timeout = {round(PATIENCE_SECONDS * 1000)}"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    connection.execute(text("SELECT set_config('lock_timeout', :usual, true)"), {"usual": usual})


def _lock_mysql(connection: Connection) -> None:
    """Take a lock that ends with the connection; names of locks are the whole server's."""
    lock = text("SELECT GET_LOCK(CONCAT('grange.', SHA1(DATABASE())), :patience)")
    if connection.execute(lock, {"patience": PATIENCE_SECONDS}).scalar() != 1:
        raise _still_busy(connection.engine.url.render_as_string(hide_password=True))


def _still_busy(name: str) -> errors.DatabaseBusy:
    return errors.DatabaseBusy(
        f"Another process has been changing the tables of {name} for a long time.",
        hint="Let it end, then try again.",
    )
